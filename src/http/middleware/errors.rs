//! Writes out every error as `application/problem+json`, a panic included.
//!
//! What already says in HTML or JSON what is the matter (the dashboard's pages, a red health) stays.

use std::panic::AssertUnwindSafe;

use actix_web::{
    Error, HttpMessage,
    body::{EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    error::InternalError,
    http::header,
    middleware::Next,
};
use futures_util::FutureExt;

use super::request_id::RequestId;
use crate::http::{error::Problem, extract::SentBody};

/// The middleware.
pub async fn errors<B: MessageBody + 'static>(
    req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    // Both clones are cheap, and where no response comes back they are all that is left of the request.
    let (id, uri) = (RequestId::given(&req), req.uri().clone());
    let problem = match AssertUnwindSafe(next.call(req)).catch_unwind().await {
        Ok(Ok(res)) => {
            let problem = match res.response().error() {
                Some(error) if error.as_error::<Problem>().is_some() => Problem::of(error),
                _ if !is_mute(&res) => return Ok(res.map_into_left_body()),
                Some(error) => Problem::of(error),
                None => Problem::bare(res.status(), res.headers()),
            };
            let sent = res.request().extensions_mut().remove::<SentBody>();
            let answer = problem.answer(uri.path(), &id.0, sent.as_ref().map(|s| &s.0));
            return Ok(res.into_response(answer).map_into_right_body());
        }
        Ok(Err(error)) => Problem::of(&error),
        Err(panic) => {
            let text = panic
                .downcast_ref::<&str>()
                .map(|s| (*s).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_default();
            Problem::internal(format!("panic: {text}"))
        }
    };
    let answer = problem.clone().answer(uri.path(), &id.0, None);
    Err(InternalError::from_response(problem, answer).into())
}

/// Whether this is an error that tells people or programs nothing: actix itself answers so to a wrong
/// method or a form that it cannot read.
fn is_mute<B>(res: &ServiceResponse<B>) -> bool {
    let kind = res.headers().get(header::CONTENT_TYPE).map_or(&b""[..], |v| v.as_bytes());
    let speaks = [&b"text/html"[..], b"application/"].iter().any(|known| kind.starts_with(known));
    (res.status().is_client_error() || res.status().is_server_error()) && !speaks
}
