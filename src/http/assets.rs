//! Embedded files: style sheet, scripts, vendored libraries, templates, help pages. `/static/{path}`.
//!
//! A file is stored once: as it is, or, when its name ends in `.gz`, compressed; it is served under
//! its name without `.gz`, in the form that the client takes. URLs made by [`url`] carry the hash of
//! the content and may be kept for ever.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    sync::LazyLock,
};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, AcceptEncoding, ContentEncoding, ETag, EntityTag, Header, IfNoneMatch, Preference},
    web,
};
use bytes::Bytes;
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use rust_embed::RustEmbed;
use sha2::{Digest, Sha256};

use super::swagger;

#[derive(RustEmbed)]
#[folder = "assets"]
struct Embedded;

/// Files that are not worth compressing.
const SMALL: usize = 1024;

struct Asset {
    content_type: String,
    /// The first half of the SHA-256 of the content, in hex.
    hash: String,
    gzip: Option<Bytes>,
    /// `None` for a file that is stored compressed; made when somebody asks for it.
    identity: Option<Bytes>,
}

/// Where the files of Swagger UI stand among the assets.
pub(super) const SWAGGER: &str = "vendor/swagger/";

static ASSETS: LazyLock<BTreeMap<String, Asset>> = LazyLock::new(|| {
    let own = Embedded::iter().filter_map(|path| {
        let name = path.strip_prefix("static/")?.to_owned();
        Some((name, Bytes::from(Embedded::get(&path)?.data.into_owned())))
    });
    let swagger = swagger::FILES.iter();
    let swagger = swagger.map(|(name, packed)| (format!("{SWAGGER}{name}.gz"), Bytes::from_static(packed)));
    own.chain(swagger)
        .filter_map(|(stored, bytes)| {
            let (name, gzip, identity) = match stored.strip_suffix(".gz") {
                Some(name) => (name, Some(bytes), None),
                None => (stored.as_str(), compress(&bytes), Some(bytes)),
            };
            let digest = Sha256::digest(identity.as_ref().or(gzip.as_ref())?);
            let hash = digest.iter().take(16).map(|b| format!("{b:02x}")).collect();
            Some((name.to_owned(), Asset { content_type: content_type(name), hash, gzip, identity }))
        })
        .collect()
});

/// The routes of this file.
pub fn configure(cfg: &mut web::ServiceConfig) {
    cfg.service(web::resource("/static/{path:.*}").get(serve).route(web::head().to(serve)))
        .service(web::resource("/favicon.ico").get(favicon).route(web::head().to(favicon)));
}

/// The URL of a static file, with the hash of its content; `None` when there is no such file.
pub fn url(name: &str) -> Option<String> {
    ASSETS.get(name).map(|asset| format!("/static/{name}?v={}", &asset.hash[..16]))
}

/// An embedded text file below `assets/`, such as `help/index.md`.
pub fn text(path: &str) -> Option<String> {
    Embedded::get(path).and_then(|file| String::from_utf8(file.data.into_owned()).ok())
}

/// The names of the embedded files below a folder such as `templates/`, without that folder.
pub fn names(folder: &str) -> Vec<String> {
    Embedded::iter().filter_map(|path| path.strip_prefix(folder).map(str::to_owned)).collect()
}

/// For pages that name no icon.
async fn favicon(request: HttpRequest) -> HttpResponse {
    answer(&request, "icon.svg")
}

async fn serve(request: HttpRequest, path: web::Path<String>) -> HttpResponse {
    answer(&request, &path)
}

fn answer(request: &HttpRequest, name: &str) -> HttpResponse {
    find(request, name).unwrap_or_else(|| {
        HttpResponse::NotFound().content_type("text/plain; charset=utf-8").body("Not Found")
    })
}

/// An asset by its name, in the form that the client takes; `None` when there is none.
pub(super) fn find(request: &HttpRequest, name: &str) -> Option<HttpResponse> {
    ASSETS.get(name).map(|asset| send(request, asset))
}

