//! The documentation of the API: `/openapi.json`, and Swagger UI under `/docs`. ReDoc is in `redoc.rs`.

use std::sync::LazyLock;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, ContentType, HeaderName},
    web::{Bytes, Path},
};

use super::{assets, error::Problem, openapi};

static DOCUMENT: LazyLock<Bytes> =
    LazyLock::new(|| Bytes::from(serde_json::to_vec(&openapi::document()).unwrap_or_default()));

/// Swagger UI sets styles from its script and draws its icons from data: addresses; scripts are files.
const POLICY: (HeaderName, &str) = (
    header::CONTENT_SECURITY_POLICY,
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     object-src 'none'; base-uri 'none'; frame-ancestors 'none'",
);
/// The page, with absolute addresses so that it works under `/docs` as under `/docs/`.
const PAGE: &str = r#"<!DOCTYPE html>
<html lang="en">
<head>
  <meta charset="UTF-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>ProductForge API</title>
  <link rel="stylesheet" href="/docs/swagger-ui.css">
  <link rel="stylesheet" href="/docs/index.css">
  <link rel="icon" type="image/png" href="/docs/favicon-32x32.png" sizes="32x32">
</head>
<body>
  <div id="swagger-ui"></div>
  <noscript>This page needs JavaScript; the document itself is <a href="/openapi.json">here</a>.</noscript>
  <script src="/docs/swagger-ui-bundle.js"></script>
  <script src="/docs/swagger-ui-standalone-preset.js"></script>
  <script src="/docs/swagger-initializer.js"></script>
</body>
</html>
"#;

/// The OpenAPI document.
pub async fn openapi_json() -> HttpResponse {
    HttpResponse::Ok()
        .content_type(ContentType::json())
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .body(DOCUMENT.clone())
}

/// The page of Swagger UI.
pub async fn swagger_page() -> HttpResponse {
    HttpResponse::Ok()
        .content_type(ContentType::html())
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header(POLICY)
        .body(PAGE)
}

/// A file of Swagger UI, or the script that starts it.
pub async fn swagger_file(request: HttpRequest, name: Path<String>) -> Result<HttpResponse, Problem> {
    let asset = match name.as_str() {
        "swagger-initializer.js" => "swagger-init.js".to_owned(),
        name => format!("{}{name}", assets::SWAGGER),
    };
    assets::find(&request, &asset).ok_or_else(Problem::no_such_path)
}
