//! `/redoc`: the API reference, drawn by the vendored ReDoc from `/openapi.json`.

use actix_web::{HttpResponse, http::StatusCode};

use super::{
    dashboard::SECURITY_HEADERS,
    render::{self, RenderError},
};

/// ReDoc writes its styles into the page and searches in a worker made from a blob.
const CSP: &str = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    worker-src blob:; connect-src 'self'; object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// The page.
pub async fn show() -> HttpResponse {
    match page() {
        Ok(response) => response,
        Err(error) => {
            log::error!("redoc: {error}");
            HttpResponse::InternalServerError().finish()
        }
    }
}

fn page() -> Result<HttpResponse, RenderError> {
    #[derive(serde::Serialize)]
    struct Nothing {}
    let html = render::render("redoc.html", &Nothing {})?;
    let mut response = HttpResponse::build(StatusCode::OK);
    for header in SECURITY_HEADERS {
        response.insert_header(header);
    }
    response.insert_header(("content-security-policy", CSP));
    Ok(response.content_type("text/html; charset=utf-8").body(html))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_web::test]
    async fn the_page_has_one_policy_of_its_own_and_loads_only_from_here() {
        let response = show().await;
        assert_eq!(response.status(), StatusCode::OK);
        let policies: Vec<_> = response.headers().get_all("content-security-policy").collect();
        assert_eq!(policies, [CSP]);
        let body = actix_web::body::to_bytes(response.into_body()).await.unwrap();
        let html = String::from_utf8(body.to_vec()).unwrap();
        assert!(html.contains("/static/vendor/redoc.standalone.js?v=") && !html.contains("http"), "{html}");
    }
}
