//! Events as a stream: from the beginning, from an id, over a cut and after the end.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use productforge::{
    llm::{ModelProvider, simulated::SimulatedProvider},
    store::Change,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    app::{KEY, TestApp},
    engines::Engine,
    scripted::chain,
    wait::until,
};

on_both_engines!(
    a_workflow_is_watched_from_its_beginning_to_its_end,
    who_comes_again_misses_nothing_and_gets_nothing_twice,
    who_comes_after_the_end_gets_the_end,
    what_a_running_step_says_comes_beside_the_events,
    all_workflows_are_watched_from_now_on,
    a_retried_workflow_is_watched_anew,
    wrong_ids_and_unknown_workflows_are_refused,
    a_deleted_workflow_ends_its_streams,
    a_stopping_server_ends_its_streams,
    a_long_history_comes_whole,
    a_viewer_with_an_id_from_nowhere_takes_nothing_from_others,
    who_was_away_for_too_long_is_told_so,
    orders_to_workers_are_told_to_nobody,
    a_stream_ends_with_the_session_that_it_was_opened_in,
);

/// One frame of a stream.
#[derive(Debug, Clone, PartialEq)]
struct Frame {
    id: Option<u64>,
    event: String,
    data: Value,
}

/// A stream as a client reads it.
struct Stream {
    body: std::pin::Pin<Box<dyn futures_util::Stream<Item = reqwest::Result<bytes::Bytes>> + Send>>,
    text: String,
    retry: bool,
}

impl Stream {
    async fn open(app: &TestApp, path: &str, last: Option<u64>) -> Self {
        let mut request = app.request(Method::GET, path);
        if let Some(last) = last {
            request = request.header("last-event-id", last.to_string());
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        assert_eq!(answer.headers()["cache-control"], "no-store");
        Self { body: Box::pin(answer.bytes_stream()), text: String::new(), retry: false }
    }

    /// The next frame; `None` at the end of the stream.
    async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some((frame, rest)) = self.text.split_once("\n\n") {
                let (frame, rest) = (frame.to_owned(), rest.to_owned());
                self.text = rest;
                if frame.starts_with("retry: ") {
                    self.retry = true;
                } else if !frame.starts_with(':') {
                    return Some(read(&frame));
                }
                continue;
            }
            let piece = tokio::time::timeout(Duration::from_secs(60), self.body.next()).await;
            let piece = piece.expect("the stream says nothing")?.ok()?;
            self.text.push_str(std::str::from_utf8(&piece).unwrap());
        }
    }

    /// All frames to the end of the stream.
    async fn rest(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.next().await {
            frames.push(frame);
        }
        frames
    }
}

fn read(frame: &str) -> Frame {
    let field = |name: &str| frame.lines().find_map(|line| line.strip_prefix(name));
    Frame {
        id: field("id: ").map(|id| id.parse().unwrap()),
        event: field("event: ").unwrap_or("message").to_owned(),
        data: serde_json::from_str(field("data: ").unwrap()).unwrap(),
    }
}

fn events(frames: &[Frame]) -> Vec<(u64, String)> {
    let event = |f: &Frame| Some((f.id?, f.data["kind"].as_str()?.to_owned()));
    frames.iter().filter_map(event).collect()
}

async fn start(app: &TestApp, body: Value) -> String {
    app.post("/orchestrate", &body).await.ok()["workflow_id"].as_str().unwrap().to_owned()
}

fn path(id: &str) -> String {
    format!("/workflows/{id}/events")
}

async fn a_workflow_is_watched_from_its_beginning_to_its_end(engine: Engine) {
    let app = engine.app().provider(chain(|_| "approve")).start().await;
    let id = start(&app, json!({"job": "Plan", "requires_qa": true})).await;
    let mut stream = Stream::open(&app, &path(&id), None).await;
    let first = stream.next().await.unwrap();
    assert!(stream.retry, "the stream begins with a hint when to come again");
    assert_eq!((first.event.as_str(), &first.data["kind"]), ("message", &json!("workflow_created")));
    assert_eq!(first.data["workflow_id"], id);
    let worker = app.app.start_worker();
    let rest = stream.rest().await;
    let kinds: Vec<String> = events(&rest).into_iter().map(|(_, kind)| kind).collect();
    assert_eq!(kinds[..2], ["step_queued", "step_started"]);
    assert_eq!(kinds.last().unwrap(), "workflow_completed");
    assert_eq!(kinds.iter().filter(|kind| *kind == "step_completed").count(), 4);
    let ids: Vec<u64> = events(&rest).iter().map(|(id, _)| *id).collect();
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]) && first.id.unwrap() < ids[0], "{ids:?}");
    let end = rest.last().unwrap();
    assert_eq!((end.event.as_str(), &end.data, end.id), ("end", &json!({"status": "completed"}), None));
    drop(worker);
}

