//! Errors become HTTP here and nowhere else: RFC 9457 `application/problem+json`, whose `detail` is
//! what legacy clients read.

use std::borrow::Cow;

use actix_web::{
    HttpResponse, ResponseError,
    http::{
        StatusCode,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::{
    blobs::BlobError,
    service::{FieldProblem, ServiceError},
    store::StoreError,
};

/// Seconds after which a client may ask again while the store is away.
pub const RETRY_AFTER_SECONDS: u32 = 2;
/// The media type of every error answer.
pub const PROBLEM_JSON: &str = "application/problem+json";
/// A longer input is not sent back with the complaint about it.
const MAX_ECHO_BYTES: usize = 1_000;

/// One bad field, as FastAPI names it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct FieldError {
    /// A stable name: `missing`, `string_type`, `int_parsing`, …
    #[serde(rename = "type")]
    #[schema(example = "missing")]
    pub kind: Cow<'static, str>,
    /// Where it is: `["body", "job"]`.
    #[schema(value_type = Vec<Value>, example = json!(["body", "job"]))]
    pub loc: Vec<Value>,
    /// What is wrong and what would be right.
    #[schema(example = "Field required")]
    pub msg: String,
    /// What was sent.
    #[serde(default)]
    #[schema(value_type = Value, example = json!({"requires_qa": true}))]
    pub input: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub ctx: Option<Value>,
}

impl FieldError {
    pub fn new(kind: &'static str, loc: Vec<Value>, msg: impl Into<String>) -> Self {
        Self { kind: Cow::Borrowed(kind), loc, msg: msg.into(), input: None, ctx: None }
    }

    pub fn input(mut self, input: Value) -> Self {
        self.input = Some(input);
        self
    }

    pub fn ctx(mut self, ctx: Value) -> Self {
        self.ctx = Some(ctx);
        self
    }

    /// Looks up what was sent under its `loc`, and leaves out what is too long to be sent back.
    fn settle(mut self, body: Option<&Value>) -> Self {
        if self.input.is_none()
            && let (Some("body"), Some(body)) = (self.loc.first().and_then(Value::as_str), body)
        {
            let mut found = Some(body);
            for step in self.loc.iter().skip(1) {
                found = found.and_then(|at| match step {
                    Value::String(key) => at.get(key.as_str()),
                    other => other.as_u64().and_then(|i| at.get(i as usize)),
                });
            }
            self.input = found.cloned();
        }
        if let Some(input) = &self.input
            && serde_json::to_vec(input).map_or(usize::MAX, |v| v.len()) > MAX_ECHO_BYTES
        {
            self.input = None;
        }
        self
    }
}

impl From<FieldProblem> for FieldError {
    fn from(problem: FieldProblem) -> Self {
        Self::new(problem.kind, problem.loc.into_iter().map(Value::from).collect(), problem.message)
    }
}

/// What `detail` says.
#[derive(Debug, Clone)]
enum Detail {
    Text(Cow<'static, str>),
    Fields(Vec<FieldError>),
}

/// An error answer in the making. The middleware `errors` writes it out.
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    /// The last part of its `type`.
    kind: &'static str,
    detail: Detail,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// For the log only.
    cause: Option<String>,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.status, self.kind)
    }
}

/// The answer is written by the middleware, which knows the request; this only carries the status.
impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status)
    }
}

