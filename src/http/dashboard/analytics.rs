//! Figures over time: how much was done, how fast, by whom and for how much.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde::Serialize;

use super::{
    access::Visitor,
    page::{IDLE, PageError, Shell, answer},
    period::{Period, period_of},
};
use crate::{
    http::{
        HttpState,
        draw::{Chart, Series, Sparkline, Unit, columns, lines, sparkline},
    },
    service::{
        analytics::{DayFigures, Figures, Summary, TrendPoint, WindowFigures, quantile_seconds},
        usage::{DayUsage, Used},
    },
};

/// Series that a chart shows; the others stand in "others" or are left out.
const SERIES: usize = 5;

#[derive(Serialize)]
struct Window {
    label: &'static str,
    ended: u64,
    failed: u64,
    cancelled: u64,
    /// Of those that ran, 0 to 1.
    failure_rate: Option<f64>,
}

impl Window {
    fn new(label: &'static str, figures: &WindowFigures) -> Self {
        let ran = figures.completed + figures.failed;
        Self {
            label,
            ended: figures.tasks,
            failed: figures.failed,
            cancelled: figures.cancelled,
            failure_rate: (ran > 0).then(|| figures.failed as f64 / ran as f64),
        }
    }
}

/// Times of one agent or model over the whole period.
#[derive(Serialize)]
struct Times {
    name: String,
    number: u64,
    p50: Option<f64>,
    p95: Option<f64>,
}

#[derive(Serialize)]
struct AnalyticsPage {
    periods: Vec<Period>,
    days: u32,
    windows: Vec<Window>,
    spark: Option<Sparkline>,
    all_time: u64,
    average_seconds: f64,
    results: u64,
    workflows: u64,
    uploads: u64,
    agents: u64,
    hours: Chart,
    charts: Vec<Chart>,
    by_agent: Vec<Times>,
    by_model: Vec<Times>,
    /// Model calls of unknown price in this time.
    unpriced: u64,
}

