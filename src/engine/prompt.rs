//! What an agent is told: who it is, the brief, and the outputs its step depends on.
//!
//! A prompt that is longer than the model can read is cut by fixed rules: the longest sections lose their
//! middles first, and every cut says so where it is.

use crate::model::{
    Agent, ChatMessage, Decision, DecisionOutcome, MessageRole, ReviewOutcome, Step, StepStatus,
    TemplateRole, Verdict, VerdictKind, Workflow,
};

/// The most characters of one section of a prompt.
const MAX_SECTION_CHARS: usize = 48_000;

/// However little room there is, so much of a section is left.
const MIN_SECTION_CHARS: usize = 200;

/// A prompt before it is put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// Who the agent is and what it is to do.
    system: String,
    /// What it works on: headings (or none) and texts.
    sections: Vec<(Option<String>, String)>,
}

impl Prompt {
    fn new(agent: &Agent, instructions: &str) -> Self {
        Self { system: persona(agent, instructions), sections: Vec::new() }
    }

    fn section(mut self, title: &str, text: &str) -> Self {
        self.sections.push((Some(title.to_owned()), text.trim().to_owned()));
        self
    }

    /// The same with what is known of an uploaded archive, whose files can be looked into.
    pub fn with_upload(self, filename: &str, summary: &str) -> Self {
        let note =
            "The file tools list, read and search its files. What stands below was found without a model.";
        self.section(&format!("Uploaded archive {filename}"), &format!("{note}\n\n{summary}"))
    }

    /// How many characters it has when nothing is cut.
    pub fn chars(&self) -> usize {
        self.system.chars().count()
            + self.sections.iter().map(|(_, text)| text.chars().count()).sum::<usize>()
    }

    /// The messages, with at most about `room` characters in their sections.
    pub fn messages(&self, room: Option<usize>) -> Vec<ChatMessage> {
        let lengths: Vec<usize> = self.sections.iter().map(|(_, text)| text.chars().count()).collect();
        let cap = room.map_or(MAX_SECTION_CHARS, |room| share(&lengths, room).min(MAX_SECTION_CHARS));
        let user: String = self
            .sections
            .iter()
            .map(|(title, text)| match title {
                Some(title) => format!("## {title}\n\n{}\n\n", cut(text, cap)),
                None => cut(text, cap),
            })
            .collect();
        vec![ChatMessage::system(&self.system), ChatMessage::user(user.trim_end())]
    }
}

/// The same for a conversation that has gone on: everything but the system message may lose its middle.
pub fn fit(messages: &[ChatMessage], room: usize) -> Vec<ChatMessage> {
    let may_be_cut = |m: &ChatMessage| m.role != MessageRole::System;
    let lengths: Vec<usize> =
        messages.iter().filter(|m| may_be_cut(m)).map(|m| m.content.chars().count()).collect();
    let cap = share(&lengths, room);
    let fitted = messages.iter().map(|m| match may_be_cut(m) {
        true => ChatMessage { content: cut(&m.content, cap), ..m.clone() },
        false => m.clone(),
    });
    fitted.collect()
}

/// The longest that any of the texts may be so that all of them fit: short ones stay whole, and what they
/// leave is shared by the long ones.
fn share(lengths: &[usize], room: usize) -> usize {
    let mut sorted = lengths.to_vec();
    sorted.sort_unstable();
    let mut left = room;
    for (n, length) in sorted.iter().enumerate() {
        let each = left / (sorted.len() - n);
        if *length > each {
            return each.max(MIN_SECTION_CHARS);
        }
        left -= length;
    }
    usize::MAX
}

/// One earlier output that belongs into the prompt of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// The job whose output it is.
    pub job_id: String,
    /// What it is, as a heading.
    pub title: String,
}

