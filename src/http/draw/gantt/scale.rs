//! The axis: where a time is drawn, and which spans are folded.

use super::{Break, Doing, Ms, Row, Span, Tick, round};
use crate::http::render::seconds_text;

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
pub(super) struct Scale {
    start: Ms,
    pieces: Vec<Piece>,
}

impl Scale {
    pub(super) fn new(start: Ms, end: Ms, rows: &[Row]) -> Self {
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

    pub(super) fn place(&self, at: Ms) -> f64 {
        let piece = self.pieces.iter().find(|piece| at <= piece.to).or(self.pieces.last());
        let Some(piece) = piece else { return 0.0 };
        let share = (at - piece.from) as f64 / (piece.to - piece.from) as f64;
        round((piece.left + share * (piece.right - piece.left)).clamp(0.0, 100.0))
    }

    pub(super) fn ticks(&self) -> Vec<Tick> {
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

    pub(super) fn breaks(&self) -> Vec<Break> {
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