pub async fn show(
    visitor: Visitor,
    request: HttpRequest,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, PageError> {
    let days = period_of(&request);
    let services = &state.services;
    let Summary { window, totals, kpis, .. } = services.analytics.summary().await?;
    let trends = services.analytics.trends().await?.series;
    let work = services.analytics.days(days).await?;
    let mut usage = services.usage.days(days).await?;
    usage.reverse();
    let page = AnalyticsPage {
        periods: Period::all("/dashboard/analytics", days, ""),
        days,
        windows: vec![
            Window::new("Last hour", &window.h1),
            Window::new("Last 24 hours", &window.h24),
            Window::new("Last 7 days", &window.d7),
        ],
        spark: sparkline("Jobs by hour", &trends.iter().map(|hour| hour.count as f64).collect::<Vec<_>>()),
        all_time: kpis.total_tasks_processed,
        average_seconds: kpis.avg_processing_time_ms / 1_000.0,
        results: totals.results,
        workflows: totals.workflows,
        uploads: totals.uploads,
        agents: kpis.active_agents_count,
        hours: hours(&trends),
        charts: charts(&work, &usage),
        by_agent: times_by_agent(&work),
        by_model: times_by_model(&usage),
        unpriced: usage.iter().map(|day| day.total.unpriced_calls).sum(),
    };
    let shell = Shell::new(&state, &visitor, "Analytics", "Analytics").live(IDLE);
    answer(StatusCode::OK, "analytics.html", &shell, &page)
}

fn some(number: u64) -> Option<f64> {
    Some(number as f64)
}

fn hours(trends: &[TrendPoint]) -> Chart {
    let times: Vec<String> = trends.iter().map(|hour| hour.from.format("%H:%M").to_string()).collect();
    let good = Series::new(
        "completed or cancelled",
        trends.iter().map(|hour| some(hour.count - hour.failed.min(hour.count))),
    );
    let bad = Series::new("failed", trends.iter().map(|hour| some(hour.failed)));
    let series = [good.class("good"), bad.class("bad")];
    columns("hours", "Jobs ended by hour (UTC), last 24 hours", Unit::Count("jobs"), &times, &series)
}

/// The charts of the chosen days.
fn charts(work: &BTreeMap<String, DayFigures>, usage: &[DayUsage]) -> Vec<Chart> {
    let times: Vec<String> = work.keys().cloned().collect();
    let of = |figure: fn(&Figures) -> u64| work.values().map(move |day| some(figure(&day.all)));
    let jobs = Unit::Count("jobs");
    let ended = [
        Series::new("completed", of(|day| day.completed)).class("good"),
        Series::new("failed", of(|day| day.failed)).class("bad"),
        Series::new("cancelled", of(|day| day.cancelled)).class("still"),
    ];
    let rate = |day: &DayFigures| day.all.success_rate().map(|rate| 1.0 - rate);
    let rate = Series::new("failed", work.values().map(rate)).class("bad");
    let quantile = |share: f64| work.values().map(move |day| day.all.quantile_seconds(share));
    let spans = [Series::new("p50", quantile(0.5)), Series::new("p95", quantile(0.95))];
    let agent = |name: &String| {
        let values = work.values().map(|day| day.by_agent.get(name)?.quantile_seconds(0.95));
        Series::new(name, values)
    };
    let agents: Vec<Series> = busiest_agents(work).iter().take(SERIES).map(agent).collect();
    let models = busiest_models(usage);
    let model = |name: &String| {
        let values = usage.iter().map(|day| quantile_seconds(&day.by_model.get(name)?.classes, 0.95));
        Series::new(name, values)
    };
    let spans_by_model: Vec<Series> = models.iter().take(SERIES).map(model).collect();
    let dollars = |used: &Used| used.cost_usd.map(|usd| usd.dollars());
    vec![
        columns("ended", "Jobs ended by day", jobs, &times, &ended),
        lines("failures", "Share of jobs that failed", Unit::Share, &times, &[rate]),
        lines("times", "Time of a job", Unit::Seconds, &times, &spans),
        lines("times-by-agent", "Time of a job, p95 by agent", Unit::Seconds, &times, &agents),
        lines("times-by-model", "Time of a call, p95 by model", Unit::Seconds, &times, &spans_by_model),
        stacked("tokens", "Tokens by model", Unit::Count("tokens"), &times, usage, &models, |used| {
            some(used.total_tokens)
        }),
        stacked(
            "cost",
            "Cost by model, as far as prices are known",
            Unit::Usd,
            &times,
            usage,
            &models,
            dollars,
        ),
    ]
}

/// One column a day, a part for each of the busiest models and one for the others.
fn stacked(
    id: &str,
    title: &str,
    unit: Unit,
    times: &[String],
    usage: &[DayUsage],
    models: &[String],
    figure: impl Fn(&Used) -> Option<f64>,
) -> Chart {
    let part = |name: &String| Series::new(name, usage.iter().map(|day| figure(day.by_model.get(name)?)));
    let mut series: Vec<Series> = models.iter().take(SERIES).map(part).collect();
    if models.len() > SERIES {
        let rest = &models[SERIES..];
        let sum = |day: &DayUsage| {
            let parts = rest.iter().filter_map(|name| figure(day.by_model.get(name)?));
            parts.reduce(|sum, part| sum + part)
        };
        series.push(Series::new("others", usage.iter().map(sum)));
    }
    columns(id, title, unit, times, &series)
}

/// Those with the most jobs first.
fn busiest_agents(work: &BTreeMap<String, DayFigures>) -> Vec<String> {
    let mut jobs: BTreeMap<&String, u64> = BTreeMap::new();
    for (name, figures) in work.values().flat_map(|day| &day.by_agent) {
        *jobs.entry(name).or_default() += figures.total();
    }
    ranked(jobs)
}

/// Those with the most tokens first.
fn busiest_models(usage: &[DayUsage]) -> Vec<String> {
    let mut tokens: BTreeMap<&String, u64> = BTreeMap::new();
    for (name, used) in usage.iter().flat_map(|day| &day.by_model) {
        *tokens.entry(name).or_default() += used.total_tokens;
    }
    ranked(tokens)
}

fn ranked(figures: BTreeMap<&String, u64>) -> Vec<String> {
    let mut ranked: Vec<_> = figures.into_iter().collect();
    ranked.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    ranked.into_iter().map(|(name, _)| name.clone()).collect()
}

fn times_by_agent(work: &BTreeMap<String, DayFigures>) -> Vec<Times> {
    let times = |name: String| {
        let mut classes = crate::service::analytics::Classes::default();
        let mut number = 0;
        for figures in work.values().filter_map(|day| day.by_agent.get(&name)) {
            number += figures.completed + figures.failed;
            classes.iter_mut().zip(figures.classes()).for_each(|(own, more)| *own += more);
        }
        Times { name, number, p50: quantile_seconds(&classes, 0.5), p95: quantile_seconds(&classes, 0.95) }
    };
    busiest_agents(work).into_iter().take(50).map(times).collect()
}

fn times_by_model(usage: &[DayUsage]) -> Vec<Times> {
    let times = |name: String| {
        let mut sum = Used::default();
        usage.iter().filter_map(|day| day.by_model.get(&name)).for_each(|used| sum.add(used));
        let of = |share| quantile_seconds(&sum.classes, share);
        Times { name, number: sum.calls, p50: of(0.5), p95: of(0.95) }
    };
    busiest_models(usage).into_iter().take(50).map(times).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_beyond_the_first_ones_are_stacked_as_others() {
        let used = |n: u64| Used { total_tokens: n, ..Used::default() };
        let by_model = (1..=7).map(|n| (format!("m{n}"), used(n * 10))).collect();
        let day = DayUsage { day: "2026-11-22".to_owned(), by_model, ..DayUsage::default() };
        let usage = [day, DayUsage::default()];
        let models = busiest_models(&usage);
        assert_eq!(models[0], "m7");
        let times = ["a", "b"].map(str::to_owned);
        let tokens = |used: &Used| some(used.total_tokens);
        let chart = stacked("tokens", "Tokens", Unit::Count("tokens"), &times, &usage, &models, tokens);
        assert_eq!(chart.table.columns, ["Time", "m7", "m6", "m5", "m4", "m3", "others"]);
        assert_eq!(chart.table.rows[0], ["a", "70", "60", "50", "40", "30", "30"]);
        assert_eq!(chart.table.rows[1][6], "–");
    }

    #[test]
    fn without_any_figures_every_chart_is_empty() {
        for chart in charts(&BTreeMap::new(), &[]) {
            assert!(chart.empty, "{}", chart.id);
        }
    }
}
