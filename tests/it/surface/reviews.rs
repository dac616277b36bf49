//! Reviews: `POST /admin_review`.

use serde_json::json;

use crate::support::{
    app::keys,
    engines::Engine,
    scripted::{Line, Scripted},
};

on_both_engines!(
    a_review_is_queued_for_a_job_that_need_not_exist,
    a_reviewer_reads_the_result_that_it_reviews,
    a_review_needs_a_job_id_that_can_be_one,
);

async fn a_review_is_queued_for_a_job_that_need_not_exist(engine: Engine) {
    let app = engine.app().worker().start().await;
    let receipt = app.post("/admin_review", &json!({"job_id": "zzz"})).await.ok();
    assert_eq!(keys(&receipt), ["status", "review_job_id", "original_job_id", "reviewer"]);
    assert_eq!(receipt["status"], "admin_review_queued");
    assert_eq!(receipt["original_job_id"], "zzz");
    assert_eq!(receipt["reviewer"], "qa_bot");
    let id = receipt["review_job_id"].as_str().unwrap();
    let result = app.get_once_there(&format!("/results/{id}")).await.ok();
    assert_eq!((result["agent"].as_str(), result["parent_job_id"].as_str()), (Some("qa_bot"), Some("zzz")));
}

async fn a_reviewer_reads_the_result_that_it_reviews(engine: Engine) {
    let provider = Scripted::new(|_, n| Line::Say(format!("text of call {n}")));
    let app = engine.app().provider(provider.clone()).worker().start().await;
    let task = app.post("/results/task", &json!({"job": "hello"})).await.ok();
    let id = task["job_id"].as_str().unwrap();
    app.get_once_there(&format!("/results/{id}")).await;
    let receipt = app.post("/admin_review", &json!({"job_id": id})).await.ok();
    let review = receipt["review_job_id"].as_str().unwrap();
    let result = app.get_once_there(&format!("/results/{review}")).await.ok();
    assert_eq!(result["output"], "text of call 2");
    let prompt = provider.prompt(1);
    for told in ["Please review this output and provide feedback.", "text of call 1", "hello"] {
        assert!(prompt.contains(told), "{told}: {prompt}");
    }
}

async fn a_review_needs_a_job_id_that_can_be_one(engine: Engine) {
    let app = engine.app().start().await;
    let fields = async |body| app.post("/admin_review", &body).await.bad_fields();
    let one = |kind: &str, loc: &str| vec![(kind.to_owned(), loc.to_owned())];
    assert_eq!(fields(json!({})).await, one("missing", "body.job_id"));
    assert_eq!(fields(json!({"job_id": null})).await, one("string_type", "body.job_id"));
    assert_eq!(fields(json!({"job_id": ""})).await, one("string_pattern", "body.job_id"));
    assert_eq!(fields(json!({"job_id": "a\nb"})).await, one("string_pattern", "body.job_id"));
    let both = fields(json!({"job_id": 7, "review_prompt": []})).await;
    assert_eq!(both.len(), 2, "{both:?}");
}
