//! Tests of findings.

use super::*;
use crate::analysis::MemoryFiles;

fn files() -> MemoryFiles {
    MemoryFiles::new([("p-1/src/a.rs", "1\n2\n3\n")])
}

fn finding(severity: &str, file: &str, line: Value) -> Value {
    json!({"severity": severity, "file": file, "line": line, "title": "T", "reason": "R", "suggestion": null})
}

fn one(value: &Value) -> Result<Finding, String> {
    let mut all = parse(&json!({ "findings": [value] }).to_string(), &files()).unwrap();
    all.findings.pop().ok_or_else(|| all.rejected.remove(0).reason)
}

#[test]
fn the_answer_may_be_anywhere() {
    let item = finding("high", "src/a.rs", json!(2));
    for answer in [
        json!({ "findings": [item] }).to_string(),
        json!([item]).to_string(),
        item.to_string(),
        format!("Here [they] are {{x}}:\n```json\n{}\n```\nDone [1].", json!({ "findings": [item] })),
        format!("{{\"thought\": 1}} [] {}", json!({ "issues": [item], "more": 1 })),
    ] {
        let all = parse(&answer, &files()).unwrap();
        assert_eq!((all.findings.len(), all.rejected.len()), (1, 0), "{answer}");
        assert_eq!((all.findings[0].file.as_str(), all.findings[0].line), ("p-1/src/a.rs", 2));
        assert_eq!(all.findings[0].suggestion, None);
    }
}

#[test]
fn nothing_found_is_an_answer_and_nothing_said_is_none() {
    assert_eq!(parse("ok: {\"findings\": []}", &files()), Ok(Findings::default()));
    assert_eq!(parse("[]", &files()), Ok(Findings::default()));
    for answer in ["", "All is well.", "{", "[1, 2]", "{\"a\": 1}", "\"findings\""] {
        assert_eq!(parse(answer, &files()), Err(AnswerError::NoFindings), "{answer}");
    }
    assert_eq!(parse(&" ".repeat(ANSWER_BYTES + 1), &files()), Err(AnswerError::TooLong));
}

#[test]
fn places_that_do_not_exist_are_rejected() {
    for (file, line, reason) in [
        ("src/a.rs", json!(4), "p-1/src/a.rs has 3 lines and no line 4"),
        ("src/a.rs", json!(0), "p-1/src/a.rs has 3 lines and no line 0"),
        ("src/b.rs", json!(1), "there is no file src/b.rs; the nearest is p-1/src/a.rs"),
        ("src/a.rs", json!(null), "it names no line: it has to look like path:line"),
        ("src/a.rs", json!(-1), "it names no line: it has to look like path:line"),
        ("src/a.rs", json!(1.5), "it names no line: it has to look like path:line"),
        ("", json!(1), "file is missing or no text"),
    ] {
        assert_eq!(one(&finding("low", file, line)).unwrap_err(), reason);
    }
}

#[test]
fn lines_may_be_texts_and_severities_have_other_names() {
    for (severity, file, line) in [
        ("HIGH", "src/a.rs", json!("2")),
        ("error", "src/a.rs", json!("2-3")),
        ("major", "src/a.rs:2", json!(null)),
        ("high", "`p-1/src/a.rs`", json!("L2")),
    ] {
        let finding = one(&finding(severity, file, line)).unwrap();
        assert_eq!((finding.severity, finding.line), (Severity::High, 2));
    }
    assert!(one(&finding("terrible", "src/a.rs", json!(1))).unwrap_err().contains("no severity"));
}

#[test]
fn findings_are_bounded_and_ordered() {
    let mut list: Vec<Value> = vec![finding("low", "src/a.rs", json!(1)); 600];
    list[599] = json!(7);
    list[3] = finding("critical", "src/a.rs", json!(1));
    list[4]["title"] = json!("t".repeat(10_000));
    let all = parse(&json!({ "findings": list }).to_string(), &files()).unwrap();
    assert_eq!((all.findings.len(), all.rejected.len()), (500, 100));
    assert_eq!(all.findings[0].severity, Severity::Critical);
    assert!(all.findings.iter().all(|finding| finding.title.len() < 300));
}

#[test]
fn hostile_answers_end() {
    for answer in
        ["[".repeat(1 << 20), "[\"".repeat(1 << 20), "{\"a\":".repeat(1 << 19), "[1,".repeat(1 << 20)]
    {
        assert_eq!(parse(&answer, &files()), Err(AnswerError::NoFindings));
    }
}

#[test]
fn the_schema_names_every_field() {
    let schema = schema();
    let item = &schema["properties"]["findings"]["items"];
    let properties: Vec<&String> = item["properties"].as_object().unwrap().keys().collect();
    let known = serde_json::to_value(one(&finding("low", "src/a.rs", json!(1))).unwrap()).unwrap();
    assert_eq!(properties, known.as_object().unwrap().keys().collect::<Vec<_>>());
    assert_eq!(item["required"].as_array().unwrap().len(), properties.len());
}

#[test]
fn an_answer_that_was_cut_off_keeps_its_whole_findings() {
    let one = r#"{"severity":"low","file":"a.py","line":1,"title":"t","reason":"r","suggestion":null}"#;
    let answer = format!("{{\"findings\":[{one},{one},{{\"severity\":\"high\",\"file\":\"a.py\",\"li");
    let files = MemoryFiles::new([("a.py", "x = 1\n")]);
    assert_eq!(parse(&answer, &files).unwrap().findings.len(), 2);
}
