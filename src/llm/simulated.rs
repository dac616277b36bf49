//! The model that needs no key: it makes up answers by fixed rules, so that the whole product can be
//! tried and tested. The same request gets the same answer, and every answer says that it is simulated.
//!
//! It plays the roles of the built-in review: QA sends the first round back and approves the second.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::json;

use super::{ChatAnswer, ChatRequest, Listener, ModelError, ModelProvider, Scene, usage};
use crate::model::{ChatMessage, MessageRole, TemplateRole, Usd};

/// What every simulated text begins with; the verdict carries it as its `note`.
pub const NOTICE: &str =
    "Simulated by ProductForge: no model was asked. Set OPENAI_API_KEY or OPENAI_BASE_URL for real work.";

const MODEL: &str = "simulated";

/// The most characters of a brief that an answer quotes.
const MAX_BRIEF: usize = 600;

/// The most characters of an earlier step's output that an answer quotes.
const MAX_INPUT: usize = 6_000;

/// What QA misses in a first draft.
const MISSING_MEASURE: &str = "State how success will be measured, with a number and a date.";
const MISSING_RISK: &str = "Name the largest risk and what is done about it.";

/// Answers by fixed rules after a fixed time.
pub struct SimulatedProvider {
    latency: Duration,
}

impl SimulatedProvider {
    /// `latency`: how long it "thinks" about each answer.
    pub fn new(latency: Duration) -> Self {
        Self { latency }
    }
}

#[async_trait]
impl ModelProvider for SimulatedProvider {
    fn name(&self) -> &str {
        MODEL
    }

    fn default_model(&self) -> &str {
        MODEL
    }

    fn is_simulated(&self) -> bool {
        true
    }

    async fn complete(
        &self,
        request: &ChatRequest,
        listener: &dyn Listener,
    ) -> Result<ChatAnswer, ModelError> {
        let started = Instant::now();
        let text = match &request.schema {
            // It has seen nothing of the files and does not act as if it had.
            Some(form) if form.name == "findings" => json!({"findings": [], "note": NOTICE}).to_string(),
            _ => play(&request.scene, &request.messages),
        };
        let thinks = self.latency / 5;
        tokio::time::sleep(thinks).await;
        let first_token_ms = u64::try_from(started.elapsed().as_millis()).ok();
        speak(&text, self.latency - thinks, listener).await;
        Ok(ChatAnswer {
            first_token_ms,
            provider: MODEL.to_owned(),
            simulated: true,
            cost_usd: Some(Usd::ZERO),
            usage: usage::estimate(&request.messages, &text),
            text,
            model: MODEL.to_owned(),
            finish_reason: Some("stop".to_owned()),
            requests: 1,
            duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            ..ChatAnswer::default()
        })
    }
}

/// Says a text piece by piece, as a model streams it, within this time.
async fn speak(text: &str, time: Duration, listener: &dyn Listener) {
    const BREATH: Duration = Duration::from_millis(40);
    let pieces = (time.as_millis() / BREATH.as_millis()).clamp(1, 500) as u32;
    let chars: Vec<char> = text.chars().collect();
    let each = chars.len().div_ceil(pieces as usize).max(1);
    for piece in chars.chunks(each) {
        tokio::time::sleep(time / pieces).await;
        listener.delta(&piece.iter().collect::<String>());
    }
}

fn play(scene: &Scene, messages: &[ChatMessage]) -> String {
    let told: Vec<&str> =
        messages.iter().filter(|m| m.role == MessageRole::User).map(|m| m.content.as_str()).collect();
    let input = &told.join("\n\n");
    let brief = if scene.brief.trim().is_empty() { input } else { &scene.brief };
    let text = match scene.role {
        Some(TemplateRole::Qa) => return verdict(scene.round),
        Some(TemplateRole::Admin) => plan(brief),
        Some(TemplateRole::Specialist) => draft(scene, brief, input),
        Some(TemplateRole::Feedback | TemplateRole::Approval) => report(brief, input),
        None => format!(
            "In short, for “{}”: start with the smallest version that can be checked, check it, and \
             go on from what that shows.",
            first_line(brief)
        ),
    };
    format!("> {NOTICE}\n\n{text}\n")
}

