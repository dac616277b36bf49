//! What an agent is told: who it is, the brief, and the outputs its step depends on.

use crate::model::{
    Agent, ChatMessage, ReviewOutcome, Step, StepStatus, TemplateRole, Verdict, VerdictKind, Workflow,
};

/// The most characters of one input that go into a prompt; the cut is visible in the prompt.
const MAX_INPUT_CHARS: usize = 48_000;

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
    };
    // Whatever the shape of the workflow: what a step depends on, it sees.
    for needed in &step.depends_on {
        if !all.iter().any(|i| &i.job_id == needed)
            && let Some(s) = workflow.step(needed).filter(|s| s.status == StepStatus::Completed)
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
) -> Vec<ChatMessage> {
    let mut user = section("Brief", &workflow.original_task);
    for (input, text) in materials {
        let text = match workflow.step(&input.job_id).and_then(|s| s.verdict.as_ref()) {
            Some(verdict) => findings(verdict, text),
            None => text.clone(),
        };
        user.push_str(&section(&input.title, &text));
    }
    if step.role == TemplateRole::Feedback
        && let Some(outcome) = workflow.review
    {
        user.push_str(&section("How the review ended", review_sentence(outcome)));
    }
    vec![ChatMessage::system(persona(agent, instructions)), ChatMessage::user(user.trim_end())]
}

/// The prompt of a task asked of one agent.
pub fn task(task: &str, agent: &Agent) -> Vec<ChatMessage> {
    let instructions = "Do what you are asked, completely, and answer in Markdown.";
    vec![ChatMessage::system(persona(agent, instructions)), ChatMessage::user(cut(task))]
}

/// The prompt of a review that `/admin_review` asks for. `work` is the reviewed job's task and
/// output, where they still exist.
pub fn review(request: &str, work: Option<(&str, &str)>, agent: &Agent) -> Vec<ChatMessage> {
    let instructions = "Review the work below. Say what is good, what is wrong and what has to change.";
    let mut user = section("Request", request);
    match work {
        Some((task, output)) => {
            user.push_str(&section("What was asked for", task));
            user.push_str(&section("The work", output));
        }
        None => user.push_str(&section("The work", "No result of that job is stored (any more).")),
    }
    vec![ChatMessage::system(persona(agent, instructions)), ChatMessage::user(user.trim_end())]
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

fn section(title: &str, text: &str) -> String {
    format!("## {title}\n\n{}\n\n", cut(text.trim()))
}

/// Cuts a text that is too long for a prompt, and says so in it.
fn cut(text: &str) -> String {
    let length = text.chars().count();
    if length <= MAX_INPUT_CHARS {
        return text.to_owned();
    }
    let kept: String = text.chars().take(MAX_INPUT_CHARS).collect();
    format!("{kept}\n\n[Cut here: {MAX_INPUT_CHARS} of {length} characters are shown.]")
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
