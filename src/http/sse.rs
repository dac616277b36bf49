//! Server-sent events: how a viewer's frames become a stream of `text/event-stream`.
//!
//! ```text
//! retry: 2000
//!
//! id: 17
//! data: {"kind":"step_started", …}
//!
//! event: partial
//! data: {"job_id":"…","attempt":1,"call":1,"at":120,"text":"more of the answer"}
//!
//! event: end
//! data: {"status":"completed"}
//! ```
//!
//! Only events have ids, so that `Last-Event-ID` names the last one that was seen. `at` of a partial says where its
//! text belongs: at 0 the answer begins anew. A stream that says nothing for 15 seconds sends a comment, for
//! proxies that cut what is silent; one that is an hour old is ended, and the client comes again and shows that
//! it still may. A stream that was opened with a named key ends when that key opens nothing any more: it is looked
//! at before anything is sent (and read at most every three seconds, as for requests). So does one that was opened in a
//! session of the dashboard, when somebody ends that.

use std::{
    convert::Infallible,
    time::{Duration, Instant},
};

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    http::{
        Method, StatusCode,
        header::{self, HeaderName, HeaderValue},
    },
    web::Data,
};
use bytes::Bytes;
use futures_util::{Stream, stream};
use serde_json::json;

use super::{
    HttpState,
    caller::{Caller, SessionId},
    error::{FieldError, Problem},
    extract::query_value,
};
use crate::service::{
    Keys, Sessions,
    keys::Recognised,
    live::{Frame, Since, Viewer},
};

/// After this silence a comment is sent.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long one stream lasts.
const LONGEST: Duration = Duration::from_secs(3_600);
/// How often it is looked whether the session of a stream has ended.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// How long a client waits until it connects again, in milliseconds.
const RETRY_MS: u64 = 2_000;
/// How many bytes of frames that are there already are sent as one piece.
const PIECE: usize = 32 << 10;

/// Where the client wants to begin: `Last-Event-ID`, else `after` of the query, else `otherwise`.
pub fn since(req: &HttpRequest, otherwise: Since) -> Result<Since, Problem> {
    let header =
        req.headers().get("last-event-id").map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned());
    // Both are looked at: a wrong one is a mistake also where the other one counts.
    let after = event_id("query", "after", query_value(req, "after"))?;
    let last = event_id("header", "Last-Event-ID", header)?;
    Ok(last.or(after).map_or(otherwise, Since::After))
}

/// The id of an event; nothing where none is given.
fn event_id(place: &str, name: &str, given: Option<String>) -> Result<Option<u64>, Problem> {
    let Some(text) = given.filter(|text| !text.is_empty()) else { return Ok(None) };
    match text.trim().parse::<u64>() {
        Ok(id) if i64::try_from(id).is_ok() => Ok(Some(id)),
        _ => {
            let msg = "Input should be the id of an event, a whole number";
            let error = FieldError::new("int_parsing", vec![json!(place), json!(name)], msg);
            Err(Problem::field(error.input(json!(text))))
        }
    }
}

/// The stream of a viewer; too many viewers are answered with 503.
pub fn answer(req: &HttpRequest, viewer: Option<Viewer>) -> Result<HttpResponse, Problem> {
    let Some(viewer) = viewer else {
        let detail = "There are too many viewers now; try again in a minute";
        let busy = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-viewers", detail);
        return Err(busy.header(header::RETRY_AFTER, HeaderValue::from_static("60")));
    };
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CONTENT_TYPE, "text/event-stream"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // nginx would hold the events back.
        .insert_header((HeaderName::from_static("x-accel-buffering"), "no"));
    Ok(match *req.method() {
        Method::HEAD => response.finish(),
        _ => response.streaming(pieces(viewer, Right::of(req))),
    })
}

/// By what right a stream goes on.
struct Right {
    /// The named key that it was opened with.
    key: Option<(Keys, String)>,
    /// The session of the dashboard that it was opened in.
    session: Option<(Sessions, String)>,
    /// When the session was looked at.
    looked: Instant,
}

