//! Answers that come in pieces, over real HTTP: whole, odd and broken.

use std::time::Duration;

use productforge::llm::{ChatRequest, ModelErrorKind, ModelProvider};
use serde_json::json;

use super::{Notes, ask, calculator, configured, error_of, provider, request};
use crate::support::fake_model::{Delivery, FakeModel, Piece, Reply};

fn texts(texts: &[&str]) -> Vec<Piece> {
    texts.iter().map(|text| Piece::text(text)).collect()
}

fn some(texts: &[&str]) -> Vec<Option<String>> {
    texts.iter().map(|text| Some((*text).to_owned())).collect()
}

#[tokio::test]
async fn pieces_are_heard_as_they_come() {
    let fake = FakeModel::scripted([Reply::stream(texts(&["Fine", ", ", "thanks."])).held_after(1)]);
    let (provider, notes, question) = (provider(&fake.config()), Notes::default(), request("How are you?"));
    let answer = provider.complete(&question, &notes);
    let release = async {
        fake.until("the first piece", |_| !notes.taken().is_empty()).await;
        // The rest is not even sent yet.
        assert_eq!(notes.taken(), some(&["Fine"]));
        fake.release();
    };
    let (answer, ()) = tokio::join!(answer, release);
    let answer = answer.unwrap();
    assert_eq!(answer.text, "Fine, thanks.");
    assert_eq!(notes.taken(), some(&["Fine", ", ", "thanks."]));
    assert_eq!((answer.model.as_str(), answer.provider.as_str()), ("fake-model-1", "openai"));
    assert_eq!((answer.finish_reason.as_deref(), answer.requests), (Some("stop"), 1));
    assert_eq!((answer.usage.total_tokens, answer.usage.estimated), (18, false));
    assert!(answer.first_token_ms.unwrap() <= answer.duration_ms);
}

#[tokio::test]
async fn the_time_to_the_first_token_is_measured() {
    let pause = Duration::from_millis(80);
    let reply = Reply::stream(texts(&["a", "b"])).after(pause).every(pause);
    let answer = ask(&FakeModel::scripted([reply])).await.unwrap();
    let first = answer.first_token_ms.unwrap();
    assert!(first >= 80 && answer.duration_ms >= first + 70, "{first} of {}", answer.duration_ms);
    let whole = ask(&FakeModel::scripted([Reply::answer("x").whole()])).await.unwrap();
    assert_eq!(whole.first_token_ms, None);
}

#[tokio::test]
async fn bytes_may_come_in_any_portions() {
    let pieces = texts(&["Grüße", " 👋🏽", "\n\"quoted\"\r\n"]);
    for bits in [1, 2, 3, 7, 1_000] {
        let fake = FakeModel::scripted([Reply::stream(pieces.clone()).in_bits(bits)]);
        assert_eq!(ask(&fake).await.unwrap().text, "Grüße 👋🏽\n\"quoted\"\r\n", "{bits}");
    }
}