async fn who_comes_again_misses_nothing_and_gets_nothing_twice(engine: Engine) {
    let provider = Arc::new(SimulatedProvider::new(Duration::from_millis(40)));
    let app = engine.app().provider(provider).worker().start().await;
    let id = start(&app, json!({"job": "Plan", "requires_qa": true})).await;
    let (mut got, mut last, mut ended) = (Vec::new(), None, false);
    while !ended {
        // Cut after a few frames, as a proxy does.
        let mut stream = Stream::open(&app, &path(&id), last).await;
        for _ in 0..3 {
            let Some(frame) = stream.next().await else { break };
            ended |= frame.event == "end";
            last = frame.id.or(last);
            got.push(frame);
        }
    }
    let whole = Stream::open(&app, &path(&id), None).await.rest().await;
    assert_eq!(events(&got), events(&whole));
}

async fn who_comes_after_the_end_gets_the_end(engine: Engine) {
    let app = engine.app().provider(chain(|_| "approve")).worker().start().await;
    let id = start(&app, json!({"job": "Plan"})).await;
    let whole = Stream::open(&app, &path(&id), None).await.rest().await;
    let last = events(&whole).last().unwrap().0;
    let after = Stream::open(&app, &path(&id), Some(last)).await.rest().await;
    assert_eq!(after, [whole.last().unwrap().clone()], "only the end");
    let by_query = Stream::open(&app, &format!("{}?after={last}", path(&id)), None).await.rest().await;
    assert_eq!(by_query, after);
    let from_zero = Stream::open(&app, &format!("{}?after=0", path(&id)), None).await.rest().await;
    assert_eq!(events(&from_zero), events(&whole));
}

async fn what_a_running_step_says_comes_beside_the_events(engine: Engine) {
    let provider = Arc::new(SimulatedProvider::new(Duration::from_millis(1_500)));
    let app = engine.app().provider(provider as Arc<dyn ModelProvider>).worker().start().await;
    let id = start(&app, json!({"job": "Write a haiku"})).await;
    let frames = Stream::open(&app, &path(&id), None).await.rest().await;
    let partials: Vec<&Frame> = frames.iter().filter(|f| f.event == "partial").collect();
    assert!(!partials.is_empty(), "{frames:?}");
    // Put together in order they are the beginning of the answer.
    let calls = app.get(&format!("/workflows/{id}/calls")).await.ok();
    for call in calls["calls"].as_array().unwrap() {
        let mut said = String::new();
        for partial in partials.iter().filter(|p| p.data["job_id"] == call["job_id"]) {
            assert_eq!(partial.id, None, "only events have ids");
            let at = partial.data["at"].as_u64().unwrap() as usize;
            assert!(at == 0 || at == said.chars().count(), "{partial:?}");
            if at == 0 {
                said.clear();
            }
            said.push_str(partial.data["text"].as_str().unwrap());
        }
        assert!(call["answer"].as_str().unwrap().starts_with(&said), "{said:?}");
    }
}

async fn all_workflows_are_watched_from_now_on(engine: Engine) {
    let app = engine.app().start().await;
    start(&app, json!({"job": "Before"})).await;
    let mut stream = Stream::open(&app, "/events", None).await;
    let (a, b) = (start(&app, json!({"job": "A"})).await, start(&app, json!({"job": "B"})).await);
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(stream.next().await.unwrap());
    }
    let ids: Vec<_> = seen.iter().map(|f| f.data["workflow_id"].as_str().unwrap()).collect();
    assert_eq!(ids, [&a, &a, &b, &b]);
    // From the first of them on once more.
    let mut again = Stream::open(&app, "/events", seen[0].id).await;
    for frame in &seen[1..] {
        assert_eq!(again.next().await.as_ref(), Some(frame));
    }
    // A cancelled job's lease is told to workers in a stream of its own, which is none of a viewer's business.
    app.post(&format!("/workflows/{a}/cancel"), &json!({})).await.ok();
    for _ in 0..3 {
        assert_eq!(stream.next().await.unwrap().data["workflow_id"], a);
    }
}

