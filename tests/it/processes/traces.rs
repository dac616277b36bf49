//! One request followed over processes: by its id, and by its trace.

use std::{net::TcpListener, path::Path};

use serde_json::{Value, json};

use crate::support::{
    collector::Collector,
    fake_model::{FAKE_KEY, FakeModel, Reply},
    process::{Process, Server, folder, free_port},
    redis_server::RedisServer,
    wait::until,
};

const REQUEST_ID: &str = "req-7f3a/east.1";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CLIENT_SPAN: &str = "00f067aa0ba902b7";

/// Lines of a process that logs JSON.
fn lines(process: &Process) -> Vec<Value> {
    process.output().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Posts a brief under the id, within the client's own trace if asked for; the id of its workflow.
async fn brief(server: &Server, traced: bool) -> String {
    let client = reqwest::Client::new();
    let mut request = client.post(format!("{}/orchestrate", server.url)).header("X-Request-ID", REQUEST_ID);
    if traced {
        request = request.header("traceparent", format!("00-{TRACE}-{CLIENT_SPAN}-01"));
    }
    let answer = request.json(&json!({"job": "Follow me", "requires_qa": false})).send().await.unwrap();
    assert_eq!(answer.headers()["x-request-id"], REQUEST_ID);
    let answer: Value = answer.json().await.unwrap();
    answer["workflow_id"].as_str().unwrap().to_owned()
}

fn models(fake: &FakeModel) -> [(&'static str, String); 3] {
    [
        ("OPENAI_BASE_URL", fake.base_url()),
        ("OPENAI_API_KEY", FAKE_KEY.to_owned()),
        ("OPENAI_MODEL", "fake-model-1".to_owned()),
    ]
}

fn borrowed<'a>(pairs: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    pairs.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

#[tokio::test]
async fn the_id_of_a_request_reaches_job_log_and_model() {
    let redis = RedisServer::start();
    let (folder, fake) = (folder(), FakeModel::start());
    // The first call fails, so that the worker has something to complain about.
    fake.push(Reply::error(400, "bad", "invalid_request_error", "no such thing"));
    let mut environment = models(&fake).to_vec();
    environment.push(("REDIS_URL", redis.url()));
    environment.push(("LOG_FORMAT", "json".to_owned()));
    let environment = borrowed(&environment);
    let server = Server::start(folder.path(), &["--workers", "0"], &environment).await;
    let worker = Process::start(folder.path(), &["worker"], &environment);
    let failing = brief(&server, false).await;
    until("the first one fails", || server.ended(&failing)).await;
    let id = brief(&server, false).await;
    let workflow = until("the workflow ends", || server.ended(&id)).await;
    assert_eq!((&workflow["status"], &workflow["request_id"]), (&json!("completed"), &json!(REQUEST_ID)));

    for step in workflow["steps"].as_array().unwrap() {
        let job_id = step["job_id"].as_str().unwrap();
        let (_, job) = server.get(&format!("/jobs/{job_id}")).await;
        assert_eq!(job["request_id"], REQUEST_ID, "{job:#}");
        assert!(job["traceparent"].is_null(), "nobody traces");
        let of_job: Vec<_> =
            lines(&worker).into_iter().filter(|line| line["fields"]["job_id"] == job_id).collect();
        assert!(of_job.len() >= 2, "begun and ended: {of_job:?}");
        for line in of_job {
            let fields = &line["fields"];
            let said = (&fields["request_id"], &fields["workflow_id"], &fields["attempt"]);
            assert_eq!(said, (&json!(REQUEST_ID), &json!(id), &json!(1)), "{line}");
        }
    }
    let complaint = |line: &Value| line["level"] == "ERROR" && line["fields"]["workflow_id"] == failing;
    let complaint = lines(&worker).into_iter().find(complaint).expect("the failed job is an error");
    assert_eq!(complaint["fields"]["request_id"], REQUEST_ID, "{complaint}");

    // The access line is the owner's as the message, and typed as fields.
    let access = |line: &Value| line["target"] == "access" && line["fields"]["path"] == "/orchestrate";
    let access = lines(&server.process).into_iter().find(access).unwrap();
    let (fields, message) = (&access["fields"], access["message"].as_str().unwrap());
    assert_eq!((&fields["method"], &fields["status"]), (&json!("POST"), &json!(200)));
    assert_eq!((&fields["ip"], &fields["request_id"]), (&json!("127.0.0.1"), &json!(REQUEST_ID)));
    assert!(fields["duration_ms"].is_f64(), "{access}");
    let form = message.starts_with("method=POST path=/orchestrate status=200 duration_ms=");
    assert!(form && message.ends_with(" ip=127.0.0.1"), "{message}");

    let asks = fake.requests();
    let mut given: Vec<_> = asks.iter().map(|ask| ask.header("x-client-request-id").unwrap()).collect();
    assert!(
        given.iter().all(|id| id.strip_prefix(REQUEST_ID).is_some_and(|rest| rest.len() == 9)),
        "{given:?}"
    );
    given.sort_unstable();
    given.dedup();
    assert_eq!(given.len(), asks.len(), "OpenAI wants every one to be unique");
    assert!(asks.iter().all(|ask| ask.header("traceparent").is_none()));
}

/// The span of this name; there is one.
fn named<'a>(spans: &'a [Value], name: &str) -> &'a Value {
    let mut found = spans.iter().filter(|span| span["name"] == name);
    let span = found.next().unwrap_or_else(|| panic!("no {name}: {spans:#?}"));
    assert!(found.next().is_none(), "two of {name}: {spans:#?}");
    span
}