#[tokio::test]
async fn odd_streams_are_understood() {
    let piece = r#"data: {"choices":[{"index":0,"delta":{"content":"Fine."}}]}"#;
    let body =
        |lines: &str| Reply::raw(200, "text/event-stream; charset=utf-8", lines.replace("PIECE", piece));
    for (name, reply) in [
        ("comments", body(": OPENROUTER PROCESSING\n\n: again\n\nPIECE\n\ndata: [DONE]\n\n")),
        ("carriage returns", body("PIECE\r\n\r\ndata: [DONE]\r\n\r\n")),
        ("old line ends", body("PIECE\r\rdata: [DONE]\r\r")),
        ("mark", body("\u{feff}PIECE\n\ndata: [DONE]\n\n")),
        ("no blank", body("PIECE\n\ndata:[DONE]\n\n").content_type("text/event-stream")),
        ("no empty lines", body("PIECE\ndata: [DONE]\n")),
        ("wrong type", body("PIECE\n\ndata: [DONE]\n\n").content_type("application/json")),
        ("no type", body("\n\nPIECE\n\ndata: [DONE]\n\n").content_type("")),
        ("no mark at its end", Reply::answer("Fine.").without_done()),
        ("no reason to stop", Reply::answer("Fine.").without_finish()),
        ("usage at its end", Reply::answer("Fine.").without_finish().without_done()),
        (
            "unknown fields",
            body(
                "event: message\nid: 7\nretry: 9\nPIECE\n\ndata: {\"choices\":[],\"x\":1}\n\ndata: [DONE]\n\n",
            ),
        ),
        ("not asked for", Reply::answer("Fine.").streamed()),
        ("json", Reply::answer("Fine.").whole()),
        ("json that says it is a stream", Reply::answer("Fine.").whole().content_type("text/event-stream")),
    ] {
        let answer = ask(&FakeModel::scripted([reply])).await.unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!((answer.text.as_str(), answer.requests), ("Fine.", 1), "{name}");
    }
}

#[tokio::test]
async fn a_stream_is_read_although_none_was_asked_for() {
    let fake = FakeModel::scripted([Reply::answer("Fine.").streamed(), Reply::answer("Fine.")]);
    let mut config = fake.provider("groq");
    config.stream = false;
    let provider = configured(config);
    let notes = Notes::default();
    for _ in 0..2 {
        let answer = provider.complete(&request("hi"), &notes).await.unwrap();
        assert_eq!((answer.text.as_str(), answer.provider.as_str()), ("Fine.", "groq"));
    }
    assert_eq!(notes.taken(), some(&["Fine.", "Fine."]));
    assert!(fake.requests().iter().all(|sent| sent.json.get("stream").is_none()));
}

#[tokio::test]
async fn usage_that_does_not_come_is_estimated() {
    let answer = ask(&FakeModel::scripted([Reply::answer("12345678").usage(None)])).await.unwrap();
    assert!(answer.usage.estimated);
    assert_eq!(answer.usage.completion_tokens, 2);
}

#[tokio::test]
async fn what_comes_behind_the_reason_to_stop_is_not_needed() {
    // Neither usage nor the mark: the connection breaks, or stays open and silent.
    for reply in [
        Reply::stream(texts(&["a", "b"])).delivered(Delivery::CutAfterPieces(3)),
        Reply::stream(texts(&["a", "b"])).delivered(Delivery::ResetAfterPieces(3)),
        Reply::stream(texts(&["a", "b"])).held_after(3),
    ] {
        let fake = FakeModel::scripted([reply]);
        let mut config = fake.provider("openai");
        config.timeouts.idle = Duration::from_millis(100);
        let answer = configured(config).complete(&request("hi"), &Notes::default()).await.unwrap();
        assert_eq!((answer.text.as_str(), answer.requests, answer.usage.estimated), ("ab", 1, true));
    }
}

#[tokio::test]
async fn a_broken_stream_is_asked_for_again_and_its_listener_told() {
    let good = || Reply::stream(texts(&["Al", "pha"]));
    let error = json!({"error": {"code": 502, "message": "upstream"}, "choices": []});
    for trouble in [
        good().delivered(Delivery::CutAfterPieces(1)),
        good().delivered(Delivery::ResetAfterPieces(1)),
        good().delivered(Delivery::EndAfterPieces(1)),
        Reply::stream([Piece::text("Al"), Piece::event(&error), Piece::text("pha")]),
        Reply::stream([Piece::text("Al"), Piece::raw("event: error\ndata: {\"message\":\"x\"}\n\n")]),
        Reply::stream([Piece::text("Al"), Piece::raw("data: nonsense\n\n")]),
    ] {
        let shown = format!("{trouble:?}");
        let fake = FakeModel::scripted([trouble, good()]);
        let notes = Notes::default();
        let answer = provider(&fake.config()).complete(&request("hi"), &notes).await;
        let answer = answer.unwrap_or_else(|e| panic!("{shown}: {e}"));
        assert_eq!((answer.text.as_str(), answer.requests), ("Alpha", 2), "{shown}");
        let mut heard = some(&["Al", "Al", "pha"]);
        heard.insert(1, None);
        assert_eq!(notes.taken(), heard, "{shown}");
    }
}

