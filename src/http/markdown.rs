//! Markdown to HTML that is safe to put into a page, whoever wrote it.
//!
//! HTML in the text is shown, not obeyed; pictures become links, so that reading an answer fetches
//! nothing; what is left goes through a sanitiser all the same.

use std::sync::LazyLock;

use ammonia::Builder;
use pulldown_cmark::{CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

/// Longer texts are shown shortened.
pub const MAX_SHOWN_BYTES: usize = 256 * 1024;

static CLEANER: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut builder = Builder::default();
    builder
        .rm_tags([
            "img",
            "area",
            "map",
            "article",
            "aside",
            "header",
            "footer",
            "nav",
            "figure",
            "figcaption",
        ])
        .url_schemes(["http", "https", "mailto"].into());
    builder
});

/// Text written by a person or a model. Headings start at `<h{first}>`.
pub fn untrusted(text: &str, first: u8) -> String {
    let (shown, cut) = shorten(text);
    let clean = CLEANER.clean(&to_html(shown, first)).to_string();
    let mut out = focusable(&clean);
    if cut {
        out.push_str("<p class=\"note\">Shortened: the whole text is in the API's answer.</p>");
    }
    out
}

/// What scrolls can be reached by keyboard. These two tags are made here and by nobody else: those of
/// the text are escaped.
fn focusable(html: &str) -> String {
    html.replace("<pre>", "<pre tabindex=\"0\">").replace("<div>", "<div tabindex=\"0\">")
}

/// Text of this program's own (help pages): its headings get the ids of their [`sections`].
pub fn trusted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let html = focusable(&to_html(text, 1));
    let mut rest = html.as_str();
    let mut sections = sections(text).into_iter().filter(|section| !section.id.is_empty());
    while let Some(start) = ["<h2>", "<h3>", "<h4>"].iter().filter_map(|tag| rest.find(tag)).min() {
        let id = sections.next().map_or_else(String::new, |section| section.id);
        out.push_str(&rest[..start + 3]);
        out.push_str(&format!(" id=\"{id}\""));
        rest = &rest[start + 3..];
    }
    out.push_str(rest);
    out
}

/// A heading of a text of this program's own, and what stands under it, as plain text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// The anchor, made from the words of the heading; empty for the title of the text.
    pub id: String,
    pub title: String,
    pub text: String,
}

/// The sections of a text, in order.
pub fn sections(text: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut in_heading = false;
    for event in Parser::new_ext(text, OPTIONS) {
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                in_heading = true;
                // The place of an id, if it is to have one.
                let id = if level == HeadingLevel::H1 { String::new() } else { "-".to_owned() };
                sections.push(Section { id, title: String::new(), text: String::new() });
            }
            Event::End(TagEnd::Heading(_)) => {
                in_heading = false;
                if let Some(mut section) = sections.pop() {
                    if !section.id.is_empty() {
                        section.id = free(slug(&section.title), &sections);
                    }
                    sections.push(section);
                }
            }
            event => {
                let Some(section) = sections.last_mut() else { continue };
                let into = if in_heading { &mut section.title } else { &mut section.text };
                match event {
                    Event::Text(words) | Event::Code(words) => into.push_str(&words),
                    Event::End(
                        TagEnd::Emphasis
                        | TagEnd::Strong
                        | TagEnd::Strikethrough
                        | TagEnd::Link
                        | TagEnd::Image,
                    ) => {}
                    Event::SoftBreak | Event::HardBreak | Event::End(_) if !into.ends_with(' ') => {
                        into.push(' ')
                    }
                    _ => {}
                }
            }
        }
    }
    sections
}

/// The id, with a number behind it where it is taken.
fn free(id: String, before: &[Section]) -> String {
    let taken = |id: &str| before.iter().any(|section| section.id == id);
    if !taken(&id) {
        return id;
    }
    (2..).map(|n| format!("{id}-{n}")).find(|id| !taken(id)).unwrap_or(id)
}

/// At most [`MAX_SHOWN_BYTES`], cut between characters, and whether it was cut.
pub fn shorten(text: &str) -> (&str, bool) {
    if text.len() <= MAX_SHOWN_BYTES {
        return (text, false);
    }
    let end = (0..=MAX_SHOWN_BYTES).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0);
    (&text[..end], true)
}

const OPTIONS: Options = Options::ENABLE_TABLES.union(Options::ENABLE_STRIKETHROUGH);

fn to_html(text: &str, first: u8) -> String {
    // A heading is at most one level below the one before it, whatever the text says.
    let mut level_before = first - 1;
    let events = Parser::new_ext(text, OPTIONS).map(|event| match event {
        Event::Html(raw) | Event::InlineHtml(raw) => Event::Text(raw),
        Event::Start(Tag::Image { link_type, dest_url, title, id }) => {
            Event::Start(Tag::Link { link_type, dest_url, title, id })
        }
        Event::End(TagEnd::Image) => Event::End(TagEnd::Link),
        Event::Start(Tag::HtmlBlock) => Event::Start(Tag::Paragraph),
        Event::End(TagEnd::HtmlBlock) => Event::End(TagEnd::Paragraph),
        Event::Start(Tag::Heading { level, .. }) => {
            level_before = (level as u8 + first - 1).min(level_before + 1).min(6);
            let level = heading(level_before);
            Event::Start(Tag::Heading { level, id: None, classes: vec![], attrs: vec![] })
        }
        Event::End(TagEnd::Heading(_)) => Event::End(TagEnd::Heading(heading(level_before))),
        other => other,
    });
    let mut out = String::with_capacity(text.len() * 3 / 2);
    html::push_html(&mut out, wide_tables(events));
    out
}

