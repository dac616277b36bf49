//! Bodies that are no JSON, too large, cut off or of another type: the same rules on every POST.

use serde_json::json;

use crate::support::{
    app::{KEY, TestApp},
    engines::Engine,
};

on_both_engines!(
    malformed_json_is_told_with_its_place,
    bytes_that_are_no_text_and_endless_nesting_are_malformed,
    a_body_that_is_no_object_or_not_there_is_told,
    any_kind_of_json_is_taken_and_nothing_else,
    a_type_may_be_left_out_but_not_by_a_browser,
    a_body_over_the_limit_is_413_announced_or_not,
    a_body_up_to_the_limit_is_read,
    long_inputs_are_not_sent_back,
);

const POSTS: [&str; 4] = ["/agents/", "/orchestrate", "/results/task", "/admin_review"];

async fn malformed_json_is_told_with_its_place(engine: Engine) {
    let app = engine.app().start().await;
    for path in POSTS {
        for (body, place) in [
            ("{", 1),
            ("{\"job\": }", 8),
            ("{\"job\": \"a\",}", 12),
            ("nope", 1),
            ("{\"job\": \"\\ud800\"}", 15),
            ("{} {}", 3),
        ] {
            let answer = app.post_text(path, "application/json", body).await;
            let detail = answer.problem(422);
            assert_eq!(detail[0]["type"], "json_invalid", "{path} {body}");
            assert_eq!(detail[0]["loc"][0], "body");
            let told = detail[0]["loc"][1].as_i64().unwrap();
            assert!((told - place).abs() <= 1, "{body}: {told}, not {place}");
            assert_eq!(detail[0]["msg"], "JSON decode error");
            assert!(detail[0]["ctx"]["error"].is_string());
        }
    }
}

async fn bytes_that_are_no_text_and_endless_nesting_are_malformed(engine: Engine) {
    let app = engine.app().start().await;
    let nested = "[".repeat(100_000).into_bytes();
    for body in [b"{\"job\": \"\xff\"}".to_vec(), nested, b"\xef\xbb\xbf{}".to_vec()] {
        let answer = app.post_text("/orchestrate", "application/json", body).await;
        assert_eq!(answer.problem(422)[0]["type"], "json_invalid");
    }
}

async fn a_body_that_is_no_object_or_not_there_is_told(engine: Engine) {
    let app = engine.app().start().await;
    for path in POSTS {
        for body in ["[]", "null", "1", "\"x\""] {
            let fields = app.post_text(path, "application/json", body).await.bad_fields();
            assert_eq!(fields, [("model_attributes_type".to_owned(), "body".to_owned())], "{path} {body}");
        }
        let fields = app.post_text(path, "application/json", "").await.bad_fields();
        assert_eq!(fields, [("missing".to_owned(), "body".to_owned())]);
    }
}

async fn any_kind_of_json_is_taken_and_nothing_else(engine: Engine) {
    let app = engine.app().start().await;
    for good in ["application/json; charset=utf-8", "Application/JSON", "application/vnd.x+json"] {
        let answer = app.post_text("/results/task", good, "{\"job\": \"x\"}").await;
        assert_eq!(answer.status, 200, "{good}: {}", answer.text);
    }
    for bad in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "json", ""] {
        let fields = app.post_text("/results/task", bad, "{\"job\": \"x\"}").await.bad_fields();
        assert_eq!(fields, [("model_attributes_type".to_owned(), "body".to_owned())], "{bad}");
    }
}

async fn a_type_may_be_left_out_but_not_by_a_browser(engine: Engine) {
    let (open, locked) = (engine.app().start().await, engine.app().locked().start().await);
    let body = "{\"job\": \"x\"}";
    let post = |app: &TestApp, extra: &str| {
        app.raw(&format!(
            "POST /results/task HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-API-Key: {KEY}\r\nContent-Length: {}\r\n{extra}\r\n{body}",
            body.len()
        ))
    };
    assert_eq!((post(&open, "").status, post(&locked, "").status), (200, 200));
    for foreign in ["Origin: http://evil.example\r\n", "Sec-Fetch-Site: cross-site\r\n"] {
        assert_eq!(post(&locked, foreign).status, 422, "{foreign}");
        assert_eq!(post(&open, foreign).status, 403, "{foreign}");
    }
}

async fn a_body_over_the_limit_is_413_announced_or_not(engine: Engine) {
    let app = engine.app().start().await;
    for path in POSTS {
        let body = json!({"job": "x".repeat(1 << 20)});
        let detail = app.post(path, &body).await.problem(413);
        assert!(detail.as_str().unwrap().contains("1048576"), "{detail}");
    }
    // The client announces what it does not send.
    let announced =
        app.raw_line("POST /orchestrate", "Content-Type: application/json\r\nContent-Length: 99999999\r\n");
    assert_eq!(announced.status, 413);
    let chunk = "x".repeat(0x8000);
    let chunks = format!("8000\r\n{chunk}\r\n").repeat(40);
    let chunked = app.raw(&format!(
        "POST /orchestrate HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n"
    ));
    assert_eq!(chunked.status, 413);
    assert_eq!(app.app.store.depth().await.unwrap().open(), 0);
}

async fn a_body_up_to_the_limit_is_read(engine: Engine) {
    let app = engine.app().start().await;
    let mut body = b"{\"job\": \"x\"}".to_vec();
    body.resize(1 << 20, b' ');
    assert_eq!(app.post_text("/results/task", "application/json", body).await.status, 200);
}

async fn long_inputs_are_not_sent_back(engine: Engine) {
    let app = engine.app().start().await;
    let answer = app.post("/results/task", &json!({"job": ["x".repeat(100_000)]})).await;
    assert_eq!(answer.bad_fields().len(), 1);
    assert!(answer.text.len() < 2_000, "{}", answer.text.len());
}