#[tokio::test]
async fn a_stream_that_always_breaks_is_no_answer() {
    let fake = FakeModel::by(|_, _| Reply::stream(texts(&["a", "b"])).delivered(Delivery::EndAfterPieces(1)));
    let error = error_of(&fake).await;
    assert_eq!((error.kind, error.requests), (ModelErrorKind::Connection, 4));
    assert!(error.message.contains("breaks off"), "{error}");
    // Nothing was heard before: no restart.
    let fake = FakeModel::scripted([Reply::rate_limited()]);
    let notes = Notes::default();
    provider(&fake.config()).complete(&request("hi"), &notes).await.unwrap();
    assert_eq!(notes.taken(), some(&["A fine answer."]));
}

#[tokio::test]
async fn a_dropped_question_hangs_up_in_the_middle_of_its_stream() {
    let fake = FakeModel::by(|_, _| Reply::stream(texts(&["a", "b"])).held_after(1));
    let (provider, notes, question) = (provider(&fake.config()), Notes::default(), request("hi"));
    tokio::select! {
        _ = provider.complete(&question, &notes) => panic!("the rest is held"),
        () = fake.until("the first piece", |_| !notes.taken().is_empty()) => {}
    }
    fake.until("the hang-up", |f| f.hang_ups() == 1 && f.in_flight() == 0).await;
    assert_eq!(fake.calls(), 1);
}

#[tokio::test]
async fn connections_of_streams_are_used_again() {
    let fake = FakeModel::by(|_, _| Reply::stream(texts(&["a", "b"])));
    let provider = provider(&fake.config());
    for _ in 0..5 {
        provider.complete(&request("hi"), &Notes::default()).await.unwrap();
    }
    assert_eq!((fake.calls(), fake.connections()), (5, 1));
}

#[tokio::test]
async fn tools_are_asked_for_in_pieces() {
    let fake = FakeModel::scripted([Reply::stream([
        Piece::text("Let me count."),
        Piece::call("call_1", "calculator", r#"{"sum": "1 + 1"}"#),
        Piece::call("call_2", "calculator", r#"{"sum": "2 + 2"}"#),
    ])]);
    let question = ChatRequest { tools: vec![calculator()], ..request("1 + 1, 2 + 2?") };
    let notes = Notes::default();
    let answer = provider(&fake.config()).complete(&question, &notes).await.unwrap();
    assert_eq!(answer.text, "Let me count.");
    assert_eq!(answer.finish_reason.as_deref(), Some("tool_calls"));
    let calls: Vec<_> = answer.tool_calls.iter().map(|c| (c.id.as_str(), c.arguments.as_str())).collect();
    assert_eq!(calls, [("call_1", r#"{"sum": "1 + 1"}"#), ("call_2", r#"{"sum": "2 + 2"}"#)]);
    assert_eq!(notes.taken(), some(&["Let me count."]));
}

#[tokio::test]
async fn a_flood_of_events_is_not_read() {
    let piece =
        format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{}\"}}}}]}}\n\n", "x".repeat(1 << 20));
    for body in [piece.repeat(17), format!("data: {}", "x".repeat(17 << 20))] {
        let fake = FakeModel::by(move |_, _| Reply::raw(200, "text/event-stream", body.clone()));
        let error = error_of(&fake).await;
        assert_eq!(error.kind, ModelErrorKind::BadAnswer);
        assert!(error.message.contains("16 MiB"), "{error}");
    }
}
