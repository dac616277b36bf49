//! Gives every request a name and its client, and every answer its name and the headers that belong on all of them.

use std::sync::Arc;

use actix_web::{
    Error, HttpMessage,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{self, HeaderMap, HeaderName, HeaderValue},
    middleware::Next,
    web::Data,
};

use crate::http::{HttpState, client_ip::Client, gate::Connection, rate_limit::Quota};

/// The header that carries the name, in both directions.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// A longer name from a client is not taken over.
const MAX_CHARS: usize = 128;

/// The name of a request, in its extensions.
#[derive(Debug, Clone)]
pub struct RequestId(pub Arc<str>);

impl RequestId {
    /// The client's own name if it is a sane one, else a fresh one.
    fn of(req: &ServiceRequest) -> Self {
        let given = req.headers().get(X_REQUEST_ID).map(HeaderValue::as_bytes);
        let sane = |name: &&[u8]| {
            (1..=MAX_CHARS).contains(&name.len()) && name.iter().all(|b| (0x21..0x7f).contains(b))
        };
        match given.filter(sane).and_then(|name| std::str::from_utf8(name).ok()) {
            Some(name) => Self(name.into()),
            None => Self(uuid::Uuid::new_v4().to_string().into()),
        }
    }

    /// The name that this middleware gave to a request.
    pub fn given(req: &ServiceRequest) -> Self {
        req.extensions().get::<Self>().cloned().unwrap_or_else(|| Self("".into()))
    }
}

/// The middleware.
pub async fn request_id(
    req: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let id = RequestId::of(&req);
    let value = HeaderValue::from_str(&id.0).unwrap_or(HeaderValue::from_static("-"));
    req.extensions_mut().insert(id);
    let client = find_client(&req);
    req.extensions_mut().insert(client);
    match next.call(req).await {
        Ok(mut res) => {
            let quota = res.request().extensions().get::<Quota>().copied();
            if let Some(quota) = quota {
                quota.put(res.headers_mut());
            }
            put_headers(res.headers_mut(), value, client.https);
            Ok(res)
        }
        Err(mut error) => {
            error.add_response_mapper(move |mut res| {
                put_headers(res.headers_mut(), value.clone(), client.https);
                res
            });
            Err(error)
        }
    }
}

/// Where the request comes from; its connection has now asked something.
fn find_client(req: &ServiceRequest) -> Client {
    if let Some(connection) = req.conn_data::<Connection>() {
        connection.asked();
    }
    let Some(state) = req.app_data::<Data<HttpState>>() else { return Client::default() };
    let client = Client::find(req.peer_addr(), req.headers(), &state.gate.proxies);
    if client.unknown_proxy {
        state.gate.warn_of_proxy(client.ip);
    }
    client
}

fn put_headers(headers: &mut HeaderMap, id: HeaderValue, https: bool) {
    headers.insert(X_REQUEST_ID, id);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    for (name, value) in [
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // Answers hold private data; pages and assets that may be kept say so themselves.
        (header::CACHE_CONTROL, "no-store"),
        // An answer for programs is no page, whatever stands in it. Pages say what they need.
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ] {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    // Only who came by HTTPS is told to stay with it, and for this host alone.
    if https {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
}
