//! The OpenAPI document and the pages that draw it.

use std::collections::BTreeSet;

use productforge::http::routes;
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::support::app::{Answer, TestApp};

pub async fn document() -> Value {
    TestApp::start().await.get("/openapi.json").await.ok()
}

pub fn operations(document: &Value) -> Vec<(String, String, &Map<String, Value>)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, item)| {
            item.as_object().unwrap().iter().map(move |(method, operation)| {
                (path.clone(), method.clone(), operation.as_object().unwrap())
            })
        })
        .collect()
}

/// What stands there, or what is referred to.
pub fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let reference = value.get("$ref").and_then(Value::as_str);
    reference.map_or(value, |to| document.pointer(to.strip_prefix('#').unwrap()).unwrap())
}

/// The examples of a kind of content.
pub fn examples(content: &Value) -> Vec<&Value> {
    let several = content.get("examples").and_then(Value::as_object).into_iter().flatten();
    let found: Vec<_> = several.map(|(_, example)| &example["value"]).chain(content.get("example")).collect();
    found
}

#[tokio::test]
async fn the_document_is_openapi_3_1_and_describes_itself() {
    let document = document().await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
    assert_eq!(document["info"]["title"], "ProductForge");
    assert!(!document["info"]["description"].as_str().unwrap().is_empty());
    assert!(!document["info"]["version"].as_str().unwrap().is_empty());
    assert_ne!(document["info"]["license"]["name"], "");
    assert_eq!(document["servers"], json!([{"url": "/"}]), "the address is the one it was fetched from");
    let scheme = &document["components"]["securitySchemes"]["api_key"];
    assert_eq!((scheme["type"].as_str(), scheme["in"].as_str()), (Some("apiKey"), Some("header")));
    assert_eq!(scheme["name"], "X-API-Key");
}

#[tokio::test]
async fn its_operations_are_those_of_the_route_table() {
    let document = document().await;
    let described: BTreeSet<_> =
        operations(&document).into_iter().map(|(path, method, _)| format!("{method} {path}")).collect();
    let routed: BTreeSet<_> = routes::API
        .iter()
        .flat_map(|entry| entry.methods.iter().map(|method| format!("{method} {}", entry.path)))
        .collect();
    assert_eq!(described, routed);
}

