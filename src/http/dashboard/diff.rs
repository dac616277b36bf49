//! What changed from one draft to the next: lines that stayed, and words that came and went.
//!
//! Bounded in size and time; what was cut is said.

use std::time::Duration;

use serde::Serialize;
use similar::{ChangeTag, DiffOp, DiffTag, TextDiff};

/// The most of a draft that is compared, in bytes.
const MAX_BYTES: usize = 96 * 1024;
/// How long one comparison may take; then what is left counts as one change.
const MAX_TIME: Duration = Duration::from_millis(25);
/// Changed passages longer than this are compared by lines alone.
const MAX_WORDS_BYTES: usize = 16 * 1024;
/// Lines around a change that are shown.
const AROUND: usize = 2;
/// Fewer equal lines are not worth folding.
const FOLD_FROM: usize = 3;

/// A part of a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// `same`, `folded` or `changed`.
    kind: &'static str,
    /// How many lines are folded.
    lines: usize,
    pieces: Vec<Piece>,
}

/// A run of text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Piece {
    /// `same`, `del` or `ins`.
    kind: &'static str,
    text: String,
}

/// Two drafts compared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Diff {
    pub parts: Vec<Part>,
    /// Words that came.
    pub added: usize,
    /// Words that went.
    pub removed: usize,
    /// What is not shown.
    pub cut: Option<String>,
}

impl Diff {
    pub fn new(before: &str, after: &str) -> Self {
        Self::within(before, after, MAX_BYTES)
    }

    /// Compares at most so many bytes of each.
    pub fn within(before: &str, after: &str, most: usize) -> Self {
        let (before, after) = (before.replace("\r\n", "\n"), after.replace("\r\n", "\n"));
        let (old, new) = (start(&before, most), start(&after, most));
        let mut diff = Self::default();
        if old.len() < before.len() || new.len() < after.len() {
            diff.cut = Some(format!("Compared are the first {} kB of each draft.", (most / 1024).max(1)));
        }
        let old_lines: Vec<&str> = old.split_inclusive('\n').collect();
        let new_lines: Vec<&str> = new.split_inclusive('\n').collect();
        let lines = TextDiff::configure().timeout(MAX_TIME).diff_slices(&old_lines, &new_lines);
        let ops = lines.ops();
        for (n, op) in ops.iter().enumerate() {
            match op.tag() {
                DiffTag::Equal => {
                    let equal = &new_lines[op.new_range()];
                    diff.equal(equal, n == 0, n + 1 == ops.len());
                }
                _ => diff.changed(op, &old_lines, &new_lines),
            }
        }
        diff
    }

    /// Lines that stayed: those beside a change are shown, the rest is folded.
    fn equal(&mut self, lines: &[&str], first: bool, last: bool) {
        let head = if first { 0 } else { AROUND.min(lines.len()) };
        let tail = if last { 0 } else { AROUND.min(lines.len() - head) };
        let middle = &lines[head..lines.len() - tail];
        if middle.len() < FOLD_FROM {
            self.same("same", lines);
            return;
        }
        self.same("same", &lines[..head]);
        self.same("folded", middle);
        self.same("same", &lines[lines.len() - tail..]);
    }

    fn same(&mut self, kind: &'static str, lines: &[&str]) {
        if !lines.is_empty() {
            let pieces = vec![Piece { kind: "same", text: lines.concat() }];
            self.parts.push(Part { kind, lines: lines.len(), pieces });
        }
    }

