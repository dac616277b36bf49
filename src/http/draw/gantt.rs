//! The Gantt chart of a run: what every step did when, on an axis that stretches where something happens.
//!
//! Places are percentages of the width, so that a chart fits whatever it stands in and its texts keep their
//! size. Long spans in which nothing runs are folded to a narrow break, or they would squash the rest.

use serde::Serialize;

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
/// What a folded span takes, in percent.
const FOLDED: f64 = 7.0;
/// A span in which nothing runs is folded when it takes more than this of the whole.
const FOLD_SHARE: f64 = 0.25;
/// A shorter one is no wait that anybody would notice.
const FOLD_FROM: Ms = 3_000;
/// The most spans that are folded.
const MOST_BREAKS: usize = 4;
/// About so many lines has the axis.
const TICKS: f64 = 5.0;
/// Labels of the axis stand at least so far apart, in percent.
const TICK_GAP: f64 = 14.0;

/// There is none further to the right, in percent: its label would stand over the edge.
const LAST_TICK: f64 = 98.0;

/// Steps of an axis, in milliseconds.
const STEPS: [Ms; 24] = [
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 120_000,
    300_000, 600_000, 1_800_000, 3_600_000, 7_200_000, 21_600_000, 86_400_000,
];

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

/// A stretch of time and where it is drawn, in percent.
#[derive(Debug, Clone, Copy)]
struct Piece {
    from: Ms,
    to: Ms,
    left: f64,
    right: f64,
    folded: bool,
}

/// Where a time is drawn.
struct Scale {
    start: Ms,
    pieces: Vec<Piece>,
}

impl Scale {
    fn new(start: Ms, end: Ms, rows: &[Row]) -> Self {
        let mut folds = idle(start, end, rows);
        let least = FOLD_FROM.max(((end - start) as f64 * FOLD_SHARE) as Ms);
        folds.retain(|(from, to)| to - from > least);
        folds.truncate(MOST_BREAKS);
        let folded: Ms = folds.iter().map(|(from, to)| to - from).sum();
        let shown = (end - start - folded).max(1) as f64;
        // A run in which nothing has run yet is one wait: there is nothing that it could squash.
        if folded == end - start {
            folds.clear();
        }
        let shown = if folds.is_empty() { (end - start) as f64 } else { shown };
        let per_ms = (100.0 - FOLDED * folds.len() as f64) / shown;
        let mut scale = Self { start, pieces: Vec::new() };
        let (mut at, mut left) = (start, 0.0);
        for &(from, to) in &folds {
            left = scale.add(at, from, left, (from - at) as f64 * per_ms, false);
            left = scale.add(from, to, left, FOLDED, true);
            at = to;
        }
        scale.add(at, end, left, 100.0 - left, false);
        scale
    }

    fn add(&mut self, from: Ms, to: Ms, left: f64, width: f64, folded: bool) -> f64 {
        if to > from {
            self.pieces.push(Piece { from, to, left, right: left + width, folded });
        }
        left + width
    }

    fn place(&self, at: Ms) -> f64 {
        let piece = self.pieces.iter().find(|piece| at <= piece.to).or(self.pieces.last());
        let Some(piece) = piece else { return 0.0 };
        let share = (at - piece.from) as f64 / (piece.to - piece.from) as f64;
        round((piece.left + share * (piece.right - piece.left)).clamp(0.0, 100.0))
    }

    fn ticks(&self) -> Vec<Tick> {
        let shown: Ms = self.pieces.iter().filter(|p| !p.folded).map(|p| p.to - p.from).sum();
        let wanted = (shown as f64 / TICKS).max(1.0);
        let longest = *STEPS.last().unwrap_or(&1);
        let step = STEPS.into_iter().find(|step| *step as f64 >= wanted);
        let step = step.unwrap_or_else(|| (wanted / longest as f64).ceil() as Ms * longest);
        let mut ticks: Vec<Tick> = Vec::new();
        for piece in self.pieces.iter().filter(|p| !p.folded) {
            let mut elapsed = (piece.from - self.start + step - 1) / step * step;
            // A piece is at most as long as all that is shown, so this ends after some `TICKS` turns.
            while self.start + elapsed <= piece.to {
                let x = self.place(self.start + elapsed);
                let room = ticks.last().is_none_or(|last| x - last.x >= TICK_GAP) && x <= LAST_TICK;
                if room {
                    ticks.push(Tick { x, label: label(elapsed, step) });
                }
                elapsed += step;
            }
        }
        ticks
    }

    fn breaks(&self) -> Vec<Break> {
        let folded = self.pieces.iter().filter(|piece| piece.folded);
        let line = |p: &Piece| Break {
            x: round(p.left),
            width: round(p.right - p.left),
            label: seconds_text((p.to - p.from) as f64 / 1000.0),
        };
        folded.map(line).collect()
    }
}

/// Spans in which no worker has any of the steps, in order.
fn idle(start: Ms, end: Ms, rows: &[Row]) -> Vec<(Ms, Ms)> {
    let busy = |span: &&Span| !matches!(span.doing, Doing::Queued | Doing::PutOff);
    let mut busy: Vec<(Ms, Ms)> = rows
        .iter()
        .flat_map(|row| &row.spans)
        .filter(busy)
        .map(|span| (span.from, span.to.unwrap_or(end)))
        .collect();
    busy.sort_unstable();
    let (mut gaps, mut at) = (Vec::new(), start);
    for (from, to) in busy {
        if from > at {
            gaps.push((at, from));
        }
        at = at.max(to);
    }
    if end > at {
        gaps.push((at, end));
    }
    gaps
}

/// `0`, `250 ms`, `30 s`, `2 min`, `1 h 30 min`: no digits that the step of the axis does not need.
fn label(elapsed: Ms, step: Ms) -> String {
    let seconds = elapsed / 1000;
    match (elapsed, step) {
        (0, _) => "0".to_owned(),
        (_, ..1000) if elapsed < 1000 => format!("{elapsed} ms"),
        (_, ..1000) if seconds < 60 => format!("{:.1} s", elapsed as f64 / 1000.0),
        _ if seconds < 60 => format!("{seconds} s"),
        _ if seconds < 3600 && seconds % 60 == 0 => format!("{} min", seconds / 60),
        _ if seconds < 3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ if seconds < 86_400 && seconds % 3600 < 60 => format!("{} h", seconds / 3600),
        _ if seconds < 86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
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
