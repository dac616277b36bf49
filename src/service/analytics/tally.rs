//! Figures of ended jobs: counted in the write that ends each, so that every job counts once, and read
//! without looking at any result. They outlive the results by far.
//!
//! | tally | fields | kept |
//! |---|---|---|
//! | `work:all` | `completed`, `failed`, `cancelled`, `ms` | for ever |
//! | `work:slot:{minutes}` (ten minutes from then on) | the same | 8 days |
//! | `work:day:{date}` (UTC) | `all\|…` and `agent\|{name}\|…` of the same, and `b0` to `b20`: how many took so long | 400 days |

use std::collections::BTreeMap;

use crate::{
    model::{
        DecisionOutcome, JobResult, ResultStatus, ReviewOutcome, Step, TemplateRole, Timestamp, Workflow,
    },
    service::usage,
    store::{Add, Change},
};

pub(super) const ALL_TIME: &str = "work:all";
/// The length of a slot.
pub(super) const SLOT_MINUTES: i64 = 10;
const SLOT_KEPT_MS: u64 = 8 * 24 * 3_600 * 1_000;
const DAY_KEPT_MS: u64 = 400 * 24 * 3_600 * 1_000;
/// Room for the longest figure behind an agent's name.
const MAX_OWNER_BYTES: usize = 236;
/// The last class of durations; class n is below 2^n tenths of a second.
const LAST_CLASS: usize = 20;

/// Ended jobs, by how they ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    pub completed: u64,
    pub failed: u64,
    pub cancelled: u64,
    /// Milliseconds that the completed and failed ones took, all together.
    pub ms: u64,
    /// What QA said of the work when it was done with it.
    pub reviews: ReviewFigures,
    /// How many took so long, by class.
    pub(in crate::service) classes: Classes,
}

/// Work whose review has ended with a verdict: each draft with all its revisions counts once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReviewFigures {
    pub reviewed: u64,
    /// Of these, approved in the end.
    pub accepted: u64,
    /// Of these, approved without a revision.
    pub accepted_first: u64,
    /// Drafts and revisions of all of it together.
    pub rounds: u64,
    /// How much of it has a score.
    pub scored: u64,
    /// The sum of the scores, in thousandths.
    pub score_millis: u64,
}

/// Durations by class: class n is below 2^n tenths of a second, the last one has no bound.
pub type Classes = [u64; LAST_CLASS + 1];

/// Below how many seconds this share stayed, up to a factor of two; null when there is nothing.
pub fn quantile_seconds(classes: &Classes, share: f64) -> Option<f64> {
    let all: u64 = classes.iter().sum();
    let wanted = (all as f64 * share).ceil().max(1.0) as u64;
    let mut seen = 0;
    let class = classes.iter().position(|number| {
        seen += number;
        all > 0 && seen >= wanted
    })?;
    Some(2f64.powi(class as i32) / 10.0)
}

impl Figures {
    pub fn total(&self) -> u64 {
        self.completed + self.failed + self.cancelled
    }

    /// Of those that ran; null when none has.
    pub fn average_seconds(&self) -> Option<f64> {
        let ran = self.completed + self.failed;
        (ran > 0).then(|| self.ms as f64 / 1_000.0 / ran as f64)
    }

    /// The share of those that ran which completed, 0 to 1; null when none has.
    pub fn success_rate(&self) -> Option<f64> {
        let ran = self.completed + self.failed;
        (ran > 0).then(|| self.completed as f64 / ran as f64)
    }

    /// Below how many seconds this share of the jobs stayed, up to a factor of two; null when none ran.
    pub fn quantile_seconds(&self, share: f64) -> Option<f64> {
        quantile_seconds(&self.classes, share)
    }

    /// How many took so long.
    pub fn classes(&self) -> Classes {
        self.classes
    }

    pub(in crate::service) fn add(&mut self, other: &Self) {
        self.completed += other.completed;
        self.failed += other.failed;
        self.cancelled += other.cancelled;
        self.ms += other.ms;
        self.reviews.add(&other.reviews);
        for (own, more) in self.classes.iter_mut().zip(other.classes) {
            *own += more;
        }
    }

