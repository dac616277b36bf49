//! The examples of the OpenAPI document: they fit their schemas, and the running server answers to
//! them as the document says.

use std::collections::BTreeMap;

use jsonschema::Validator;
use reqwest::{Method, RequestBuilder};
use serde_json::{Map, Value, json};

use super::openapi::{document, examples, operations, resolved};
use crate::{
    support::app::{Answer, TestApp},
    surface::uploads::{BOUNDARY, form, shop},
};

/// Schemas of the document, each compiled once.
struct Schemas<'a> {
    document: &'a Value,
    compiled: BTreeMap<String, Validator>,
    misfits: Vec<String>,
}

impl<'a> Schemas<'a> {
    fn of(document: &'a Value) -> Self {
        Self { document, compiled: BTreeMap::new(), misfits: Vec::new() }
    }

    /// Notes what of a value does not fit.
    fn check(&mut self, schema: &Value, value: &Value, what: &str) {
        let validator = self.compiled.entry(schema.to_string()).or_insert_with(|| {
            let mut whole = schema.clone();
            whole["components"] = self.document["components"].clone();
            jsonschema::draft202012::new(&whole).unwrap()
        });
        for error in validator.iter_errors(value) {
            let words: String = error.to_string().chars().take(300).collect();
            self.misfits.push(format!("{what}: {}: {words}", error.instance_path()));
        }
    }
}

#[tokio::test]
async fn every_example_of_an_answer_fits_its_schema() {
    let document = document().await;
    let mut schemas = Schemas::of(&document);
    let mut seen = 0;
    for (path, method, operation) in operations(&document) {
        for (status, answer) in operation["responses"].as_object().unwrap() {
            let contents = resolved(&document, answer)["content"].as_object().unwrap();
            for (media, content) in contents {
                let what = format!("{method} {path} {status} {media}");
                // A red health looks like a green one.
                if what.starts_with("get /system/health 503") {
                    continue;
                }
                for example in examples(content) {
                    schemas.check(&content["schema"], example, &what);
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 200, "{seen}");
}

#[tokio::test]
async fn every_example_of_a_schema_fits_it() {
    let document = document().await;
    let mut schemas = Schemas::of(&document);
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let of_fields = schema["properties"].as_object().into_iter().flatten();
        for (place, schema) in of_fields.map(|(field, schema)| (field.as_str(), schema)).chain([("", schema)])
        {
            if let Some(example) = schema.get("example") {
                schemas.check(schema, example, &format!("{name} {place}"));
            }
        }
    }
}

impl Drop for Schemas<'_> {
    /// All of them at once: they seldom come alone.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(self.misfits.is_empty(), "{:#?}", self.misfits);
        }
    }
}

