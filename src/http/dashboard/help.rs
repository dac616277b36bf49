//! Help pages: Markdown files of `assets/help/`, for everybody, and the search over them.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde::Serialize;

use super::{
    help_search::{self, Hits, MAX_QUERY_CHARS},
    page::{PageError, Shell, answer},
};
use crate::http::{assets, extract::query_value, markdown};

/// Name of the file and of the page, title.
pub(super) const PAGES: [(&str, &str); 9] = [
    ("quick-start", "Quick start"),
    ("concepts", "Concepts"),
    ("dashboard", "The dashboard"),
    ("briefs", "Briefs to start from"),
    ("api", "API by example"),
    ("cli", "Command line"),
    ("operations", "Operations, by symptom"),
    ("errors", "Errors"),
    ("configuration", "Configuration"),
];

#[derive(Serialize)]
struct HelpLink {
    href: String,
    title: &'static str,
    current: bool,
}

#[derive(Serialize)]
struct HelpPage {
    pages: Vec<HelpLink>,
    /// What is searched for; empty on a page.
    query: String,
    hits: Option<Hits>,
    html: String,
}

/// The first page, or with `q` what is found.
pub async fn index(request: HttpRequest) -> Result<HttpResponse, PageError> {
    let query: String =
        query_value(&request, "q").unwrap_or_default().trim().chars().take(MAX_QUERY_CHARS).collect();
    if query.is_empty() {
        return page(PAGES[0].0);
    }
    let hits = help_search::search(&query);
    let shell = Shell::public("Help", format!("{query} · Search"));
    let page = HelpPage { pages: links(""), query, hits: Some(hits), html: String::new() };
    answer(StatusCode::OK, "help.html", &shell, &page)
}

pub async fn show(name: web::Path<String>) -> Result<HttpResponse, PageError> {
    page(&name)
}

/// Whatever else is asked for below `/help`.
pub async fn missing() -> Result<HttpResponse, PageError> {
    page("")
}

/// Where a status is explained.
pub(super) fn of_status(status: StatusCode) -> String {
    let explained = help_search::section("errors", &format!("{}-", status.as_u16()));
    explained.unwrap_or_else(|| "/help/errors".to_owned())
}

fn links(current: &str) -> Vec<HelpLink> {
    PAGES.map(|(n, title)| HelpLink { href: format!("/help/{n}"), title, current: n == current }).into()
}

fn page(name: &str) -> Result<HttpResponse, PageError> {
    let missing = || PageError::NotFound("There is no such help page.".to_owned());
    let (name, title) = PAGES.into_iter().find(|(n, _)| *n == name).ok_or_else(missing)?;
    let text = assets::text(&format!("help/{name}.md")).ok_or_else(missing)?;
    let shell = Shell::public("Help", title);
    let page =
        HelpPage { pages: links(name), query: String::new(), hits: None, html: markdown::trusted(&text) };
    answer(StatusCode::OK, "help.html", &shell, &page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Flags};

    #[test]
    fn every_help_page_exists_and_every_file_is_a_page() {
        let mut files = assets::names("help/");
        let mut pages: Vec<String> = PAGES.iter().map(|(name, _)| format!("{name}.md")).collect();
        files.sort();
        pages.sort();
        assert_eq!(files, pages);
    }

    #[test]
    fn the_configuration_page_names_every_setting() {
        let text = assets::text("help/configuration.md").unwrap();
        let config = Config::from_parts(&Flags::default(), |_| None).unwrap();
        for setting in &config.settings {
            assert!(text.contains(&format!("| `{}` |", setting.name)), "{} is not explained", setting.name);
        }
    }

    #[test]
    fn every_status_that_a_page_can_have_is_explained() {
        for status in [400, 401, 403, 404, 405, 408, 409, 413, 422, 429, 500, 503, 507] {
            let status = StatusCode::from_u16(status).unwrap();
            let start = format!("/help/errors#{}-", status.as_u16());
            assert!(of_status(status).starts_with(&start), "{status}: {}", of_status(status));
        }
        assert_eq!(of_status(StatusCode::IM_A_TEAPOT), "/help/errors");
    }

    #[test]
    fn links_between_help_pages_lead_to_places_that_exist() {
        for (name, _) in PAGES {
            let text = assets::text(&format!("help/{name}.md")).unwrap();
            for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                let to = if link.starts_with('#') { format!("/help/{name}{link}") } else { link.to_owned() };
                let Some(to) = to.strip_prefix("/help/") else { continue };
                let (page, id) = to.split_once('#').unwrap_or((to, ""));
                let target = assets::text(&format!("help/{page}.md"));
                let html = markdown::trusted(&target.unwrap_or_else(|| panic!("{name}: {link}")));
                assert!(id.is_empty() || html.contains(&format!(" id=\"{id}\"")), "{name}: {link}");
            }
        }
    }
}
