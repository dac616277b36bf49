//! What must hold for whatever a client sends, and for texts that pages show.

use std::{cell::RefCell, sync::Mutex};

use actix_web::{
    error::PayloadError,
    http::header::{self, HeaderMap, HeaderValue},
    web::Bytes,
};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use super::{
    api::{self, uploads::Sink},
    error::{FieldError, Problem},
    extract::{self, RequestBody},
    fields, markdown, middleware,
    middleware::auth::{PUBLIC, PUBLIC_BELOW},
    session,
};
use crate::{
    model::{Agent, Budget, NewAgent},
    service::{agents::check::check as check_agent, records, tasks::NewTask, workflows::NewWorkflow},
    store::Cursor,
};

thread_local! {
    /// Forms are read with time-outs, which need one.
    static RUNTIME: RefCell<Option<Runtime>> = const { RefCell::new(None) };
}

fn block_on<T>(what: impl Future<Output = T>) -> T {
    RUNTIME.with_borrow_mut(|runtime| {
        let build = || Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.get_or_insert_with(build).block_on(what)
    })
}

/// A body is taken as what it should be, or every complaint says where in it something is wrong. The first byte says
/// what it should be.
pub fn request_body(data: &[u8]) {
    let Some((what, body)) = data.split_first() else { return };
    let problem = extract::json_of(body).map_err(|error| vec![*error]).and_then(|value| match what % 6 {
        0 => take::<NewWorkflow>(&value).map(drop),
        1 => take::<NewTask>(&value).map(drop),
        2 => take::<NewAgent>(&value).map(agent),
        3 => take::<api::jobs::bulk::BulkRequest>(&value).map(drop),
        4 => take::<api::workflows::control::ForkRequest>(&value).map(drop),
        _ => take::<Budget>(&value).map(drop),
    });
    for error in problem.err().into_iter().flatten() {
        let FieldError { loc, msg, ctx, .. } = &error;
        assert!(loc.first() == Some(&json!("body")) && !msg.is_empty(), "{error:?}");
        if error.kind == "json_invalid" {
            let place = loc.get(1).and_then(Value::as_u64).expect("a place in the text");
            assert!(place <= body.len() as u64 && ctx.is_some(), "{error:?}");
        }
    }
}

fn take<T: RequestBody>(value: &Value) -> Result<T, Vec<FieldError>> {
    let sent = extract::fit::<T>(value)?;
    assert!(fields::check(value, T::FIELDS).is_ok(), "the table is passed over");
    Ok(sent)
}

/// An agent that is let in can be stored and read.
fn agent(new: NewAgent) {
    if check_agent(&new).is_err() {
        return;
    }
    assert!(!new.name.is_empty() && !new.name.contains('/') && new.tools.len() <= 16);
    let now = chrono::DateTime::from_timestamp(1_800_000_000, 0).expect("a time");
    let agent = Agent::register(new, now);
    let put = records::put_agent(&agent);
    let again: Agent = serde_json::from_slice(&put.body).expect("a stored agent is read");
    assert_eq!(records::put_agent(&again).body, put.body);
}

/// The file of a form, in memory.
#[derive(Default)]
struct Kept(Vec<u8>);

impl Sink for Kept {
    async fn take(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// However a form is cut into pieces, the same is read; what is read stands in it. The first byte says how it is cut;
/// the boundary is `X`.
pub fn multipart(data: &[u8]) {
    let Some((cut, body)) = data.split_first() else { return };
    let whole = form(&[body]);
    let pieces: Vec<&[u8]> = body.chunks(1 + usize::from(*cut)).collect();
    let pieces = form(&pieces);
    match (&whole, &pieces) {
        (Ok(one), Ok(other)) => assert_eq!(one, other, "the pieces make a difference"),
        (Err(one), Err(other)) => assert_eq!(one.0, other.0, "{one:?} {other:?}"),
        (one, other) => panic!("the pieces make a difference: {one:?} {other:?}"),
    }
    match whole {
        Ok((file, name, project, csrf)) => {
            assert!(
                file.is_empty() || body.windows(file.len()).any(|part| part == file),
                "bytes from elsewhere"
            );
            assert!(name.to_lowercase().ends_with(".zip"), "{name:?}");
            assert!(project.chars().count() <= 200 && !project.chars().any(char::is_control), "{project:?}");
            assert!(csrf.as_deref().is_some_and(|csrf| csrf.chars().count() <= 200), "nobody was asked");
        }
        Err((status, words)) => {
            assert!(
                matches!(status, 400 | 422) && words.iter().all(|text| !text.is_empty()),
                "{status} {words:?}"
            );
        }
    }
}

type Form = (Vec<u8>, String, String, Option<String>);

fn form(pieces: &[&[u8]]) -> Result<Form, (u16, Vec<String>)> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("multipart/form-data; boundary=X"));
    let pieces: Vec<Result<Bytes, PayloadError>> =
        pieces.iter().map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let shown = Mutex::new(None);
    let admit = |csrf: &str| {
        *shown.lock().expect("nobody panics with it") = Some(csrf.to_owned());
        Ok(())
    };
    let read = api::uploads::read_form(&headers, stream::iter(pieces), &admit, async || Ok(Kept::default()));
    match block_on(read) {
        Ok((kept, name, project)) => {
            Ok((kept.0, name, project, shown.into_inner().expect("nobody panics with it")))
        }
        Err(problem) => {
            let status = actix_web::ResponseError::status_code(&problem).as_u16();
            Err((status, problem.told().1))
        }
    }
}

