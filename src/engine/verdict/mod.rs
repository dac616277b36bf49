//! QA's verdict out of QA's words.
//!
//! A model is asked for pure JSON and answers it alone, in a fence, amid prose, nearly right, or not at
//! all. Whatever says clearly what QA decided counts; nothing is ever taken for an approval that is not
//! one. What remains is `unstructured`.

mod json;
pub mod schema;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

use crate::model::{Finding, Verdict, VerdictKind};

/// The most characters that are looked at.
const MAX_INPUT: usize = 256 << 10;

/// The most findings, and the most things to fix.
const MAX_ITEMS: usize = 50;

/// The most characters of a finding.
const MAX_TEXT: usize = 2_000;

/// The most characters that are kept of an answer without a verdict.
const MAX_UNSTRUCTURED: usize = 500;

/// How deep inside an object a verdict is looked for: `{"review": {"verdict": …}}`.
const MAX_WRAPPING: u32 = 4;

/// Reads a verdict. The last valid object wins, because models repeat the form they were shown first.
pub fn parse_verdict(text: &str) -> Verdict {
    let text = cut(text, MAX_INPUT);
    let mut objects = json::objects(text);
    while let Some(object) = objects.pop() {
        if let Some(verdict) = from_object(&object, 0) {
            return verdict;
        }
    }
    from_lines(text).unwrap_or_else(|| Verdict {
        verdict: VerdictKind::Unstructured,
        score: None,
        findings: finding(None, text, MAX_UNSTRUCTURED).into_iter().collect(),
        must_fix: Vec::new(),
    })
}

fn from_object(object: &Map<String, Value>, depth: u32) -> Option<Verdict> {
    let kind = field(object, &["verdict"]).and_then(Value::as_str).and_then(kind);
    let Some(verdict) = kind else {
        if depth == MAX_WRAPPING {
            return None;
        }
        let inner = object.values().rev().filter_map(Value::as_object);
        return inner.filter_map(|o| from_object(o, depth + 1)).next();
    };
    Some(Verdict {
        verdict,
        score: field(object, &["score"]).and_then(score),
        findings: items(field(object, &["findings", "issues"]))
            .filter_map(read_finding)
            .take(MAX_ITEMS)
            .collect(),
        must_fix: items(field(object, &["mustfix", "requiredchanges"]))
            .filter_map(|item| Some(read_finding(item)?.text))
            .take(MAX_ITEMS)
            .collect(),
    })
}

/// A field under one of its names, in whatever style the model writes names (`must_fix`, `mustFix`).
fn field<'a>(object: &'a Map<String, Value>, names: &[&str]) -> Option<&'a Value> {
    let plain = |key: &str| key.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
    names.iter().find_map(|name| object.iter().find(|(key, _)| plain(key) == *name).map(|(_, v)| v))
}

/// The items of a list; a single value counts as a list of one.
fn items(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    match value {
        Some(Value::Array(list)) => list.as_slice(),
        Some(value) => std::slice::from_ref(value),
        None => &[],
    }
    .iter()
}

fn read_finding(value: &Value) -> Option<Finding> {
    match value {
        Value::String(text) => finding(None, text, MAX_TEXT),
        Value::Object(object) => {
            let severity = field(object, &["severity", "level", "priority"]).and_then(Value::as_str);
            let known = ["text", "description", "issue", "message", "finding", "problem", "comment"];
            // An object of other names still says something: its first text that is not the severity.
            let text = field(object, &known)
                .and_then(Value::as_str)
                .or_else(|| object.values().filter_map(Value::as_str).find(|t| Some(*t) != severity))?;
            finding(severity, text, MAX_TEXT)
        }
        _ => None,
    }
}

/// A finding, if its text says anything.
fn finding(severity: Option<&str>, text: &str, max: usize) -> Option<Finding> {
    let text = text.trim();
    if text.is_empty() || ["none", "n/a", "-"].iter().any(|nothing| text.eq_ignore_ascii_case(nothing)) {
        return None;
    }
    let severity = severity.map(|s| cut(s.trim(), 50).to_lowercase()).filter(|s| !s.is_empty());
    Some(Finding { severity, text: cut(text, max).to_owned() })
}

/// The first characters of a text.
fn cut(text: &str, max: usize) -> &str {
    text.char_indices().nth(max).map_or(text, |(end, _)| &text[..end])
}

