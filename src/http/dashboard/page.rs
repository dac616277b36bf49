//! What all pages share: the frame around them, their headers, and pages for what went wrong.

use std::{fmt, io::ErrorKind};

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder, ResponseError,
    body::{EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    error::{PayloadError, UrlencodedError},
    http::{StatusCode, header},
    middleware::Next,
};
use serde::Serialize;

use super::{
    access::{Visitor, admit_for},
    refused,
};
use crate::{
    http::{
        HttpState,
        render::{self, RenderError},
        rights::Needed,
    },
    model::Scope,
    service::ServiceError,
    store::StoreError,
    telemetry::counters,
};

/// On every page: nothing from elsewhere, nothing inline, nobody frames it.
pub const SECURITY_HEADERS: [(&str, &str); 4] = [
    (
        "content-security-policy",
        "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    // Not `no-referrer`: browsers would then send `Origin: null` with our own forms.
    ("referrer-policy", "same-origin"),
];

/// Seconds between two looks at a page on which something runs, and on one where something may start.
pub const LIVE: u32 = 2;
pub const IDLE: u32 = 10;

/// What the navigation shows to those who may see it alone.
const KEYS: &str = "/dashboard/keys";

const NAV: [(&str, &str); 11] = [
    ("/dashboard/", "Overview"),
    ("/dashboard/workflows", "Workflows"),
    ("/dashboard/results", "Results"),
    ("/dashboard/uploads", "Uploads"),
    ("/dashboard/agents", "Agents"),
    ("/dashboard/jobs", "Jobs"),
    ("/dashboard/queues", "Queues"),
    ("/dashboard/analytics", "Analytics"),
    ("/dashboard/system", "System"),
    (KEYS, "Keys"),
    ("/help", "Help"),
];

#[derive(Serialize)]
struct NavLink {
    href: &'static str,
    label: &'static str,
    current: bool,
}

/// The frame around a page.
#[derive(Serialize)]
pub struct Shell {
    title: String,
    nav: Vec<NavLink>,
    /// The token of the visitor's session; `None` without one.
    csrf: Option<String>,
    /// What the form that led here has done.
    notice: Option<String>,
    /// Whether the visitor may give work and steer it.
    may_run: bool,
    /// Whether the visitor may delete, and change what all work depends on.
    may_admin: bool,
    /// The name of the session's key, where it is not that of `API_KEY`, and what it may do.
    key: Option<(String, &'static str)>,
    /// Answers come from the simulation.
    simulated: bool,
    /// Seconds until the page is to be fetched again; 0: never.
    live: u32,
    /// The stream of events that says when it is to be fetched sooner.
    events: Option<String>,
    version: &'static str,
}

impl Shell {
    /// `section` is the label of the navigation link that leads here.
    pub fn new(state: &HttpState, visitor: &Visitor, section: &str, title: impl Into<String>) -> Self {
        let mut nav = links(section);
        nav.retain(|link| link.href != KEYS || visitor.may(Scope::Admin));
        Self {
            title: title.into(),
            nav,
            csrf: visitor.csrf.clone(),
            notice: visitor.notice.clone(),
            may_run: visitor.may(Scope::Run),
            may_admin: visitor.may(Scope::Admin),
            key: visitor.caller.key_id.as_ref().and_then(|_| {
                let scope = visitor.caller.scope?;
                Some((visitor.caller.key.clone()?, scope.as_str()))
            }),
            simulated: state.services.system.is_simulated(),
            live: 0,
            events: None,
            version: env!("CARGO_PKG_VERSION"),
        }
    }

    /// The frame of a page that anybody may see: it says nothing about this server.
    pub fn public(section: &str, title: impl Into<String>) -> Self {
        let mut nav = links(section);
        nav.retain(|link| link.href != KEYS);
        Self {
            title: title.into(),
            nav,
            csrf: None,
            notice: None,
            may_run: false,
            may_admin: false,
            key: None,
            simulated: false,
            live: 0,
            events: None,
            version: env!("CARGO_PKG_VERSION"),
        }
    }

    /// The page is to be fetched again when something comes in this stream.
    pub fn events(mut self, stream: String) -> Self {
        self.events = Some(stream);
        self
    }

    /// The page is to be fetched again after so many seconds.
    pub fn live(mut self, seconds: u32) -> Self {
        self.live = seconds;
        self
    }
}

fn links(section: &str) -> Vec<NavLink> {
    NAV.map(|(href, label)| NavLink { href, label, current: label == section }).into()
}

/// What a template gets: `shell` for the frame, `page` for what is in it.
#[derive(Serialize)]
struct Whole<'a, T> {
    shell: &'a Shell,
    page: &'a T,
}

/// A page as an answer.
pub fn answer<T: Serialize>(
    status: StatusCode,
    template: &'static str,
    shell: &Shell,
    page: &T,
) -> Result<HttpResponse, PageError> {
    let html = render::render(template, &Whole { shell, page }).map_err(PageError::Render)?;
    Ok(builder(status).content_type("text/html; charset=utf-8").body(html))
}

/// An answer of the dashboard with its headers.
pub fn builder(status: StatusCode) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    for header in SECURITY_HEADERS {
        response.insert_header(header);
    }
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    response
}