    fn set(&mut self, figure: &str, value: u64) {
        match figure {
            "completed" => self.completed = value,
            "failed" => self.failed = value,
            "cancelled" => self.cancelled = value,
            "ms" => self.ms = value,
            "reviewed" => self.reviews.reviewed = value,
            "accepted" => self.reviews.accepted = value,
            "first" => self.reviews.accepted_first = value,
            "rounds" => self.reviews.rounds = value,
            "scored" => self.reviews.scored = value,
            "score" => self.reviews.score_millis = value,
            _ => set_class(&mut self.classes, figure, value),
        }
    }
}

impl ReviewFigures {
    fn add(&mut self, other: &Self) {
        self.reviewed += other.reviewed;
        self.accepted += other.accepted;
        self.accepted_first += other.accepted_first;
        self.rounds += other.rounds;
        self.scored += other.scored;
        self.score_millis += other.score_millis;
    }
}

/// `b7` and the like; what is no class is passed over.
pub(in crate::service) fn set_class(classes: &mut Classes, figure: &str, value: u64) {
    let class = figure.strip_prefix('b').and_then(|class| class.parse::<usize>().ok());
    if let Some(own) = class.and_then(|class| classes.get_mut(class)) {
        *own = value;
    }
}

/// The figures of one day.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DayFigures {
    pub all: Figures,
    pub by_agent: BTreeMap<String, Figures>,
}

/// Adds to the write of a result that its job has ended.
pub fn count(mut change: Change, result: &JobResult, now: Timestamp) -> Change {
    let ran = result.status != ResultStatus::Cancelled;
    let ms = if ran { (result.execution_time * 1_000.0).max(0.0) as i64 } else { 0 };
    let plain = [(result.status.as_str().to_owned(), 1), ("ms".to_owned(), ms)];
    let class = [(format!("b{}", class_of(ms)), i64::from(ran))];
    let slot = slot_name(slot_of(now));
    let day = day_name(&usage::day_of(now));
    for (figure, by) in plain.iter().filter(|(_, by)| *by > 0) {
        change = change.count(Add::new(ALL_TIME, figure, *by));
        change = change.count(Add::new(&slot, figure, *by).keep_ms(SLOT_KEPT_MS));
    }
    for owner in ["all".to_owned(), owner_of(&result.agent)] {
        for (figure, by) in plain.iter().chain(&class).filter(|(_, by)| *by > 0) {
            change = change.count(Add::new(&day, format!("{owner}|{figure}"), *by).keep_ms(DAY_KEPT_MS));
        }
    }
    change
}

/// Adds to the write of a step what the review of a workflow came to, when this write has ended it: every
/// specialist's work counts once, with the round that was judged last.
///
/// Work that a person sent back has counted when QA was done with it first; what a person wrote, or another
/// workflow did, is not this specialist's.
pub fn count_review(
    mut change: Change,
    before: Option<ReviewOutcome>,
    workflow: &Workflow,
    now: Timestamp,
) -> Change {
    let accepted = match workflow.review {
        Some(ReviewOutcome::Approved) if before.is_none() => true,
        Some(ReviewOutcome::Rejected | ReviewOutcome::RoundsUsedUp | ReviewOutcome::NoProgress)
            if before.is_none() =>
        {
            false
        }
        // Goes on, had ended before, or ended without a verdict.
        _ => return change,
    };
    let sent_back = |step: &Step| {
        step.decision.as_ref().is_some_and(|decision| decision.outcome == DecisionOutcome::SentBack)
    };
    if workflow.steps.iter().any(sent_back) {
        return change;
    }
    let work = |step: &&Step| step.role == TemplateRole::Specialist;
    let last = workflow.steps.iter().filter(work).map(|step| step.round).max().unwrap_or(1);
    let mut sums: BTreeMap<(String, &str), i64> = BTreeMap::new();
    let own = |step: &&Step| step.round == last && !step.edited && step.from_workflow.is_none();
    for step in workflow.steps.iter().filter(work).filter(own) {
        let score = step.confidence_score.filter(|score| score.is_finite());
        let figures = [
            ("reviewed", 1),
            ("accepted", i64::from(accepted)),
            ("first", i64::from(accepted && last == 1)),
            ("rounds", i64::from(last)),
            ("scored", i64::from(score.is_some())),
            ("score", (score.unwrap_or(0.0).clamp(0.0, 1.0) * 1_000.0).round() as i64),
        ];
        for owner in ["all".to_owned(), owner_of(&step.agent)] {
            for (figure, by) in figures {
                *sums.entry((owner.clone(), figure)).or_default() += by;
            }
        }
    }
    let day = day_name(&usage::day_of(now));
    for ((owner, figure), by) in sums.into_iter().filter(|(_, by)| *by > 0) {
        change = change.count(Add::new(&day, format!("{owner}|{figure}"), by).keep_ms(DAY_KEPT_MS));
    }
    change
}

