//! What an earlier version reads is still written: every field that all of its documents of a kind have is in all
//! documents of that kind that are written now, with a type that it knows from there. New fields do no harm.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use productforge::{
    clock::SystemClock,
    store::{
        Item,
        sqlite::{Location, SqliteStore},
    },
};
use serde_json::{Value, json};

use super::fixture;
use crate::{
    store::dumps::dump,
    support::{
        process::{Server, folder},
        wait::until,
    },
    surface::uploads::{BOUNDARY, form, shop},
};

/// The types of JSON that stand at a place.
type Types = BTreeSet<&'static str>;
/// Of one kind of documents: for each place, its types; and how many documents have it.
type Shape = BTreeMap<String, (Types, usize)>;

/// Names of these are data: an object that has them is a table and no structure.
const TABLES: [&str; 2] = ["metadata", "entries"];

#[derive(Default)]
struct Kind {
    documents: usize,
    shape: Shape,
}

fn look(value: &Value, place: &str, found: &mut BTreeMap<String, Types>) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    };
    found.entry(place.to_owned()).or_default().insert(kind);
    match value {
        Value::Object(fields) if !TABLES.iter().any(|table| place.ends_with(table)) => {
            fields.iter().for_each(|(name, value)| look(value, &format!("{place}.{name}"), found));
        }
        // Every element for itself: what all of them have is what a reader counts on.
        Value::Array(elements) => {
            for (n, element) in elements.iter().enumerate() {
                let mut here = BTreeMap::new();
                look(element, &format!("{place}[]"), &mut here);
                match n {
                    0 => found.extend(here),
                    _ => {
                        found.retain(|at, _| !at.starts_with(&format!("{place}[]")) || here.contains_key(at));
                        for (at, types) in here {
                            if let Some(known) = found.get_mut(&at) {
                                known.extend(types);
                            }
                        }
                    }
                }
            }
        }
        _ => {}
    }
}

/// The shapes of all JSON documents of a file, by kind.
async fn shapes(file: &std::path::Path) -> BTreeMap<&'static str, Kind> {
    let store = SqliteStore::open(Location::File(file.to_owned()), Arc::new(SystemClock)).unwrap();
    let mut kinds: BTreeMap<&'static str, Kind> = BTreeMap::new();
    for item in dump(&store, 100).await {
        let Item::Document(put) = item else { continue };
        let Ok(body) = serde_json::from_slice::<Value>(&put.body) else { continue };
        let mut found = BTreeMap::new();
        look(&body, "", &mut found);
        let kind = kinds.entry(put.key.kind.0).or_default();
        kind.documents += 1;
        for (place, types) in found {
            let known = kind.shape.entry(place).or_default();
            known.0.extend(types);
            known.1 += 1;
        }
    }
    kinds
}

/// The same kinds of things as in the fixture, by this version.
async fn work(server: &Server) {
    let agent = json!({"name": "critic_bot", "role": "Critic", "goal": "Find", "backstory": "Has seen much"});
    assert_eq!(server.post("/agents/", agent).await.0, 200);
    for n in 0..2 {
        let id = server.orchestrate(&format!("Write note {n}")).await;
        until("it ends", || server.ended(&id)).await;
    }
    let (_, task) = server.post("/results/task", json!({"job": "Name five risks"})).await;
    let task = task["job_id"].as_str().unwrap();
    let path = format!("/results/{task}");
    until("it ends", || async { (server.get(&path).await.0 == 200).then_some(()) }).await;
    let sent = crate::support::app::client()
        .post(format!("{}/upload/", server.url))
        .header("content-type", format!("multipart/form-data; boundary={BOUNDARY}"))
        .body(form(&[("file", Some("shop.zip"), &shop())]));
    let upload: Value = sent.send().await.unwrap().json().await.unwrap();
    let path = format!("/upload/{}", upload["upload_id"].as_str().unwrap());
    until("it is analysed", || async { (server.get(&path).await.1["status"] == "analysed").then_some(()) })
        .await;
    assert_eq!(server.post("/reports/generate", json!({})).await.0, 200);
    let waits = json!({"job": "Publish the note", "requires_qa": true, "approval": true});
    let (_, waits) = server.post("/orchestrate", waits).await;
    let path = format!("/workflows/{}", waits["workflow_id"].as_str().unwrap());
    until("it waits", || async {
        (server.get(&path).await.1["workflow"]["status"] == "paused").then_some(())
    })
    .await;
    assert_eq!(server.post("/results/task", json!({"job": "Later", "delay_seconds": 86_400})).await.0, 200);
}

#[tokio::test]
async fn whatever_an_earlier_version_reads_is_still_written() {
    let (then, now) = (folder(), folder());
    let file = then.path().join("productforge.db");
    fixture::sqlite(&file);
    let server = Server::start(now.path(), &[], &[("SIMULATED_LATENCY_MS", "0")]).await;
    work(&server).await;
    drop(server);
    let (then, now) = (shapes(&file).await, shapes(&now.path().join("workspace/productforge.db")).await);
    let mut missing = Vec::new();
    let mut seen = 0;
    for (name, then) in &then {
        // What lives for as long as an attempt may not be there at the end.
        if ["partial", "reservation", "worker"].contains(name) {
            continue;
        }
        let Some(now) = now.get(name) else {
            missing.push(format!("no document of the kind {name} is written any more"));
            continue;
        };
        for (place, (types, _)) in then.shape.iter().filter(|(_, (_, count))| *count == then.documents) {
            seen += 1;
            // Of what was never there it does not show what is read.
            let was_there = types.iter().any(|kind| *kind != "null");
            match now.shape.get(place) {
                Some((_, count)) if *count < now.documents => {
                    missing.push(format!("{name}{place} is not in all documents any more"));
                }
                Some((found, _)) if was_there && !found.is_subset(types) => {
                    missing.push(format!("{name}{place} was {types:?} and is {found:?}"));
                }
                Some(_) => {}
                None => missing.push(format!("{name}{place} is not written any more")),
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(seen > 100, "{seen}");
}
