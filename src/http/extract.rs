//! What handlers take from a request: a JSON body whose every bad field is named, a page of a
//! listing, an id.

use std::{
    future::{Ready, ready},
    io::ErrorKind,
    pin::Pin,
    time::Duration,
};

use actix_web::{
    FromRequest, HttpMessage, HttpRequest,
    dev::Payload,
    error::PayloadError,
    http::{StatusCode, header},
    web::{BytesMut, Data, Query},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::{StreamExt, stream};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{
    HttpState, Patience,
    error::{FieldError, Problem},
    fields::{self, Field},
};
use crate::{
    model::is_valid_id,
    service::{
        ServiceError,
        idempotency::{IdempotencyKey, MAX_KEY_CHARS},
    },
    store::{Cursor, StoreError},
};

/// The largest JSON body.
pub const MAX_JSON_BYTES: usize = 1 << 20;
/// What is read and thrown away of a body that is too large, so that the client, which is still
/// sending, gets to read the answer.
const MAX_DRAINED_BYTES: usize = 16 << 20;

/// A type that a client sends, with the table its fields are checked against.
pub trait RequestBody: DeserializeOwned + 'static {
    const FIELDS: &'static [Field];
    /// Whether no body at all stands for an empty object.
    const MAY_BE_EMPTY: bool = false;
}

/// A JSON body. Unknown fields are ignored; every missing or wrongly typed one is named.
pub struct Body<T>(pub T);

/// The body as it was sent, kept with the request so that a later complaint can show it.
pub struct SentBody(pub Value);

impl<T: RequestBody> FromRequest for Body<T> {
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Self::Error>>>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (req, mut payload) = (req.clone(), payload.take());
        Box::pin(async move {
            let bytes = tokio::time::timeout(patience(&req), read(&req, &mut payload))
                .await
                .map_err(|_| Problem::new(StatusCode::REQUEST_TIMEOUT, "slow-body", SLOW))??;
            let empty = T::MAY_BE_EMPTY && bytes.is_empty() && is_json(&req);
            let mut value = if empty { json!({}) } else { parse_json(&req, &bytes)? };
            fields::make_whole(&mut value, T::FIELDS);
            let checked = fit::<T>(&value);
            req.extensions_mut().insert(SentBody(value));
            Ok(Self(checked.map_err(Problem::fields)?))
        })
    }
}

/// A value as what it should be, or all that is wrong with it.
pub(super) fn fit<T: RequestBody>(value: &Value) -> Result<T, Vec<FieldError>> {
    fields::check(value, T::FIELDS)
        .and_then(|()| serde_path_to_error::deserialize(value).map_err(|e| vec![unforeseen(&e)]))
}

const SLOW: &str = "The body did not arrive in time";

/// How long a client may take to send a body.
fn patience(req: &HttpRequest) -> Duration {
    let state = req.app_data::<Data<HttpState>>();
    state.map_or_else(Patience::default, |state| state.gate.patience).body
}

/// A body that must have come within `limit`; what is missing then is an error of the kind `TimedOut`.
pub fn hurried(payload: Payload, limit: Duration) -> Payload {
    let deadline = tokio::time::Instant::now() + limit;
    let pieces = stream::unfold(payload, move |mut payload| async move {
        match tokio::time::timeout_at(deadline, payload.next()).await {
            Ok(piece) => piece.map(|piece| (piece, payload)),
            Err(_) => Some((Err(PayloadError::Io(ErrorKind::TimedOut.into())), Payload::None)),
        }
    });
    Payload::Stream { payload: Box::pin(pieces) }
}

async fn read(req: &HttpRequest, payload: &mut Payload) -> Result<BytesMut, Problem> {
    let announced = req
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|v| v.to_str().ok()?.parse::<usize>().ok())
        .unwrap_or(0);
    let mut too_large = announced > MAX_JSON_BYTES;
    let (mut bytes, mut total) = (BytesMut::new(), 0);
    if announced <= MAX_DRAINED_BYTES {
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|e| {
                Problem::new(StatusCode::BAD_REQUEST, "broken-body", format!("The body cannot be read: {e}"))
            })?;
            total += chunk.len();
            too_large |= total > MAX_JSON_BYTES;
            if total > MAX_DRAINED_BYTES {
                break;
            }
            if !too_large {
                bytes.extend_from_slice(&chunk);
            }
        }
    }
    if too_large {
        let detail = format!("The body is too large: at most {MAX_JSON_BYTES} bytes are accepted here");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", detail));
    }
    Ok(bytes)
}

