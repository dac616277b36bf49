//! Who may see a page and who may post a form.

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload, http::header, web};
use futures_util::future::{FutureExt, LocalBoxFuture};

use super::{
    form::{self, Fields, field},
    notice,
    page::PageError,
};
use crate::{
    http::{HttpState, caller::Caller, session},
    model::Timestamp,
};

/// A visitor who may see data. As an argument of a handler it is the lock on the door: with an API
/// key set, a request without a session is sent to the login.
pub struct Visitor {
    /// The CSRF token of the session; `None` when there is no key and so no session.
    pub csrf: Option<String>,
    /// What the form that led here has done.
    pub notice: Option<String>,
}

/// A form that a visitor sent. As an argument of a handler it is the lock on what a page can do: the form
/// comes from a page of this site and shows the token of its session.
pub struct Posted {
    pub visitor: Visitor,
    pub fields: Fields,
}

impl Posted {
    /// The last value of a field; empty when it did not come.
    pub fn field(&self, name: &str) -> &str {
        field(&self.fields, name)
    }

    /// All values of a field, in order.
    pub fn all(&self, name: &str) -> Vec<String> {
        self.fields.iter().filter(|(n, _)| n == name).map(|(_, v)| v.clone()).collect()
    }
}

impl FromRequest for Posted {
    type Error = PageError;
    type Future = LocalBoxFuture<'static, Result<Self, PageError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let checked = require_same_origin(request);
        let admitted = admit(request.clone());
        let form = web::Form::<Fields>::from_request(request, payload);
        async move {
            checked?;
            let visitor = admitted.await?;
            let form = form.await.map_err(|error| {
                PageError::BadRequest(error.as_response_error().status_code(), error.to_string())
            })?;
            let fields = form::fields(form)?;
            visitor.require_token(field(&fields, "csrf"))?;
            Ok(Self { visitor, fields })
        }
        .boxed_local()
    }
}

impl FromRequest for Visitor {
    type Error = PageError;
    type Future = LocalBoxFuture<'static, Result<Self, PageError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        admit(request.clone()).boxed_local()
    }
}

async fn admit(request: HttpRequest) -> Result<Visitor, PageError> {
    let request = &request;
    let Some(state) = request.app_data::<web::Data<HttpState>>() else { return Err(PageError::no_state()) };
    let notice = notice::read(request);
    let Some(key) = &state.api_key else { return Ok(Visitor { csrf: None, notice }) };
    let now = now(state).timestamp();
    let valid = session_cookie(request).filter(|cookie| session::verify(key.expose(), cookie, now));
    let ended = match valid.as_deref().and_then(|cookie| session::id(cookie, now)) {
        Some((id, _)) => state.services.sessions.has_ended(id).await?,
        None => true,
    };
    match valid {
        Some(cookie) if !ended => {
            let caller = Caller { key: Some(Caller::DEFAULT.to_owned()), requests_per_minute: None };
            request.extensions_mut().insert(caller);
            Ok(Visitor { csrf: Some(session::csrf(key.expose(), &cookie)), notice })
        }
        _ => Err(PageError::LoginNeeded { next: way_back(request) }),
    }
}

/// The cookie, if one came.
pub fn session_cookie(request: &HttpRequest) -> Option<String> {
    request.cookie(session::COOKIE).map(|cookie| cookie.value().to_owned())
}

/// The time of the application's clock.
pub fn now(state: &HttpState) -> Timestamp {
    state.services.system.now()
}

/// After the login a reader comes back to the page that was asked for; a form does not run again.
fn way_back(request: &HttpRequest) -> String {
    let asked = request.uri().path_and_query().map_or("", |p| p.as_str());
    let asked = if request.method() == actix_web::http::Method::GET { asked } else { "" };
    session::safe_next(asked).to_owned()
}

/// Refuses a form that comes from another site, whether or not there is a session.
///
/// Browsers say where a form comes from in `Sec-Fetch-Site` and, on plain HTTP too, in `Origin`;
/// neither can be set by a page. A program that sends none of them is no browser, so there is
/// nobody whose rights could be misused.
pub fn require_same_origin(request: &HttpRequest) -> Result<(), PageError> {
    let value = |name: &str| request.headers().get(name).and_then(|v| v.to_str().ok());
    let foreign = || PageError::Forbidden("This form was sent by another site.".to_owned());
    if let Some(site) = value("sec-fetch-site") {
        return if matches!(site, "same-origin" | "none") { Ok(()) } else { Err(foreign()) };
    }
    let Some(origin) = value(header::ORIGIN.as_str()) else { return Ok(()) };
    let Some((_, authority)) = origin.split_once("://") else { return Err(foreign()) };
    let hosts = [value(header::HOST.as_str()), value("x-forwarded-host")];
    if hosts.into_iter().flatten().any(|host| host.eq_ignore_ascii_case(authority)) {
        Ok(())
    } else {
        Err(foreign())
    }
}

impl Visitor {
    /// Refuses a form without the token of its session.
    pub fn require_token(&self, shown: &str) -> Result<(), PageError> {
        match &self.csrf {
            Some(expected) if !session::equal(expected, shown) => Err(PageError::Forbidden(
                "The form is out of date. Load the page again and repeat.".to_owned(),
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn allowed(headers: &[(&str, &str)]) -> bool {
        let mut request = TestRequest::post().insert_header(("host", "forge.example:8000"));
        for header in headers {
            request = request.insert_header(*header);
        }
        require_same_origin(&request.to_http_request()).is_ok()
    }

    #[test]
    fn a_form_of_another_site_is_refused() {
        assert!(!allowed(&[("sec-fetch-site", "cross-site")]));
        assert!(!allowed(&[("sec-fetch-site", "same-site")]));
        assert!(!allowed(&[("origin", "http://evil.example")]));
        assert!(!allowed(&[("origin", "http://forge.example")]), "another port is another site");
        assert!(!allowed(&[("origin", "null")]));
        assert!(!allowed(&[("sec-fetch-site", "cross-site"), ("origin", "http://forge.example:8000")]));
    }

    #[test]
    fn a_form_of_this_site_and_one_of_a_program_are_let_through() {
        assert!(allowed(&[("sec-fetch-site", "same-origin")]));
        assert!(allowed(&[("origin", "http://forge.example:8000")]));
        assert!(allowed(&[("origin", "https://forge.example"), ("x-forwarded-host", "forge.example")]));
        assert!(allowed(&[]));
    }
}
