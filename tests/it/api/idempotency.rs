//! `Idempotency-Key`: what is sent twice happens once.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    app::{Answer, TestApp, memory},
    sleepy_store::SleepyStore,
};

async fn post(app: &TestApp, path: &str, key: &str, body: &Value) -> Answer {
    let request = app.request(Method::POST, path).header("Idempotency-Key", key).json(body);
    Answer::of(request.send().await.unwrap()).await
}

#[tokio::test]
async fn a_request_that_is_sent_again_has_no_second_effect_and_the_same_answer() {
    let app = TestApp::start().await;
    for (path, body) in [
        ("/results/task", json!({"job": "once", "priority": "high", "delay_seconds": 60})),
        (
            "/orchestrate",
            json!({"job": "once", "requires_qa": true, "metadata": {"b": 1, "a": {"d": 2, "c": 3}}}),
        ),
        ("/admin_review", json!({"job_id": "j-1"})),
    ] {
        let first = post(&app, path, "key-1", &body).await;
        first.ok();
        assert_eq!(first.header("idempotency-replayed"), "");
        let before = app.app.store.depth().await.unwrap().open();
        let second = post(&app, path, "key-1", &body).await;
        assert_eq!((second.status, &second.text), (200, &first.text), "{path}");
        assert_eq!(second.header("idempotency-replayed"), "true");
        assert_eq!(app.app.store.depth().await.unwrap().open(), before, "{path}");
        let other = post(&app, path, "key-2", &body).await;
        assert_ne!(other.text, first.text, "another key is another job");
    }
}

#[tokio::test]
async fn the_answer_is_the_same_when_the_work_has_long_ended() {
    let app = TestApp::builder().worker().start().await;
    let brief = json!({"job": "once", "requires_qa": true, "max_revisions": 1});
    let started = post(&app, "/orchestrate", "k", &brief).await;
    let task = post(&app, "/results/task", "k", &json!({"job": "x"})).await;
    app.get_once_there(&format!("/results/{}", task.ok()["job_id"].as_str().unwrap())).await;
    let path = format!("/workflows/{}", started.ok()["workflow_id"].as_str().unwrap());
    crate::support::wait::until("the workflow ends", || async {
        (app.get(&path).await.ok()["workflow"]["status"] == "completed").then_some(())
    })
    .await;
    let steps = app.get(&path).await.ok()["workflow"]["steps"].as_array().unwrap().len();
    assert!(steps > 4, "the simulated QA asks for a revision, which adds steps: {steps}");
    assert_eq!(post(&app, "/orchestrate", "k", &brief).await.text, started.text);
    assert_eq!(post(&app, "/results/task", "k", &json!({"job": "x"})).await.text, task.text);
}

