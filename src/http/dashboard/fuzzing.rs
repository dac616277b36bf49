//! What must hold for forms, whatever comes instead of one.

use actix_web::web::Query;

use super::{agent_form::AgentForm, form::BriefForm, form_fields::Fields};
use crate::model::{Agent, MAX_REVISIONS, Usd};

/// A form is read as an order that has its bounds and is the same when the form is sent again as it is shown, or the
/// form says what is wrong.
pub fn form(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(fields) = Query::<Fields>::from_query(&text) else { return };
    let fields = fields.into_inner();
    brief(&fields);
    agent(&fields);
}

fn brief(fields: &Fields) {
    let mut form = BriefForm::read(fields);
    let order = match form.order() {
        Ok(order) => order,
        Err(problems) => {
            assert!(!problems.is_empty());
            form.tell(problems);
            assert!(form.problems.iter().all(|problem| !problem.is_empty()));
            return;
        }
    };
    assert!(!order.job.is_empty() && order.job.trim() == order.job);
    assert!(order.max_revisions.is_some_and(|rounds| rounds <= MAX_REVISIONS));
    assert!(order.delay_seconds.is_none_or(|seconds| seconds >= 0.0), "{:?}", order.delay_seconds);
    let budget = order.budget.unwrap_or_default();
    assert!(budget.tokens != Some(0) && budget.usd != Some(Usd::ZERO));

    let sent = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut shown = vec![
        sent("job", &form.job),
        sent("requires_qa", &form.requires_qa.to_string()),
        sent("approval", &form.approval.to_string()),
        sent("priority", form.priority),
        sent("max_revisions", &form.max_revisions),
        sent("upload_id", &form.upload_id),
        sent("budget_tokens", &form.budget_tokens),
        sent("budget_usd", &form.budget_usd),
        sent("run_at", &form.run_at),
        sent("delay_minutes", &form.delay_minutes),
        sent("step_timeout_seconds", &form.step_timeout_seconds),
        sent("key", &form.key),
    ];
    shown.extend(form.specialists.iter().map(|name| sent("specialists", name)));
    let again = BriefForm::read(&shown).order().expect("a form that was right is right as it is shown");
    assert_eq!(serde_json::to_value(&again).ok(), serde_json::to_value(&order).ok());
    assert_eq!(form.idempotency_key(&again), form.idempotency_key(&order));
}

fn agent(fields: &Fields) {
    let mut form = AgentForm::read(fields);
    let Some(new) = form.order() else {
        assert!(!form.problems.is_empty());
        return;
    };
    assert!(!new.role.is_empty() && new.name.trim() == new.name);
    let now = chrono::DateTime::from_timestamp(1_800_000_000, 0).expect("a time");
    let agent = Agent::register(new, now);
    // As it is shown when it is to be changed.
    let again = AgentForm::of(&agent).order().expect("a form that was right is right as it is shown");
    let mut again = Agent::register(again, now);
    again.created_at = agent.created_at;
    assert_eq!(serde_json::to_value(&again).ok(), serde_json::to_value(&agent).ok());
}
