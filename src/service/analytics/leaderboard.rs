//! How agents did: from the figures of days alone, whatever is still kept of their results.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    model::Usd,
    service::usage::{DayUsage, Used},
};

use super::{DayFigures, Figures};

/// One agent over some days.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub struct AgentFigures {
    #[schema(example = "developer_bot")]
    pub agent: String,
    /// Jobs that ended.
    pub jobs: u64,
    pub completed: u64,
    pub failed: u64,
    pub cancelled: u64,
    /// Of the jobs that ran, the share that failed, 0 to 1; null when none ran.
    pub failure_rate: Option<f64>,
    /// Work that QA judged to its end; a draft counts once with all its revisions.
    pub reviewed: u64,
    /// Of these, approved.
    pub accepted: u64,
    /// Of the reviewed work, the share that was approved without a revision, 0 to 1.
    pub accepted_first_rate: Option<f64>,
    /// Drafts and revisions of reviewed work, on average.
    pub average_rounds: Option<f64>,
    /// QA's last score of reviewed work, on average, 0 to 1.
    pub average_score: Option<f64>,
    /// Half of the jobs took less; exact to a factor of two.
    pub p50_seconds: Option<f64>,
    pub p95_seconds: Option<f64>,
    pub total_tokens: u64,
    /// US dollars, as far as prices are known; null when none is.
    pub cost_usd: Option<Usd>,
    /// Model calls of unknown price.
    pub unpriced_calls: u64,
    /// What its work cost for each accepted piece; null where nothing was accepted or a price is unknown.
    pub cost_per_accepted_usd: Option<Usd>,
}

/// The figures of `GET /analytics/agents`.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Leaderboard {
    /// Days up to today (UTC).
    pub days: u32,
    /// Those with the most jobs first.
    pub agents: Vec<AgentFigures>,
}

pub(super) fn leaderboard(
    days: u32,
    figures: &BTreeMap<String, DayFigures>,
    usage: &[DayUsage],
) -> Leaderboard {
    let mut by_agent: BTreeMap<&str, (Figures, Used)> = BTreeMap::new();
    for (name, more) in figures.values().flat_map(|day| &day.by_agent) {
        by_agent.entry(name).or_default().0.add(more);
    }
    for (name, more) in usage.iter().flat_map(|day| &day.by_agent) {
        by_agent.entry(name).or_default().1.add(more);
    }
    let mut agents: Vec<_> =
        by_agent.into_iter().map(|(name, (work, used))| standing(name, &work, &used)).collect();
    agents.sort_by(|a, b| b.jobs.cmp(&a.jobs).then_with(|| a.agent.cmp(&b.agent)));
    Leaderboard { days, agents }
}

fn standing(name: &str, work: &Figures, used: &Used) -> AgentFigures {
    let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
    let reviews = &work.reviews;
    let known = used.cost_usd.filter(|_| used.unpriced_calls == 0 && reviews.accepted > 0);
    AgentFigures {
        agent: name.to_owned(),
        jobs: work.total(),
        completed: work.completed,
        failed: work.failed,
        cancelled: work.cancelled,
        failure_rate: share(work.failed, work.completed + work.failed),
        reviewed: reviews.reviewed,
        accepted: reviews.accepted,
        accepted_first_rate: share(reviews.accepted_first, reviews.reviewed),
        average_rounds: share(reviews.rounds, reviews.reviewed),
        average_score: share(reviews.score_millis, reviews.scored).map(|millis| millis / 1_000.0),
        p50_seconds: work.quantile_seconds(0.5),
        p95_seconds: work.quantile_seconds(0.95),
        total_tokens: used.total_tokens,
        cost_usd: used.cost_usd,
        unpriced_calls: used.unpriced_calls,
        cost_per_accepted_usd: known.map(|cost| Usd::from_nanos(cost.nanos() / reviews.accepted)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::analytics::ReviewFigures;

    fn used(nanos: u64, unpriced_calls: u64) -> Used {
        Used { total_tokens: 10, cost_usd: Some(Usd::from_nanos(nanos)), unpriced_calls, ..Used::default() }
    }

    fn day(agent: &str, completed: u64, failed: u64, reviews: ReviewFigures) -> DayFigures {
        let figures = Figures { completed, failed, reviews, ..Figures::default() };
        DayFigures { by_agent: [(agent.to_owned(), figures)].into(), ..DayFigures::default() }
    }

    #[test]
    fn days_add_up_and_what_is_not_known_is_not_said() {
        let reviews = ReviewFigures {
            reviewed: 2,
            accepted: 2,
            accepted_first: 1,
            rounds: 3,
            scored: 2,
            score_millis: 1_500,
        };
        let figures = [
            ("2026-11-21".to_owned(), day("dev", 2, 0, reviews)),
            ("2026-11-22".to_owned(), day("dev", 1, 1, ReviewFigures::default())),
            ("2026-11-23".to_owned(), day("idle", 1, 0, ReviewFigures::default())),
        ];
        let usage = |nanos, unpriced| DayUsage {
            by_agent: [("dev".to_owned(), used(nanos, unpriced))].into(),
            ..DayUsage::default()
        };
        let board = leaderboard(7, &figures.clone().into(), &[usage(3_000, 0), usage(1_000, 0)]);
        let dev = &board.agents[0];
        assert_eq!((dev.agent.as_str(), dev.jobs, dev.failure_rate), ("dev", 4, Some(0.25)));
        assert_eq!(
            (dev.accepted_first_rate, dev.average_rounds, dev.average_score),
            (Some(0.5), Some(1.5), Some(0.75))
        );
        assert_eq!((dev.total_tokens, dev.cost_per_accepted_usd), (20, Some(Usd::from_nanos(2_000))));
        let idle = &board.agents[1];
        assert_eq!((idle.accepted_first_rate, idle.cost_per_accepted_usd, idle.cost_usd), (None, None, None));
        let unknown = leaderboard(7, &figures.into(), &[usage(3_000, 1)]);
        assert_eq!(unknown.agents[0].cost_per_accepted_usd, None, "an unknown price is not 0");
    }
}
