//! The text of the weekly report. Pure: figures in, Markdown out.

use std::{collections::BTreeMap, fmt::Write};

use chrono::Days;

use crate::{
    model::{Timestamp, Usd},
    service::{
        analytics::{DayFigures, Figures, Totals},
        usage::{DayUsage, Used},
    },
};

use super::DAYS;

/// The most agents and models that are told of.
const MAX_ROWS: usize = 100;

/// `days` holds the days told of and as many before them; `usage` the days told of.
pub(super) fn report(
    now: Timestamp,
    days: &BTreeMap<String, DayFigures>,
    usage: &[DayUsage],
    totals: &Totals,
    simulated: bool,
) -> String {
    let first = now.date_naive().checked_sub_days(Days::new(u64::from(DAYS - 1))).unwrap_or(now.date_naive());
    let first = first.to_string();
    let (week, before): (Vec<_>, Vec<_>) = days.iter().partition(|(day, _)| **day >= first);
    let mut text = format!(
        "# ProductForge weekly report\n\n{first} to {} (UTC), made {}.\n\n",
        now.date_naive(),
        now.format("%Y-%m-%d %H:%M")
    );
    if simulated {
        text.push_str("**No model is configured: answers of this time may be simulated.**\n\n");
    }
    let (this, last) =
        (sum(week.iter().map(|(_, day)| &day.all)), sum(before.iter().map(|(_, day)| &day.all)));
    overview(&mut text, &this, &last, totals);
    by_day(&mut text, &week);
    by_agent(&mut text, &week);
    by_model(&mut text, usage);
    text
}

fn sum<'a>(figures: impl Iterator<Item = &'a Figures>) -> Figures {
    figures.fold(Figures::default(), |mut all, one| {
        all.add(one);
        all
    })
}

fn overview(text: &mut String, this: &Figures, last: &Figures, totals: &Totals) {
    let _ = write!(
        text,
        "## In short\n\n| Figure | this week | the week before |\n|---|---|---|\n\
         | Jobs ended | {} | {} |\n| of these completed | {} | {} |\n| failed | {} | {} |\n\
         | cancelled | {} | {} |\n| Success | {} | {} |\n| Average time | {} | {} |\n\n\
         Kept now: {} results, {} workflows, {} uploads.\n\n",
        this.total(),
        last.total(),
        this.completed,
        last.completed,
        this.failed,
        last.failed,
        this.cancelled,
        last.cancelled,
        percent(this.success_rate()),
        percent(last.success_rate()),
        seconds(this.average_seconds()),
        seconds(last.average_seconds()),
        totals.results,
        totals.workflows,
        totals.uploads,
    );
}

fn by_day(text: &mut String, week: &[(&String, &DayFigures)]) {
    text.push_str("## By day\n\n| Day | Ended | Failed | Success | Average time |\n|---|---|---|---|---|\n");
    for (day, figures) in week {
        let all = &figures.all;
        let (success, average) = (percent(all.success_rate()), seconds(all.average_seconds()));
        let _ = writeln!(text, "| {day} | {} | {} | {success} | {average} |", all.total(), all.failed);
    }
    text.push('\n');
}

fn by_agent(text: &mut String, week: &[(&String, &DayFigures)]) {
    let mut agents: BTreeMap<&str, Figures> = BTreeMap::new();
    for (name, figures) in week.iter().flat_map(|(_, day)| &day.by_agent) {
        agents.entry(name).or_default().add(figures);
    }
    text.push_str("## By agent\n\n");
    if agents.is_empty() {
        text.push_str("No job ended.\n\n");
        return;
    }
    text.push_str("| Agent | Ended | Failed | Success | Average | Half within | 95 % within |\n");
    text.push_str("|---|---|---|---|---|---|---|\n");
    let mut rows: Vec<_> = agents.into_iter().collect();
    rows.sort_by_key(|(_, figures)| std::cmp::Reverse(figures.total()));
    for (name, figures) in rows.iter().take(MAX_ROWS) {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} |",
            cell(name),
            figures.total(),
            figures.failed,
            percent(figures.success_rate()),
            seconds(figures.average_seconds()),
            seconds(figures.quantile_seconds(0.5)),
            seconds(figures.quantile_seconds(0.95)),
        );
    }
    left_out(text, rows.len());
    text.push_str("\nTimes within which a share stayed are right to a factor of two.\n\n");
}

fn by_model(text: &mut String, usage: &[DayUsage]) {
    let mut models: BTreeMap<&str, Used> = BTreeMap::new();
    for (name, used) in usage.iter().flat_map(|day| &day.by_model) {
        models.entry(name).or_default().add(used);
    }
    text.push_str("## Models\n\n");
    if models.is_empty() {
        text.push_str("No model was asked.\n");
        return;
    }
    text.push_str("| Model | Calls | Tokens in | Tokens out | Cost | Calls of unknown price |\n");
    text.push_str("|---|---|---|---|---|---|\n");
    let mut rows: Vec<_> = models.into_iter().collect();
    rows.sort_by_key(|(_, used)| std::cmp::Reverse(used.calls));
    for (name, used) in rows.iter().take(MAX_ROWS) {
        let cost = used.cost_usd.map_or_else(|| "unknown".to_owned(), |cost: Usd| cost.to_string());
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {cost} | {} |",
            cell(name),
            used.calls,
            used.prompt_tokens,
            used.completion_tokens,
            used.unpriced_calls
        );
    }
    left_out(text, rows.len());
}

fn left_out(text: &mut String, rows: usize) {
    if rows > MAX_ROWS {
        let _ = writeln!(text, "\n{} more are left out.", rows - MAX_ROWS);
    }
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "–".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

fn seconds(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| "–".to_owned(), |seconds| format!("{seconds:.1} s"))
}

/// A name as the cell of a table: none of its signs means anything.
fn cell(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            c if c.is_control() => out.push(' '),
            c if c.is_ascii_punctuation() && !matches!(c, '.' | ',' | ' ') => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_without_work_is_told_as_it_is() {
        let now = chrono::DateTime::from_timestamp(1_763_800_000, 0).unwrap();
        let text = report(now, &BTreeMap::new(), &[], &Totals::default(), true);
        assert!(text.contains("2025-11-16 to 2025-11-22"), "{text}");
        assert!(text.contains("No job ended.") && text.contains("No model was asked."), "{text}");
        assert!(text.contains("may be simulated"), "{text}");
    }

    #[test]
    fn a_name_cannot_break_out_of_its_cell() {
        assert_eq!(cell("a|b\n<script>`x`"), "a\\|b \\<script\\>\\`x\\`");
    }
}
