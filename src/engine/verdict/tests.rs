//! QA's answers as models write them.

use proptest::prelude::*;

use super::*;
use VerdictKind::{Approve, Reject, Revise, Unstructured};

fn texts(verdict: &Verdict) -> Vec<&str> {
    verdict.findings.iter().map(|f| f.text.as_str()).collect()
}

#[test]
fn pure_json_is_read_whole() {
    let verdict = parse_verdict(
        r#"{"verdict": "revise", "score": 0.55, "must_fix": ["Name a date."],
            "findings": [{"severity": "Major", "text": "No date."}, "No owner."], "note": "x"}"#,
    );
    assert_eq!(verdict.verdict, Revise);
    assert_eq!(verdict.score, Some(0.55));
    assert_eq!(texts(&verdict), ["No date.", "No owner."]);
    assert_eq!(verdict.findings[0].severity.as_deref(), Some("major"));
    assert_eq!(verdict.must_fix, ["Name a date."]);
}

#[test]
fn the_object_is_found_wherever_it_stands() {
    for (text, kind) in [
        ("```json\n{\"verdict\": \"approve\"}\n```", Approve),
        ("Here it is {as asked}:\n\n{\"verdict\":\"reject\"} Hope {that} helps, isn't it?", Reject),
        (r#"{"verdict":"approve|revise|reject"} so: {"verdict":"revise"}"#, Revise),
        (r#"{"verdict":"revise"} {"verdict":"approve"} {"note": "bye"}"#, Approve),
        (r#"{"review": {"result": {"Verdict": "approve"}}}"#, Approve),
        ("<think>{hm, {\"verdict\":</think>{\"verdict\":\"revise\"}", Revise),
        ("{\"verdict\": \"revise\", \"findings\": [\"brace } in { text\",],}", Revise),
        ("{'verdict': 'approve', 'score': None, 'ok': True}", Approve),
        ("{\"verdict\": approve}", Approve),
        ("{\"verdict\": \"revise\", \"findings\": [\"two\nlines\"]}", Revise),
        ("{\"verdict\": \"appr\\u006fve\"}", Approve),
        // Cut off by the limit of tokens.
        ("{\"verdict\": \"revise\", \"findings\": [{\"text\": \"no da", Revise),
    ] {
        assert_eq!(parse_verdict(text).verdict, kind, "{text}");
    }
}

#[test]
fn words_for_decisions_have_many_forms() {
    for (word, kind) in [
        ("APPROVED", Approve),
        ("accept", Approve),
        ("Pass", Approve),
        ("ok", Approve),
        ("needs_revision", Revise),
        ("Changes Requested", Revise),
        ("needs-work", Revise),
        ("not approved", Revise),
        ("rejected", Reject),
        ("fail", Reject),
        ("perhaps", Unstructured),
        ("", Unstructured),
        ("approve or revise", Unstructured),
    ] {
        assert_eq!(parse_verdict(&format!(r#"{{"verdict": "{word}"}}"#)).verdict, kind, "{word}");
    }
}

#[test]
fn scores_are_brought_into_range_or_dropped() {
    for (written, score) in [
        ("0.85", Some(0.85)),
        ("1", Some(1.0)),
        ("0", Some(0.0)),
        (r#""0.5""#, Some(0.5)),
        (r#""85%""#, Some(0.85)),
        (r#""85 %""#, Some(0.85)),
        (r#""8/10""#, Some(0.8)),
        ("8/10", Some(0.8)),
        ("85%", Some(0.85)),
        (r#""8 out of 10""#, Some(0.8)),
        ("85", None),
        ("-0.1", None),
        (r#""11/10""#, None),
        (r#""1/0""#, None),
        (r#""NaN""#, None),
        (r#""good""#, None),
        ("null", None),
        ("[1]", None),
        ("1e999", None),
    ] {
        let text = format!(r#"{{"verdict": "approve", "score": {written}}}"#);
        assert_eq!(parse_verdict(&text).score, score, "{written}");
    }
}

#[test]
fn lists_come_in_every_shape() {
    let verdict = parse_verdict(
        r#"{"verdict": "revise", "mustFix": "One thing.", "issues": [
            {"issue": "a", "priority": "HIGH"}, {"description": "b"}, {"message": "c"},
            {"severity": "minor", "area": "d"}, {"line": 5}, "", " none ", null, 7]}"#,
    );
    assert_eq!(texts(&verdict), ["a", "b", "c", "d"]);
    assert_eq!(verdict.findings[0].severity.as_deref(), Some("high"));
    assert_eq!(verdict.must_fix, ["One thing."]);

    let bare = parse_verdict(r#"{"verdict": "revise"}"#);
    assert_eq!((bare.verdict, bare.findings.len(), bare.must_fix.len()), (Revise, 0, 0));
}

#[test]
fn a_plain_line_counts() {
    for (text, kind) in [
        ("Verdict: revise", Revise),
        ("All good.\n\n**Verdict:** APPROVE\n", Approve),
        ("## Final verdict\n\n**Needs revision.** It has no date.", Revise),
        ("- Overall Verdict - unclear\nverdict: `reject`", Reject),
        ("Verdict: approve\nOn second thought.\nVerdict: revise", Revise),
        ("Verdict: not approved", Revise),
        ("Verdict: approve. I would reject a longer one.", Approve),
        ("Verdict: approve | revise | reject", Unstructured),
        ("Verdict: approve, revise or reject", Unstructured),
        ("Verdict: approve once revised? No: reject", Unstructured),
        ("Verdict: not sure", Unstructured),
        ("I approve of the verdict of the court", Unstructured),
        ("The work is good and I approve.", Unstructured),
        ("Verdict", Unstructured),
    ] {
        assert_eq!(parse_verdict(text).verdict, kind, "{text}");
    }
    let verdict = parse_verdict("It lacks a date.\nScore: **7/10**\nVerdict: revise");
    assert_eq!(verdict.score, Some(0.7));
    assert!(verdict.findings[0].text.contains("It lacks a date."));
    assert!(parse_verdict("Verdict: approve").findings.is_empty());
}

#[test]
fn what_is_no_verdict_is_kept_as_text() {
    let verdict = parse_verdict(&format!("  {}", "ä".repeat(900)));
    assert_eq!((verdict.verdict, verdict.score), (Unstructured, None));
    assert_eq!(texts(&verdict), ["ä".repeat(500)]);
    assert!(parse_verdict(" \n").findings.is_empty());
    assert_eq!(parse_verdict(r#"{"verdict": null}"#).verdict, Unstructured);
    assert_eq!(parse_verdict(r#"{"approved": true}"#).verdict, Unstructured);
}

#[test]
fn everything_is_bounded() {
    let many: Vec<String> = (0..500).map(|_| format!("\"{}\"", "ü".repeat(3_000))).collect();
    let list = format!("[{}]", many[..40].join(","));
    let verdict = parse_verdict(&format!(r#"{{"verdict":"revise","findings":{list}}}"#));
    assert!(verdict.findings.iter().all(|f| f.text.chars().count() == 2_000));
    let short = vec!["\"x\""; 500].join(",");
    let verdict =
        parse_verdict(&format!(r#"{{"verdict":"revise","findings":[{short}],"must_fix":[{short}]}}"#));
    assert_eq!((verdict.findings.len(), verdict.must_fix.len()), (50, 50));
}

#[test]
fn hostile_texts_end_soon() {
    let size = 300 << 10;
    for piece in [
        "{",
        "{\"a\":",
        "[",
        "{\"a\":[",
        "{'",
        "{\"",
        "{\"a\":{},",
        "verdict:\n",
        "\"",
        "}",
        "{\"verdict\":{",
        "{,",
    ] {
        let text = piece.repeat(size / piece.len());
        // Not timed: work in the square of the length would take hours.
        assert!(parse_verdict(&text).findings.len() <= 1, "{piece}");
    }
}

proptest! {
    #[test]
    fn it_never_panics(text in "(\\PC|[{}\\[\\]\"':,\\\\ \n]|verdict|score|approve|0\\.5|[0-9/%]){0,60}") {
        let verdict = parse_verdict(&text);
        prop_assert!(verdict.score.is_none_or(|s| (0.0..=1.0).contains(&s)));
        prop_assert!(verdict.findings.len() <= 50 && verdict.must_fix.len() <= 50);
    }

    #[test]
    fn scores_are_from_zero_to_one(score in proptest::num::f64::ANY, unit in "(|%|/10|/0|e9)") {
        let verdict = parse_verdict(&format!(r#"{{"verdict": "approve", "score": "{score}{unit}"}}"#));
        prop_assert!(verdict.score.is_none_or(|s| (0.0..=1.0).contains(&s)));
    }

    #[test]
    fn any_json_is_read_as_it_is(findings in proptest::collection::vec("[ -~äß\n\t]{1,40}", 0..5)) {
        let body = serde_json::json!({"verdict": "revise", "findings": findings});
        let said: Vec<String> = findings.iter().map(|f| f.trim().to_owned())
            .filter(|f| !f.is_empty() && !["none", "n/a", "-"].contains(&f.to_lowercase().as_str())).collect();
        let verdict = parse_verdict(&format!("So it isn't {{done}}:\n```json\n{body:#}\n```\n"));
        prop_assert_eq!(texts(&verdict), said);
    }
}
