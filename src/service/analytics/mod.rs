//! Analytics: how much was done, how fast and by whom, from counted figures alone.

mod leaderboard;
mod tally;

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use chrono::{DateTime, Days};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    model::{Timestamp, iso},
    store::{IndexName, MAX_BATCH},
    telemetry::counters,
};

use super::{Foundation, ServiceError, records};

pub use leaderboard::{AgentFigures, Leaderboard};
pub use tally::{
    Classes, DayFigures, Figures, ReviewFigures, count, count_review, name_of, quantile_seconds,
};
pub(in crate::service) use tally::{class_of, set_class};

/// The hours of a trend.
const TREND_HOURS: i64 = 24;
const SLOTS_PER_HOUR: i64 = 60 / tally::SLOT_MINUTES;

/// Jobs that ended within a window of time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub struct WindowFigures {
    /// Ended jobs, however they ended.
    #[schema(example = 12)]
    pub tasks: u64,
    pub completed: u64,
    pub failed: u64,
    pub cancelled: u64,
}

impl From<&Figures> for WindowFigures {
    fn from(figures: &Figures) -> Self {
        Self {
            tasks: figures.total(),
            completed: figures.completed,
            failed: figures.failed,
            cancelled: figures.cancelled,
        }
    }
}

/// Rolling windows up to now; they begin at a whole ten minutes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub struct Windows {
    /// The last hour.
    pub h1: WindowFigures,
    /// The last 24 hours.
    pub h24: WindowFigures,
    /// The last seven days.
    pub d7: WindowFigures,
}

/// What is stored now.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub struct Totals {
    /// Results that are still kept.
    pub results: u64,
    pub workflows: u64,
    pub uploads: u64,
}

/// Key figures.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Kpis {
    /// Jobs that have ended since counting began, also those whose results have expired.
    pub total_tasks_processed: u64,
    /// Of the jobs that ran, in milliseconds.
    pub avg_processing_time_ms: f64,
    /// Registered agents.
    pub active_agents_count: u64,
    /// One round trip to the store, in milliseconds, measured for this answer.
    pub avg_redis_latency_ms: f64,
    /// The share of health checks that this process answered from memory, 0 to 1.
    pub cache_hit_ratio: f64,
}

/// The figures of `GET /analytics/summary`.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Summary {
    #[serde(with = "iso")]
    #[schema(value_type = String, format = DateTime)]
    pub timestamp: Timestamp,
    pub window: Windows,
    pub totals: Totals,
    pub kpis: Kpis,
}

/// One hour of a trend.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct TrendPoint {
    /// When the hour ends, as `HH:MM` in UTC.
    #[schema(example = "11:20")]
    pub t: String,
    /// Jobs that ended in it.
    pub count: u64,
    pub failed: u64,
    /// When the hour begins.
    #[serde(with = "iso")]
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
}

/// The figures of `GET /analytics/trends`.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Trends {
    /// 24 hours up to now, the oldest first.
    pub series: Vec<TrendPoint>,
}

#[derive(Clone)]
pub struct Analytics {
    base: Arc<Foundation>,
}

impl Analytics {
    pub(super) fn new(base: Arc<Foundation>) -> Self {
        Self { base }
    }

    /// Windows, totals and key figures.
    pub async fn summary(&self) -> Result<Summary, ServiceError> {
        counters::ANALYTICS_SNAPSHOTS.add(1);
        let store = self.base.store.as_ref();
        let now = self.base.clock.now();
        let week = 7 * 24 * SLOTS_PER_HOUR;
        // The slot under way counts in every window.
        let slots = self.slots(tally::slot_of(now) - week, week + 1).await?;
        let window = |hours: i64| {
            let mut figures = Figures::default();
            let wanted = usize::try_from(hours * SLOTS_PER_HOUR + 1).unwrap_or(usize::MAX);
            slots.iter().rev().take(wanted).for_each(|slot| figures.add(slot));
            WindowFigures::from(&figures)
        };
        let all = tally::read(&store.tallies(&[tally::ALL_TIME.to_owned()]).await?.pop().unwrap_or_default());
        let begun = Instant::now();
        store.now().await?;
        let latency = begun.elapsed();
        let count = |kind| async move { store.count(&IndexName::all(kind)).await };
        Ok(Summary {
            timestamp: now,
            window: Windows { h1: window(1), h24: window(24), d7: window(7 * 24) },
            totals: Totals {
                results: count(records::RESULT).await?,
                workflows: count(records::WORKFLOW).await?,
                uploads: count(records::UPLOAD).await?,
            },
            kpis: Kpis {
                total_tasks_processed: all.total(),
                avg_processing_time_ms: rounded(all.average_seconds().unwrap_or(0.0) * 1_000.0),
                active_agents_count: count(records::AGENT).await?,
                avg_redis_latency_ms: rounded(latency.as_secs_f64() * 1_000.0),
                cache_hit_ratio: rounded(counters::cache_hit_ratio()),
            },
        })
    }

    /// Ended jobs, hour by hour.
    pub async fn trends(&self) -> Result<Trends, ServiceError> {
        let after = tally::slot_of(self.base.clock.now()) + 1;
        let first = after - TREND_HOURS * SLOTS_PER_HOUR;
        let slots = self.slots(first, TREND_HOURS * SLOTS_PER_HOUR).await?;
        let at = |slot: i64| {
            DateTime::from_timestamp(slot * tally::SLOT_MINUTES * 60, 0).unwrap_or(DateTime::UNIX_EPOCH)
        };
        let hours = slots.chunks(SLOTS_PER_HOUR as usize).enumerate().map(|(hour, slots)| {
            let mut figures = Figures::default();
            slots.iter().for_each(|slot| figures.add(slot));
            let from = first + hour as i64 * SLOTS_PER_HOUR;
            TrendPoint {
                t: at(from + SLOTS_PER_HOUR).format("%H:%M").to_string(),
                count: figures.total(),
                failed: figures.failed,
                from: at(from),
            }
        });
        Ok(Trends { series: hours.collect() })
    }

    /// The last days up to today, the oldest first.
    pub async fn days(&self, number: u32) -> Result<BTreeMap<String, DayFigures>, ServiceError> {
        let number = number.clamp(1, super::usage::MAX_DAYS);
        let today = self.base.clock.now().date_naive();
        let days: Vec<String> = (0..number)
            .filter_map(|n| Some(today.checked_sub_days(Days::new(u64::from(n)))?.to_string()))
            .collect();
        let names: Vec<String> = days.iter().map(|day| tally::day_name(day)).collect();
        let tallies = self.base.store.tallies(&names).await?;
        Ok(days.into_iter().zip(tallies.iter().map(tally::read_day)).collect())
    }

    /// How each agent did over the last days, those with the most jobs first.
    pub async fn leaderboard(&self, days: u32) -> Result<Leaderboard, ServiceError> {
        let days = days.clamp(1, super::usage::MAX_DAYS);
        let figures = self.days(days).await?;
        let usage = super::UsageReports::new(self.base.clone()).days(days).await?;
        Ok(leaderboard::leaderboard(days, &figures, &usage))
    }

    /// So many slots from the first one on.
    async fn slots(&self, first: i64, number: i64) -> Result<Vec<Figures>, ServiceError> {
        let names: Vec<String> = (first..first + number).map(tally::slot_name).collect();
        let mut slots = Vec::with_capacity(names.len());
        for names in names.chunks(MAX_BATCH) {
            slots.extend(self.base.store.tallies(names).await?.iter().map(tally::read));
        }
        Ok(slots)
    }
}

/// To a hundredth.
fn rounded(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}
