//! Help pages: Markdown files of `assets/help/`, for everybody.

use actix_web::{HttpResponse, http::StatusCode, web};
use serde::Serialize;

use super::page::{PageError, Shell, answer};
use crate::http::{assets, markdown};

/// Name of the file and of the page, title.
const PAGES: [(&str, &str); 6] = [
    ("quick-start", "Quick start"),
    ("concepts", "Concepts"),
    ("api", "API by example"),
    ("operations", "Operations"),
    ("configuration", "Configuration"),
    ("errors", "Errors"),
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
    html: String,
}

pub async fn index() -> Result<HttpResponse, PageError> {
    page(PAGES[0].0)
}

pub async fn show(name: web::Path<String>) -> Result<HttpResponse, PageError> {
    page(&name)
}

/// Whatever else is asked for below `/help`.
pub async fn missing() -> Result<HttpResponse, PageError> {
    page("")
}

fn page(name: &str) -> Result<HttpResponse, PageError> {
    let missing = || PageError::NotFound("There is no such help page.".to_owned());
    let (name, title) = PAGES.into_iter().find(|(n, _)| *n == name).ok_or_else(missing)?;
    let text = assets::text(&format!("help/{name}.md")).ok_or_else(missing)?;
    let pages = PAGES.map(|(n, title)| HelpLink { href: format!("/help/{n}"), title, current: n == name });
    let shell = Shell::public("Help", title);
    answer(
        StatusCode::OK,
        "help.html",
        &shell,
        &HelpPage { pages: pages.into(), html: markdown::trusted(&text) },
    )
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
}
