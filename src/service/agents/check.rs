//! What the fields of a new agent may be. Every bad one is named at once.

use crate::{
    model::{AgentBudget, MAX_CONCURRENCY, NewAgent},
    service::{FieldProblem, ServiceError},
};

const MAX_NAME_CHARS: usize = 100;
const MAX_MODEL_CHARS: usize = 200;
const MAX_TEXT_CHARS: usize = 20_000;
const MAX_SKILLS: usize = 100;
const MAX_FALLBACK_MODELS: usize = 5;
const MAX_TOOLS: usize = 16;
/// More tokens than any account has in a day.
const MAX_TOKENS_PER_DAY: u64 = 1_000_000_000_000;

pub(crate) fn check(new: &NewAgent) -> Result<(), ServiceError> {
    let mut problems = Vec::new();
    texts(new, &mut problems);
    name(&new.name, &mut problems);
    if new.max_concurrency.is_some_and(|n| !(1..=MAX_CONCURRENCY).contains(&n)) {
        problems.push(FieldProblem::body(
            "max_concurrency",
            "out_of_bounds",
            format!("Input should be a whole number from 1 to {MAX_CONCURRENCY}"),
        ));
    }
    lists(new, &mut problems);
    if let Some(limits) = &new.budget {
        budget(limits, &mut problems);
    }
    if problems.is_empty() { Ok(()) } else { Err(ServiceError::Invalid(problems)) }
}

/// Lengths, and characters that no store takes.
fn texts(new: &NewAgent, problems: &mut Vec<FieldProblem>) {
    let mut text = |field: &str, value: &str, max: usize| {
        if value.chars().count() > max {
            problems.push(FieldProblem::body(
                field,
                "string_too_long",
                format!("String should have at most {max} characters"),
            ));
        }
        if value.contains('\0') {
            problems.push(FieldProblem::body(field, "string_pattern", "NUL characters are not allowed"));
        }
    };
    text("name", &new.name, MAX_NAME_CHARS);
    text("role", &new.role, MAX_NAME_CHARS);
    text("description", new.description.as_deref().unwrap_or(""), MAX_TEXT_CHARS);
    text("model", &new.model, MAX_MODEL_CHARS);
    text("prompt", new.prompt.as_deref().unwrap_or(""), MAX_TEXT_CHARS);
    for skill in &new.skills {
        text("skills", skill, MAX_NAME_CHARS);
    }
    for model in &new.fallback_models {
        text("fallback_models", model, MAX_MODEL_CHARS);
    }
}

fn name(name: &str, problems: &mut Vec<FieldProblem>) {
    if name.is_empty() {
        problems.push(FieldProblem::body(
            "name",
            "string_too_short",
            "String should have at least 1 character",
        ));
    }
    // A name is a path segment of its own address, so it must be fetchable.
    if name.contains('/') || name.chars().any(char::is_control) || name.trim() != name {
        problems.push(FieldProblem::body(
            "name",
            "string_pattern",
            "A name must have no '/', no control character and no space at its ends",
        ));
    }
    if matches!(name, "." | ".." | "ping") {
        problems.push(FieldProblem::body(
            "name",
            "string_pattern",
            "This name is reserved; choose another one",
        ));
    }
}

fn lists(new: &NewAgent, problems: &mut Vec<FieldProblem>) {
    let mut at_most = |field: &str, length: usize, max: usize| {
        if length > max {
            problems.push(FieldProblem::body(
                field,
                "too_long",
                format!("List should have at most {max} items"),
            ));
        }
    };
    at_most("skills", new.skills.len(), MAX_SKILLS);
    at_most("fallback_models", new.fallback_models.len(), MAX_FALLBACK_MODELS);
    at_most("tools", new.tools.len(), MAX_TOOLS);
    if new.fallback_models.iter().any(|model| model.trim().is_empty()) {
        problems.push(FieldProblem::body("fallback_models", "string_too_short", "A model must have a name"));
    }
    for (field, list) in [("fallback_models", &new.fallback_models), ("tools", &new.tools)] {
        if let Some(twice) = list.iter().enumerate().find(|(i, item)| list[..*i].contains(item)) {
            problems.push(FieldProblem::body(field, "not_unique", format!("'{}' is there twice", twice.1)));
        }
    }
    for tool in new.tools.iter().filter(|tool| !is_tool(tool)) {
        problems.push(FieldProblem::body(
            "tools",
            "string_pattern",
            format!(
                "'{tool}' names no tool: it must be a built-in one such as calculator, current_time or \
                 earlier_results, or mcp:server or mcp:server/tool"
            ),
        ));
    }
}

