//! The error answers of the document: one table, which says what each looks like and which operations
//! can give it. Operations refer to them by name.

use serde_json::{Value, json};
use utoipa::openapi::{
    Content, Header, Ref, RefOr, Response, ResponseBuilder,
    example::ExampleBuilder,
    schema::{Object, Type},
};

use super::request_id;
use crate::{
    http::error::{FieldError, PROBLEM_JSON, Problem},
    model::Scope,
};

/// What the errors of an operation follow from.
pub struct Traits {
    pub public: bool,
    /// Answers under any name of the host.
    pub probe: bool,
    /// Does not look at the store.
    pub from_memory: bool,
    pub has_id: bool,
    pub has_query: bool,
    pub has_body: bool,
    pub writes: bool,
}

struct Shared {
    status: u16,
    /// Its name in the document.
    name: &'static str,
    /// The last part of `type`.
    kind: &'static str,
    title: &'static str,
    /// When it comes.
    when: &'static str,
    /// The sentence of the example; 422 has lists.
    detail: &'static str,
    /// A header beside it, and what that says.
    header: Option<(&'static str, &'static str)>,
    can_come: fn(&Traits) -> bool,
}

const SHARED: [Shared; 12] = [
    Shared {
        status: 400,
        name: "BadRequest",
        kind: "upload",
        title: "Bad Request",
        when: "The body cannot be read; an upload is no form with a .zip in it",
        detail: "Only ZIP files are allowed",
        header: None,
        can_come: |of| of.has_body,
    },
    Shared {
        status: 401,
        name: "Unauthorized",
        kind: "unauthorized",
        title: "Unauthorized",
        when: "The server has a key, and this one is missing, wrong, revoked or expired",
        detail: "Unauthorized",
        header: Some(("WWW-Authenticate", "How a key is sent")),
        can_come: |of| !of.public,
    },
    Shared {
        status: 403,
        name: "Forbidden",
        kind: "foreign-host",
        title: "Forbidden",
        when: "The key's scope is too small; or the server has no key, listens on this machine only, and was asked under \
            another name",
        detail: "Without an API key this server answers only to localhost. Set API_KEY, or start it with --open",
        header: None,
        can_come: |of| !of.probe,
    },
    Shared {
        status: 404,
        name: "NotFound",
        kind: "not-found",
        title: "Not Found",
        when: "There is no such thing, or its time to live is over",
        detail: "Workflow not found",
        header: None,
        can_come: |of| of.has_id,
    },
    Shared {
        status: 408,
        name: "SlowBody",
        kind: "slow-body",
        title: "Request Timeout",
        when: "The body did not arrive in time",
        detail: "The body did not arrive in time",
        header: None,
        can_come: |of| of.has_body,
    },
    Shared {
        status: 409,
        name: "Conflict",
        kind: "conflict",
        title: "Conflict",
        when: "Its state does not allow it, or somebody else changed it at the same time",
        detail: "job cf049ed7-6d0d-4b44-9d3c-0d9e2f0a6f11 has completed already",
        header: None,
        can_come: |of| of.writes,
    },
    Shared {
        status: 413,
        name: "BodyTooLarge",
        kind: "body-too-large",
        title: "Payload Too Large",
        when: "The body is too large",
        detail: "The body is too large: at most 1048576 bytes are accepted here",
        header: None,
        can_come: |of| of.has_body,
    },
    Shared {
        status: 422,
        name: "BadFields",
        kind: "validation",
        title: "Unprocessable Entity",
        when: "Fields of the body, the query or the headers are missing or wrong; each of them is named",
        detail: "",
        header: None,
        can_come: |of| of.has_body || of.has_query,
    },
    Shared {
        status: 429,
        name: "TooManyRequests",
        kind: "rate-limited",
        title: "Too Many Requests",
        when: "The limit of this address or key is reached (`rate-limited`), or too many wrong keys came from this address \
            (`too-many-wrong-keys`)",
        detail: "This key may send 60 requests a minute; the next one is accepted in 1 s",
        header: Some(("Retry-After", "Seconds to wait")),
        can_come: |of| !of.probe,
    },
    Shared {
        status: 500,
        name: "Internal",
        kind: "internal",
        title: "Internal Server Error",
        when: "A fault of the server; its log has it under the `request_id`",
        detail: "Something went wrong in the server; the log has the details under this request_id",
        header: None,
        can_come: |_| true,
    },
    Shared {
        status: 503,
        name: "StoreUnavailable",
        kind: "store-unavailable",
        title: "Service Unavailable",
        when: "The store is away for now",
        detail: "The store is not available right now; try again in a moment",
        header: Some(("Retry-After", "Seconds to wait")),
        can_come: |of| !of.from_memory,
    },
    Shared {
        status: 507,
        name: "StoreFull",
        kind: "store-full",
        title: "Insufficient Storage",
        when: "The disk or the store is full; nothing was written",
        detail: "The store is full; nothing was written",
        header: None,
        can_come: |of| of.writes,
    },
];