/// Puts a box that scrolls around every table.
fn wide_tables<'a>(events: impl Iterator<Item = Event<'a>>) -> impl Iterator<Item = Event<'a>> {
    events.flat_map(|event| {
        let html = |text: &'static str| Event::Html(CowStr::Borrowed(text));
        match event {
            Event::Start(Tag::Table(_)) => vec![html("<div>"), event],
            Event::End(TagEnd::Table) => vec![event, html("</div>")],
            other => vec![other],
        }
    })
}

fn heading(level: u8) -> HeadingLevel {
    match level {
        1 => HeadingLevel::H1,
        2 => HeadingLevel::H2,
        3 => HeadingLevel::H3,
        4 => HeadingLevel::H4,
        5 => HeadingLevel::H5,
        _ => HeadingLevel::H6,
    }
}

fn slug(title: &str) -> String {
    let mut out = String::new();
    for c in title.to_lowercase().chars() {
        match c {
            c if c.is_ascii_alphanumeric() => out.push(c),
            _ if !out.ends_with('-') && !out.is_empty() => out.push('-'),
            _ => {}
        }
    }
    out.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_in_the_text_is_shown_and_not_obeyed() {
        for evil in [
            "<script>alert(1)</script>",
            "<img src=x onerror=alert(1)>",
            "a <b onclick=alert(1)>b</b>",
            "<iframe src=//evil.example></iframe>",
            "<div>\n<style>*{display:none}</style>\n</div>",
        ] {
            let html = untrusted(evil, 3);
            for tag in ["<script", "<img", "<b ", "<iframe", "<style"] {
                assert!(!html.contains(tag), "{html}");
            }
            assert!(html.contains("&lt;"), "{html}");
        }
    }

    #[test]
    fn links_cannot_carry_scripts_and_pictures_fetch_nothing() {
        assert!(!untrusted("[x](javascript:alert(1))", 3).contains("javascript"));
        assert!(!untrusted("[x](data:text/html,x)", 3).contains("data:"));
        let picture = untrusted("![a chart](https://evil.example/p.png)", 3);
        assert!(!picture.contains("<img") && picture.contains(">a chart</a>"), "{picture}");
        assert!(untrusted("[x](https://a.example)", 3).contains("noopener"));
    }

    #[test]
    fn headings_stand_below_those_of_the_page() {
        assert_eq!(untrusted("# A\n\n## B", 3), "<h3>A</h3>\n<h4>B</h4>\n");
        assert_eq!(untrusted("#### A\n\n###### B\n\n# C", 3), "<h3>A</h3>\n<h4>B</h4>\n<h3>C</h3>\n");
    }

    #[test]
    fn tables_lists_and_code_come_through() {
        let html = untrusted("| a | b |\n|---|--:|\n| 1 | 2 |\n\n3. x\n\n```rust\nlet a = \"<b>\";\n```", 3);
        for part in
            ["<table>", "<td>1</td>", "<ol start=\"3\">", "<pre tabindex=\"0\"><code>let a = \"&lt;b&gt;\";"]
        {
            assert!(html.contains(part), "{part} in {html}");
        }
    }

    #[test]
    fn a_long_text_is_cut_between_characters_and_says_so() {
        let html = untrusted(&"ä".repeat(MAX_SHOWN_BYTES), 3);
        assert!(html.len() < MAX_SHOWN_BYTES + 200 && html.contains("Shortened"));
    }

    #[test]
    fn sections_have_the_ids_of_their_headings_and_plain_text() {
        let text = "# A page\n\nBefore *all*.\n\n## One & `two`\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n\
            ```sh\n## no heading\n```\n\n### One & two\n\nsame\nwords";
        let found = sections(text);
        let ids: Vec<_> = found.iter().map(|s| (s.id.as_str(), s.title.as_str())).collect();
        assert_eq!(ids, [("", "A page"), ("one-two", "One & two"), ("one-two-2", "One & two")]);
        assert_eq!(found[0].text.trim(), "Before all.");
        assert!(found[1].text.contains("1 2") && found[1].text.contains("## no heading"), "{found:?}");
        assert_eq!(found[2].text.trim(), "same words");
        let html = trusted(text);
        assert!(html.contains("<h2 id=\"one-two\">One &amp; <code>two</code></h2>"), "{html}");
        assert!(html.contains("<h3 id=\"one-two-2\">"), "{html}");
    }

    #[test]
    fn headings_of_help_pages_have_permalinks() {
        assert!(trusted("# A page\n\n## Redis: the `keys`").contains("<h2 id=\"redis-the-keys\">"));
    }
}