/// Things that exist, by the names that paths have for them.
pub struct Things(Vec<(&'static str, String)>);

impl Things {
    pub async fn make(app: &TestApp) -> Self {
        // Two side by side: a step then depends on two.
        let team = ["general_assistant", "analyzer_bot"];
        let order =
            json!({"job": "Design a REST API for a library", "requires_qa": true, "specialists": team});
        let workflow = app.post("/orchestrate", &order).await.ok();
        let task = app.post("/results/task", &json!({"job": "Name five risks"})).await.ok();
        let kind = format!("multipart/form-data; boundary={BOUNDARY}");
        let body = form(&[("file", Some("shop.zip"), &shop())]);
        let upload = app.post_text("/upload/", &kind, body).await.ok();
        let report = app.post("/reports/generate", &json!({})).await.ok();
        app.get_once_there(&format!("/results/{}", task["job_id"].as_str().unwrap())).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        app.post("/keys", &json!({"name": "example", "scope": "read"})).await;
        Self(vec![
            ("{key_id}", "example".to_owned()),
            ("/agents/{name}", "/agents/qa_bot".to_owned()),
            ("/results/agent/{name}", "/results/agent/general_assistant".to_owned()),
            ("/queues/{name}", "/queues/low".to_owned()),
            ("/providers/{name}", "/providers/simulated".to_owned()),
            ("{workflow_id}", text(&workflow["workflow_id"])),
            ("{job_id}", text(&task["job_id"])),
            ("{upload_id}", text(&upload["upload_id"])),
            ("{filename}", report["filename"].as_str().unwrap_or("none.md").to_owned()),
            ("{format}", "json".to_owned()),
        ])
    }

    /// What stands for this part of a path.
    pub fn id(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| *known == name).map_or("", |(_, id)| id)
    }

    /// A path that leads to one of them.
    fn fill(&self, path: &str) -> String {
        self.0.iter().fold(path.to_owned(), |path, (name, thing)| path.replace(name, thing))
    }
}

/// The document has this status for it, and what it looks like is true.
fn assert_documented(schemas: &mut Schemas, operation: &Map<String, Value>, answer: &Answer, what: &str) {
    let described = &operation["responses"][answer.status.to_string().as_str()];
    assert!(!described.is_null(), "{what}: {} is not documented: {}", answer.status, answer.text);
    let described = resolved(schemas.document, described);
    let media = answer.header("content-type").split(';').next().unwrap();
    let content = &described["content"][media];
    assert!(!content.is_null(), "{what}: {media} is not documented");
    if media.ends_with("json") && !answer.text.is_empty() {
        schemas.check(&content["schema"], &answer.json(), what);
    }
}

/// A request with the example of its body, if it has one.
fn as_in_the_example(
    document: &Value,
    operation: &Map<String, Value>,
    request: RequestBuilder,
) -> RequestBuilder {
    let body = operation.get("requestBody").map(|body| &body["content"]);
    match body {
        None => request,
        Some(body) if body.get("multipart/form-data").is_some() => {
            let kind = format!("multipart/form-data; boundary={BOUNDARY}");
            request.header("content-type", kind).body(form(&[("file", Some("shop.zip"), &shop())]))
        }
        Some(body) => {
            let schema = resolved(document, &body["application/json"]["schema"]);
            request.json(&schema["example"])
        }
    }
}

/// Deletions last: what the others ask for is still there.
fn in_order(document: &Value) -> Vec<(String, String, &Map<String, Value>)> {
    let mut all = operations(document);
    all.sort_by_key(|(_, method, _)| method == "delete");
    all
}

#[tokio::test]
async fn every_operation_answers_to_its_example_as_documented() {
    let app = TestApp::builder().locked().worker().start().await;
    let document = document().await;
    let mut schemas = Schemas::of(&document);
    let things = Things::make(&app).await;
    for (path, method, operation) in in_order(&document) {
        let what = format!("{method} {path}");
        let verb = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
        let request = app.request(verb, &things.fill(&path));
        let answer = as_in_the_example(&document, operation, request).send().await.unwrap();
        let answer = Answer::of(answer).await;
        assert_documented(&mut schemas, operation, &answer, &what);
        // 404: nothing of it (a call that runs, a provider, …) is there. 409: its state does not allow it.
        assert!(matches!(answer.status, 200 | 201 | 404 | 409), "{what}: {} {}", answer.status, answer.text);
        // A store in memory has no file to be copied.
        let has_id = path.contains('{') || path == "/system/backup";
        assert!(matches!(answer.status, 200 | 201) || has_id, "{what}: {} {}", answer.status, answer.text);
    }
}

#[tokio::test]
async fn every_operation_refuses_nonsense_as_documented() {
    let app = TestApp::builder().locked().worker().start().await;
    let document = document().await;
    let mut schemas = Schemas::of(&document);
    for (path, method, operation) in in_order(&document) {
        let verb = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
        let plain = path.split(['{', '}']).enumerate();
        let unknown: String = plain.map(|(n, part)| if n % 2 == 1 { "nothing" } else { part }).collect();
        let odd: String = path
            .split(['{', '}'])
            .enumerate()
            .map(|(n, part)| if n % 2 == 1 { "%ff%00" } else { part })
            .collect();
        let queried =
            format!("{unknown}?limit=-1&cursor=%ff&since=x&until=x&status=x&state=x&format=x&result=x&q=%00");
        for (what, request) in [
            ("unknown", app.request(verb.clone(), &unknown)),
            ("odd", app.request(verb.clone(), &odd)),
            ("odd query", app.request(verb.clone(), &queried)),
            (
                "no JSON",
                app.request(verb.clone(), &unknown).header("content-type", "application/json").body("{"),
            ),
            ("a list", app.request(verb.clone(), &unknown).json(&json!([1, 2]))),
            ("no key", app.bare(verb.clone(), &unknown)),
        ] {
            let answer = Answer::of(request.send().await.unwrap()).await;
            let what = format!("{method} {path}, {what}");
            assert_documented(&mut schemas, operation, &answer, &what);
            assert!(answer.status < 500, "{what}: {}", answer.text);
        }
    }
}