#[tokio::test]
async fn fields_in_another_order_or_null_say_the_same() {
    let app = TestApp::start().await;
    let texts = [
        r#"{"job": "x", "priority": "low"}"#,
        r#"{"priority": "low", "agent_name": null, "job": "x"}"#,
        r#"{"job":"x","priority":"low","unknown":1}"#,
    ];
    let mut ids = Vec::new();
    for text in texts {
        let request = app.request(Method::POST, "/results/task").header("idempotency-key", "k");
        let request = request.header("content-type", "application/json").body(text);
        ids.push(Answer::of(request.send().await.unwrap()).await.ok()["job_id"].clone());
    }
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[tokio::test]
async fn another_request_with_a_used_key_is_a_mistake() {
    let app = TestApp::start().await;
    for (path, first, second) in [
        ("/results/task", json!({"job": "a"}), json!({"job": "b"})),
        ("/orchestrate", json!({"job": "a"}), json!({"job": "a", "requires_qa": true})),
        ("/admin_review", json!({"job_id": "a"}), json!({"job_id": "b"})),
    ] {
        post(&app, path, "k", &first).await.ok();
        let answer = post(&app, path, "k", &second).await;
        let expected = [("idempotency_mismatch".to_owned(), "header.Idempotency-Key".to_owned())];
        assert_eq!(answer.bad_fields(), expected, "{path}");
    }
}

#[tokio::test]
async fn a_key_is_visible_ascii_of_a_bounded_length() {
    let app = TestApp::start().await;
    let body = json!({"job": "x"});
    for key in ["", "two words", "x\ty", &"x".repeat(256)] {
        let answer = post(&app, "/results/task", key, &body).await;
        let expected = [("idempotency_key".to_owned(), "header.Idempotency-Key".to_owned())];
        assert_eq!(answer.bad_fields(), expected, "{key}");
    }
    let twice = app.request(Method::POST, "/results/task").header("idempotency-key", "a");
    let twice = Answer::of(twice.header("idempotency-key", "b").json(&body).send().await.unwrap()).await;
    assert_eq!(twice.bad_fields().len(), 1);
    assert_eq!(app.app.store.depth().await.unwrap().open(), 0);
    post(&app, "/results/task", &"x".repeat(255), &body).await.ok();
}

#[tokio::test]
async fn twenty_at_once_make_one_job() {
    let app = TestApp::start().await;
    for (path, id) in [("/results/task", "job_id"), ("/orchestrate", "workflow_id")] {
        let before = app.app.store.depth().await.unwrap().open();
        let body = json!({"job": "at once"});
        let answers = futures_util::future::join_all((0..20).map(|_| post(&app, path, "race", &body))).await;
        let ids: std::collections::BTreeSet<_> =
            answers.iter().map(|a| a.ok()[id].as_str().unwrap().to_owned()).collect();
        assert_eq!(ids.len(), 1, "{path}");
        let fresh = answers.iter().filter(|a| a.header("idempotency-replayed").is_empty()).count();
        assert_eq!(fresh, 1, "{path}: one of them made it");
        assert_eq!(app.app.store.depth().await.unwrap().open(), before + 1, "{path}");
    }
}

#[tokio::test]
async fn a_key_is_free_again_when_its_job_is_deleted_and_the_new_job_is_asked_anew() {
    let app = TestApp::builder().worker().start().await;
    let body = json!({"job": "x"});
    let id = post(&app, "/results/task", "k", &body).await.ok()["job_id"].as_str().unwrap().to_owned();
    app.get_once_there(&format!("/results/{id}")).await;
    app.delete(&format!("/jobs/{id}")).await.ok();
    app.get(&format!("/results/{id}")).await.ok();
    let again = post(&app, "/results/task", "k", &body).await;
    assert_eq!(
        (again.ok()["job_id"].as_str(), again.header("idempotency-replayed")),
        (Some(id.as_str()), "")
    );
    let path = format!("/jobs/{id}");
    crate::support::wait::until("it ran again", || async {
        (app.get(&path).await.ok()["state"] == "completed").then_some(())
    })
    .await;
    app.get(&format!("/results/{id}")).await.ok();
}

#[tokio::test]
async fn a_page_of_another_site_may_send_the_key_and_read_that_it_was_replayed() {
    let app = TestApp::start().await;
    let preflight = app
        .bare(Method::OPTIONS, "/results/task")
        .header("origin", "http://localhost:3000")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type, idempotency-key");
    let answer = Answer::of(preflight.send().await.unwrap()).await;
    assert!(answer.header("access-control-allow-headers").to_lowercase().contains("idempotency-key"));
    let request = app.request(Method::POST, "/results/task").header("origin", "http://localhost:3000");
    let answer = Answer::of(request.json(&json!({"job": "x"})).send().await.unwrap()).await;
    assert!(answer.header("access-control-expose-headers").to_lowercase().contains("idempotency-replayed"));
}

#[tokio::test]
async fn with_a_key_a_client_may_repeat_what_it_got_no_answer_to() {
    let store = SleepyStore::over(memory());
    let app = TestApp::builder().store(store.clone()).start().await;
    for (path, id) in [("/results/task", "job_id"), ("/orchestrate", "workflow_id")] {
        let before = app.app.store.depth().await.unwrap().open();
        let body = json!({"job": "x"});
        // Made, and repeated by the server itself; then both answers are lost and the client repeats it.
        store.lose_answers(1);
        let first = post(&app, path, "once", &body).await.ok();
        assert_eq!(post(&app, path, "once", &body).await.ok()[id], first[id]);
        store.lose_answers(2);
        post(&app, path, "twice", &body).await.problem(503);
        let second = post(&app, path, "twice", &body).await;
        assert_eq!(second.header("idempotency-replayed"), "true");
        assert_ne!(second.ok()[id], first[id]);
        assert_eq!(app.app.store.depth().await.unwrap().open(), before + 2, "{path}");
    }
}

#[tokio::test]
async fn a_cancellation_without_an_answer_may_be_repeated() {
    let store = SleepyStore::over(memory());
    let app = TestApp::builder().store(store.clone()).start().await;
    let id = app.post("/results/task", &json!({"job": "x"})).await.ok()["job_id"].clone();
    let path = format!("/jobs/{}/cancel", id.as_str().unwrap());
    store.lose_answers(1);
    app.post(&path, &json!({"reason": "enough"})).await.problem(503);
    let cancelled = app.post(&path, &json!({"reason": "enough, I said"})).await.ok();
    assert_eq!((&cancelled["state"], &cancelled["error"]), (&json!("cancelled"), &json!("enough")));
}