/// Whether a name has the form of a tool's. Whether there is such a tool shows when it is used: MCP
/// servers come and go.
fn is_tool(name: &str) -> bool {
    let word = |text: &str, max: usize| {
        (1..=max).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
    };
    match name.strip_prefix("mcp:") {
        None => word(name, 64),
        Some(rest) => match rest.split_once('/') {
            None => word(rest, 32),
            Some((server, tool)) => word(server, 32) && word(tool, 128),
        },
    }
}

fn budget(budget: &AgentBudget, problems: &mut Vec<FieldProblem>) {
    let mut complain = |what| problems.push(FieldProblem::body("budget", "out_of_bounds", what));
    if budget.usd_per_day.is_none() && budget.tokens_per_day.is_none() {
        complain("A budget should have usd_per_day or tokens_per_day".to_owned());
    }
    if budget.usd_per_day.is_some_and(|usd| usd.nanos() == 0) {
        complain("usd_per_day should be more than 0".to_owned());
    }
    if budget.tokens_per_day.is_some_and(|tokens| !(1..=MAX_TOKENS_PER_DAY).contains(&tokens)) {
        complain(format!("tokens_per_day should be a whole number from 1 to {MAX_TOKENS_PER_DAY}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Usd;

    fn problems(new: NewAgent) -> Vec<(String, &'static str)> {
        let new = NewAgent { name: "a".to_owned(), ..new };
        match check(&new) {
            Ok(()) => Vec::new(),
            Err(ServiceError::Invalid(problems)) => {
                problems.into_iter().map(|p| (p.loc[1].clone(), p.kind)).collect()
            }
            Err(e) => panic!("{e}"),
        }
    }

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|s| s.to_string()).collect()
    }

    #[test]
    fn tools_have_the_form_of_tools() {
        for good in ["calculator", "earlier_results", "mcp:files", "mcp:files/read_file", "mcp:a/b.c-d"] {
            assert_eq!(problems(NewAgent { tools: names(&[good]), ..NewAgent::default() }), [], "{good}");
        }
        for bad in ["", "two words", "mcp:", "mcp:/x", "mcp:a/", "mcp:a/b/c", "http://x", "a\n"] {
            let found = problems(NewAgent { tools: names(&[bad]), ..NewAgent::default() });
            assert_eq!(found, [("tools".to_owned(), "string_pattern")], "{bad}");
        }
    }

    #[test]
    fn lists_are_bounded_and_name_nothing_twice() {
        let many = |n: usize| (0..n).map(|i| format!("t{i}")).collect::<Vec<_>>();
        let new = NewAgent { tools: many(17), fallback_models: many(6), ..NewAgent::default() };
        let expected = [("fallback_models", "too_long"), ("tools", "too_long")];
        assert_eq!(problems(new), expected.map(|(f, k)| (f.to_owned(), k)));
        let full = NewAgent { tools: many(16), fallback_models: many(5), ..NewAgent::default() };
        assert_eq!(problems(full), []);
        let twice = NewAgent { fallback_models: names(&["groq/a", "b", "groq/a"]), ..NewAgent::default() };
        assert_eq!(problems(twice), [("fallback_models".to_owned(), "not_unique")]);
        let nameless = NewAgent { fallback_models: names(&[" "]), ..NewAgent::default() };
        assert_eq!(problems(nameless), [("fallback_models".to_owned(), "string_too_short")]);
    }

    #[test]
    fn a_budget_limits_something() {
        let budget = |usd: Option<f64>, tokens_per_day| {
            let usd_per_day = usd.map(|usd| Usd::from_dollars(usd).unwrap());
            problems(NewAgent {
                budget: Some(AgentBudget { usd_per_day, tokens_per_day }),
                ..NewAgent::default()
            })
        };
        assert_eq!(budget(Some(0.5), None), []);
        assert_eq!(budget(None, Some(1_000)), []);
        for bad in [budget(None, None), budget(Some(0.0), None), budget(None, Some(0))] {
            assert_eq!(bad, [("budget".to_owned(), "out_of_bounds")]);
        }
    }
}
