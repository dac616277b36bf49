//! Answers that come piece by piece: heard as they come, bounded in time, dropped at once.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use productforge::{
    config::{ApiStyle, LlmConfig, ModelTimeouts, ProviderConfig},
    llm::{Deaf, Listener, ModelErrorKind, ModelProvider, openai::OpenAiProvider, pacing::Unpaced},
};
use serde_json::json;

use super::{QUICK, provider, request};
use crate::support::fake_model::{FakeModel, Reply};

const NOW: Duration = Duration::ZERO;

/// Writes down what it hears; `|` is a restart.
#[derive(Default)]
struct Notes(Mutex<String>);

impl Notes {
    fn read(&self) -> String {
        self.0.lock().unwrap().clone()
    }
}

impl Listener for Notes {
    fn delta(&self, text: &str) {
        self.0.lock().unwrap().push_str(text);
    }

    fn restart(&self) {
        self.0.lock().unwrap().push('|');
    }
}

fn named(fake: &FakeModel, timeouts: ModelTimeouts) -> ProviderConfig {
    ProviderConfig {
        name: "lab".to_owned(),
        base_url: fake.base_url(),
        key: None,
        api: ApiStyle::Chat,
        model: "m".to_owned(),
        headers: vec![("x-team".to_owned(), productforge::config::Secret::new("blue"))],
        max_tokens: Some(100),
        stream: true,
        timeouts,
        requests_per_minute: None,
        concurrency: None,
        prices: Default::default(),
    }
}

fn open(config: ProviderConfig) -> OpenAiProvider {
    OpenAiProvider::from_config(config, Arc::new(Unpaced)).unwrap().with_retry(QUICK)
}

