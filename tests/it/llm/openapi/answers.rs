//! The fake server's answers: what the client is tested with is what a provider would send.

use serde_json::{Value, json};

use super::Published;
use crate::support::{
    app::client,
    fake_model::{FakeModel, Piece, Reply},
};

fn replies() -> Vec<Reply> {
    let call = Piece::call("call_1", "calculator", r#"{"sum": "1 + 1"}"#);
    vec![
        Reply::answer("Fine."),
        Reply::stream([Piece::text("Fi"), Piece::text("ne.")]),
        Reply::stream([Piece::text("I count."), call.clone()]),
        Reply::stream([call]),
        Reply::answer("cut").finish("length"),
        Reply::completion(json!({"content": null, "refusal": "no"}), "stop"),
    ]
}

async fn body(fake: &FakeModel, path: &str, question: Value) -> String {
    let url = format!("{}/{path}", fake.base_url());
    client().post(url).body(question.to_string()).send().await.unwrap().text().await.unwrap()
}

#[tokio::test]
async fn whole_answers_are_as_published() {
    for (path, schema) in [("chat/completions", "CreateChatCompletionResponse"), ("responses", "Response")] {
        let published = Published::new(schema);
        let fake = FakeModel::scripted(replies());
        for _ in replies() {
            published.check(&serde_json::from_str(&body(&fake, path, json!({})).await).unwrap());
        }
    }
}

#[tokio::test]
async fn streamed_answers_are_as_published() {
    for (path, schema) in
        [("chat/completions", "CreateChatCompletionStreamResponse"), ("responses", "ResponseStreamEvent")]
    {
        let published = Published::new(schema);
        let fake = FakeModel::scripted(replies());
        for _ in replies() {
            let question = json!({"stream": true, "stream_options": {"include_usage": true}});
            let body = body(&fake, path, question).await;
            let events: Vec<&str> = body.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
            assert!(events.len() >= 2, "{body}");
            for event in events.into_iter().filter(|event| *event != "[DONE]") {
                published.check(&serde_json::from_str(event).unwrap());
            }
        }
    }
}

#[tokio::test]
async fn errors_are_as_published() {
    let published = Published::new("ErrorResponse");
    let limited = FakeModel::start().limited(0, std::time::Duration::from_secs(1));
    published.check(&serde_json::from_str(&body(&limited, "chat/completions", json!({})).await).unwrap());
    assert_eq!(limited.refused(), 1);
}
