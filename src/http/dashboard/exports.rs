//! Exports for a visitor: the files of the API, behind the session of the dashboard.
//!
//! The cookie is sent to paths below `/dashboard` alone, so the API's own addresses do not know a visitor.

use actix_web::{HttpRequest, HttpResponse, ResponseError, http::header, web};

use super::{
    access::Visitor,
    page::{PageError, SECURITY_HEADERS},
};
use crate::http::{HttpState, api, error::Problem};

/// All results that fit the filters of the address.
pub async fn results(
    _visitor: Visitor,
    state: web::Data<HttpState>,
    request: HttpRequest,
    format: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    file(api::exports::results(state, request, format).await)
}

/// A workflow with all its results.
pub async fn workflow(
    _visitor: Visitor,
    state: web::Data<HttpState>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, PageError> {
    file(api::exports::workflow(state, path).await)
}

fn file(answer: Result<HttpResponse, Problem>) -> Result<HttpResponse, PageError> {
    let mut answer = answer.map_err(|problem| refused(&problem))?;
    for (name, value) in SECURITY_HEADERS {
        let (name, value) = (header::HeaderName::from_static(name), header::HeaderValue::from_static(value));
        answer.headers_mut().insert(name, value);
    }
    answer.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    Ok(answer)
}

/// What the API says, as a page.
pub fn refused(problem: &Problem) -> PageError {
    let (_, sentences) = problem.told();
    PageError::BadRequest(problem.status_code(), sentences.join(". "))
}
