//! A process that is on its way out ends its connections one by one, so that clients go elsewhere.

use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::ConnectionType,
    middleware::Next,
    web::Data,
};

use crate::http::HttpState;

/// The middleware: `Connection: close` on every answer once the process is draining.
pub async fn draining(
    req: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let system = req.app_data::<Data<HttpState>>().map(|state| state.services.system.clone());
    let mut res = next.call(req).await?;
    // Asked when the answer is there: the request may have begun before.
    if system.is_some_and(|system| system.is_draining()) {
        res.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    Ok(res)
}
