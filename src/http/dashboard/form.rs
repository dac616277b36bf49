//! The brief form: what it shows and what comes back from it.

use std::collections::BTreeMap;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::form_fields::{Fields, field, lines_of};
use crate::{
    http::render::grouped,
    model::{Agent, Budget, DEFAULT_MAX_REVISIONS, MAX_REVISIONS, Priority, Usd, new_id},
    service::{
        IdempotencyKey,
        schedule::MAX_TIMEOUT_SECONDS,
        workflows::{MAX_TOKENS, MAX_USD, NewWorkflow},
    },
};

/// What "Run a demo" submits.
pub const DEMO_BRIEF: &str = "Design a small REST API for a public library: books, members and loans.\n\n\
    Give the resources with their fields, the endpoints with methods and status codes, how a loan is made and \
    returned, and what happens when a book is already lent. Keep it to one page.";

/// The inputs that may have something wrong with them, as they are named in the form.
const INPUTS: [&str; 9] = [
    "job",
    "max_revisions",
    "specialists",
    "upload_id",
    "budget_tokens",
    "budget_usd",
    "run_at",
    "delay_minutes",
    "step_timeout_seconds",
];

/// What is wrong, by the input it stands beside; under an empty name what belongs to none.
pub type Problems = Vec<(&'static str, String)>;

/// The form as it is shown.
#[derive(Debug, Serialize)]
pub struct BriefForm {
    pub job: String,
    pub requires_qa: bool,
    /// A person approves the work.
    pub approval: bool,
    pub priority: &'static str,
    pub max_revisions: String,
    pub most_revisions: u32,
    pub upload_id: String,
    pub budget_tokens: String,
    pub budget_usd: String,
    pub run_at: String,
    pub delay_minutes: String,
    pub step_timeout_seconds: String,
    /// Makes one workflow of a form that is sent twice.
    pub key: String,
    /// Whether "More options" is open.
    pub more: bool,
    pub problems: Vec<String>,
    /// By input; the empty text where nothing is wrong.
    pub errors: BTreeMap<&'static str, String>,
    #[serde(skip)]
    pub specialists: Vec<String>,
}

/// An agent to tick.
#[derive(Debug, Serialize)]
pub struct AgentChoice {
    name: String,
    role: String,
    ticked: bool,
}

impl Default for BriefForm {
    fn default() -> Self {
        Self {
            job: String::new(),
            requires_qa: true,
            approval: false,
            priority: "normal",
            max_revisions: DEFAULT_MAX_REVISIONS.to_string(),
            most_revisions: MAX_REVISIONS,
            upload_id: String::new(),
            budget_tokens: String::new(),
            budget_usd: String::new(),
            run_at: String::new(),
            delay_minutes: String::new(),
            step_timeout_seconds: String::new(),
            key: new_id(),
            more: false,
            problems: Vec::new(),
            errors: INPUTS.map(|name| (name, String::new())).into(),
            specialists: Vec::new(),
        }
    }
}

impl BriefForm {
    /// The form as it was filled in.
    pub fn read(fields: &Fields) -> Self {
        if field(fields, "demo") == "true" {
            return Self { job: DEMO_BRIEF.to_owned(), key: String::new(), ..Self::default() };
        }
        let specialists: Vec<String> = fields
            .iter()
            .filter(|(name, value)| name == "specialists" && !value.is_empty())
            .map(|(_, value)| value.clone())
            .collect();
        let default = Self::default();
        let max_revisions = match field(fields, "max_revisions").trim() {
            "" => default.max_revisions.clone(),
            given => given.to_owned(),
        };
        let typed = |name| field(fields, name).trim().to_owned();
        Self {
            job: lines_of(field(fields, "job")),
            requires_qa: field(fields, "requires_qa") == "true",
            approval: field(fields, "approval") == "true",
            priority: match field(fields, "priority") {
                "high" => "high",
                "low" => "low",
                _ => "normal",
            },
            more: !specialists.is_empty() || max_revisions != default.max_revisions,
            max_revisions,
            specialists,
            upload_id: typed("upload_id"),
            budget_tokens: typed("budget_tokens"),
            budget_usd: typed("budget_usd"),
            run_at: typed("run_at"),
            delay_minutes: typed("delay_minutes"),
            step_timeout_seconds: typed("step_timeout_seconds"),
            key: typed("key"),
            ..default
        }
    }

    /// What is to be started, or what is wrong with it.
    pub fn order(&self) -> Result<NewWorkflow, Problems> {
        let mut problems = Vec::new();
        if self.job.trim().is_empty() {
            problems.push(("job", "Say what should be done.".to_owned()));
        }
        let mut wrong = |name, message: String| problems.push((name, message));
        let max_revisions = self.max_revisions.parse().ok().filter(|&n: &u32| n <= MAX_REVISIONS);
        if max_revisions.is_none() {
            wrong("max_revisions", format!("A number of rounds from 0 to {MAX_REVISIONS}."));
        }
        let tokens = given(&self.budget_tokens, |text| {
            text.replace([' ', '\u{202f}', '_'], "").parse().ok().filter(|n| (1..=MAX_TOKENS).contains(n))
        });
        if tokens == Err(()) {
            wrong(
                "budget_tokens",
                format!("A whole number from 1 to {}, or nothing for no limit.", grouped(MAX_TOKENS)),
            );
        }
        let usd = given(&self.budget_usd, |text| {
            let dollars: f64 = text.trim_start_matches('$').replace(',', ".").parse().ok()?;
            Usd::from_dollars(dollars).filter(|usd| *usd > Usd::ZERO && dollars <= MAX_USD as f64)
        });
        if usd == Err(()) {
            let message = format!("An amount above 0 and up to {MAX_USD}, or nothing for no limit.");
            wrong("budget_usd", message);
        }
        let minutes = given(&self.delay_minutes, |text| {
            let minutes: f64 = text.replace(',', ".").parse().ok()?;
            (minutes.is_finite() && minutes >= 0.0).then_some(minutes)
        });
        if minutes == Err(()) {
            wrong("delay_minutes", "A number of minutes, 0 or more.".to_owned());
        }
        let timeout = given(&self.step_timeout_seconds, |text| text.parse::<u32>().ok());
        if timeout == Err(()) {
            let message = format!("A whole number of seconds from 1 to {MAX_TIMEOUT_SECONDS}.");
            wrong("step_timeout_seconds", message);
        }
        let (Ok(tokens), Ok(usd), Ok(minutes), Ok(timeout)) = (tokens, usd, minutes, timeout) else {
            return Err(problems);
        };
        if !problems.is_empty() {
            return Err(problems);
        }
        let budget = Budget { tokens, usd };
        Ok(NewWorkflow {
            job: self.job.trim().to_owned(),
            requires_qa: Some(self.requires_qa),
            approval: self.approval.then_some(true),
            priority: Some(match self.priority {
                "high" => Priority::High,
                "low" => Priority::Low,
                _ => Priority::Normal,
            }),
            max_revisions,
            specialists: Some(self.specialists.clone()),
            upload_id: Some(self.upload_id.clone()).filter(|id| !id.is_empty()),
            budget: Some(budget).filter(|budget| *budget != Budget::default()),
            // What a date input gives may lack the seconds.
            run_at: match self.run_at.as_str() {
                "" => None,
                minute if minute.len() == "2026-11-22T10:17".len() => Some(format!("{minute}:00")),
                other => Some(other.to_owned()),
            },
            delay_seconds: minutes.map(|minutes| minutes * 60.0),
            step_timeout_seconds: timeout,
            ..NewWorkflow::default()
        })
    }

    /// Under which key it is started: the same for the same form with the same content, so that a form that is
    /// sent twice makes one workflow, and one that is changed and sent again makes another.
    pub fn idempotency_key(&self, order: &NewWorkflow) -> Option<IdempotencyKey> {
        let fits = (8..=64).contains(&self.key.len());
        let plain = self.key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let content = serde_json::to_vec(order).ok().filter(|_| fits && plain)?;
        let digest: String = Sha256::digest(content).iter().take(16).map(|b| format!("{b:02x}")).collect();
        IdempotencyKey::parse(&format!("form-{}-{digest}", self.key))
    }

    /// Puts what is wrong beside the inputs.
    pub fn tell(&mut self, problems: Problems) {
        for (name, message) in problems {
            match self.errors.get_mut(name) {
                Some(beside) if beside.is_empty() => beside.clone_from(&message),
                Some(beside) => beside.push_str(&format!(" {message}")),
                None => {}
            }
            self.problems.push(match label(name) {
                "" => message,
                label => format!("{label}: {message}"),
            });
        }
    }

    /// The agents to choose from.
    pub fn choices(&self, agents: &[Agent]) -> Vec<AgentChoice> {
        agents
            .iter()
            .map(|a| AgentChoice {
                name: a.name.clone(),
                role: a.role.clone(),
                ticked: self.specialists.contains(&a.name),
            })
            .collect()
    }
}

/// What an input that may be left empty says: nothing, a value, or something else.
fn given<T>(text: &str, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, ()> {
    if text.is_empty() { Ok(None) } else { read(text).map(Some).ok_or(()) }
}

/// The input beside which a problem that the services found is told.
pub fn input_of(field: &str) -> &'static str {
    let name = match field {
        "budget" | "tokens" => "budget_tokens",
        "usd" => "budget_usd",
        "delay_seconds" => "delay_minutes",
        "agent_name" => "specialists",
        other => other,
    };
    INPUTS.into_iter().find(|input| *input == name).unwrap_or_default()
}

/// What an input is called in the list of problems.
fn label(input: &str) -> &'static str {
    match input {
        "job" => "Brief",
        "max_revisions" => "Revision rounds",
        "specialists" => "Specialists",
        "upload_id" => "Upload",
        "budget_tokens" => "Budget in tokens",
        "budget_usd" => "Budget in dollars",
        "run_at" => "Not before",
        "delay_minutes" => "Wait before it begins",
        "step_timeout_seconds" => "Time-out of a step",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &[(&str, &str)]) -> Fields {
        list.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn a_filled_in_form_becomes_an_order() {
        let form = BriefForm::read(&pairs(&[
            ("job", " Fix it\r\nplease "),
            ("requires_qa", "true"),
            ("approval", "true"),
            ("priority", "high"),
            ("specialists", "qa_bot"),
            ("specialists", "debugger_bot"),
            ("max_revisions", "3"),
        ]));
        let order = form.order().unwrap();
        assert_eq!(order.job, "Fix it\nplease");
        assert!(order.requires_qa == Some(true) && order.approval == Some(true) && form.more);
        assert_eq!((order.priority, order.max_revisions), (Some(Priority::High), Some(3)));
        assert_eq!(order.specialists.unwrap(), ["qa_bot", "debugger_bot"]);
    }

    #[test]
    fn every_fault_is_named_and_what_was_typed_stays() {
        let form = BriefForm::read(&pairs(&[("job", "  "), ("max_revisions", "many"), ("priority", "wild")]));
        assert_eq!(form.order().unwrap_err().len(), 2);
        assert_eq!((form.max_revisions.as_str(), form.priority, form.requires_qa), ("many", "normal", false));
    }

    #[test]
    fn options_are_read_as_people_type_them() {
        let form = BriefForm::read(&pairs(&[
            ("job", "x"),
            ("budget_tokens", "200 000"),
            ("budget_usd", "$0,50"),
            ("delay_minutes", "1.5"),
            ("run_at", ""),
            ("step_timeout_seconds", "90"),
            ("upload_id", "u-1"),
        ]));
        let order = form.order().unwrap();
        let budget = order.budget.unwrap();
        assert_eq!((budget.tokens, budget.usd), (Some(200_000), Usd::from_dollars(0.5)));
        assert_eq!((order.delay_seconds, order.step_timeout_seconds), (Some(90.0), Some(90)));
        assert_eq!((order.upload_id.as_deref(), order.run_at), (Some("u-1"), None));
        let form = BriefForm::read(&pairs(&[("job", "x"), ("run_at", "2026-11-22T10:17")]));
        let order = form.order().unwrap();
        assert_eq!((order.run_at.as_deref(), order.budget), (Some("2026-11-22T10:17:00"), None));
    }

    #[test]
    fn every_wrong_option_is_told_beside_its_input() {
        let mut form = BriefForm::read(&pairs(&[
            ("job", "x"),
            ("budget_tokens", "0"),
            ("budget_usd", "much"),
            ("delay_minutes", "-1"),
            ("step_timeout_seconds", "1.5"),
        ]));
        let problems = form.order().unwrap_err();
        assert_eq!(problems.len(), 4);
        form.tell(problems);
        for input in ["budget_tokens", "budget_usd", "delay_minutes", "step_timeout_seconds"] {
            assert!(!form.errors[input].is_empty(), "{input}");
        }
        assert!(form.errors["job"].is_empty() && form.problems.len() == 4);
    }

    #[test]
    fn a_brief_is_the_same_when_it_is_sent_again_as_it_is_shown() {
        let job = |text: &str| BriefForm::read(&pairs(&[("job", text)])).job;
        assert_eq!(job("a\r\nb\rc\r\r\nd"), "a\nb\nc\n\nd");
        assert_eq!(job(&job("a\r\r\nb")), job("a\r\r\nb"));
    }

    #[test]
    fn a_form_sent_twice_has_one_key_and_a_changed_one_another() {
        let key = |job: &str, key: &str| {
            let form = BriefForm::read(&pairs(&[("job", job), ("key", key)]));
            form.idempotency_key(&form.order().unwrap())
        };
        assert_eq!(key("a", "0123456789"), key(" a ", "0123456789"));
        assert_ne!(key("a", "0123456789"), key("b", "0123456789"));
        assert_ne!(key("a", "0123456789"), key("a", "9876543210"));
        assert!(key("a", "").is_none() && key("a", "ü!\n123456789").is_none());
        assert_ne!(BriefForm::default().key, BriefForm::default().key);
    }

    #[test]
    fn the_demo_needs_nothing_filled_in() {
        let order = BriefForm::read(&pairs(&[("demo", "true")])).order().unwrap();
        assert_eq!(order.job, DEMO_BRIEF);
        assert_eq!(order.requires_qa, Some(true));
    }
}