fn send(request: &HttpRequest, asset: &Asset) -> HttpResponse {
    let gzip = if takes_gzip(request) { asset.gzip.clone() } else { None };
    let tag = match gzip {
        Some(_) => EntityTag::new_strong(format!("{}-gz", asset.hash)),
        None => EntityTag::new_strong(asset.hash.clone()),
    };
    let current =
        request.query_string().strip_prefix("v=").is_some_and(|v| asset.hash.starts_with(v) && !v.is_empty());
    let mut response =
        if matches_tag(request, &tag) { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header(ETag(tag.clone()))
        .insert_header((header::VARY, "accept-encoding"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((
            header::CACHE_CONTROL,
            if current { "public, max-age=31536000, immutable" } else { "public, no-cache" },
        ));
    if matches_tag(request, &tag) {
        return response.finish();
    }
    response.content_type(asset.content_type.as_str());
    match gzip {
        Some(body) => response.insert_header(ContentEncoding::Gzip).body(body),
        None => match identity(asset) {
            Some(body) => response.body(body),
            None => HttpResponse::InternalServerError().finish(),
        },
    }
}

/// Compares by the strong form of the tag; `*` matches whatever is there.
fn matches_tag(request: &HttpRequest, tag: &EntityTag) -> bool {
    if !request.headers().contains_key(header::IF_NONE_MATCH) {
        return false;
    }
    match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|t| t.weak_eq(tag)),
        Err(_) => false,
    }
}

fn takes_gzip(request: &HttpRequest) -> bool {
    use actix_web::http::header::{Encoding, Quality};
    if !request.headers().contains_key(header::ACCEPT_ENCODING) {
        return false;
    }
    let Ok(accepted) = AcceptEncoding::parse(request) else { return false };
    let named = accepted.iter().find(|item| item.item == Preference::Specific(Encoding::gzip()));
    let any = accepted.iter().find(|item| item.item == Preference::Any);
    named.or(any).is_some_and(|item| item.quality > Quality::ZERO)
}

fn identity(asset: &Asset) -> Option<Bytes> {
    if let Some(bytes) = &asset.identity {
        return Some(bytes.clone());
    }
    let mut plain = Vec::new();
    GzDecoder::new(asset.gzip.as_ref()?.as_ref()).read_to_end(&mut plain).ok()?;
    Some(Bytes::from(plain))
}

fn compress(bytes: &Bytes) -> Option<Bytes> {
    if bytes.len() < SMALL {
        return None;
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).ok()?;
    let packed = encoder.finish().ok()?;
    (packed.len() < bytes.len()).then(|| Bytes::from(packed))
}

fn content_type(name: &str) -> String {
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "md" | "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use actix_web::{App, http::StatusCode, test};

    use super::*;

    async fn get(path: &str, headers: &[(&str, &str)]) -> (StatusCode, header::HeaderMap, Bytes) {
        let app = test::init_service(App::new().configure(configure)).await;
        let mut request = test::TestRequest::get().uri(path);
        for header in headers {
            request = request.insert_header(*header);
        }
        let response = test::call_service(&app, request.to_request()).await;
        let (status, headers) = (response.status(), response.headers().clone());
        (status, headers, test::read_body(response).await)
    }

    fn value(headers: &header::HeaderMap, name: header::HeaderName) -> &str {
        headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    #[actix_web::test]
    async fn a_hashed_url_may_be_kept_for_ever_and_a_plain_one_is_asked_again() {
        let (status, headers, _) = get(&url("app.css").unwrap(), &[]).await;
        assert_eq!(status, 200);
        assert_eq!(value(&headers, header::CACHE_CONTROL), "public, max-age=31536000, immutable");
        assert_eq!(value(&headers, header::CONTENT_TYPE), "text/css; charset=utf-8");
        for stale in ["/static/app.css", "/static/app.css?v=", "/static/app.css?v=0123456789abcdef"] {
            assert_eq!(value(&get(stale, &[]).await.1, header::CACHE_CONTROL), "public, no-cache", "{stale}");
        }
    }

    #[actix_web::test]
    async fn the_client_gets_the_form_it_takes_each_with_its_own_tag() {
        let path = "/static/vendor/redoc.standalone.js";
        let (_, plain_headers, plain) = get(path, &[]).await;
        let (_, gzip_headers, gzip) = get(path, &[("accept-encoding", "br, gzip")]).await;
        let (_, refused, _) = get(path, &[("accept-encoding", "gzip;q=0, *")]).await;
        assert!(!plain_headers.contains_key(header::CONTENT_ENCODING));
        assert!(!refused.contains_key(header::CONTENT_ENCODING));
        assert_eq!(value(&gzip_headers, header::CONTENT_ENCODING), "gzip");
        assert_ne!(value(&plain_headers, header::ETAG), value(&gzip_headers, header::ETAG));
        let mut unpacked = Vec::new();
        GzDecoder::new(gzip.as_ref()).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, plain);
        assert!(!String::from_utf8(unpacked).unwrap().contains("cdn.redoc.ly"));
    }

    #[actix_web::test]
    async fn a_known_tag_is_answered_without_a_body() {
        let (_, headers, _) = get("/static/app.css", &[]).await;
        let tag = value(&headers, header::ETAG);
        let (status, headers, body) = get("/static/app.css", &[("if-none-match", tag)]).await;
        assert_eq!((status, body.len()), (StatusCode::NOT_MODIFIED, 0));
        assert!(headers.contains_key(header::ETAG));
        assert_eq!(get("/static/app.css", &[("if-none-match", "\"x\"")]).await.0, 200);
    }

    #[actix_web::test]
    async fn only_static_files_can_be_had() {
        for path in [
            "/static/",
            "/static/no.css",
            "/static/../templates/base.html",
            "/static/%2e%2e/help/index.md",
            "/static/templates/base.html",
            "/static/vendor/redoc.standalone.js.gz",
        ] {
            assert_eq!(get(path, &[]).await.0, 404, "{path}");
        }
    }

    #[actix_web::test]
    async fn the_vendored_files_are_those_of_the_checksum_list() {
        let list = text("static/vendor/CHECKSUMS").unwrap();
        for line in list.lines() {
            let (sum, name) = line.split_once("  ").unwrap();
            let file = Embedded::get(&format!("static/vendor/{name}")).unwrap();
            let found: String = Sha256::digest(&file.data).iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!(found, sum, "{name}");
        }
        assert!(names("static/vendor/").iter().all(|n| n == "CHECKSUMS" || list.contains(n.as_str())));
    }
}