async fn a_retried_workflow_is_watched_anew(engine: Engine) {
    let app = engine.app().provider(chain(|_| "approve")).worker().start().await;
    let id = start(&app, json!({"job": "Plan", "approval": true})).await;
    let reaches = |status: &'static str| {
        let (app, id) = (&app, &id);
        until(status, move || async move {
            let workflow = app.get(&format!("/workflows/{id}")).await.ok();
            (workflow["workflow"]["status"] == status).then_some(())
        })
    };
    reaches("paused").await;
    let mut waiting = Stream::open(&app, &path(&id), None).await;
    app.post(&format!("/workflows/{id}/reject"), &json!({"comment": "no"})).await.ok();
    let frames = waiting.rest().await;
    assert_eq!(frames.last().unwrap().data["status"], "failed");
    let last = events(&frames).last().unwrap().0;
    app.post(&format!("/workflows/{id}/retry"), &json!({})).await.ok();
    let mut again = Stream::open(&app, &path(&id), Some(last)).await;
    assert_eq!(again.next().await.unwrap().data["kind"], "workflow_reopened");
    app.post(&format!("/workflows/{id}/approve"), &json!({})).await.ok();
    assert_eq!(again.rest().await.last().unwrap().data["status"], "completed");
}

async fn wrong_ids_and_unknown_workflows_are_refused(engine: Engine) {
    let app = engine.app().start().await;
    app.get("/workflows/nothing/events").await.problem(404);
    assert_eq!(app.get("/events?after=x").await.bad_fields(), [("int_parsing".into(), "query.after".into())]);
    let id = start(&app, json!({"job": "Plan"})).await;
    for wrong in ["-1", "1.5", "99999999999999999999", "x"] {
        let request = app.request(Method::GET, &path(&id)).header("last-event-id", wrong);
        let answer = crate::support::app::Answer::of(request.send().await.unwrap()).await;
        assert_eq!(answer.bad_fields()[0].1, "header.Last-Event-ID", "{wrong}");
    }
    let posted = app.post(&path(&id), &json!({})).await;
    assert_eq!((posted.status, posted.header("allow")), (405, "GET, HEAD"));
}

async fn a_deleted_workflow_ends_its_streams(engine: Engine) {
    let app = engine.app().start().await;
    let id = start(&app, json!({"job": "Plan"})).await;
    app.post(&format!("/workflows/{id}/cancel"), &json!({})).await.ok();
    let mut all = Stream::open(&app, "/events", None).await;
    app.delete(&format!("/workflows/{id}")).await.ok();
    assert_eq!(all.next().await.unwrap().data["kind"], "workflow_deleted");
    app.get(&path(&id)).await.problem(404);
}

async fn a_stopping_server_ends_its_streams(engine: Engine) {
    let app = engine.app().start().await;
    let id = start(&app, json!({"job": "Plan"})).await;
    let mut one = Stream::open(&app, &path(&id), None).await;
    let mut all = Stream::open(&app, "/events", None).await;
    one.next().await.unwrap();
    let live = app.app.services.live.clone();
    until("both are counted", || async { (live.viewers() == 2).then_some(()) }).await;
    live.close();
    one.rest().await;
    all.rest().await;
    until("nobody is there any more", || async { (live.viewers() == 0).then_some(()) }).await;
}

/// Events of a workflow that are as large as messages get.
async fn tell(app: &TestApp, id: &str, number: usize) {
    for n in 0..number {
        let body = json!({"kind": "step_retrying", "workflow_id": id, "message": format!("{n} {}", "x".repeat(2_000))});
        let change = Change::new().event(id.to_owned(), body.to_string().into_bytes());
        app.app.store.apply(change).await.unwrap().unwrap();
    }
}