async fn trace(protocol: &str) {
    let redis = RedisServer::start();
    let (folder, fake) = (folder(), FakeModel::start());
    // Too busy at first: nothing is lost by that.
    let collector = Collector::refusing([503]);
    let mut environment = models(&fake).to_vec();
    environment.push(("REDIS_URL", redis.url()));
    environment.push(("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url()));
    environment.push(("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.to_owned()));
    environment.push(("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20sesame".to_owned()));
    environment.push(("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test".to_owned()));
    let environment = borrowed(&environment);
    let server = Server::start(folder.path(), &["--workers", "0"], &environment).await;
    let mut worker = Process::start(folder.path(), &["worker"], &environment);
    let client = reqwest::Client::new();
    let request = client.post(format!("{}/results/task", server.url));
    let request = request.header("traceparent", format!("00-{TRACE}-{CLIENT_SPAN}-01"));
    let answer = request.json(&json!({"job": "Follow me"})).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    let job_id = answer["job_id"].as_str().unwrap().to_owned();
    until("the job ends", || async {
        let (_, job) = server.get(&format!("/jobs/{job_id}")).await;
        (job["state"] == "completed").then_some(())
    })
    .await;
    let ours = || {
        let mut spans = collector.spans();
        spans.retain(|span| span["trace"] == TRACE);
        spans
    };
    // A worker that stops sends what it has.
    worker.signal("TERM");
    until("the worker ends", || std::future::ready(worker.ended())).await;
    let spans = until("all spans are there", || async { Some(ours()).filter(|s| s.len() >= 4) }).await;

    let post = &collector.posts()[0];
    assert_eq!((post.path.as_str(), post.authorization.as_deref()), ("/v1/traces", Some("Bearer sesame")));
    let request = named(&spans, "POST /results/task");
    assert_eq!((&request["parent"], &request["kind"]), (&json!(CLIENT_SPAN), &json!(2)));
    assert_eq!(request["attributes"]["http.response.status_code"], 200);
    assert_eq!(request["resource"]["service.name"], "productforge");
    assert_eq!(request["resource"]["deployment.environment.name"], "test");
    let job = named(&spans, "job task");
    assert_eq!((&job["parent"], &job["kind"]), (&request["span"], &json!(5)));
    assert_eq!(job["attributes"]["messaging.message.id"], job_id.as_str());
    assert_eq!(job["attributes"]["productforge.outcome"], "completed");
    let wait = named(&spans, "queue wait");
    assert_eq!(wait["parent"], request["span"]);
    let call = named(&spans, "chat fake-model-1");
    assert_eq!((&call["parent"], &call["kind"], &call["status"]), (&job["span"], &json!(3), &json!(0)));
    let said = &call["attributes"];
    for (name, value) in [
        ("gen_ai.operation.name", json!("chat")),
        ("gen_ai.provider.name", json!("openai")),
        ("gen_ai.request.model", json!("fake-model-1")),
        ("gen_ai.response.model", json!("fake-model-1")),
        ("gen_ai.response.finish_reasons", json!(["stop"])),
        ("gen_ai.usage.input_tokens", json!(11)),
        ("gen_ai.usage.output_tokens", json!(7)),
    ] {
        assert_eq!(said[name], value, "{name}: {call:#}");
    }
    assert!(said["gen_ai.input.messages"].is_null() && !call.to_string().contains("Follow me"), "{call:#}");
    let asked = fake.requests();
    let passed_on = asked[0].header("traceparent").unwrap();
    assert_eq!(passed_on, format!("00-{TRACE}-{}-01", call["span"].as_str().unwrap()));
}

#[tokio::test]
async fn a_trace_is_one_over_request_job_and_model_call() {
    trace("http/protobuf").await;
}

#[tokio::test]
async fn the_same_as_json() {
    trace("http/json").await;
}

/// A whole review with a collector at this address; what the process said.
async fn undisturbed(folder: &Path, collector: &str) -> String {
    let fake = FakeModel::review_chain();
    let mut environment = models(&fake).to_vec();
    environment.push(("OTEL_EXPORTER_OTLP_ENDPOINT", collector.to_owned()));
    environment.push(("OTEL_EXPORTER_OTLP_TIMEOUT", "300".to_owned()));
    let mut server = Server::start(folder, &[], &borrowed(&environment)).await;
    let id = server.orchestrate("Never mind the collector").await;
    let workflow = until("the workflow ends", || server.ended(&id)).await;
    assert_eq!(workflow["status"], "completed", "{workflow:#}");
    let lost = || async {
        let (_, metrics) = server.get("/metrics/json").await;
        metrics["productforge_trace_spans_lost_total"].as_f64().filter(|lost| *lost > 0.0)
    };
    until("lost spans are counted", lost).await;
    server.process.signal("TERM");
    let status = until("it ends all the same", || std::future::ready(server.process.ended())).await;
    assert!(status.success(), "{status}");
    server.process.output()
}

#[tokio::test]
async fn a_collector_that_is_away_disturbs_nothing() {
    let folder = folder();
    let output = undisturbed(folder.path(), &format!("http://127.0.0.1:{}", free_port())).await;
    assert_eq!(output.matches("traces cannot be sent").count(), 1, "it is said once: {output}");
}

#[tokio::test]
async fn a_collector_that_never_answers_disturbs_nothing() {
    let folder = folder();
    // Connections are taken by the system, and that is all.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let output = undisturbed(folder.path(), &format!("http://{}", silent.local_addr().unwrap())).await;
    assert_eq!(output.matches("traces cannot be sent: no answer within").count(), 1, "{output}");
}