#[tokio::test]
async fn tokens_are_heard_as_they_come() {
    let fake = FakeModel::scripted([Reply::answer("Fine, thanks, and how are you?")]);
    let notes = Notes::default();
    let answer = provider(&fake.config()).complete(&request("hi"), &notes).await.unwrap();
    assert_eq!(answer.text, "Fine, thanks, and how are you?");
    assert_eq!(notes.read(), answer.text);
    assert!(answer.first_token_ms.is_some());
    assert_eq!((answer.usage.total_tokens, answer.usage.estimated), (18, false));
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_begun_anew_and_its_listener_told() {
    let broken = Reply::stream([(NOW, Reply::delta("Half an ans"))]);
    let fake = FakeModel::scripted([broken, Reply::answer("A whole answer.")]);
    let notes = Notes::default();
    let answer = provider(&fake.config()).complete(&request("hi"), &notes).await.unwrap();
    assert_eq!((answer.text.as_str(), answer.requests), ("A whole answer.", 2));
    assert_eq!(notes.read(), "Half an ans|A whole answer.");
}

#[tokio::test]
async fn an_error_in_the_middle_of_a_stream_is_what_it_says() {
    let limit = format!("data: {}\n\n", json!({"error": {"code": 429, "message": "Rate limit exceeded"}}));
    let fake = FakeModel::scripted([Reply::stream([(NOW, Reply::delta("Half")), (NOW, limit)])]);
    let answer = provider(&fake.config()).complete(&request("hi"), &Deaf).await.unwrap();
    assert_eq!(answer.requests, 2, "it was asked again");
    let flagged = format!(
        "data: {}\n\n",
        Reply::chunk(json!({}), Some("content_filter"), None).trim_start_matches("data: ").trim()
    );
    let fake = FakeModel::by(move |_, _| Reply::stream([(NOW, flagged.clone())]));
    let error = provider(&fake.config()).complete(&request("hi"), &Deaf).await.unwrap_err();
    assert_eq!((error.kind, error.requests), (ModelErrorKind::Refused, 1));
}

#[tokio::test]
async fn every_limit_of_time_is_kept_and_named() {
    let slow = Duration::from_secs(20);
    let short = Duration::from_millis(150);
    for (reply, timeouts, said) in [
        (
            Reply::stream([(slow, Reply::delta("x"))]),
            ModelTimeouts { first_byte: short, ..ModelTimeouts::default() },
            "gave no first token within 0.15 s",
        ),
        (
            Reply::stream([(NOW, Reply::delta("x")), (slow, Reply::delta("y"))]),
            ModelTimeouts { idle: short, ..ModelTimeouts::default() },
            "sent nothing more for 0.15 s",
        ),
        (
            Reply::stream((0..1_000).map(|_| (Duration::from_millis(20), Reply::delta("x")))),
            ModelTimeouts { total: short, ..ModelTimeouts::default() },
            "gave no whole answer within 0.15 s",
        ),
    ] {
        let fake = FakeModel::by(move |_, _| reply.clone());
        let mut config = named(&fake, timeouts);
        config.stream = true;
        let error = open(config).complete(&request("hi"), &Deaf).await.unwrap_err();
        assert_eq!(error.kind, ModelErrorKind::Timeout);
        assert!(error.message.contains(said), "{error}");
    }
}

#[tokio::test]
async fn who_stops_listening_hangs_up_at_once() {
    let frames = (0..10_000).map(|n| (Duration::from_millis(5), Reply::delta(&format!("{n} "))));
    let reply = Reply::stream(frames);
    let fake = FakeModel::by(move |_, _| reply.clone());
    let (provider, notes) = (provider(&fake.config()), Arc::new(Notes::default()));
    let heard = notes.clone();
    let call = tokio::spawn(async move { provider.complete(&request("hi"), heard.as_ref()).await });
    crate::support::wait::until("it speaks", || {
        std::future::ready(notes.read().contains("5 ").then_some(()))
    })
    .await;
    call.abort();
    fake.until("the client hangs up", |fake| fake.hang_ups() == 1).await;
}

#[tokio::test]
async fn what_a_server_does_not_take_is_learned_once() {
    let fake = FakeModel::by(|ask, _| {
        let refused = |what: &str| {
            Reply::error(
                400,
                "unknown_parameter",
                "invalid_request_error",
                &format!("Unrecognized request argument supplied: {what}"),
            )
        };
        match &ask.json {
            json if json.get("max_tokens").is_some() => refused("max_tokens"),
            json if json.get("stream_options").is_some() => refused("stream_options"),
            json if json["response_format"]["type"] == "json_schema" => Reply::error(
                400,
                "bad",
                "invalid_request_error",
                "response_format json_schema is not supported by this model",
            ),
            _ => Reply::answer("Fine."),
        }
    });
    let provider = open(named(&fake, ModelTimeouts::default()));
    let mut formed = request("hi");
    formed.schema = Some(Arc::new(productforge::llm::OutputSchema {
        name: "verdict".to_owned(),
        schema: json!({"type": "object", "properties": {}, "required": [], "additionalProperties": false}),
    }));
    let answer = provider.complete(&formed, &Deaf).await.unwrap();
    assert_eq!((answer.text.as_str(), answer.requests), ("Fine.", 4));
    assert_eq!(provider.complete(&formed, &Deaf).await.unwrap().requests, 1, "it is remembered");
    let last = fake.requests().pop().unwrap();
    assert_eq!(last.json["max_completion_tokens"], 100);
    assert_eq!(last.json["response_format"], json!({"type": "json_object"}));
    assert_eq!(last.header("x-team"), Some("blue"));
    // Another model may take what this one does not.
    let mut other = formed.clone();
    other.models = vec!["other".to_owned()];
    assert_eq!(provider.complete(&other, &Deaf).await.unwrap().requests, 4);
}

#[tokio::test]
async fn a_named_provider_is_named_in_its_errors() {
    let fake =
        FakeModel::by(|_, _| Reply::error(401, "invalid_api_key", "auth", "Incorrect API key provided"));
    let error =
        open(named(&fake, ModelTimeouts::default())).complete(&request("hi"), &Deaf).await.unwrap_err();
    assert!(error.message.contains("the key of provider 'lab'"), "{error}");
    let plain = provider(&LlmConfig { stream: false, ..fake.config() });
    let error = plain.complete(&request("hi"), &Deaf).await.unwrap_err();
    assert!(error.message.contains("OPENAI_API_KEY"), "{error}");
}
