//! Login and logout.

use std::net::{IpAddr, Ipv4Addr};

use actix_web::{
    FromRequest, HttpMessage, HttpRequest, HttpResponse,
    cookie::{Cookie, SameSite, time::Duration},
    http::StatusCode,
    web,
};
use serde::{Deserialize, Serialize};

use super::{
    access::{Posted, Visitor, now, require_same_origin, session_cookie},
    form_fields::{Fields, field, fields},
    page::{PageError, Shell, answer, see_other},
};
use crate::{
    http::{
        HttpState,
        caller::Caller,
        client_ip,
        session::{self, Holder},
    },
    model::KeyState,
    service::keys::{self, Recognised},
};

#[derive(Deserialize)]
pub struct Next {
    #[serde(default)]
    next: String,
}

#[derive(Serialize)]
struct LoginPage<'a> {
    next: &'a str,
    problem: Option<&'static str>,
}

pub async fn show(request: HttpRequest, query: web::Query<Next>) -> Result<HttpResponse, PageError> {
    let next = session::safe_next(&query.next);
    if Visitor::extract(&request).await.is_ok() {
        return Ok(see_other(next));
    }
    page(StatusCode::OK, next, None)
}

pub async fn submit(
    request: HttpRequest,
    state: web::Data<HttpState>,
    form: web::Form<Fields>,
) -> Result<HttpResponse, PageError> {
    require_same_origin(&request)?;
    let form = fields(form)?;
    let next = session::safe_next(field(&form, "next"));
    let Some(key) = &state.api_key else { return Ok(see_other(next)) };
    let caller = client_ip::of(&request).ip.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let now = now(&state).timestamp();
    let shown = field(&form, "key").trim();
    let guesses = &state.gate.guesses;
    let can_be_guessed = !keys::has_form(shown);
    let wait = guesses.wait_seconds(caller, now);
    if wait > 0 && can_be_guessed && !guesses.is_known(caller, shown.as_bytes(), now) {
        return Err(PageError::TooManyTries { seconds: wait });
    }
    let named = if session::equal(shown, key.expose()) {
        None
    } else {
        match state.services.keys.recognise(shown).await? {
            Recognised::Key(named) => Some(named),
            no => {
                if can_be_guessed {
                    guesses.failed(caller, shown.as_bytes(), now);
                }
                log::warn!("dashboard: login with a wrong key from {caller}");
                let problem = match no {
                    Recognised::Over(KeyState::Expired) => "The time of this key is over.",
                    Recognised::Over(_) => "This key was revoked.",
                    _ => "That is not a key.",
                };
                return page(StatusCode::UNAUTHORIZED, next, Some(problem));
            }
        }
    };
    guesses.remember(caller, shown.as_bytes(), now);
    // For the audit log.
    named.as_ref().map_or_else(Caller::owner, |named| Caller::of(named)).enter(&mut request.extensions_mut());
    let signing_key = state.services.sessions.signing_key(key.expose()).await?;
    let holder = named.as_ref().map_or(Holder::Owner, |named| Holder::Key(&named.id));
    let Some(value) = session::issue_to(holder, &signing_key, now) else { return Err(PageError::Wiring) };
    let mut response = see_other(next);
    let cookie = cookie(&request, value, Duration::seconds(session::LIFETIME_SECONDS));
    response.add_cookie(&cookie).map_err(|_| PageError::Wiring)?;
    Ok(response)
}

pub async fn logout(
    request: HttpRequest,
    state: web::Data<HttpState>,
    _form: Posted,
) -> Result<HttpResponse, PageError> {
    if let Some(cookie) = session_cookie(&request)
        && let Some((id, left)) = session::id(&cookie, now(&state).timestamp())
    {
        state.services.sessions.end(id, std::time::Duration::from_secs(left)).await?;
    }
    let mut response = see_other("/dashboard/login");
    response.add_cookie(&cookie(&request, String::new(), Duration::ZERO)).map_err(|_| PageError::Wiring)?;
    Ok(response)
}

fn page(status: StatusCode, next: &str, problem: Option<&'static str>) -> Result<HttpResponse, PageError> {
    answer(status, "login.html", &Shell::public("", "Log in"), &LoginPage { next, problem })
}

/// Not readable by scripts, not sent from other sites, and over HTTPS only where the request came so.
fn cookie(request: &HttpRequest, value: String, life: Duration) -> Cookie<'static> {
    let https = request
        .headers()
        .get("x-forwarded-proto")
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.split(',').next())
        .is_some_and(|proto| proto.trim().eq_ignore_ascii_case("https"));
    Cookie::build(session::COOKIE, value)
        .path("/dashboard")
        .http_only(true)
        .same_site(SameSite::Strict)
        .secure(https || request.connection_info().scheme() == "https")
        .max_age(life)
        .finish()
}
