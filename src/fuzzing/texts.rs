//! Verdicts, expressions for the calculator, configuration files.

use futures_util::FutureExt;
use serde_json::json;

use crate::{
    config::{Config, Flags},
    engine::verdict::parse_verdict,
    model::VerdictKind,
    tools::{Calculator, Tool, ToolError},
};

/// A verdict has bounds whatever the words are, is never an approval that nobody gave, and is read again as it was
/// written.
pub fn verdict(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let verdict = parse_verdict(&text);
    assert!(verdict.findings.len() <= 50 && verdict.must_fix.len() <= 50);
    for finding in &verdict.findings {
        assert!(!finding.text.trim().is_empty() && finding.text.chars().count() <= 2_000);
    }
    assert!(verdict.must_fix.iter().all(|text| !text.trim().is_empty() && text.chars().count() <= 2_000));
    assert!(verdict.score.is_none_or(|score| (0.0..=1.0).contains(&score)));
    // An escape may stand for any letter.
    if verdict.verdict == VerdictKind::Approve && !text.contains('\\') {
        let words = text.to_lowercase();
        let approving = ["approv", "accept", "pass", "ok", "lgtm"];
        assert!(approving.iter().any(|word| words.contains(word)), "an approval that nobody gave");
    }
    if verdict.verdict == VerdictKind::Unstructured {
        assert!(verdict.must_fix.is_empty() && verdict.score.is_none() && verdict.findings.len() <= 1);
        return;
    }
    let written = json!(verdict).to_string();
    let again = parse_verdict(&written);
    assert_eq!((again.verdict, again.score), (verdict.verdict, verdict.score), "{written}");
    assert_eq!(again.findings.len(), verdict.findings.len(), "{written}");
    assert_eq!(again.must_fix.len(), verdict.must_fix.len(), "{written}");
}

/// A result is a number that can be calculated with again; what the grammar lets pass the crate that calculates
/// takes.
pub fn calculator(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let calculator = Calculator::new();
    let calculate = |expression: &str| {
        let arguments = json!({"expression": expression});
        calculator.run(&arguments).now_or_never().expect("it waits for nothing")
    };
    match calculate(&text) {
        Ok(result) => {
            let number: f64 = result.parse().unwrap_or_else(|_| panic!("{result:?} is no number"));
            assert!(number.is_finite() && result.len() <= 40, "{result}");
            let again = calculate(&result).ok().and_then(|again| again.parse::<f64>().ok());
            assert_eq!(again, Some(number), "{result} is not what it says");
        }
        Err(ToolError::BadArguments(why)) => {
            assert!(why.starts_with("the expression ") && why.chars().count() <= 500, "{why:?}");
        }
        Err(error) => {
            let why = error.to_string();
            assert!(
                why.contains("there is no such number"),
                "the grammar let pass what cannot be calculated: {why}"
            );
        }
    }
}

/// Every problem names its line, which the file has, and is one line itself.
pub fn config(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    // Settings that name files are not played with: the files of this machine are not what is tested.
    if text.contains("_file") || text.contains("\\u") || text.contains("\\x") {
        return;
    }
    let read = Config::from_file_text(&Flags::new(), |_| None, "f.toml", &text);
    let lines = text.bytes().filter(|b| *b == b'\n').count() + 1;
    match read {
        Ok(config) => {
            let mut names: Vec<&str> = config.settings.iter().map(|setting| &*setting.name).collect();
            names.sort_unstable();
            assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "a setting is there twice");
            assert!(
                config.worker.lease.as_secs_f64() >= 1.0
                    && config.http.cors_origins.len() <= lines * 200 + 200
            );
        }
        Err(error) => {
            assert!(!error.problems.is_empty(), "it is wrong without a problem");
            for problem in &error.problems {
                let place = problem.strip_prefix("f.toml:").and_then(|rest| rest.split(':').next());
                let line = place.and_then(|line| line.parse::<usize>().ok());
                assert!(
                    line.is_some_and(|line| (1..=lines).contains(&line)),
                    "no line of the file: {problem:?}"
                );
                assert!(!problem.contains('\n'), "more than one line: {problem:?}");
            }
        }
    }
}