/// Whoever wrote a text, its HTML has the tags and attributes that are made here, closed in order, and no address that
/// does something.
pub fn markdown(data: &[u8]) {
    let Some((level, text)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(text);
    let first = 1 + level % 4;
    safe(&markdown::untrusted(&text, first), first);
    let sections = markdown::sections(&text);
    let ids: Vec<&str> = sections.iter().map(|s| s.id.as_str()).filter(|id| !id.is_empty()).collect();
    for (at, id) in ids.iter().enumerate() {
        assert!(!ids[..at].contains(id), "two sections have the id {id}");
    }
    let _ = markdown::trusted(&text);
}

const TAGS: &[&str] = &[
    "p",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "ul",
    "ol",
    "li",
    "pre",
    "code",
    "blockquote",
    "em",
    "strong",
    "del",
    "a",
    "br",
    "hr",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "div",
];
const ATTRIBUTES: &[&str] = &["href", "title", "rel", "start", "align", "tabindex", "class"];

fn safe(html: &str, first: u8) {
    let (mut rest, mut open, mut heading) = (html, Vec::new(), first - 1);
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let closes = rest.strip_prefix('/');
        rest = closes.unwrap_or(rest);
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).expect("a tag ends");
        let (tag, behind) = rest.split_at(end);
        assert!(TAGS.contains(&tag), "<{tag}> in {html}");
        rest = attributes(behind, html);
        if closes.is_some() {
            assert_eq!(open.pop(), Some(tag), "closed in another order: {html}");
        } else if !matches!(tag, "br" | "hr") {
            if let Some(level) = tag.strip_prefix('h').and_then(|level| level.parse::<u8>().ok()) {
                assert!(level >= first.min(6) && level <= heading + 1, "a heading is left out: {html}");
                heading = level;
            }
            open.push(tag);
        }
    }
    assert!(open.is_empty(), "left open: {open:?} in {html}");
}

/// What stands behind a tag's attributes.
fn attributes<'h>(mut rest: &'h str, html: &str) -> &'h str {
    loop {
        rest = rest.trim_start();
        if let Some(behind) = rest.strip_prefix('>') {
            return behind;
        }
        let (name, value) = rest.split_once("=\"").expect("an attribute with a value");
        assert!(ATTRIBUTES.contains(&name), "the attribute {name} in {html}");
        let (value, behind) = value.split_once('"').expect("a value ends");
        if name == "href" {
            // As browsers read it: without white space; and what is no name of a scheme makes it an address of here.
            let plain: String = value.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect();
            let plain = plain.to_lowercase();
            let scheme = plain.split_once(':').map_or("", |(scheme, _)| scheme);
            let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
            let harmless = !is_scheme || matches!(scheme, "http" | "https" | "mailto");
            assert!(harmless, "the address {value} in {html}");
        }
        rest = behind;
    }
}

/// No spelling of a path opens what is not public, nobody forges a session, the way back from the login stays here,
/// only this machine is this machine, a cursor comes back as it went.
pub fn access(data: &[u8]) {
    const KEY: &str = "a-key-of-the-owner";
    const NOW: i64 = 1_800_000_000;
    let text = String::from_utf8_lossy(data);
    let text = text.as_ref();
    if middleware::auth::is_public(text) {
        let once = decoded(text);
        for path in [resolved(text), resolved(&once), resolved(&decoded(&once))] {
            let below = PUBLIC_BELOW.iter().any(|p| path.starts_with(p) || path == p.trim_end_matches('/'));
            let dashboard = text.starts_with("/dashboard/");
            assert!(
                PUBLIC.contains(&path.as_str()) || below || dashboard,
                "{text} is public and means {path}"
            );
        }
    }
    assert!(
        session::verify(KEY, text, NOW).is_none() && !session::verify_csrf(KEY, text, text),
        "forged: {text}"
    );
    if let Some((nonce, _)) = session::id(text, NOW) {
        assert!(nonce.len() < text.len());
    }
    let next = session::safe_next(text);
    assert!(
        next == "/dashboard" || next.starts_with("/dashboard/") || next.starts_with("/dashboard?"),
        "{next}"
    );
    assert!(next.bytes().all(|b| (0x21..0x7f).contains(&b) && b != b'\\') && next.len() <= 1_000, "{next}");
    let path = next.split(['?', '#']).next().unwrap_or_default();
    assert!(resolved(&decoded(path)).starts_with("/dashboard"), "{next} leads out");
    if middleware::auth::is_local(text) {
        let (host, _) = text.rsplit_once(':').unwrap_or((text, ""));
        let local = ["localhost", "127.", "::1", "::ffff:127.", "0:0", "::ffff:7f", "[::"];
        let named = text.to_ascii_lowercase();
        assert!(
            local.iter().any(|part| named.contains(part)) || named.contains("::"),
            "{host} is not this machine"
        );
    }
    if let Ok(Cursor(cursor)) = extract::open_cursor(text, "query") {
        assert_eq!(extract::seal_cursor(&Cursor(cursor)), text, "two cursors mean the same");
    }
    let origins = ["https://*.example.com".to_owned(), "http://localhost:3000".to_owned()];
    if middleware::cors::is_allowed(text, &origins) {
        let origin = text.to_ascii_lowercase();
        let sub = origin.strip_prefix("https://").and_then(|rest| rest.strip_suffix(".example.com"));
        assert!(
            origin == "http://localhost:3000" || sub.is_some_and(|s| !s.contains(['/', ':', '@', '?', '#']))
        );
    }
}

/// `%41` as `A`, once.
fn decoded(path: &str) -> String {
    let bytes = path.as_bytes();
    let (mut out, mut at) = (Vec::new(), 0);
    while let Some(byte) = bytes.get(at) {
        let hex = bytes.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.filter(|_| *byte == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(decoded) => {
                out.push(decoded);
                at += 3;
            }
            None => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A path as the most lenient reader would go it.
fn resolved(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split(['/', '\\']) {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop(),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}