fn plan(brief: &str) -> String {
    format!(
        "# Plan\n\n\
         ## The brief as understood\n\n{}\n\n\
         ## What matters\n\n\
         - The result has to serve “{}”, nothing else.\n\
         - It has to be short enough to be read and definite enough to be checked.\n\n\
         ## Steps\n\n\
         1. Write a first version that covers the whole brief.\n\
         2. Have it reviewed against the brief.\n\
         3. Mend what the review finds, then report.\n",
        quote(brief, MAX_BRIEF),
        first_line(brief)
    )
}

fn draft(scene: &Scene, brief: &str, input: &str) -> String {
    let agent = if scene.agent.is_empty() { "the specialist" } else { &scene.agent };
    let title = first_line(brief);
    let body = format!(
        "## Approach\n\n\
         {agent} answers “{title}” in three parts: what is there today, what changes, and how it is rolled \
         out.\n\n\
         1. **Today.** The people concerned and what they lack.\n\
         2. **Change.** The smallest version that helps them, described so that it can be built.\n\
         3. **Roll-out.** First for a few, then for all.\n"
    );
    if scene.round < 2 {
        return format!(
            "# {title}: first draft\n\n{body}\n## What this draft was given\n\n{}\n",
            quote(input, MAX_BRIEF)
        );
    }
    let round = scene.round;
    let addressed: String =
        findings(input).into_iter().map(|finding| format!("- {finding} — done in this version.\n")).collect();
    format!(
        "# {title}: revised draft (round {round})\n\n\
         ## Changes since the last round\n\n{addressed}\n{body}\
         4. **Measure.** 80 % of those asked finish their task without help within 30 days.\n\
         5. **Risk.** The old way stays in use; it is switched off on a date that is told beforehand.\n"
    )
}

fn verdict(round: u32) -> String {
    let verdict = if round < 2 {
        json!({
            "verdict": "revise",
            "score": 0.55,
            "findings": [
                {"severity": "major", "text": "The draft does not say how success will be measured."},
                {"severity": "minor", "text": "The draft names no risk."},
            ],
            "must_fix": [MISSING_MEASURE, MISSING_RISK],
            "note": NOTICE,
        })
    } else {
        json!({"verdict": "approve", "score": 0.92, "findings": [], "must_fix": [], "note": NOTICE})
    };
    verdict.to_string()
}

fn report(brief: &str, input: &str) -> String {
    let words = input.split_whitespace().count();
    format!(
        "# Report: {}\n\n\
         ## Summary\n\n\
         The brief was planned, worked on and reviewed by the team. The work is below.\n\n\
         ## What was done\n\n{}\n\n\
         ## Review\n\n\
         The report follows from {words} words of plan, work and review that the closing step was given.\n\n\
         ## Next steps\n\n\
         - Read the work against the brief and decide.\n\
         - Connect a real model and run it again.\n",
        first_line(brief),
        demoted(&fit(input, MAX_INPUT)).trim()
    )
}

/// A Markdown text to stand inside another: its headings two levels down, without notices of its own.
fn demoted(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.contains(NOTICE));
    lines
        .map(|line| if line.starts_with('#') { format!("##{line}\n") } else { format!("{line}\n") })
        .collect()
}

/// What the last review found, as far as the prompt shows it.
fn findings(input: &str) -> Vec<String> {
    let marked = [MISSING_MEASURE, MISSING_RISK].into_iter().filter(|f| input.contains(*f));
    let known: Vec<String> = marked.map(str::to_owned).collect();
    if !known.is_empty() {
        return known;
    }
    // Somebody else's findings: a person's note or another reviewer's list.
    let listed: Vec<String> = input
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- "))
        .filter(|line| !line.trim().is_empty())
        .map(|line| fit(line.trim(), 200))
        .collect();
    match listed.len() {
        0 => vec!["The review's remarks".to_owned()],
        n => listed.into_iter().skip(n.saturating_sub(5)).collect(),
    }
}

