//! The Gantt chart of a run: what every step did when, on an axis that stretches where something happens.
//!
//! Places are percentages of the width, so that a chart fits whatever it stands in and its texts keep their
//! size. Long spans in which nothing runs are folded to a narrow break, or they would squash the rest.

mod scale;

use serde::Serialize;

use scale::Scale;

use crate::http::render::seconds_text;

/// Milliseconds since 1970.
pub type Ms = i64;

/// What a step does in a span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Doing {
    /// It stands in the queue, or waits for its next attempt.
    Queued,
    /// It is put off: its provider asked to wait, or a budget is used up.
    PutOff,
    /// A worker has it and asks no model: it makes the prompt, or runs tools.
    Working,
    /// It waits for the first word of its model.
    FirstWord,
    /// Its model answers.
    Model,
}

/// What happened at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// An attempt failed.
    Failed,
    /// A further attempt began.
    Retry,
}

/// A span of time; one without an end goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    pub doing: Doing,
    pub from: Ms,
    pub to: Option<Ms>,
}

/// What is known of one step.
#[derive(Debug, Clone, Default)]
pub struct Row {
    pub spans: Vec<Span>,
    pub marks: Vec<(Mark, Ms)>,
}

/// A bar; places are percentages of the width.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bar {
    pub doing: Doing,
    pub x: f64,
    pub width: f64,
    /// What it is and how long it took.
    pub says: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Point {
    pub mark: Mark,
    pub x: f64,
    pub says: &'static str,
}

/// The bars of one step.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Lane {
    pub y: u32,
    pub middle: u32,
    pub bars: Vec<Bar>,
    pub points: Vec<Point>,
}

/// A line of the axis with the time since the start.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tick {
    pub x: f64,
    pub label: String,
}

/// A span that is folded, with how long it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Break {
    pub x: f64,
    pub width: f64,
    pub label: String,
}

/// The whole chart.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Gantt {
    pub height: u32,
    pub lanes: Vec<Lane>,
    pub ticks: Vec<Tick>,
    pub breaks: Vec<Break>,
    /// Where now is, while the run goes on.
    pub now: Option<f64>,
}

/// The height of a row, in pixels; its label beside the chart has the same.
const ROW: u32 = 28;
/// The height of a bar.
const BAR: u32 = 14;
/// Above the rows: the axis.
const AXIS: u32 = 24;
/// The narrowest bar, in percent: what took no time is there all the same.
const NARROWEST: f64 = 0.35;

/// Draws a chart. `now` is given while the run goes on; open spans end there, or with the last thing known.
pub fn draw(rows: &[Row], now: Option<Ms>) -> Option<Gantt> {
    let spans = || rows.iter().flat_map(|row| &row.spans);
    let start = spans().map(|span| span.from).min()?;
    let known = spans().filter_map(|span| span.to).chain(spans().map(|span| span.from)).max()?;
    let end = known.max(now.unwrap_or(known)).max(start + 1);
    let scale = Scale::new(start, end, rows);
    let lanes = rows.iter().zip(0..).map(|(row, n)| lane(row, n, end, &scale)).collect();
    Some(Gantt {
        height: AXIS + ROW * rows.len() as u32,
        lanes,
        ticks: scale.ticks(),
        breaks: scale.breaks(),
        now: now.map(|now| scale.place(now)),
    })
}

fn lane(row: &Row, number: u32, end: Ms, scale: &Scale) -> Lane {
    let top = AXIS + number * ROW;
    let bars = row.spans.iter().map(|span| {
        let to = span.to.unwrap_or(end).max(span.from);
        let (left, right) = (scale.place(span.from), scale.place(to));
        let width = (right - left).max(NARROWEST);
        let goes_on = if span.to.is_none() { " so far" } else { "" };
        Bar {
            doing: span.doing,
            x: round(left.min(100.0 - width)),
            width: round(width),
            says: format!(
                "{}: {}{goes_on}",
                says(span.doing),
                seconds_text((to - span.from) as f64 / 1000.0)
            ),
        }
    });
    let points = row.marks.iter().map(|&(mark, at)| Point {
        mark,
        x: scale.place(at),
        says: match mark {
            Mark::Failed => "an attempt failed",
            Mark::Retry => "a further attempt",
        },
    });
    Lane { y: top + (ROW - BAR) / 2, middle: top + ROW / 2, bars: bars.collect(), points: points.collect() }
}