impl Problem {
    pub fn new(status: StatusCode, kind: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status, kind, detail: Detail::Text(detail.into()), headers: Vec::new(), cause: None }
    }

    pub fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", detail)
    }

    /// A path that nothing answers to.
    pub fn no_such_path() -> Self {
        Self::not_found("Not Found")
    }

    /// A method that a path does not know.
    pub fn method_not_allowed(allow: &'static str) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Method Not Allowed")
            .header(header::ALLOW, HeaderValue::from_static(allow))
    }

    pub fn foreign_host() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "foreign-host",
            "Without an API key this server answers only to localhost. Set API_KEY, or start it with --open",
        )
    }

    /// Without a key nobody else keeps pages of other sites from what a browser on this machine can reach.
    pub fn foreign_origin() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "foreign-origin",
            "Without an API key only pages of CORS_ORIGINS may change something here. Set API_KEY, or name the page's origin there",
        )
    }

    /// No key came.
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "Unauthorized")
            .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"ProductForge\""))
    }

    /// A key came that opens nothing. Why is told to who has the whole of it and to nobody else.
    pub fn no_such_key(why: impl Into<Cow<'static, str>>) -> Self {
        let challenge = HeaderValue::from_static("Bearer realm=\"ProductForge\", error=\"invalid_token\"");
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", why).header(header::WWW_AUTHENTICATE, challenge)
    }

    /// A key came whose scope is too small; `challenge` is what `WWW-Authenticate` says.
    pub(super) fn forbidden_scope(detail: String, challenge: String) -> Self {
        let problem = Self::new(StatusCode::FORBIDDEN, "insufficient-scope", detail);
        match HeaderValue::from_str(&challenge) {
            Ok(challenge) => problem.header(header::WWW_AUTHENTICATE, challenge),
            Err(_) => problem,
        }
    }

    /// Bad fields, each with its place.
    pub fn fields(errors: Vec<FieldError>) -> Self {
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "validation", "");
        problem.detail = Detail::Fields(errors);
        problem
    }

    pub fn field(error: FieldError) -> Self {
        Self::fields(vec![error])
    }

    /// The store is away.
    pub fn unavailable(cause: String) -> Self {
        let detail = "The store is not available right now; try again in a moment";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "store-unavailable", detail)
            .header(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS))
            .cause(cause)
    }

    /// Something went wrong in here. The client learns no more than that.
    pub fn internal(cause: impl Into<String>) -> Self {
        let detail = "Something went wrong in the server; the log has the details under this request_id";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail).cause(cause.into())
    }

    /// What is wrong, in sentences for a person, and the name of it.
    pub fn told(&self) -> (&str, Vec<String>) {
        match &self.detail {
            Detail::Text(text) => (self.kind, vec![text.to_string()]),
            Detail::Fields(errors) => {
                let kind = errors.first().map_or(self.kind, |error| &error.kind);
                (kind, errors.iter().map(|error| error.msg.clone()).collect())
            }
        }
    }

    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    fn cause(mut self, cause: String) -> Self {
        self.cause = Some(cause);
        self
    }

    /// What the log says of it beside what the client is told.
    pub fn because(self, cause: impl Into<String>) -> Self {
        self.cause(cause.into())
    }

    /// The status, and the headers beside the text.
    pub fn head(&self) -> (StatusCode, &[(HeaderName, HeaderValue)]) {
        (self.status, &self.headers)
    }

    /// What an error of actix itself or of one of our handlers is to be answered with.
    pub fn of(error: &actix_web::Error) -> Self {
        if let Some(problem) = error.as_error::<Self>() {
            return problem.clone();
        }
        let status = error.as_response_error().status_code();
        if status.is_server_error() {
            return Self::internal(error.to_string());
        }
        Self::new(status, "http", status.canonical_reason().unwrap_or("Bad Request"))
    }

    /// For an answer that has a status and headers but says nothing.
    pub fn bare(status: StatusCode, headers: &HeaderMap) -> Self {
        let mut problem = match status {
            StatusCode::NOT_FOUND => Self::no_such_path(),
            StatusCode::METHOD_NOT_ALLOWED => Self::new(status, "method-not-allowed", "Method Not Allowed"),
            status => Self::new(status, "http", status.canonical_reason().unwrap_or("Error")),
        };
        let kept = headers.iter().filter(|(name, _)| **name != header::CONTENT_TYPE);
        problem.headers = kept.map(|(name, value)| (name.clone(), value.clone())).collect();
        problem
    }

    /// The answer, logged if it is the server's fault.
    pub fn answer(self, instance: &str, request_id: &str, body: Option<&Value>) -> HttpResponse {
        if self.status.is_server_error() {
            let cause = self.cause.as_deref().unwrap_or("unknown");
            log::error!(
                request_id = request_id, path = instance, status = self.status.as_u16();
                "a request failed: {cause}"
            );
        }
        let detail = match self.detail {
            Detail::Text(text) => json!(text),
            Detail::Fields(errors) => json!(errors.into_iter().map(|e| e.settle(body)).collect::<Vec<_>>()),
        };
        let mut answer = HttpResponse::build(self.status);
        answer.content_type(PROBLEM_JSON);
        for header in self.headers {
            answer.append_header(header);
        }
        answer.json(ProblemBody {
            kind: format!("urn:productforge:problem:{}", self.kind),
            title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: self.status.as_u16(),
            detail,
            instance: instance.to_owned(),
            request_id: request_id.to_owned(),
        })
    }
}