fn parse_json(req: &HttpRequest, bytes: &[u8]) -> Result<Value, Problem> {
    let body = |kind, msg: &str| FieldError::new(kind, vec![json!("body")], msg);
    if !is_json(req) {
        return Err(Problem::field(
            body(
                "model_attributes_type",
                "Input should be a valid dictionary or object; send JSON with Content-Type: application/json",
            )
            .input(json!(String::from_utf8_lossy(bytes))),
        ));
    }
    if bytes.is_empty() {
        return Err(Problem::field(body("missing", "Field required")));
    }
    json_of(bytes).map_err(|error| Problem::field(*error))
}

/// A text as JSON, or where it is none.
pub(super) fn json_of(bytes: &[u8]) -> Result<Value, Box<FieldError>> {
    serde_json::from_slice(bytes).map_err(|e| {
        // What is cut off goes wrong behind its last character.
        let place = if e.is_eof() { bytes.len() } else { offset(bytes, e.line(), e.column()) };
        let error = FieldError::new("json_invalid", vec![json!("body"), json!(place)], "JSON decode error");
        Box::new(error.input(json!({})).ctx(json!({"error": e.to_string()})))
    })
}

/// As FastAPI has it: any kind of JSON, or no type at all. A browser can be made to send a request
/// without a type from a foreign page without asking first, so from a browser the type must be there.
fn is_json(req: &HttpRequest) -> bool {
    let Some(given) = req.headers().get(header::CONTENT_TYPE) else {
        let from_browser =
            req.headers().contains_key(header::ORIGIN) || req.headers().contains_key("sec-fetch-site");
        return !from_browser;
    };
    let given = String::from_utf8_lossy(given.as_bytes()).to_ascii_lowercase();
    let essence = given.split(';').next().unwrap_or_default().trim();
    let Some(("application", subtype)) = essence.split_once('/') else { return false };
    subtype == "json" || subtype.ends_with("+json")
}

/// The position in the text, from the line and column that the parser tells.
fn offset(bytes: &[u8], line: usize, column: usize) -> usize {
    let before: usize =
        bytes.split_inclusive(|b| *b == b'\n').take(line.saturating_sub(1)).map(<[u8]>::len).sum();
    before + column.saturating_sub(1)
}

/// A complaint that the table of fields did not foresee.
fn unforeseen(error: &serde_path_to_error::Error<serde_json::Error>) -> FieldError {
    let mut loc = vec![json!("body")];
    for segment in error.path() {
        match segment {
            serde_path_to_error::Segment::Seq { index } => loc.push(json!(index)),
            other => loc.push(json!(other.to_string())),
        }
    }
    FieldError::new("value_error", loc, error.inner().to_string())
}

/// A parameter of the query; of one that comes twice the last counts.
pub fn query_value(req: &HttpRequest, name: &str) -> Option<String> {
    let query = Query::<Vec<(String, String)>>::from_query(req.query_string()).ok()?.into_inner();
    query.into_iter().rev().find(|(n, _)| n == name).map(|(_, value)| value)
}

/// The header `Idempotency-Key`, if there is one.
pub struct Idempotency(pub Option<IdempotencyKey>);

impl FromRequest for Idempotency {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        const NAME: &str = "Idempotency-Key";
        let mut given = req.headers().get_all(NAME);
        let key = match (given.next(), given.next()) {
            (None, _) => Ok(Self(None)),
            (Some(one), None) => match one.to_str().ok().and_then(IdempotencyKey::parse) {
                Some(key) => Ok(Self(Some(key))),
                None => Err(format!("A key has 1 to {MAX_KEY_CHARS} visible ASCII characters")),
            },
            (Some(_), Some(_)) => Err("Send one key only".to_owned()),
        };
        ready(key.map_err(|msg| {
            let loc = vec![json!("header"), json!(NAME)];
            Problem::field(FieldError::new("idempotency_key", loc, msg))
        }))
    }
}

/// Which part of a listing is wanted: `limit` and `cursor` of the query.
pub struct Paging {
    pub limit: usize,
    pub cursor: Option<Cursor>,
}