    fn changed(&mut self, op: &DiffOp, old_lines: &[&str], new_lines: &[&str]) {
        let old = old_lines[op.old_range()].concat();
        let new = new_lines[op.new_range()].concat();
        let mut pieces: Vec<Piece> = Vec::new();
        let mut push = |kind: &'static str, text: &str| {
            if text.is_empty() {
                return;
            }
            match pieces.last_mut().filter(|last| last.kind == kind) {
                Some(last) => last.text.push_str(text),
                None => pieces.push(Piece { kind, text: text.to_owned() }),
            }
        };
        let by_words = !old.is_empty() && !new.is_empty() && old.len() + new.len() <= MAX_WORDS_BYTES;
        let mut marked = false;
        if by_words {
            let found = TextDiff::configure().timeout(MAX_TIME).diff_words(old.as_str(), new.as_str());
            // Passages that have little in common are read more easily one after the other.
            let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).count();
            let equal = found.iter_all_changes().filter(|change| change.tag() == ChangeTag::Equal);
            let common: usize = equal.map(|change| letters(change.value())).sum();
            if common * 4 >= letters(&old).max(letters(&new)) {
                for change in found.iter_all_changes() {
                    let kind = match change.tag() {
                        ChangeTag::Equal => "same",
                        ChangeTag::Delete => "del",
                        ChangeTag::Insert => "ins",
                    };
                    push(kind, change.value());
                }
                marked = true;
            }
        }
        if !marked {
            push("del", &old);
            push("ins", &new);
        }
        let count = |kind| {
            let texts = pieces.iter().filter(|piece: &&Piece| piece.kind == kind);
            texts.map(|piece| piece.text.split_whitespace().count()).sum::<usize>()
        };
        self.added += count("ins");
        self.removed += count("del");
        self.parts.push(Part { kind: "changed", lines: 0, pieces });
    }
}

/// The first so many bytes, cut between two characters.
fn start(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(diff: &Diff, without: &str) -> String {
        let pieces = diff.parts.iter().flat_map(|part| &part.pieces);
        pieces.filter(|piece| piece.kind != without).map(|piece| piece.text.as_str()).collect()
    }

    #[test]
    fn a_changed_word_is_marked_in_its_line() {
        let diff = Diff::new("A loan lasts two weeks.\n", "A loan lasts three weeks.\n");
        let marked: Vec<_> = diff.parts[0].pieces.iter().map(|p| (p.kind, p.text.trim())).collect();
        assert_eq!(marked, [("same", "A loan lasts"), ("del", "two"), ("ins", "three"), ("same", "weeks.")]);
        assert_eq!((diff.added, diff.removed), (1, 1));
    }

    #[test]
    fn long_equal_parts_are_folded_between_lines_that_show_where_one_is() {
        let line = |n: usize| format!("line {n}\n");
        let before: String = (0..40).map(line).collect();
        let after = before.replace("line 20\n", "another line\n");
        let diff = Diff::new(&before, &after);
        let kinds: Vec<_> = diff.parts.iter().map(|part| (part.kind, part.lines)).collect();
        assert_eq!(kinds, [("folded", 18), ("same", 2), ("changed", 0), ("same", 2), ("folded", 17)]);
    }

    #[test]
    fn what_is_new_altogether_is_not_mixed_with_the_old_word_by_word() {
        let diff = Diff::new("one two three\n", "vier fünf sechs\n");
        let kinds: Vec<_> = diff.parts[0].pieces.iter().map(|piece| piece.kind).collect();
        assert_eq!(kinds, ["del", "ins"]);
    }

    #[test]
    fn a_long_draft_is_cut_and_the_cut_is_said() {
        let long = "wörter ohne Ende\n".repeat(20_000);
        let diff = Diff::within(&long, &format!("neu\n{long}"), 2048);
        assert_eq!(diff.cut.as_deref(), Some("Compared are the first 2 kB of each draft."));
        assert!(text(&diff, "none").len() < 8 * 1024);
        assert!(Diff::new("a", "b").cut.is_none());
    }

    proptest! {
        /// Nothing is lost: without what went it is the new draft, without what came the old one.
        #[test]
        fn both_drafts_can_be_read_off(before in "[ab \n]{0,80}", after in "[ab \n]{0,80}") {
            let diff = Diff::new(&before, &after);
            prop_assert_eq!(text(&diff, "del"), after);
            prop_assert_eq!(text(&diff, "ins"), before);
        }
    }
}
