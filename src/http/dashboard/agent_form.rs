//! The form of an agent: what it shows, what comes back from it, and what is wrong with which field.

use std::collections::BTreeMap;

use serde::Serialize;

use super::form_fields::{Fields, field, lines_of};
use crate::{
    model::{Agent, AgentBudget, NewAgent, Usd},
    service::ServiceError,
};

/// The form, with everything as it was typed.
#[derive(Debug, Default, Serialize)]
pub struct AgentForm {
    pub name: String,
    role: String,
    description: String,
    /// One a line, as are the other lists.
    skills: String,
    model: String,
    prompt: String,
    max_concurrency: String,
    fallback_models: String,
    tools: String,
    usd_per_day: String,
    tokens_per_day: String,
    /// What is wrong, by the name of the field; under an empty name what is wrong with none of them.
    pub problems: BTreeMap<String, String>,
}

impl AgentForm {
    /// As a new agent begins.
    pub fn empty() -> Self {
        Self { model: NewAgent::default().model, ..Self::default() }
    }

    /// As an agent is.
    pub fn of(agent: &Agent) -> Self {
        let number = |number: Option<String>| number.unwrap_or_default();
        let budget = agent.budget.unwrap_or_default();
        Self {
            name: agent.name.clone(),
            role: agent.role.clone(),
            description: agent.description.clone().unwrap_or_default(),
            skills: agent.skills.join("\n"),
            model: agent.model.clone(),
            prompt: agent.prompt.clone().unwrap_or_default(),
            max_concurrency: number(agent.max_concurrency.map(|n| n.to_string())),
            fallback_models: agent.fallback_models.join("\n"),
            tools: agent.tools.join("\n"),
            usd_per_day: number(budget.usd_per_day.map(|usd| usd.dollars().to_string())),
            tokens_per_day: number(budget.tokens_per_day.map(|n| n.to_string())),
            problems: BTreeMap::new(),
        }
    }

    /// As it was filled in.
    pub fn read(fields: &Fields) -> Self {
        let text = |name: &str| lines_of(field(fields, name));
        Self {
            name: text("name"),
            role: text("role"),
            description: text("description"),
            skills: text("skills"),
            model: text("model"),
            prompt: text("prompt"),
            max_concurrency: text("max_concurrency"),
            fallback_models: text("fallback_models"),
            tools: text("tools"),
            usd_per_day: text("usd_per_day"),
            tokens_per_day: text("tokens_per_day"),
            problems: BTreeMap::new(),
        }
    }

    /// The agent that is meant, or `None` where a field holds no number; the problems then say which.
    pub fn order(&mut self) -> Option<NewAgent> {
        let mut problems = BTreeMap::new();
        let mut complain = |name: &str, what: &str| {
            problems.insert(name.to_owned(), what.to_owned());
        };
        if self.role.trim().is_empty() {
            complain("role", "Say in a word what it does, such as Research");
        }
        let whole = |text: &str| match text.trim() {
            "" => Ok(None),
            given => given.parse::<u64>().map(Some).map_err(|_| ()),
        };
        let max_concurrency = whole(&self.max_concurrency).unwrap_or_else(|()| {
            complain("max_concurrency", "Input should be a whole number, or nothing");
            None
        });
        let tokens_per_day = whole(&self.tokens_per_day).unwrap_or_else(|()| {
            complain("tokens_per_day", "Input should be a whole number, or nothing");
            None
        });
        let usd_per_day = match self.usd_per_day.trim() {
            "" => None,
            given => {
                let usd = given.parse().ok().and_then(Usd::from_dollars).filter(|usd| *usd != Usd::ZERO);
                if usd.is_none() {
                    complain("usd_per_day", "Input should be an amount above 0, such as 2.50, or nothing");
                }
                usd
            }
        };
        if !problems.is_empty() {
            self.problems = problems;
            return None;
        }
        let text = |text: &str| Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned);
        let budget = AgentBudget { usd_per_day, tokens_per_day };
        Some(NewAgent {
            name: self.name.trim().to_owned(),
            role: self.role.trim().to_owned(),
            description: text(&self.description),
            skills: lines(&self.skills),
            model: text(&self.model).unwrap_or_else(|| NewAgent::default().model),
            prompt: text(&self.prompt),
            // One that is too large for its type is too large for its bounds.
            max_concurrency: max_concurrency.map(|n| u32::try_from(n).unwrap_or(u32::MAX)),
            fallback_models: lines(&self.fallback_models),
            tools: lines(&self.tools),
            budget: Some(budget).filter(|budget| *budget != AgentBudget::default()),
        })
    }

    /// Puts complaints of the service beside their fields. Gives back what is no complaint about a field.
    pub fn complain(&mut self, error: ServiceError) -> Result<(), ServiceError> {
        let ServiceError::Invalid(problems) = error else { return Err(error) };
        for problem in problems {
            let name = match problem.loc.last().map_or("", String::as_str) {
                "budget" if problem.message.starts_with("tokens") => "tokens_per_day",
                "budget" => "usd_per_day",
                name => name,
            };
            let text = self.problems.entry(name.to_owned()).or_default();
            if !text.is_empty() {
                text.push_str(". ");
            }
            text.push_str(&problem.message);
        }
        Ok(())
    }
}