impl Paging {
    /// Reads the query. Unknown parameters are ignored; of one that comes twice the last counts.
    pub fn of(req: &HttpRequest, default: usize, max: usize) -> Result<Self, Problem> {
        let value = |name| query_value(req, name);
        let mut errors = Vec::new();
        let limit = value("limit").map_or(Ok(default), |text| limit(&text, max)).unwrap_or_else(|error| {
            errors.push(*error);
            default
        });
        // A form sends the fields that nobody filled in as well.
        let cursor = value("cursor").filter(|text| !text.is_empty()).map(|text| open_cursor(&text, "query"));
        let cursor = cursor.transpose().unwrap_or_else(|error| {
            errors.push(*error);
            None
        });
        if errors.is_empty() { Ok(Self { limit, cursor }) } else { Err(Problem::fields(errors)) }
    }

    /// What a failed listing is answered with: a cursor that its store cannot read is the client's
    /// mistake.
    pub fn failed(cursor: &Option<Cursor>) -> impl FnOnce(ServiceError) -> Problem + use<> {
        let given = cursor.clone();
        move |error| match (error, given) {
            (ServiceError::Store(StoreError::Invalid(_)), Some(cursor)) => {
                Problem::field(bad_cursor(&seal_cursor(&cursor), "query"))
            }
            (error, _) => error.into(),
        }
    }
}

fn limit(text: &str, max: usize) -> Result<usize, Box<FieldError>> {
    let loc = vec![json!("query"), json!("limit")];
    let bound = |kind, words: &str, name: &str, bound: usize| {
        let msg = format!("Input should be {words} or equal to {bound}");
        FieldError::new(kind, loc.clone(), msg).input(json!(text)).ctx(json!({name: bound})).into()
    };
    let number = text.trim().parse::<i128>().map_err(|_| {
        let msg = "Input should be a valid integer, unable to parse string as an integer";
        Box::new(FieldError::new("int_parsing", loc.clone(), msg).input(json!(text)))
    })?;
    match usize::try_from(number) {
        Ok(n) if (1..=max).contains(&n) => Ok(n),
        _ if number < 1 => Err(bound("greater_than_equal", "greater than", "ge", 1)),
        _ => Err(bound("less_than_equal", "less than", "le", max)),
    }
}

/// A store's cursor as clients see it: opaque, and fit for a header and a query whatever is in it.
pub fn seal_cursor(cursor: &Cursor) -> String {
    URL_SAFE_NO_PAD.encode(&cursor.0)
}

/// The inverse; `place` is where it was given, `query` or `body`.
pub fn open_cursor(text: &str, place: &str) -> Result<Cursor, Box<FieldError>> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| Box::new(bad_cursor(text, place)))?;
    String::from_utf8(bytes).map(Cursor).map_err(|_| Box::new(bad_cursor(text, place)))
}

fn bad_cursor(text: &str, place: &str) -> FieldError {
    let msg = "This is no cursor of this listing; take the one that the page before came with";
    FieldError::new("cursor_invalid", vec![json!(place), json!("cursor")], msg).input(json!(text))
}

/// An id of a path. One that nothing can have is [`Problem::not_found`], in the words for an unknown one.
pub fn known_form(id: &str, not_found: impl FnOnce() -> String) -> Result<(), Problem> {
    if is_valid_id(id) { Ok(()) } else { Err(Problem::not_found(not_found())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_a_text_is_counted_over_its_lines() {
        assert_eq!(offset(b"{", 1, 2), 1);
        assert_eq!(offset(b"{\n\"a\": x}", 2, 6), 7);
        assert_eq!(offset(b"", 0, 0), 0);
    }

    #[test]
    fn a_limit_is_a_number_within_its_bounds() {
        assert_eq!(limit("7", 10), Ok(7));
        for (text, kind) in [
            ("0", "greater_than_equal"),
            ("-1", "greater_than_equal"),
            ("11", "less_than_equal"),
            ("99999999999999999999999", "less_than_equal"),
            ("1e3", "int_parsing"),
            ("", "int_parsing"),
        ] {
            assert_eq!(limit(text, 10).map_err(|e| e.kind.to_string()), Err(kind.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_cursor_comes_back_as_it_went() {
        let cursor = Cursor("5:jöb/\u{0}".to_owned());
        assert_eq!(open_cursor(&seal_cursor(&cursor), "query"), Ok(cursor));
        assert!(open_cursor("not a cursor!", "query").is_err());
    }
}
