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
    ("workflow-paused", "The workflow is paused: nothing new begins.", "{n} workflows are paused."),
    ("workflow-resumed", "The workflow goes on.", "{n} workflows go on."),
    ("workflow-cancelled", "The workflow is cancelled.", "{n} workflows are cancelled."),
    ("workflow-retried", "What failed is tried again.", "{n} workflows are tried again."),
    ("workflow-deleted", "The workflow is deleted.", "{n} workflows are deleted."),
    ("work-approved", "You approved the work; the workflow goes on.", ""),
    ("work-sent-back", "You sent the work back; the specialists work on it once more.", ""),
    ("work-rejected", "You rejected the work; the workflow has ended.", ""),
    ("budget-set", "The budget is set.", ""),
    ("agent-saved", "The agent is saved.", ""),
    ("agent-deleted", "The agent is deleted.", ""),
    ("result-pinned", "The result is pinned: it is kept until it is unpinned or deleted.", ""),
    ("result-unpinned", "The result is unpinned: it goes after the usual time.", ""),
    ("result-deleted", "The result is deleted.", ""),
    ("upload-received", "The archive is received and found harmless. Its analysis is queued.", ""),
    ("upload-deleted", "The upload is deleted, with its file and its analysis.", ""),
    ("report-made", "The report is made.", ""),
    ("brief-known", "This form was sent before; this is the workflow that it started.", ""),
    ("queue-paused", "The queue is paused: nothing more is taken from it.", ""),
    ("queue-resumed", "The queue goes on.", ""),
    ("worker-drained", "The worker drains: it finishes what it has and takes nothing new.", ""),
    ("provider-reset", "The provider is asked again; what waited for it is called back.", ""),
    ("key-revoked", "The key is revoked: it opens nothing any more.", ""),
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