impl Right {
    fn of(req: &HttpRequest) -> Self {
        let state = req.app_data::<Data<HttpState>>();
        let services = state.map(|state| &state.services);
        let key = services.zip(Caller::of_request(req).key_id).map(|(all, id)| (all.keys.clone(), id));
        let session = req.extensions().get::<SessionId>().cloned();
        let session = services.zip(session).map(|(all, SessionId(id))| (all.sessions.clone(), id));
        Self { key, session, looked: Instant::now() }
    }

    /// Whether it goes on. A store that is away has nothing to say, and no events either.
    async fn holds(&mut self) -> bool {
        if let Some((keys, id)) = &self.key
            && matches!(keys.by_id(id).await, Ok(Recognised::Unknown | Recognised::Over(_)))
        {
            return false;
        }
        let Some((sessions, id)) = self.session.as_ref().filter(|_| self.looked.elapsed() >= LOOK_EVERY)
        else {
            return true;
        };
        let has_ended = matches!(sessions.has_ended(id).await, Ok(true));
        self.looked = Instant::now();
        !has_ended
    }
}

fn pieces(viewer: Viewer, right: Right) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let ends_at = Instant::now() + LONGEST;
    let hello = stream::once(async { Ok(Bytes::from(format!("retry: {RETRY_MS}\n\n"))) });
    let rest = stream::unfold(Some((viewer, right)), move |stream| async move {
        let (mut viewer, mut right) = stream?;
        let left = ends_at.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        let mut piece = Vec::new();
        let over = match tokio::time::timeout(KEEP_ALIVE.min(left), viewer.next()).await {
            Err(_) => {
                piece.extend_from_slice(b": keep-alive\n\n");
                false
            }
            Ok(None) => return None,
            Ok(Some(frame)) => {
                let mut over = write(&mut piece, &frame);
                // What is taken from the viewer is written: asked for only while there is room.
                while !over && piece.len() < PIECE {
                    let Some(frame) = viewer.ready() else { break };
                    over = write(&mut piece, &frame);
                }
                over
            }
        };
        if !right.holds().await {
            return None;
        }
        Some((Ok(Bytes::from(piece)), (!over).then_some((viewer, right))))
    });
    futures_util::StreamExt::chain(hello, rest)
}

/// Writes one frame; whether it is the last one.
fn write(out: &mut Vec<u8>, frame: &Frame) -> bool {
    let mut line = |name: &str, value: &[u8]| {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        // A line break would end the field; ours are JSON, which has none, but who knows who wrote this.
        out.extend(value.iter().map(|b| if matches!(b, b'\n' | b'\r') { b' ' } else { *b }));
        out.push(b'\n');
    };
    let to_json = |value: &serde_json::Value| value.to_string().into_bytes();
    match frame {
        Frame::Event { id, body } => {
            line("id", id.to_string().as_bytes());
            line("data", body);
        }
        Frame::Partial(partial) => {
            line("event", b"partial");
            line("data", &serde_json::to_vec(partial).unwrap_or_default());
        }
        Frame::Gap { before } => {
            line("event", b"gap");
            line("data", &to_json(&json!({"before": before})));
        }
        Frame::End { status } => {
            line("event", b"end");
            line("data", &to_json(&json!({"status": status})));
        }
    }
    out.push(b'\n');
    matches!(frame, Frame::End { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(frame: &Frame) -> String {
        let mut out = Vec::new();
        write(&mut out, frame);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn frames_are_written_as_the_standard_has_them() {
        let event = Frame::Event { id: 7, body: br#"{"kind":"step_started"}"#.as_slice().into() };
        assert_eq!(written(&event), "id: 7\ndata: {\"kind\":\"step_started\"}\n\n");
        assert_eq!(
            written(&Frame::End { status: "failed" }),
            "event: end\ndata: {\"status\":\"failed\"}\n\n"
        );
        assert_eq!(written(&Frame::Gap { before: 9 }), "event: gap\ndata: {\"before\":9}\n\n");
    }

    #[test]
    fn no_line_break_gets_into_a_field() {
        let event = Frame::Event { id: 1, body: b"a\nevent: end\r\ndata: x\n\n".as_slice().into() };
        assert_eq!(written(&event).matches('\n').count(), 3);
    }
}
