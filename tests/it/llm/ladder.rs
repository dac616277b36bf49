//! Servers that do not take every part of a request: each is found out once for each model.

use productforge::{
    config::{ApiStyle, ProviderConfig},
    llm::{ChatRequest, Deaf, ModelErrorKind, ModelProvider},
};
use serde_json::{Value, json};

use super::{calculator, color, configured, provider, request};
use crate::support::fake_model::{Ask, FakeModel, Reply};

/// A server that refuses what `complains` names.
fn picky(complains: impl Fn(&Ask) -> Option<String> + Send + Sync + 'static) -> FakeModel {
    FakeModel::by(move |ask, _| match complains(ask) {
        Some(words) => Reply::json(400, json!({"error": {"message": words, "param": null, "code": null}})),
        None => Reply::answer(r#"{"color": "blue"}"#),
    })
}

fn form(sent: &Ask) -> Value {
    sent.json["response_format"]["type"].clone()
}

fn asks_for_color() -> ChatRequest {
    ChatRequest { schema: Some(color()), ..request("The color of the sky, as JSON?") }
}

#[tokio::test]
async fn the_form_of_an_answer_goes_down_the_ladder_and_stays_there() {
    // Who takes what, and what is sent at first and from then on.
    for (takes, forms) in [
        (&["json_schema"][..], &[json!("json_schema"), json!("json_schema")][..]),
        (&["json_object"], &[json!("json_schema"), json!("json_object"), json!("json_object")]),
        (&[], &[json!("json_schema"), json!("json_object"), Value::Null, Value::Null]),
    ] {
        let fake = picky(|ask| {
            let form = form(ask);
            let form = form.as_str().filter(|form| !takes.contains(form))?;
            Some(format!("'response_format' of type '{form}' is not supported with this model"))
        });
        let provider = provider(&fake.config());
        let answer = provider.complete(&asks_for_color(), &Deaf).await.unwrap();
        assert_eq!(answer.requests as usize, forms.len() - 1);
        assert_eq!(provider.complete(&asks_for_color(), &Deaf).await.unwrap().requests, 1);
        assert_eq!(fake.requests().iter().map(form).collect::<Vec<_>>(), forms);
        let schema = &fake.requests()[0].json["response_format"]["json_schema"];
        assert_eq!((&schema["name"], &schema["strict"]), (&json!("color"), &json!(true)));
    }
}

#[tokio::test]
async fn what_is_learned_holds_for_its_model_only() {
    let fake = picky(|ask| {
        (ask.json["model"] == "old" && form(ask) == "json_schema")
            .then(|| "This response_format type is unavailable now".to_owned())
    });
    let provider = provider(&fake.config());
    for model in ["old", "new", "old", "new"] {
        let question = ChatRequest { models: vec![model.to_owned()], ..asks_for_color() };
        provider.complete(&question, &Deaf).await.unwrap();
    }
    let forms: Vec<Value> = fake.requests().iter().map(form).collect();
    assert_eq!(forms, ["json_schema", "json_object", "json_schema", "json_object", "json_schema"]);
}

#[tokio::test]
async fn a_schema_that_is_not_strict_enough_is_sent_as_it_is_and_changes_nothing_else() {
    let fake = picky(|ask| {
        let format = &ask.json["response_format"]["json_schema"];
        (format["strict"] == true && ask.prompt().contains("bad")).then(|| {
            "Invalid schema for response_format 'color': 'additionalProperties' is required".to_owned()
        })
    });
    let provider = provider(&fake.config());
    let bad = ChatRequest { schema: Some(color()), ..request("a bad one") };
    assert_eq!(provider.complete(&bad, &Deaf).await.unwrap().requests, 2);
    provider.complete(&asks_for_color(), &Deaf).await.unwrap();
    let strict: Vec<Value> = fake
        .requests()
        .iter()
        .map(|ask| ask.json["response_format"]["json_schema"]["strict"].clone())
        .collect();
    assert_eq!(strict, [json!(true), Value::Null, json!(true)]);
}

#[tokio::test]
async fn several_complaints_are_met_one_after_the_other() {
    let fake = picky(|ask| {
        let sent = |field: &str| ask.json.get(field).is_some();
        let unknown = |name: &str| Some(format!("Unrecognized request argument supplied: {name}"));
        match () {
            () if sent("stream_options") => unknown("stream_options"),
            () if sent("max_tokens") => unknown("max_tokens"),
            () if form(ask) == "json_schema" => unknown("response_format"),
            () if sent("stream") => Some("Unsupported value: 'stream' does not support true".to_owned()),
            () => None,
        }
    });
    let provider = provider(&fake.config());
    let question = ChatRequest { max_tokens: Some(9), ..asks_for_color() };
    let answer = provider.complete(&question, &Deaf).await.unwrap();
    assert_eq!((answer.requests, answer.first_token_ms), (5, None));
    assert_eq!(provider.complete(&question, &Deaf).await.unwrap().requests, 1);
    let last = &fake.requests()[5].json;
    assert_eq!(last["max_completion_tokens"], 9);
    assert_eq!(last["response_format"], json!({"type": "json_object"}));
    assert!(last.get("stream").is_none());
}

#[tokio::test]
async fn a_complaint_that_nothing_helps_against_is_an_error() {
    // Whatever the field is called, and whatever is left out.
    for words in [
        "Unsupported parameter: max_tokens, max_completion_tokens",
        "response_format is not supported",
        "Unrecognized request argument supplied: stream_options",
    ] {
        let fake = picky(|_| Some(words.to_owned()));
        let question = ChatRequest { max_tokens: Some(9), ..asks_for_color() };
        let provider = provider(&fake.config());
        let error = provider.complete(&question, &Deaf).await.unwrap_err();
        assert_eq!(error.kind, ModelErrorKind::BadRequest);
        assert!((2..=3).contains(&error.requests), "{words}: {}", error.requests);
        // Nothing was learned from it.
        let _ = provider.complete(&question, &Deaf).await;
        let sent = fake.requests();
        assert_eq!(sent[0].json, sent[error.requests as usize].json);
        assert!(error.message.contains(words), "{error}");
    }
}

#[tokio::test]
async fn a_model_without_tools_says_so() {
    for (status, words) in [
        (400, "registry.ollama.ai/library/gemma:2b does not support tools"),
        (404, "No endpoints found that support tool use."),
        (500, "tools param requires --jinja flag"),
    ] {
        let fake = FakeModel::by(move |_, _| Reply::json(status, json!({"error": {"message": words}})));
        let question = ChatRequest { tools: vec![calculator()], ..request("1 + 1?") };
        let error = provider(&fake.config()).complete(&question, &Deaf).await.unwrap_err();
        assert_eq!((error.kind, error.requests), (ModelErrorKind::BadRequest, 1), "{error}");
        let said = format!("the model test-default cannot use tools: {words} (HTTP {status})");
        assert_eq!(error.message, said);
    }
}

#[tokio::test]
async fn trouble_after_a_complaint_is_outlived_as_ever() {
    let complaint = || Reply::json(400, json!({"error": "Unrecognized request argument: stream_options"}));
    let busy = || Reply::raw(503, "text/plain", "busy");
    let fake = FakeModel::scripted([complaint(), busy(), busy(), busy()]);
    let answer = provider(&fake.config()).complete(&request("hi"), &Deaf).await.unwrap();
    assert_eq!(answer.requests, 5);
}

#[tokio::test]
async fn responses_are_adapted_to_as_well() {
    let fake = picky(|ask| match () {
        () if ask.json.get("store").is_some() => Some("Unknown parameter: 'store'.".to_owned()),
        () if ask.json["text"]["format"]["type"] == "json_schema" => {
            Some("text.format of type json_schema is not supported".to_owned())
        }
        () => None,
    });
    let provider = configured(ProviderConfig { api: ApiStyle::Responses, ..fake.provider("groq") });
    let answer = provider.complete(&asks_for_color(), &Deaf).await.unwrap();
    assert_eq!((answer.text.as_str(), answer.requests), (r#"{"color": "blue"}"#, 3));
    assert_eq!(provider.complete(&asks_for_color(), &Deaf).await.unwrap().requests, 1);
}
