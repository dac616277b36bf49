//! Who works on a brief when the client names nobody.

use crate::model::Agent;

/// The legacy table: the first row with a word of the brief wins. Words, not parts of words.
const TABLE: [(&[&str], &str); 3] = [
    (&["test", "qa", "quality", "validate", "verify"], "qa_bot"),
    (&["debug", "fix", "error", "bug"], "debugger_bot"),
    (&["analyze", "review", "audit", "inspect"], "analyzer_bot"),
];

/// The agent for everything else.
pub const GENERALIST: &str = "general_assistant";

/// The names of the default agents: the table speaks for them.
const DEFAULTS: [&str; 4] = [GENERALIST, "analyzer_bot", "qa_bot", "debugger_bot"];

/// Words that say nothing about a subject.
const STOP_WORDS: [&str; 30] = [
    "the", "and", "for", "with", "that", "this", "from", "into", "what", "when", "where", "which", "your",
    "our", "all", "any", "are", "was", "has", "have", "does", "will", "write", "make", "says", "them",
    "their", "about", "code", "work",
];

/// Chooses the specialist for a brief: the registered agent whose skills, role, name and
/// description fit it best; the legacy table when none of the own agents fits.
pub fn choose(brief: &str, agents: &[Agent]) -> String {
    let words = words(brief);
    let best = agents
        .iter()
        .filter(|a| !DEFAULTS.contains(&a.name.as_str()))
        .map(|a| (fit(&words, a), a))
        .filter(|(score, _)| *score >= 2)
        .max_by(|(a, x), (b, y)| a.cmp(b).then_with(|| y.name.cmp(&x.name)));
    if let Some((_, agent)) = best {
        return agent.name.clone();
    }
    TABLE
        .iter()
        .find(|(table, _)| table.iter().any(|t| words.iter().any(|w| w == t)))
        .map_or(GENERALIST, |(_, agent)| agent)
        .to_owned()
}

/// 3 for every skill all of whose words occur, 2 for the role, 1 for every other telling word.
fn fit(brief: &[String], agent: &Agent) -> u32 {
    let occurs = |text: &str| {
        let wanted = words(text);
        !wanted.is_empty() && wanted.iter().all(|w| brief.contains(w))
    };
    let skills = agent.skills.iter().filter(|s| occurs(s)).count() as u32 * 3;
    let role = if occurs(&agent.role) { 2 } else { 0 };
    let text =
        format!("{} {}", agent.name.replace(['_', '-'], " "), agent.description.as_deref().unwrap_or(""));
    let mut telling = words(&text);
    telling.retain(|w| w.len() > 2 && !STOP_WORDS.contains(&w.as_str()));
    telling.sort_unstable();
    telling.dedup();
    skills + role + telling.iter().filter(|w| brief.contains(w)).count() as u32
}

fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{NewAgent, default_agents};

    fn with(name: &str, role: &str, skills: &[&str]) -> Vec<Agent> {
        let now = Default::default();
        let mut agents = default_agents(now);
        agents.push(Agent::register(
            NewAgent {
                name: name.into(),
                role: role.into(),
                skills: skills.iter().map(|s| s.to_string()).collect(),
                model: "m".into(),
                ..NewAgent::default()
            },
            now,
        ));
        agents
    }

    #[test]
    fn the_table_decides_among_the_default_agents() {
        let agents = default_agents(Default::default());
        for (brief, agent) in [
            ("Fix the login bug", "debugger_bot"),
            ("Write a test for the bug", "qa_bot"),
            ("Audit this module", "analyzer_bot"),
            ("Write a poem", "general_assistant"),
            ("Name the prefix of the latest release", "general_assistant"),
            ("VERIFY!", "qa_bot"),
        ] {
            assert_eq!(choose(brief, &agents), agent, "{brief}");
        }
    }

    #[test]
    fn an_own_agent_with_fitting_skills_wins() {
        let agents = with("sql_wizard", "Database", &["postgres", "query tuning"]);
        assert_eq!(choose("Fix the slow Postgres query", &agents), "sql_wizard");
        assert_eq!(choose("Write a poem", &agents), "general_assistant");
    }
}