/// One item a line, or several with commas between them.
fn lines(text: &str) -> Vec<String> {
    text.split(['\n', ',']).map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::FieldProblem;

    fn filled(pairs: &[(&str, &str)]) -> AgentForm {
        let fields = [("name", "a"), ("role", "Test")].iter().chain(pairs);
        AgentForm::read(&fields.map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
    }

    #[test]
    fn a_filled_in_form_is_an_agent_and_an_agent_is_a_filled_in_form() {
        let mut form = filled(&[
            ("skills", "one\r\ntwo, three\r\n"),
            ("model", ""),
            ("prompt", "Line 1\r\nLine 2"),
            ("max_concurrency", "3"),
            ("tools", "calculator"),
            ("usd_per_day", "2.5"),
            ("tokens_per_day", "1000"),
        ]);
        let new = form.order().unwrap();
        assert_eq!(new.skills, ["one", "two", "three"]);
        assert_eq!((new.model.as_str(), new.prompt.as_deref()), ("gpt-4o-mini", Some("Line 1\nLine 2")));
        assert_eq!((new.max_concurrency, new.description.clone()), (Some(3), None));
        assert_eq!(new.budget.unwrap().tokens_per_day, Some(1000));
        let agent = Agent::register(new.clone(), chrono::DateTime::UNIX_EPOCH);
        let again = AgentForm::of(&agent).order().unwrap();
        assert_eq!(format!("{again:?}"), format!("{new:?}"), "nothing is lost by opening and saving");
    }

    #[test]
    fn what_is_no_number_is_said_beside_its_field_and_stays() {
        let mut form = filled(&[
            ("role", " "),
            ("max_concurrency", "many"),
            ("usd_per_day", "-1"),
            ("tokens_per_day", "1.5"),
        ]);
        assert!(form.order().is_none());
        let named: Vec<_> = form.problems.keys().map(String::as_str).collect();
        assert_eq!(named, ["max_concurrency", "role", "tokens_per_day", "usd_per_day"]);
        assert_eq!(form.max_concurrency, "many");
    }

    #[test]
    fn complaints_about_a_budget_stand_beside_the_half_that_is_meant() {
        let mut form = filled(&[]);
        let problem = |what: &str| FieldProblem::body("budget", "out_of_bounds", what.to_owned());
        let error = ServiceError::Invalid(vec![
            problem("tokens_per_day should be less"),
            problem("usd_per_day should be more"),
        ]);
        form.complain(error).unwrap();
        assert!(form.problems.contains_key("tokens_per_day") && form.problems.contains_key("usd_per_day"));
    }
}
