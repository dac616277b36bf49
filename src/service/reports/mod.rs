//! Reports: what a week was like, as a document that stays.

mod weekly;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    model::{Timestamp, iso},
    store::{Cursor, IndexName},
    telemetry::counters,
};

use super::{Analytics, Foundation, Listing, ServiceError, UsageReports, listing, records};

/// The days that a report looks back, and those before them that it compares with.
const DAYS: u32 = 7;

/// A report as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// `weekly_report_{time}.md`
    pub filename: String,
    #[serde(with = "iso")]
    pub created_at: Timestamp,
    /// Markdown. Names in it are other people's words, made harmless for Markdown.
    pub text: String,
}

#[derive(Clone)]
pub struct Reports {
    base: Arc<Foundation>,
    analytics: Analytics,
    usage: UsageReports,
}

impl Reports {
    pub(super) fn new(base: Arc<Foundation>, analytics: Analytics, usage: UsageReports) -> Self {
        Self { base, analytics, usage }
    }

    /// Makes the report of the last seven days and keeps it.
    pub async fn generate(&self) -> Result<Report, ServiceError> {
        let now = self.base.clock.now();
        let days = self.analytics.days(2 * DAYS).await?;
        let usage = self.usage.days(DAYS).await?;
        let totals = self.analytics.summary().await?.totals;
        let text = weekly::report(now, &days, &usage, &totals, self.base.provider.is_simulated());
        // Two within one second are one.
        let filename = format!("weekly_report_{}.md", now.format("%Y%m%d_%H%M%S"));
        let report = Report { filename, created_at: now, text };
        let change = crate::store::Change::new().put(records::put_report(&report));
        // Without conditions nothing can be refused.
        let _ = self.base.store.apply(change).await?;
        counters::REPORTS.add(1);
        Ok(report)
    }

    /// The newest first.
    pub async fn list(&self, limit: usize, after: Option<Cursor>) -> Result<Listing<Report>, ServiceError> {
        let index = IndexName::all(records::REPORT);
        listing::page(self.base.store.as_ref(), records::REPORT, index, limit, after).await
    }

    /// One report by the name of its file.
    pub async fn get(&self, filename: &str) -> Result<Report, ServiceError> {
        let found = records::load(self.base.store.as_ref(), records::report_key(filename)).await?;
        found
            .map(|(report, _)| report)
            .ok_or_else(|| ServiceError::NotFound(format!("Report '{filename}' not found")))
    }
}
