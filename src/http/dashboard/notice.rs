//! What a form has done, told once on the page that it leads to.
//!
//! The way there is a code in the address, so that a link can make a page say nothing but these sentences.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

use super::page::see_other;

/// Code, sentence for one, sentence for several (`{n}`: how many).
const NOTICES: &[(&str, &str, &str)] = &[
    ("job-cancelled", "The job is cancelled.", "{n} jobs are cancelled."),
    ("job-retried", "The job is tried again.", "{n} jobs are tried again."),
    ("job-deleted", "The job is deleted.", "{n} jobs are deleted."),
    ("nothing-chosen", "Nothing was ticked, so nothing was done.", ""),
    ("nothing-done", "None of them was in a state for that, so nothing was done.", ""),
];

#[derive(Deserialize)]
struct Told {
    notice: String,
    n: Option<u64>,
}

/// The sentence that the address asks for, if it is one of ours.
pub fn read(request: &HttpRequest) -> Option<String> {
    let told = web::Query::<Told>::from_query(request.query_string()).ok()?;
    let (_, one, several) = NOTICES.iter().find(|(code, ..)| *code == told.notice)?;
    match told.n {
        Some(n) if n != 1 && !several.is_empty() => Some(several.replace("{n}", &n.to_string())),
        _ => Some((*one).to_owned()),
    }
}

/// Sends the browser to a page (a path of ours, with or without a query) that says what was done.
pub fn see_other_saying(to: &str, code: &'static str, n: Option<u64>) -> HttpResponse {
    debug_assert!(NOTICES.iter().any(|(known, ..)| *known == code), "{code} is no notice");
    let (page, anchor) = to.split_once('#').map_or((to, String::new()), |(page, a)| (page, format!("#{a}")));
    let mark = if page.contains('?') { '&' } else { '?' };
    let n = n.map_or_else(String::new, |n| format!("&n={n}"));
    see_other(&format!("{page}{mark}notice={code}{n}{anchor}"))
}

#[cfg(test)]
mod tests {
    use actix_web::{http::header, test::TestRequest};

    use super::*;

    fn said(path: &str) -> Option<String> {
        read(&TestRequest::with_uri(path).to_http_request())
    }

    #[test]
    fn only_known_sentences_are_said() {
        assert_eq!(said("/dashboard/jobs?notice=job-retried").as_deref(), Some("The job is tried again."));
        assert_eq!(
            said("/dashboard/jobs?notice=job-retried&n=3").as_deref(),
            Some("3 jobs are tried again.")
        );
        assert_eq!(said("/dashboard/jobs?notice=pay-me"), None);
        assert_eq!(said("/dashboard/jobs?notice=job-retried&n=%3Cb%3E"), None);
        assert_eq!(said("/dashboard/jobs"), None);
    }

    #[test]
    fn the_way_there_keeps_what_the_address_has() {
        let to = |page| see_other_saying(page, "job-retried", Some(2));
        let location = |page| to(page).headers().get(header::LOCATION).unwrap().to_str().unwrap().to_owned();
        assert_eq!(location("/dashboard/jobs"), "/dashboard/jobs?notice=job-retried&n=2");
        assert_eq!(
            location("/dashboard/jobs?state=dead"),
            "/dashboard/jobs?state=dead&notice=job-retried&n=2"
        );
        assert_eq!(location("/dashboard/jobs#dead"), "/dashboard/jobs?notice=job-retried&n=2#dead");
    }

    #[test]
    fn codes_are_unique() {
        let mut codes: Vec<_> = NOTICES.iter().map(|(code, ..)| code).collect();
        codes.sort();
        codes.dedup();
        assert_eq!(codes.len(), NOTICES.len());
    }
}