fn says(doing: Doing) -> &'static str {
    match doing {
        Doing::Queued => "waits in the queue",
        Doing::PutOff => "put off",
        Doing::Working => "a worker has it",
        Doing::FirstWord => "waits for the first word",
        Doing::Model => "the model answers",
    }
}

/// Two digits are finer than any screen.
fn round(percent: f64) -> f64 {
    (percent * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(doing: Doing, from: Ms, to: impl Into<Option<Ms>>) -> Span {
        Span { doing, from, to: to.into() }
    }

    fn row(spans: &[Span]) -> Row {
        Row { spans: spans.to_vec(), marks: Vec::new() }
    }

    #[test]
    fn bars_stand_where_their_times_are() {
        let rows = [
            row(&[span(Doing::Queued, 1_000, 2_000), span(Doing::Model, 2_000, 6_000)]),
            row(&[span(Doing::Model, 6_000, 11_000)]),
        ];
        let chart = draw(&rows, None).unwrap();
        let bars = &chart.lanes[0].bars;
        assert_eq!((bars[0].x, bars[0].width, bars[1].x, bars[1].width), (0.0, 10.0, 10.0, 40.0));
        assert_eq!(chart.lanes[1].bars[0].says, "the model answers: 5.00 s");
        assert!(chart.lanes[1].y > chart.lanes[0].y && chart.height > chart.lanes[1].y);
        assert!(chart.breaks.is_empty() && chart.now.is_none());
    }

    #[test]
    fn a_long_wait_is_folded_and_does_not_squash_the_rest() {
        let hour = 3_600_000;
        let rows = [
            row(&[span(Doing::Model, 0, 10_000)]),
            row(&[span(Doing::PutOff, 10_000, 3 * hour), span(Doing::Model, 3 * hour, 3 * hour + 10_000)]),
        ];
        let chart = draw(&rows, None).unwrap();
        assert_eq!(chart.breaks.len(), 1);
        assert_eq!(chart.breaks[0].label, "2 h 59 min");
        for lane in &chart.lanes {
            assert!(lane.bars.last().unwrap().width > 40.0, "{lane:?}");
        }
    }

    #[test]
    fn an_open_span_reaches_to_now() {
        let rows = [row(&[span(Doing::Queued, 0, 1_000), span(Doing::Working, 1_000, None)])];
        let chart = draw(&rows, Some(5_000)).unwrap();
        let bar = &chart.lanes[0].bars[1];
        assert_eq!((bar.x + bar.width, chart.now), (100.0, Some(100.0)));
        assert_eq!(bar.says, "a worker has it: 4.00 s so far");
    }

    #[test]
    fn what_took_no_time_shows_all_the_same_and_stays_inside() {
        let rows = [row(&[span(Doing::Model, 0, 1_000)]), row(&[span(Doing::Model, 1_000, 1_000)])];
        let bar = &draw(&rows, None).unwrap().lanes[1].bars[0];
        assert!(bar.width >= NARROWEST && bar.x + bar.width <= 100.0);
    }

    #[test]
    fn the_axis_has_units_that_people_use() {
        let of = |ms: Ms| {
            let ticks = draw(&[row(&[span(Doing::Model, 0, ms)])], None).unwrap().ticks;
            ticks.into_iter().map(|tick| tick.label).collect::<Vec<_>>()
        };
        assert_eq!(of(10_000), ["0", "2 s", "4 s", "6 s", "8 s"]);
        assert_eq!(of(200), ["0", "50 ms", "100 ms", "150 ms"]);
        assert_eq!(of(600_000), ["0", "2 min", "4 min", "6 min", "8 min"]);
        assert!(of(90 * 86_400_000).len() <= 8);
        assert!(!of(1).is_empty());
    }

    #[test]
    fn nothing_known_is_no_chart_and_odd_clocks_do_no_harm() {
        assert!(draw(&[], None).is_none());
        assert!(draw(&[Row::default()], Some(1)).is_none());
        let backwards = [row(&[span(Doing::Model, 5_000, 1_000)])];
        let chart = draw(&backwards, Some(0)).unwrap();
        assert!(chart.lanes[0].bars.iter().all(|bar| bar.x >= 0.0 && bar.x + bar.width <= 100.01));
    }

    #[test]
    fn a_run_that_only_waits_is_one_wait() {
        let chart = draw(&[row(&[span(Doing::Queued, 0, None)])], Some(7_200_000)).unwrap();
        assert!(chart.breaks.is_empty());
        assert_eq!(chart.lanes[0].bars[0].width, 100.0);
    }
}