/// Sends the browser to another page with a GET.
pub fn see_other(to: &str) -> HttpResponse {
    builder(StatusCode::SEE_OTHER).insert_header((header::LOCATION, to)).finish()
}

/// Why there is no page.
#[derive(Debug)]
pub enum PageError {
    /// There is a key and no session.
    LoginNeeded {
        next: String,
    },
    Forbidden(String),
    NotFound(String),
    BadRequest(StatusCode, String),
    TooManyTries {
        seconds: i64,
    },
    Service(ServiceError),
    Render(RenderError),
    /// The application was put together wrongly.
    Wiring,
}

impl PageError {
    pub fn no_state() -> Self {
        Self::Wiring
    }

    /// Heading and explanation for the visitor. Faults of the program show no inner texts.
    fn explain(&self) -> (&'static str, String) {
        match self {
            Self::LoginNeeded { .. } => ("Log in", String::new()),
            Self::Forbidden(why) => ("Refused", why.clone()),
            Self::NotFound(what) => ("Not found", what.clone()),
            Self::BadRequest(StatusCode::TOO_MANY_REQUESTS, why) => ("Too many requests", why.clone()),
            Self::BadRequest(StatusCode::SERVICE_UNAVAILABLE, why) => ("Too many visitors", why.clone()),
            Self::BadRequest(_, why) => ("The request cannot be read", why.clone()),
            Self::TooManyTries { seconds } => {
                ("Too many wrong keys", format!("Wait {seconds} seconds, then try again."))
            }
            Self::Service(error) if self.status_code().is_server_error() => match self.status_code() {
                StatusCode::SERVICE_UNAVAILABLE => {
                    ("The store is away", "It is asked again when this page is loaded again.".to_owned())
                }
                StatusCode::INSUFFICIENT_STORAGE => {
                    ("The store is full", "Nothing was written. Make room, then try again.".to_owned())
                }
                _ => ("Something went wrong", "The log of the server says what.".to_owned()),
            },
            Self::Service(error) => ("That did not work", error.to_string()),
            Self::Render(_) | Self::Wiring => {
                ("Something went wrong", "The log of the server says what.".to_owned())
            }
        }
    }

    /// Says in the log what is not the visitor's fault. An error is made into an answer more than once on its way
    /// out, so this is not done there.
    fn log(&self, path: &str) {
        match self.status_code() {
            StatusCode::SERVICE_UNAVAILABLE => log::warn!("dashboard: {path}: {self}"),
            status if status.is_server_error() => log::error!("dashboard: {path}: {self}"),
            _ => {}
        }
    }
}

impl fmt::Display for PageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LoginNeeded { .. } => f.write_str("login needed"),
            Self::Forbidden(why) | Self::NotFound(why) | Self::BadRequest(_, why) => f.write_str(why),
            Self::TooManyTries { seconds } => write!(f, "too many wrong keys, wait {seconds} s"),
            Self::Service(error) => error.fmt(f),
            Self::Render(error) => error.fmt(f),
            Self::Wiring => f.write_str("HttpState is missing"),
        }
    }
}