/// An error answer: RFC 9457 `application/problem+json`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// What kind of problem it is; stable.
    #[serde(rename = "type")]
    #[schema(example = "urn:productforge:problem:not-found")]
    pub kind: String,
    #[schema(example = "Not Found")]
    pub title: String,
    #[schema(example = 404)]
    pub status: u16,
    /// A sentence; for 422 the list of all bad fields.
    #[schema(schema_with = detail_schema)]
    pub detail: Value,
    /// The path that was asked for.
    #[schema(example = "/agents/nobody")]
    pub instance: String,
    /// The same as in the header `X-Request-ID`; the log has it too.
    pub request_id: String,
}

fn detail_schema() -> utoipa::openapi::schema::Schema {
    use utoipa::openapi::{Ref, schema};
    schema::OneOfBuilder::new()
        .item(schema::ObjectBuilder::new().schema_type(schema::Type::String))
        .item(schema::ArrayBuilder::new().items(Ref::from_schema_name("FieldError")))
        .build()
        .into()
}

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::NotFound(what) => Self::not_found(what),
            ServiceError::Invalid(problems) => {
                Self::fields(problems.into_iter().map(FieldError::from).collect())
            }
            ServiceError::Conflict(why) => Self::new(StatusCode::CONFLICT, "conflict", why),
            ServiceError::NoRoom(why) => {
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "disk-full", why.clone()).cause(why)
            }
            ServiceError::TooLarge { limit } => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "body-too-large",
                format!("File too large (max {})", megabytes(limit)),
            ),
            ServiceError::Damaged(why) => Self::internal(why),
            ServiceError::Blob(error) => Self::from(error),
            ServiceError::Store(error) => Self::from(error),
        }
    }
}

impl From<BlobError> for Problem {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::Missing { .. } => Self::not_found(error.to_string()),
            BlobError::Full { .. } => {
                let detail = "No space is left for uploads; nothing was kept";
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "disk-full", detail).cause(error.to_string())
            }
            BlobError::TooLarge { .. } => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", error.to_string())
            }
            error if error.is_transient() => Self::unavailable(error.to_string()),
            error => Self::internal(error.to_string()),
        }
    }
}

/// `50MB` in the legacy system's words, or bytes where it is no round number.
fn megabytes(bytes: u64) -> String {
    const MEGABYTE: u64 = 1 << 20;
    match bytes % MEGABYTE {
        0 => format!("{}MB", bytes / MEGABYTE),
        _ => format!("{bytes} bytes"),
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) | StoreError::Unusable(_) => Self::unavailable(error.to_string()),
            StoreError::Full(_) => Self::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "store-full",
                "The store is full; nothing was written",
            )
            .cause(error.to_string()),
            StoreError::Corrupt { .. } => Self::internal(error.to_string()),
            StoreError::Invalid(why) => {
                Self::field(FieldError::new("limit", vec![json!("body")], format!("Too much: {why}")))
            }
        }
    }
}
