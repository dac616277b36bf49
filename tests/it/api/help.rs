//! The help says what the code says: every error is explained, and nothing that cannot come.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use regex::Regex;

use crate::support::app::TestApp;

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The sources below a folder, without the unit tests in them.
fn sources(folder: &str) -> String {
    fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, into);
            } else {
                into.push(path);
            }
        }
    }
    let mut files = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut files);
    let text = |path: &PathBuf| std::fs::read_to_string(path).unwrap();
    let code =
        files.iter().map(|path| text(path).split("#[cfg(test)]").next().unwrap_or_default().to_owned());
    code.collect::<Vec<_>>().join("\n")
}

fn all(pattern: &str, text: &str) -> BTreeSet<String> {
    let pattern = Regex::new(pattern).unwrap();
    pattern.captures_iter(text).map(|found| found[1].to_owned()).collect()
}

/// The words in the first column of the table under a line that begins so.
fn first_column(page: &str, head: &str) -> BTreeSet<String> {
    let table = page.split_once(head).unwrap_or_else(|| panic!("no table {head}")).1;
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.flat_map(|row| all("`([a-z_-]+)`", row.split('|').nth(1).unwrap())).collect()
}

#[test]
fn every_type_of_problem_is_explained() {
    let code = sources("src/http");
    let mut kinds = all(r#"(?s)new\(\s*(?:StatusCode::[A-Z_]+|status),\s*"([a-z-]+)""#, &code);
    kinds.retain(|kind| !kind.is_empty());
    assert!(kinds.len() > 10, "{kinds:?}");
    assert_eq!(first_column(&read("assets/help/errors.md"), "| `type`, after"), kinds);
}

#[test]
fn every_type_of_a_bad_field_is_explained() {
    let code = [sources("src/http"), sources("src/service")].concat();
    let mut kinds = all(r#"(?:FieldError::new|bound)\(\s*"([a-z_]+)","#, &sources("src/http"));
    kinds.extend(all(r#"complain\("([a-z_]+)","#, &read("src/http/fields.rs")));
    kinds.extend(all(r#"complain\("[a-z_]+", "([a-z_]+)""#, &read("src/http/api/jobs/bulk.rs")));
    kinds.extend(all(r#"FieldProblem::body\(\s*[^,()]+(?:\([^()]*\))?,\s*"([a-z_]+)""#, &code));
    kinds.extend(all(r#"kind: "([a-z]+_[a-z_]+)""#, &sources("src/service")));
    assert!(kinds.len() > 20, "{kinds:?}");
    assert_eq!(first_column(&read("assets/help/errors.md"), "| `type` of a field"), kinds);
}

#[test]
fn every_reason_of_a_refused_upload_is_named() {
    let page = read("assets/help/api.md");
    let reasons = all(r#"=> "([a-z_]+)""#, &read("src/archive/refusal.rs"));
    assert!(reasons.len() > 20, "{reasons:?}");
    for reason in reasons {
        assert!(page.contains(&format!("`{reason}`")), "{reason}");
    }
}

#[test]
fn every_class_of_a_failure_and_every_reason_of_a_dead_job_is_explained() {
    use productforge::model::{DeadReason, FailureClass};
    let page = read("assets/help/errors.md");
    let word = |value: serde_json::Value| value.as_str().unwrap().to_owned();
    let classes: BTreeSet<_> =
        FailureClass::ALL.iter().map(|class| word(serde_json::to_value(class).unwrap())).collect();
    assert_eq!(first_column(&page, "| Word | First wait"), classes);
    let reasons = [DeadReason::Exhausted, DeadReason::Permanent, DeadReason::Poison, DeadReason::Unreadable];
    let reasons = reasons.iter().map(|reason| word(serde_json::to_value(reason).unwrap())).collect();
    assert_eq!(first_column(&page, "| Word | What it means"), reasons);
}

#[tokio::test]
async fn every_place_of_the_help_that_a_page_names_is_there() {
    let app = TestApp::builder().start().await;
    let named = Regex::new("/help/([a-z-]+)#([a-z0-9-]+)\"").unwrap();
    let text = sources("assets/templates");
    let mut places: Vec<_> = named.captures_iter(&text).map(|c| (c[1].to_owned(), c[2].to_owned())).collect();
    places.sort();
    places.dedup();
    assert!(places.len() > 3, "{places:?}");
    for (page, id) in places {
        let html = app.get(&format!("/help/{page}")).await.text;
        assert!(html.contains(&format!(" id=\"{id}\"")), "/help/{page}#{id}");
    }
}

#[tokio::test]
async fn every_field_of_a_brief_is_explained() {
    let app = TestApp::builder().start().await;
    let document = app.get("/openapi.json").await.ok();
    let fields = document["components"]["schemas"]["NewWorkflow"]["properties"].as_object().unwrap();
    let fields: BTreeSet<String> = fields.keys().cloned().collect();
    assert!(fields.len() > 10, "{fields:?}");
    assert_eq!(first_column(&read("assets/help/api.md"), "| Field of `/orchestrate`"), fields);
}

#[tokio::test]
async fn the_search_needs_no_key_and_shows_what_was_asked_as_text() {
    let app = TestApp::builder().locked().start().await;
    let ask = async |path: &str| {
        let answer = app.bare(reqwest::Method::GET, path).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.text().await.unwrap()
    };
    let page = ask("/help?q=a+job+is+stuck").await;
    assert!(page.contains("href=\"/help/operations#a-job-is-stuck\""), "{page}");
    assert!(page.contains("<mark>job</mark>"), "{page}");
    let hostile = ask("/help?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E%E2%80%AE").await;
    assert!(!hostile.contains("<script>alert") && hostile.contains("&lt;script&gt;"), "{hostile}");
    assert!(ask("/help?q=zzzzz").await.contains("Nothing in the help has these words"));
    let long = ask(&format!("/help?q={}", "x".repeat(5000))).await;
    assert!(!long.contains(&"x".repeat(101)), "what is read of a query is bounded");
    assert!(ask("/help?q=%ff%00").await.contains("<h1"));
    assert!(ask("/help?q=+").await.contains("Quick start"));
}