async fn a_long_history_comes_whole(engine: Engine) {
    let app = engine.app().start().await;
    let id = start(&app, json!({"job": "Plan"})).await;
    // Several pieces of a stream, and more than one page of the store.
    tell(&app, &id, 130).await;
    app.post(&format!("/workflows/{id}/cancel"), &json!({})).await.ok();
    let whole = events(&Stream::open(&app, &path(&id), None).await.rest().await);
    let stored = app.app.store.events(&id, 0, 100).await.unwrap();
    let more = app.app.store.events(&id, stored.last().unwrap().id, 100).await.unwrap();
    let ids: Vec<u64> = stored.iter().chain(&more).map(|event| event.id).collect();
    assert!(ids.len() > 130);
    assert_eq!(whole.iter().map(|(id, _)| *id).collect::<Vec<_>>(), ids);
}

async fn a_viewer_with_an_id_from_nowhere_takes_nothing_from_others(engine: Engine) {
    let app = engine.app().start().await;
    let id = start(&app, json!({"job": "Plan"})).await;
    let odd = Stream::open(&app, &path(&id), Some(i64::MAX as u64)).await;
    until("it watches", || async { (app.app.services.live.viewers() == 1).then_some(()) }).await;
    let mut other = Stream::open(&app, &path(&id), None).await;
    for kind in ["workflow_created", "step_queued"] {
        assert_eq!(other.next().await.unwrap().data["kind"], kind);
    }
    tell(&app, &id, 1).await;
    let next = tokio::time::timeout(Duration::from_secs(20), other.next()).await;
    assert_eq!(next.expect("the event is not told").unwrap().data["kind"], "step_retrying");
    drop(odd);
}

async fn who_was_away_for_too_long_is_told_so(engine: Engine) {
    let app = engine.app().start().await;
    let id = start(&app, json!({"job": "Plan"})).await;
    let first = app.app.store.events(&id, 0, 1).await.unwrap()[0].id;
    // What stands before the first event that is kept is gone; a viewer that has seen it last has a gap behind it.
    if first > 1 {
        let mut away = Stream::open(&app, "/events", Some(first - 1)).await;
        assert_eq!(
            away.next().await.unwrap(),
            Frame { id: None, event: "gap".to_owned(), data: json!({"before": first}) }
        );
        assert_eq!(away.next().await.unwrap().id, Some(first));
    }
    let mut there = Stream::open(&app, "/events", Some(first)).await;
    assert_eq!(
        there.next().await.unwrap().data["kind"],
        "step_queued",
        "nothing is missing, so no gap is told"
    );
}

async fn orders_to_workers_are_told_to_nobody(engine: Engine) {
    let app = engine.app().worker().start().await;
    let worker = until("the worker is known", || async {
        let workers = app.get("/workers").await.ok();
        workers["workers"][0]["worker_id"].as_str().map(str::to_owned)
    })
    .await;
    let mut stream = Stream::open(&app, "/events", None).await;
    app.post(&format!("/workers/{worker}/drain"), &json!({})).await.ok();
    let id = start(&app, json!({"job": "Plan"})).await;
    let next = stream.next().await.unwrap();
    assert_eq!((&next.data["kind"], &next.data["workflow_id"]), (&json!("workflow_created"), &json!(id)));
}

async fn a_stream_ends_with_the_session_that_it_was_opened_in(engine: Engine) {
    let app = engine.app().locked().start().await;
    let login = app.form("/dashboard/login", &[("key", KEY)]).send().await.unwrap();
    let cookie = login.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let answer = app.bare(Method::GET, "/dashboard/events").header("cookie", &cookie).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let mut stream = Stream { body: Box::pin(answer.bytes_stream()), text: String::new(), retry: false };
    let brief = json!({"job": "x"});
    start(&app, brief.clone()).await;
    assert!(stream.next().await.is_some());
    let value = cookie.split_once('=').unwrap().1;
    let signing_key = app.app.services.sessions.signing_key(KEY).await.unwrap();
    let csrf = productforge::http::session::csrf(&signing_key, value);
    let logout = app.form("/dashboard/logout", &[("csrf", &csrf)]).header("cookie", &cookie);
    assert_eq!(logout.send().await.unwrap().status(), 303);
    // It is looked at every few seconds, when something is sent.
    let mut ended = false;
    while !ended {
        start(&app, brief.clone()).await;
        ended = stream.next().await.is_none();
    }
    let again = app.bare(Method::GET, "/dashboard/events").header("cookie", &cookie).send().await.unwrap();
    assert_eq!(again.status(), 303);
}
