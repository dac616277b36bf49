//! The brief form: what it shows and what comes back from it.

use serde::Serialize;

use super::page::PageError;
use crate::{
    model::{Agent, DEFAULT_MAX_REVISIONS, MAX_REVISIONS, Priority},
    service::workflows::NewWorkflow,
};

/// What "Run a demo" submits.
pub const DEMO_BRIEF: &str = "Design a small REST API for a public library: books, members and loans.\n\n\
    Give the resources with their fields, the endpoints with methods and status codes, how a loan is made and \
    returned, and what happens when a book is already lent. Keep it to one page.";

/// The fields of a form as they came, repeated ones in order.
pub type Fields = Vec<(String, String)>;

/// The last value of a field; empty when it did not come.
pub fn field<'a>(fields: &'a Fields, name: &str) -> &'a str {
    fields.iter().rev().find(|(n, _)| n == name).map_or("", |(_, v)| v.as_str())
}

/// The form as it is shown.
#[derive(Debug, Serialize)]
pub struct BriefForm {
    pub job: String,
    pub requires_qa: bool,
    pub priority: &'static str,
    pub max_revisions: String,
    pub most_revisions: u32,
    /// Whether "More options" is open.
    pub more: bool,
    pub problems: Vec<String>,
    #[serde(skip)]
    specialists: Vec<String>,
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
            priority: "normal",
            max_revisions: DEFAULT_MAX_REVISIONS.to_string(),
            most_revisions: MAX_REVISIONS,
            more: false,
            problems: Vec::new(),
            specialists: Vec::new(),
        }
    }
}

impl BriefForm {
    /// The form as it was filled in.
    pub fn read(fields: &Fields) -> Self {
        if field(fields, "demo") == "true" {
            return Self { job: DEMO_BRIEF.to_owned(), ..Self::default() };
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
        Self {
            // Browsers send line ends as CR LF.
            job: field(fields, "job").replace("\r\n", "\n"),
            requires_qa: field(fields, "requires_qa") == "true",
            priority: match field(fields, "priority") {
                "high" => "high",
                "low" => "low",
                _ => "normal",
            },
            more: !specialists.is_empty() || max_revisions != default.max_revisions,
            max_revisions,
            specialists,
            ..default
        }
    }

    /// What is to be started, or what is wrong with it.
    pub fn order(&self) -> Result<NewWorkflow, Vec<String>> {
        let mut problems = Vec::new();
        if self.job.trim().is_empty() {
            problems.push("Say what should be done.".to_owned());
        }
        let max_revisions = self.max_revisions.parse().ok().filter(|&n: &u32| n <= MAX_REVISIONS);
        if max_revisions.is_none() {
            problems.push(format!("Revision rounds: a number from 0 to {MAX_REVISIONS}."));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(NewWorkflow {
            job: self.job.trim().to_owned(),
            requires_qa: Some(self.requires_qa),
            priority: Some(match self.priority {
                "high" => Priority::High,
                "low" => Priority::Low,
                _ => Priority::Normal,
            }),
            max_revisions,
            specialists: Some(self.specialists.clone()),
            ..NewWorkflow::default()
        })
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

/// Reads the pairs of a form body.
pub fn fields(form: actix_web::web::Form<Fields>) -> Result<Fields, PageError> {
    let fields = form.into_inner();
    if fields.len() > 200 {
        return Err(PageError::BadRequest(
            actix_web::http::StatusCode::BAD_REQUEST,
            "It has more than 200 fields.".to_owned(),
        ));
    }
    Ok(fields)
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
            ("priority", "high"),
            ("specialists", "qa_bot"),
            ("specialists", "debugger_bot"),
            ("max_revisions", "3"),
        ]));
        let order = form.order().unwrap();
        assert_eq!(order.job, "Fix it\nplease");
        assert!(order.requires_qa == Some(true) && form.more);
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
    fn the_demo_needs_nothing_filled_in() {
        let order = BriefForm::read(&pairs(&[("demo", "true")])).order().unwrap();
        assert_eq!(order.job, DEMO_BRIEF);
        assert_eq!(order.requires_qa, Some(true));
    }
}
