//! Draft n → n + 1: what a specialist changed, beside what the review had asked for.

use serde::Serialize;

use super::{
    diff::Diff,
    step_view::{Known, VerdictView, anchor, title_of},
};
use crate::model::{Step, TemplateRole, Workflow};

/// So many comparisons stand on the page of a run; the others are one link away.
const SHOWN: usize = 3;
/// What is compared there of each draft, in bytes.
const SHOWN_BYTES: usize = 16 * 1024;

/// A draft and the one before it.
#[derive(Debug, Serialize)]
pub struct Draft {
    /// Of the later one.
    anchor: String,
    title: String,
    agent: String,
    before: u32,
    after: u32,
    /// What the review of the earlier one said.
    verdict: Option<VerdictView>,
    verdict_anchor: Option<String>,
    /// Nothing where it stands on the page of the step alone.
    diff: Option<Diff>,
}

/// All revisions of a run, the newest first.
pub fn of_run(known: &Known) -> Vec<Draft> {
    let steps = &known.workflow.steps;
    let mut places: Vec<usize> = (0..steps.len()).filter(|&n| steps[n].round > 1).collect();
    // Of one round in the order of the steps.
    places.sort_by_key(|&n| (std::cmp::Reverse(steps[n].round), n));
    let mut drafts = Vec::new();
    for place in places {
        let shown = drafts.len() < SHOWN;
        drafts.extend(draft(known, place, Some(SHOWN_BYTES), shown));
    }
    drafts
}

/// What one step changed, if it is a revision.
pub fn of_step(known: &Known, place: usize) -> Option<Draft> {
    draft(known, place, None, true)
}

fn draft(known: &Known, place: usize, most: Option<usize>, with_diff: bool) -> Option<Draft> {
    let workflow = known.workflow;
    let step = &workflow.steps[place];
    let before = workflow.steps.iter().find(|earlier| {
        step.role == TemplateRole::Specialist
            && earlier.role == step.role
            && earlier.step == step.step
            && earlier.agent == step.agent
            && earlier.round + 1 == step.round
    })?;
    let (old, new) = (known.output_of(before)?, known.output_of(step)?);
    let review = review_of(workflow, before);
    Some(Draft {
        anchor: anchor(workflow, place),
        title: title_of(&step.step),
        agent: step.agent.clone(),
        before: before.round,
        after: step.round,
        verdict: review.and_then(|n| workflow.steps[n].verdict.as_ref()).map(VerdictView::new),
        verdict_anchor: review.map(|n| anchor(workflow, n)),
        diff: with_diff.then(|| match most {
            Some(most) => Diff::within(old, new, most),
            None => Diff::new(old, new),
        }),
    })
}

/// The place of the review of a step's round.
fn review_of(workflow: &Workflow, step: &Step) -> Option<usize> {
    workflow.steps.iter().position(|s| s.role == TemplateRole::Qa && s.round == step.round)
}