/// The outputs that a step has to see, in the order of the prompt.
///
/// - a specialist: the analysis; in a revision also its own last draft and QA's findings
/// - QA: the analysis and the work of this round
/// - the closing report: the last work and its review
pub fn inputs(workflow: &Workflow, step: &Step) -> Vec<Input> {
    let done = |role: TemplateRole, round: Option<u32>| {
        workflow.steps.iter().filter(move |s| {
            s.role == role && s.status == StepStatus::Completed && round.is_none_or(|r| s.round == r)
        })
    };
    let input = |s: &Step, title: String| Input { job_id: s.job_id.clone(), title };
    let analysis = || done(TemplateRole::Admin, None).map(|s| input(s, format!("Analysis by {}", s.agent)));
    let work = |round: u32| {
        done(TemplateRole::Specialist, Some(round))
            .map(move |s| input(s, format!("Work of {} (round {round})", s.agent)))
    };
    let mut all: Vec<Input> = match step.role {
        TemplateRole::Admin => Vec::new(),
        TemplateRole::Specialist if step.round == 1 => analysis().collect(),
        TemplateRole::Specialist => {
            let last = step.round - 1;
            let draft = done(TemplateRole::Specialist, Some(last))
                .filter(|s| s.agent == step.agent)
                .map(|s| input(s, format!("Your earlier draft (round {last})")));
            let review = done(TemplateRole::Qa, Some(last))
                .map(|s| input(s, format!("Review by {} (round {last})", s.agent)));
            analysis().chain(draft).chain(review).collect()
        }
        TemplateRole::Qa => analysis().chain(work(step.round)).collect(),
        TemplateRole::Feedback => {
            let last = done(TemplateRole::Specialist, None).map(|s| s.round).max().unwrap_or(1);
            let review = done(TemplateRole::Qa, None)
                .max_by_key(|s| s.round)
                .map(|s| input(s, format!("Review by {} (round {})", s.agent, s.round)));
            analysis().chain(work(last)).chain(review).collect()
        }
        TemplateRole::Approval => Vec::new(),
    };
    // Whatever the shape of the workflow: what a step depends on, it sees.
    for needed in &step.depends_on {
        if !all.iter().any(|i| &i.job_id == needed)
            && let Some(s) = workflow.step(needed).filter(|s| s.status == StepStatus::Completed)
            && s.role != TemplateRole::Approval
        {
            all.push(input(s, format!("Output of {} ({})", s.step, s.agent)));
        }
    }
    all
}

/// The prompt of a step. `materials` are the texts of [`inputs`], in the same order.
pub fn step(
    workflow: &Workflow,
    step: &Step,
    agent: &Agent,
    instructions: &str,
    materials: &[(Input, String)],
) -> Prompt {
    let mut prompt = Prompt::new(agent, instructions).section("Brief", &workflow.original_task);
    for (input, text) in materials {
        let text = match workflow.step(&input.job_id).and_then(|s| s.verdict.as_ref()) {
            Some(verdict) => findings(verdict, text),
            None => text.clone(),
        };
        prompt = prompt.section(&input.title, &text);
    }
    for gate in workflow.steps.iter().filter(|s| step.depends_on.contains(&s.job_id)) {
        if let Some(decision) = &gate.decision {
            prompt = prompt.section("What the person says who looked at it", &words_of(decision));
        }
    }
    match workflow.review {
        Some(outcome) if step.role == TemplateRole::Feedback => {
            prompt.section("How the review ended", review_sentence(outcome))
        }
        _ => prompt,
    }
}

/// The prompt of a task asked of one agent.
pub fn task(task: &str, agent: &Agent) -> Prompt {
    let mut prompt = Prompt::new(agent, "Do what you are asked, completely, and answer in Markdown.");
    prompt.sections.push((None, task.to_owned()));
    prompt
}

/// The prompt of an upload's analysis. What is known of the files is added with [`Prompt::with_upload`].
pub fn analysis(task: &str, agent: &Agent) -> Prompt {
    let instructions = "Review the uploaded code as an experienced engineer: defects, security holes, data that can \
        be lost, missing tests. Look into the files with your tools before you judge. Report only what you have \
        seen in a file, each finding with the file and the line that shows it, the severity, and the reason. \
        Answer with JSON alone: {\"findings\": [{\"severity\": \"critical|high|medium|low|info\", \"file\": \
        \"path as listed\", \"line\": 1, \"title\": \"…\", \"reason\": \"…\", \"suggestion\": \"…\"}]}. An empty \
        list is an answer, too.";
    Prompt::new(agent, instructions).section("Task", task)
}

/// The prompt of a review that `/admin_review` asks for. `work` is the reviewed job's task and
/// output, where they still exist.
pub fn review(request: &str, work: Option<(&str, &str)>, agent: &Agent) -> Prompt {
    let instructions = "Review the work below. Say what is good, what is wrong and what has to change.";
    let prompt = Prompt::new(agent, instructions).section("Request", request);
    match work {
        Some((task, output)) => prompt.section("What was asked for", task).section("The work", output),
        None => prompt.section("The work", "No result of that job is stored (any more)."),
    }
}

