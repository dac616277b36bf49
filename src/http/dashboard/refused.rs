//! Pages for what is refused before a handler is asked: too many requests, forms that come too slowly.

use actix_web::{HttpMessage, HttpResponse, ResponseError, dev::ServiceRequest, http::header, web};

use super::page::PageError;
use crate::http::{HttpState, error::Problem, extract::hurried};

/// A form has to come soon; files may take their time, and have limits of their own.
pub(super) fn hurry(request: &mut ServiceRequest) {
    let is_file = request
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().to_ascii_lowercase().starts_with(b"multipart/"));
    let state = request.app_data::<web::Data<HttpState>>();
    if let (Some(limit), false) = (state.map(|state| state.gate.patience.body), is_file) {
        let payload = request.take_payload();
        request.set_payload(hurried(payload, limit));
    }
}

/// Whether a path is one that people look at.
pub fn has_pages(path: &str) -> bool {
    ["/dashboard", "/help"]
        .iter()
        .any(|root| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

/// A page for what was refused before its handler was asked.
pub fn refusal(problem: &Problem) -> HttpResponse {
    let (status, headers) = problem.head();
    let (_, sentences) = problem.told();
    let mut response = PageError::BadRequest(status, sentences.join("\n")).error_response();
    for (name, value) in headers {
        response.headers_mut().insert(name.clone(), value.clone());
    }
    response
}