/// What an agent is called in the figures: its name, or a short form of one that is very long.
pub fn name_of(agent: &str) -> String {
    owner_of(agent).split_once('|').map_or_else(|| agent.to_owned(), |(_, name)| name.to_owned())
}

fn owner_of(agent: &str) -> String {
    let owner = format!("agent|{agent}");
    if owner.len() > MAX_OWNER_BYTES { usage::short(owner.repeat(9)) } else { owner }
}

pub(in crate::service) fn class_of(ms: i64) -> usize {
    let tenths = u64::try_from(ms).unwrap_or(0) / 100;
    (u64::BITS - tenths.leading_zeros()).min(LAST_CLASS as u32) as usize
}

/// The slot of a time: whole slots since the epoch.
pub(super) fn slot_of(at: Timestamp) -> i64 {
    at.timestamp().div_euclid(60 * SLOT_MINUTES)
}

pub(super) fn slot_name(slot: i64) -> String {
    format!("work:slot:{}", slot * SLOT_MINUTES)
}

pub(super) fn day_name(day: &str) -> String {
    format!("work:day:{day}")
}

pub(super) fn read(tally: &BTreeMap<String, i64>) -> Figures {
    let mut figures = Figures::default();
    for (figure, value) in tally {
        figures.set(figure, u64::try_from(*value).unwrap_or(0));
    }
    figures
}

pub(super) fn read_day(tally: &BTreeMap<String, i64>) -> DayFigures {
    let mut day = DayFigures::default();
    for (field, value) in tally {
        let Some((owner, figure)) = field.rsplit_once('|') else { continue };
        let value = u64::try_from(*value).unwrap_or(0);
        match owner.split_once('|') {
            None => day.all.set(figure, value),
            Some((_, name)) => day.by_agent.entry(name.to_owned()).or_default().set(figure, value),
        }
    }
    day
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_fall_into_classes_of_twice_the_length() {
        let classes = [0, 99, 100, 199, 200, 399, 400, 60_000, i64::MAX, -1].map(class_of);
        assert_eq!(classes, [0, 0, 1, 1, 2, 2, 3, 10, LAST_CLASS, 0]);
    }

    #[test]
    fn a_quantile_is_the_bound_of_the_class_it_falls_into() {
        let mut figures = Figures::default();
        assert_eq!(figures.quantile_seconds(0.5), None);
        figures.set("b1", 90);
        figures.set("b4", 9);
        figures.set("b7", 1);
        assert_eq!(
            [0.5, 0.9, 0.95, 0.99, 1.0].map(|q| figures.quantile_seconds(q)),
            [Some(0.2), Some(0.2), Some(1.6), Some(1.6), Some(12.8)]
        );
    }

    #[test]
    fn an_agent_may_have_a_bar_in_its_name() {
        let tally = [("all|completed", 3), ("agent|a|b|completed", 2), ("agent|c|failed", 1)];
        let tally = tally.map(|(field, value)| (field.to_owned(), value)).into();
        let day = read_day(&tally);
        assert_eq!(day.all.completed, 3);
        assert_eq!((day.by_agent["a|b"].completed, day.by_agent["c"].failed), (2, 1));
    }
}