/// What a word for a decision means.
fn kind(word: &str) -> Option<VerdictKind> {
    // Only a short value can be a decision.
    if word.len() > 80 {
        return None;
    }
    let words: Vec<String> = word
        .to_lowercase()
        .split(|c: char| !c.is_alphanumeric())
        .filter(|w| !w.is_empty())
        .map(str::to_owned)
        .collect();
    match words.join("_").as_str() {
        "approve"
        | "approved"
        | "approves"
        | "approval"
        | "accept"
        | "accepted"
        | "acceptable"
        | "pass"
        | "passed"
        | "passes"
        | "ok"
        | "okay"
        | "lgtm"
        | "approved_with_comments"
        | "approve_with_comments"
        | "approved_with_suggestions"
        | "approve_with_suggestions" => Some(VerdictKind::Approve),
        "revise"
        | "revision"
        | "revisions"
        | "needs_revision"
        | "needs_revisions"
        | "needs_revising"
        | "revision_needed"
        | "revision_required"
        | "revisions_needed"
        | "revisions_required"
        | "revise_and_resubmit"
        | "minor_revision"
        | "minor_revisions"
        | "major_revision"
        | "major_revisions"
        | "needs_changes"
        | "changes_needed"
        | "changes_required"
        | "changes_requested"
        | "request_changes"
        | "needs_work"
        | "needs_improvement"
        | "rework"
        | "not_approved"
        | "not_accepted"
        | "not_ready" => Some(VerdictKind::Revise),
        "reject" | "rejected" | "rejects" | "rejection" | "fail" | "failed" | "fails" | "decline"
        | "declined" | "deny" | "denied" | "unacceptable" | "not_acceptable" => Some(VerdictKind::Reject),
        _ => None,
    }
}

/// A score from 0 to 1, however it is written; `None` when it is none or out of range.
fn score(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => {
            let text = text.trim();
            let parse = |part: &str| part.trim().parse::<f64>().ok();
            if let Some(percent) = text.strip_suffix('%') {
                parse(percent)? / 100.0
            } else if let Some((part, whole)) = text.split_once('/').or_else(|| text.split_once(" out of ")) {
                parse(part)? / parse(whole).filter(|w| *w > 0.0)?
            } else {
                parse(text)?
            }
        }
        _ => return None,
    };
    // Adding zero turns -0 into 0.
    (0.0..=1.0).contains(&number).then_some(number + 0.0)
}

/// A verdict in words: `Verdict: revise`, `**Final verdict:** APPROVE`, or a heading with the decision
/// in the line below. The last one that is clear wins.
fn from_lines(text: &str) -> Option<Verdict> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty()).peekable();
    let mut verdict = None;
    let mut score_line = None;
    while let Some(line) = lines.next() {
        let (label, rest) = match label_of(line) {
            Some(found) => found,
            None => continue,
        };
        match label {
            Label::Verdict if rest.chars().any(char::is_alphanumeric) => {
                verdict = decision(rest).or(verdict);
            }
            Label::Verdict => verdict = lines.peek().and_then(|next| decision(next)).or(verdict),
            Label::Score => score_line = Some(rest),
        }
    }
    let kind = verdict?;
    // The words around the verdict are all that there is to work with; an approval needs none.
    let findings = match kind {
        VerdictKind::Approve => Vec::new(),
        _ => finding(None, text, MAX_TEXT).into_iter().collect(),
    };
    let score = score_line.and_then(|rest| {
        let rest = rest.trim_matches(|c: char| !c.is_ascii_digit() && c != '%' && c != '-');
        score(&Value::String(rest.to_owned()))
    });
    Some(Verdict { verdict: kind, score, findings, must_fix: Vec::new() })
}

enum Label {
    Verdict,
    Score,
}

/// The label of a line and what follows it. The label is short and holds the word `verdict` or is
/// `score`; marks of Markdown and JSON around it do not matter.
fn label_of(line: &str) -> Option<(Label, &str)> {
    let (label, rest) = line.split_once(':').unwrap_or((line, ""));
    if label.len() > 40 {
        return None;
    }
    let label = label.to_lowercase();
    let words: Vec<&str> =
        label.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).take(5).collect();
    match words.as_slice() {
        [.., "score"] if words.len() < 3 => Some((Label::Score, rest)),
        _ if words.len() < 5 && words.contains(&"verdict") => Some((Label::Verdict, rest)),
        _ => None,
    }
}

/// The decision at the beginning of a phrase. A phrase that names several is the list of choices
/// repeated, or a condition: none of these is a verdict.
fn decision(phrase: &str) -> Option<VerdictKind> {
    let phrase = phrase.split(['.', ';', '(']).next().unwrap_or_default();
    let words: Vec<&str> =
        phrase.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).take(12).collect();
    let longest = (1..=words.len().min(4)).rev().find_map(|n| Some((n, kind(&words[..n].join(" "))?)));
    let (used, decided) = longest?;
    let others = words[used..].iter().filter_map(|word| kind(word));
    let clear = others.into_iter().all(|other| other == decided);
    clear.then_some(decided)
}