#[tokio::test]
async fn every_operation_has_words_an_example_and_all_its_errors() {
    let document = document().await;
    let mut ids = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let name = format!("{method} {path}");
        let text = |field: &str| operation.get(field).and_then(Value::as_str).unwrap_or_default();
        assert!(!text("summary").is_empty() && !text("description").is_empty(), "{name}");
        assert!(ids.insert(text("operationId").to_owned()), "{name}: its id is taken");
        assert_eq!(operation["tags"].as_array().unwrap().len(), 1, "{name}");
        let answers = operation["responses"].as_object().unwrap();
        let content = &answers[if answers.contains_key("201") { "201" } else { "200" }]["content"];
        let media =
            ["application/json", "text/plain", "text/markdown", "text/event-stream", "application/zip"];
        let (media, success) =
            media.iter().map(|media| (*media, &content[media])).find(|(_, found)| !found.is_null()).unwrap();
        // An archive is no text that could stand in a document.
        let is_shown = success.get("example").is_some() || media == "application/zip";
        assert!(is_shown && success.get("schema").is_some(), "{name}");
        for (status, answer) in answers {
            let answer = resolved(&document, answer);
            assert!(!answer["description"].as_str().unwrap().is_empty(), "{name} {status}");
            let id = resolved(&document, &answer["headers"]["X-Request-ID"]);
            assert!(!id["description"].as_str().unwrap().is_empty(), "{name} {status}");
            if status.as_str() >= "400" && name != "get /system/health" {
                let problem = &answer["content"]["application/problem+json"];
                assert_eq!(problem["schema"]["$ref"], "#/components/schemas/Problem", "{name} {status}");
                for example in examples(problem) {
                    assert_eq!(example["status"].to_string(), *status);
                }
            }
        }
        let public = matches!(path.as_str(), "/" | "/system/ping" | "/system/health");
        let security = operation["security"].as_array().unwrap();
        assert_eq!(security.is_empty(), public, "{name}: public is said, not left open");
        let has = |status: &str| answers.contains_key(status);
        let writes = method != "get";
        assert_eq!(has("401"), !public, "{name}");
        assert_eq!(has("403"), !(public && path.starts_with("/system/")), "{name}");
        assert_eq!(has("404"), path.contains('{'), "{name}");
        assert_eq!(has("429"), has("403"), "{name}: probes are never refused");
        let has_body = operation.contains_key("requestBody");
        assert_eq!(has("413"), has_body, "{name}");
        assert_eq!((has("409"), has("507")), (writes, writes), "{name}");
        assert!(has("422") || !has_body, "{name}");
        assert!(has("500"), "{name}");
        // A named key is looked up in the store; health says of itself how that is.
        assert_eq!(has("503"), !public || path == "/system/health", "{name}");
        for parameter in operation.get("parameters").and_then(Value::as_array).into_iter().flatten() {
            assert!(!parameter["description"].as_str().unwrap_or_default().is_empty(), "{name}");
        }
        if has_body {
            let body = &operation["requestBody"];
            let may_be_empty = [
                "/drain",
                "/approve",
                "/reject",
                "/cancel",
                "/retry",
                "/pause",
                "/resume",
                "/reset",
                "/pin",
                "/unpin",
                "/generate",
            ]
            .iter()
            .any(|e| path.ends_with(e));
            assert_eq!(body["required"], !may_be_empty, "{name}");
            let content = body["content"].as_object().unwrap().values().next().unwrap();
            let schema = content["schema"]["$ref"].as_str().unwrap();
            let schema = &document.pointer(schema.strip_prefix('#').unwrap()).unwrap();
            assert!(schema.get("example").is_some(), "{name}: no example of a body");
        }
    }
}

#[tokio::test]
async fn plain_types_are_no_schemas_of_their_own() {
    let document = document().await;
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for plain in ["String", "Value", "Vec", "Object"] {
        assert!(!schemas.contains_key(plain), "{plain}");
    }
}

#[tokio::test]
async fn every_reference_leads_somewhere() {
    let document = document().await;
    let mut open = vec![&document];
    let mut seen = 0;
    while let Some(value) = open.pop() {
        match value {
            Value::Object(fields) => {
                if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
                    let target = reference.strip_prefix('#').and_then(|p| document.pointer(p));
                    assert!(target.is_some(), "{reference}");
                    seen += 1;
                }
                open.extend(fields.values());
            }
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
    assert!(seen > 20, "{seen}");
}

#[tokio::test]
async fn swagger_ui_loads_everything_from_here() {
    let app = TestApp::builder().locked().start().await;
    for path in ["/docs", "/docs/"] {
        let page = Answer::of(app.request(Method::GET, path).send().await.unwrap()).await;
        assert_eq!(page.status, 200);
        assert!(page.header("content-type").starts_with("text/html"));
        assert!(page.header("content-security-policy").contains("script-src 'self'"));
        assert!(!page.text.contains("://"), "nothing is loaded from elsewhere");
        assert!(!page.text.contains("<script>"), "no script stands in the page");
        let links = page.text.split(['"']).filter(|part| part.starts_with("/docs/"));
        let mut files = 0;
        for link in links {
            // A browser sends no key when it loads a script.
            let file = app.bare(Method::GET, link).send().await.unwrap();
            assert_eq!(file.status(), 200, "{link}");
            files += 1;
        }
        assert!(files >= 4, "{files}");
    }
    let start = app.get("/docs/swagger-initializer.js").await;
    assert!(start.text.contains("/openapi.json"), "{}", start.text);
    app.get("/docs/nothing.js").await.problem(404);
}
