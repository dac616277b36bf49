//! Who may see a page and who may post a form.

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload, web};
use futures_util::future::{FutureExt, LocalBoxFuture};

use super::{
    form_fields::{self, Fields, field},
    notice,
    page::PageError,
};
use crate::{
    http::{
        HttpState,
        caller::{Caller, SessionId},
        origin,
        rights::{self, Needed},
        session::{self, Holder},
    },
    model::{Scope, Timestamp},
    service::keys::Recognised,
};

/// A visitor who may see data. As an argument of a handler it is the lock on the door: with an API
/// key set, a request without a session is sent to the login, and one whose key may not is refused.
pub struct Visitor {
    /// The CSRF token of the session; `None` when there is no key and so no session.
    pub csrf: Option<String>,
    /// What the form that led here has done.
    pub notice: Option<String>,
    /// Whose session it is, and what it may do.
    pub caller: Caller,
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
            let fields = form_fields::fields(form)?;
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
    let needed = rights::announced(&request);
    admit_for(&request, needed).await
}

/// Who visits, if that visitor may do what is needed. Puts the caller into the request's extensions.
pub async fn admit_for(request: &HttpRequest, needed: Needed) -> Result<Visitor, PageError> {
    let Some(state) = request.app_data::<web::Data<HttpState>>() else { return Err(PageError::no_state()) };
    let notice = notice::read(request);
    let Some(key) = &state.api_key else {
        return Ok(Visitor { csrf: None, notice, caller: Caller::anybody() });
    };
    let login = || PageError::LoginNeeded { next: way_back(request) };
    let now = now(state).timestamp();
    let cookie = session_cookie(request).ok_or_else(login)?;
    let signing_key = state.services.sessions.signing_key(key.expose()).await?;
    let holder = session::verify(&signing_key, &cookie, now).ok_or_else(login)?;
    let (id, _) = session::id(&cookie, now).ok_or_else(login)?;
    if state.services.sessions.has_ended(id).await? {
        return Err(login());
    }
    let caller = match holder {
        Holder::Owner => Caller::owner(),
        // What a session may do is what its key may do now.
        Holder::Key(id) => match state.services.keys.by_id(id).await? {
            Recognised::Key(key) => Caller::of(&key),
            Recognised::Unknown | Recognised::Over(_) => return Err(login()),
        },
    };
    caller.clone().enter(&mut request.extensions_mut());
    request.extensions_mut().insert(SessionId(id.to_owned()));
    let visitor = Visitor { csrf: Some(session::csrf(&signing_key, &cookie)), notice, caller };
    if let Needed::Scope(needed) = needed {
        visitor.require(needed)?;
    }
    Ok(visitor)
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
pub fn require_same_origin(request: &HttpRequest) -> Result<(), PageError> {
    match origin::is_foreign(request.headers()) {
        true => Err(PageError::Forbidden("This form was sent by another site.".to_owned())),
        false => Ok(()),
    }
}

impl Visitor {
    pub fn may(&self, needed: Scope) -> bool {
        self.caller.may(needed)
    }

    /// Refuses what the key of the session may not do.
    pub fn require(&self, needed: Scope) -> Result<(), PageError> {
        if self.may(needed) {
            return Ok(());
        }
        let has = self.caller.scope.map_or("none", Scope::as_str);
        Err(PageError::Forbidden(format!(
            "This takes a key of scope '{}'. You are logged in with one of scope '{has}'.",
            needed.as_str()
        )))
    }

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