/// Who the agent is and what it is to do now.
fn persona(agent: &Agent, instructions: &str) -> String {
    let mut text = String::new();
    if let Some(own) = agent.prompt.as_deref().map(str::trim).filter(|p| !p.is_empty()) {
        text.push_str(own);
        text.push_str("\n\n");
    }
    text.push_str(&format!("You are {}, in the role of {}.", agent.name, agent.role));
    if let Some(description) = agent.description.as_deref().filter(|d| !d.trim().is_empty()) {
        text.push_str(&format!(" {}.", description.trim().trim_end_matches('.')));
    }
    if !agent.skills.is_empty() {
        text.push_str(&format!(" Your skills: {}.", agent.skills.join(", ")));
    }
    text.push_str("\n\n");
    text.push_str(instructions);
    text
}

/// Takes the middle out of a text that is too long, and says so there: beginnings say what a text is
/// about, and ends what it comes to.
fn cut(text: &str, cap: usize) -> String {
    let length = text.chars().count();
    if length <= cap {
        return text.to_owned();
    }
    let beginning = cap * 2 / 3;
    let head: String = text.chars().take(beginning).collect();
    let tail: String = text.chars().skip(length - (cap - beginning)).collect();
    format!("{head}\n\n[Cut here: {cap} of {length} characters are shown.]\n\n{tail}")
}

/// A verdict as a list to work through; QA's own text where no verdict could be read from it.
fn findings(verdict: &Verdict, text: &str) -> String {
    if verdict.verdict == VerdictKind::Unstructured {
        return text.to_owned();
    }
    let mut out = format!("Verdict: {}", verdict.verdict.as_str());
    if let Some(score) = verdict.score {
        out.push_str(&format!(" (score {score:.2})"));
    }
    if verdict.findings.is_empty() && verdict.must_fix.is_empty() {
        out.push_str("\n\nNo findings.");
    }
    if !verdict.findings.is_empty() {
        out.push_str("\n\nFindings:\n");
        for finding in &verdict.findings {
            let severity = finding.severity.as_deref().map(|s| format!("[{s}] ")).unwrap_or_default();
            out.push_str(&format!("- {severity}{}\n", finding.text));
        }
    }
    if !verdict.must_fix.is_empty() {
        out.push_str("\n\nMust be fixed:\n");
        for fix in &verdict.must_fix {
            out.push_str(&format!("- {fix}\n"));
        }
    }
    out
}

fn words_of(decision: &Decision) -> String {
    let outcome = match decision.outcome {
        DecisionOutcome::Approved => "They approve the work.",
        DecisionOutcome::SentBack => "They want the work done once more, better.",
        DecisionOutcome::Rejected => "They reject the work.",
    };
    match &decision.comment {
        Some(comment) => format!("{outcome}\n\n{comment}"),
        None => outcome.to_owned(),
    }
}

fn review_sentence(outcome: ReviewOutcome) -> &'static str {
    match outcome {
        ReviewOutcome::Approved => "QA approved the work.",
        ReviewOutcome::Rejected => "QA rejected the work.",
        ReviewOutcome::RoundsUsedUp => {
            "QA still wanted changes when the rounds were used up; nothing was approved."
        }
        ReviewOutcome::NoProgress => {
            "The last revision changed nothing, so the review was stopped; nothing was approved."
        }
        ReviewOutcome::Unstructured => "QA's answer held no verdict; nothing was approved.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_texts_stay_whole_and_long_ones_share_what_is_left() {
        assert_eq!(share(&[10, 20, 30], 60), usize::MAX);
        assert_eq!(share(&[100, 5_000, 9_000], 6_100), 3_000);
        assert_eq!(share(&[5_000, 5_000], 2), MIN_SECTION_CHARS);
        assert_eq!(share(&[], 0), usize::MAX);
    }

    #[test]
    fn a_cut_text_keeps_its_beginning_and_its_end_and_says_so() {
        let text: String = (0..2_000).map(|n| char::from(b'a' + (n % 26) as u8)).collect();
        let shown = cut(&text, 300);
        assert!(shown.starts_with(&text[..200]) && shown.ends_with(&text[1_900..]), "{shown}");
        assert!(shown.contains("[Cut here: 300 of 2000 characters are shown.]"), "{shown}");
        assert_eq!(cut("short", 300), "short");
    }

    #[test]
    fn a_conversation_that_is_too_long_loses_middles_but_no_message() {
        let messages = [
            ChatMessage::system("x".repeat(9_000)),
            ChatMessage::user("y".repeat(9_000)),
            ChatMessage::assistant("short", Vec::new()),
        ];
        let fitted = fit(&messages, 1_005);
        assert_eq!(fitted[0], messages[0]);
        assert_eq!(fitted[2], messages[2]);
        assert!(fitted[1].content.chars().count() < 1_100 && fitted[1].content.contains("1000 of 9000"));
        assert_eq!(fit(&messages, 1_005), fitted, "the same every time");
    }
}