impl From<ServiceError> for PageError {
    fn from(error: ServiceError) -> Self {
        Self::Service(error)
    }
}

impl ResponseError for PageError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::LoginNeeded { .. } => StatusCode::SEE_OTHER,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::BadRequest(status, _) => *status,
            Self::TooManyTries { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Service(error) => service_status(error),
            Self::Render(_) | Self::Wiring => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        if let Self::LoginNeeded { next } = self {
            return see_other(&format!("/dashboard/login?next={}", render::segment(next)));
        }
        #[derive(Serialize)]
        struct Problem {
            title: &'static str,
            detail: String,
            /// Where the help explains it.
            help: String,
        }
        let (title, detail) = self.explain();
        let shell = Shell::public("", title);
        let page = Problem { title, detail, help: super::help::of_status(self.status_code()) };
        let mut response = answer(self.status_code(), "error.html", &shell, &page).unwrap_or_else(|_| {
            builder(StatusCode::INTERNAL_SERVER_ERROR)
                .content_type("text/plain")
                .body("Something went wrong.")
        });
        if let Self::TooManyTries { seconds } = self {
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from(*seconds));
        }
        response
    }
}

/// The status of what the services refuse, as the API answers it.
pub fn service_status(error: &ServiceError) -> StatusCode {
    match error {
        ServiceError::NotFound(_) => StatusCode::NOT_FOUND,
        ServiceError::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
        ServiceError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        ServiceError::Damaged(_) | ServiceError::Blob(_) => StatusCode::INTERNAL_SERVER_ERROR,
        ServiceError::Conflict(_) => StatusCode::CONFLICT,
        ServiceError::Store(StoreError::Unavailable(_) | StoreError::Unusable(_)) => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        ServiceError::NoRoom(_) | ServiceError::Store(StoreError::Full(_)) => {
            StatusCode::INSUFFICIENT_STORAGE
        }
        ServiceError::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// What is wrong, one line a problem.
pub fn problems_of(error: &ServiceError) -> Vec<String> {
    match error {
        ServiceError::Invalid(problems) => problems
            .iter()
            .map(|p| format!("{}: {}", p.loc.last().map_or("", String::as_str), p.message))
            .collect(),
        other => vec![other.to_string()],
    }
}

/// Middleware: every error below becomes a page here, so that the one of the API, which would make
/// `application/problem+json` of it, has nothing left to do.
pub async fn errors_are_pages<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    count(&request);
    refused::hurry(&mut request);
    let response = next.call(request).await?;
    let Some(error) = response.response().error() else { return Ok(response.map_into_left_body()) };
    let page = match error.as_error::<PageError>() {
        Some(error) => {
            error.log(response.request().path());
            error.error_response()
        }
        None => {
            let status = error.as_response_error().status_code();
            PageError::BadRequest(status, error.to_string()).error_response()
        }
    };
    Ok(response.into_response(page).map_into_right_body())
}

/// Counts a page, and apart those that a script fetches to update an open one.
fn count(request: &ServiceRequest) {
    let by_script = request.headers().get("sec-fetch-dest").is_some_and(|dest| dest == "empty");
    if by_script { counters::DASHBOARD_UPDATES.add(1) } else { counters::DASHBOARD_PAGES.add(1) }
}

/// For forms that cannot be read at all.
pub fn form_error(error: UrlencodedError, _: &HttpRequest) -> actix_web::Error {
    let is_slow =
        matches!(&error, UrlencodedError::Payload(PayloadError::Io(e)) if e.kind() == ErrorKind::TimedOut);
    match is_slow {
        true => {
            let why = "The form did not arrive in time.".to_owned();
            PageError::BadRequest(StatusCode::REQUEST_TIMEOUT, why).into()
        }
        false => PageError::BadRequest(error.status_code(), error.to_string()).into(),
    }
}

/// Whatever else is asked for below `/dashboard`; with a key set it takes a session to learn that.
pub async fn not_found(request: HttpRequest) -> Result<HttpResponse, PageError> {
    admit_for(&request, Needed::Scope(Scope::Read)).await?;
    Err(PageError::NotFound("There is no such page.".to_owned()))
}
