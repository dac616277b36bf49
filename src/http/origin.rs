//! Which site a request of a browser comes from.
//!
//! Browsers say it in `Sec-Fetch-Site` and, on plain HTTP too, in `Origin`; neither can be set by a page. A program that
//! sends none of them is no browser, so there is nobody whose rights could be misused.

use actix_web::http::header::{self, HeaderMap};

/// Whether it comes from a page of another site.
pub fn is_foreign(headers: &HeaderMap) -> bool {
    let value = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    if let Some(site) = value("sec-fetch-site") {
        return !matches!(site, "same-origin" | "none");
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let authority = origin.to_str().ok().and_then(|origin| Some(origin.split_once("://")?.1));
    let hosts = [value(header::HOST.as_str()), value("x-forwarded-host")];
    !hosts
        .into_iter()
        .flatten()
        .any(|host| authority.is_some_and(|authority| host.eq_ignore_ascii_case(authority)))
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
        !is_foreign(request.to_http_request().headers())
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