/// A text as a Markdown quotation, so that its own headings stay its own.
fn quote(text: &str, max: usize) -> String {
    let text = fit(text.trim(), max);
    if text.is_empty() {
        return "> (nothing)".to_owned();
    }
    text.lines().map(|line| format!("> {line}").trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// The first line that says something, short enough for a heading.
fn first_line(text: &str) -> String {
    let line = text.lines().map(|l| l.trim().trim_start_matches('#').trim()).find(|l| !l.is_empty());
    fit(line.unwrap_or("an empty brief"), 80)
}

/// A text without control characters, cut to so many characters.
fn fit(text: &str, max: usize) -> String {
    let mut chars = text.chars().filter(|c| !c.is_control() || *c == '\n');
    let mut cut: String = chars.by_ref().take(max).collect();
    if chars.next().is_some() {
        cut.push('…');
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::Deaf;

    const BRIEF: &str = "Write a launch plan for the Oslo office\nwith a budget.";

    async fn ask(role: Option<TemplateRole>, round: u32, prompt: &str) -> ChatAnswer {
        let request = ChatRequest {
            messages: vec![ChatMessage::system("You are somebody."), ChatMessage::user(prompt)],
            scene: Scene { role, round, agent: "analyzer_bot".to_owned(), brief: BRIEF.to_owned() },
            ..ChatRequest::default()
        };
        let provider = SimulatedProvider::new(Duration::ZERO);
        let answer = provider.complete(&request, &Deaf).await.unwrap();
        assert_eq!(
            answer.text,
            provider.complete(&request, &Deaf).await.unwrap().text,
            "the same every time"
        );
        assert!(answer.text.contains(NOTICE) && answer.usage.estimated, "{}", answer.text);
        answer
    }

    #[tokio::test]
    async fn every_text_speaks_of_the_brief() {
        for role in
            [None, Some(TemplateRole::Admin), Some(TemplateRole::Specialist), Some(TemplateRole::Feedback)]
        {
            let answer = ask(role, 1, "the prompt").await;
            assert!(answer.text.contains("launch plan for the Oslo office"), "{role:?} {}", answer.text);
            assert_eq!(answer.model, "simulated");
        }
    }

    #[tokio::test]
    async fn context_flows_into_work_and_report() {
        let draft = ask(Some(TemplateRole::Specialist), 1, "The plan says: begin with the harbour.").await;
        assert!(draft.text.contains("> The plan says: begin with the harbour."), "{}", draft.text);
        let work = format!("## Work of bot (round 1)\n\n> {NOTICE}\n\n# Harbour first\n\nThen the town.");
        let report = ask(Some(TemplateRole::Feedback), 1, &work).await.text;
        assert!(report.contains("\n### Harbour first\n\nThen the town."), "{report}");
        assert_eq!(report.matches(NOTICE).count(), 1, "{report}");
    }

    #[tokio::test]
    async fn a_revision_addresses_the_findings() {
        let first = ask(Some(TemplateRole::Specialist), 1, "x").await.text;
        let second =
            ask(Some(TemplateRole::Specialist), 2, &format!("must fix:\n- {MISSING_RISK}")).await.text;
        assert_ne!(first, second);
        assert!(second.contains("round 2") && second.contains(MISSING_RISK), "{second}");
        let foreign = ask(Some(TemplateRole::Specialist), 3, "- Mention the ferry.").await.text;
        assert!(foreign.contains("Mention the ferry."), "{foreign}");
    }

    #[tokio::test]
    async fn qa_answers_pure_json_and_approves_the_second_round() {
        let round = async |n| {
            let text = ask(Some(TemplateRole::Qa), n, "the work").await.text;
            serde_json::from_str::<serde_json::Value>(&text).unwrap()
        };
        let first = round(1).await;
        assert_eq!((&first["verdict"], &first["score"]), (&json!("revise"), &json!(0.55)));
        assert_eq!(first["must_fix"].as_array().unwrap().len(), 2);
        for n in [2, 3] {
            let verdict = round(n).await;
            assert_eq!((&verdict["verdict"], &verdict["score"]), (&json!("approve"), &json!(0.92)));
        }
    }

    #[tokio::test]
    async fn hostile_briefs_stay_short_and_clean() {
        let brief = format!("\u{1b}[31m{}\u{0}", "# heading\n".repeat(9_999));
        assert!(plan(&brief).len() < 2_000);
        assert!(!plan(&brief).contains('\u{1b}'));
        assert!(report(&brief, &brief).len() < 10_000);
        assert!(plan("").contains("an empty brief"));
    }

    #[tokio::test]
    async fn it_thinks_as_long_as_it_is_told() {
        let provider = SimulatedProvider::new(Duration::from_millis(60));
        let answer = provider.complete(&ChatRequest::default(), &Deaf).await.unwrap();
        assert!((60..5_000).contains(&answer.duration_ms), "{} ms", answer.duration_ms);
    }
}