/// All of them, by name.
pub fn answers() -> impl Iterator<Item = (String, RefOr<Response>)> {
    SHARED.iter().map(|shared| (shared.name.to_owned(), shared.answer().into()))
}

/// Those of an operation: status and reference.
pub fn of(traits: Traits) -> impl Iterator<Item = (String, RefOr<Response>)> {
    let coming = SHARED.iter().filter(move |shared| (shared.can_come)(&traits));
    coming.map(|shared| (shared.status.to_string(), Ref::from_response_name(shared.name).into()))
}

impl Shared {
    fn answer(&self) -> Response {
        let mut content = Content::new(Some(Ref::from_schema_name("Problem")));
        match self.status {
            403 => {
                let scope = Problem::insufficient_scope(Scope::Admin, Some(Scope::Read));
                let (kind, words) = scope.told();
                let scope = self.example_of(kind, words.concat().into());
                let host = self.example(self.detail.into());
                for (name, summary, value) in [
                    ("scope", "The key may not do this", scope),
                    ("host", "A server without a key was asked under a foreign name", host),
                ] {
                    let example = ExampleBuilder::new().summary(summary).value(Some(value));
                    content.examples.insert(name.to_owned(), example.build().into());
                }
            }
            422 => {
                for (name, summary, error) in bad_fields() {
                    let example =
                        ExampleBuilder::new().summary(summary).value(Some(self.example(json!([error]))));
                    content.examples.insert(name.to_owned(), example.build().into());
                }
            }
            _ => content.example = Some(self.example(self.detail.into())),
        }
        let mut response =
            ResponseBuilder::new().description(self.when).content(PROBLEM_JSON, content).build();
        response.headers.insert("X-Request-ID".to_owned(), request_id());
        if let Some((name, about)) = self.header {
            let kind = if name == "Retry-After" { Type::Integer } else { Type::String };
            let mut header = Header::new(Object::with_type(kind));
            header.description = Some(about.to_owned());
            response.headers.insert(name.to_owned(), header.into());
        }
        response
    }

    fn example(&self, detail: Value) -> Value {
        self.example_of(self.kind, detail)
    }

    fn example_of(&self, kind: &str, detail: Value) -> Value {
        json!({
            "type": format!("urn:productforge:problem:{kind}"), "title": self.title, "status": self.status,
            "detail": detail, "instance": "/workflows/nothing",
            "request_id": "7b0c9f0e-8a55-4f43-9a3b-7d0a64a1a9d3",
        })
    }
}

fn bad_fields() -> [(&'static str, &'static str, FieldError); 2] {
    let missing = FieldError::new("missing", vec!["body".into(), "job".into()], "Field required");
    let parsing = "Input should be a valid integer, unable to parse string as an integer";
    let limit = FieldError::new("int_parsing", vec!["query".into(), "limit".into()], parsing);
    [
        ("body", "A field of the body is missing", missing.input(json!({"requires_qa": true}))),
        ("query", "A parameter of the query is no number", limit.input("abc".into())),
    ]
}
