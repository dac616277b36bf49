//! The search over the help pages: sections that have the words, the best first, with the words marked.
//! Everything is embedded and read once; a query is short, and so is the list of hits.

use std::sync::LazyLock;

use serde::Serialize;

use super::help::PAGES;
use crate::http::{
    assets,
    markdown::{self, Section},
};

/// What is read of a query.
pub const MAX_QUERY_CHARS: usize = 100;
const MAX_WORDS: usize = 8;
const MAX_HITS: usize = 20;
/// How much of a section is shown.
const EXCERPT_CHARS: usize = 240;
/// How much of that stands before the first word that was found.
const LEAD_CHARS: usize = 60;
/// More occurrences than this say nothing more.
const MAX_COUNTED: usize = 5;
/// Words that are in every section.
const COMMON: [&str; 24] = [
    "a", "all", "an", "and", "are", "can", "do", "does", "for", "has", "how", "i", "in", "is", "it", "my",
    "of", "on", "the", "to", "what", "why", "with", "which",
];

struct Entry {
    page: &'static str,
    page_title: &'static str,
    section: Section,
    /// In lower case.
    title: String,
    text: String,
}

static ENTRIES: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    let pages = PAGES
        .into_iter()
        .filter_map(|(page, title)| Some((page, title, assets::text(&format!("help/{page}.md"))?)));
    pages
        .flat_map(|(page, page_title, text)| {
            markdown::sections(&text).into_iter().map(move |section| {
                let (title, text) = (section.title.to_lowercase(), section.text.to_lowercase());
                Entry { page, page_title, section, title, text }
            })
        })
        .collect()
});

/// What was found.
#[derive(Debug, Serialize)]
pub struct Hits {
    /// Whether each has all of the words; otherwise no section has.
    pub all_words: bool,
    /// Whether there are more than these.
    pub more: bool,
    pub hits: Vec<Hit>,
}

/// A section that was found.
#[derive(Debug, Serialize)]
pub struct Hit {
    pub href: String,
    pub page: &'static str,
    pub title: Vec<Piece>,
    pub excerpt: Vec<Piece>,
}

/// A part of a text.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Piece {
    pub text: String,
    /// It is one of the words that were asked for.
    pub found: bool,
}

/// The sections with these words.
pub fn search(query: &str) -> Hits {
    let words = words(query);
    let phrase = query.trim().trim_end_matches('?').to_lowercase();
    let mut ranked: Vec<(usize, usize, &Entry)> = ENTRIES
        .iter()
        .map(|entry| {
            let found =
                words.iter().filter(|word| entry.title.contains(*word) || entry.text.contains(*word)).count();
            // A heading that says just what was asked for comes first.
            let exact = usize::from(entry.title.trim() == phrase) * 1_000;
            (found, exact + score(entry, &words), entry)
        })
        .filter(|(found, ..)| *found > 0)
        .collect();
    let all_words = ranked.iter().any(|(found, ..)| *found == words.len());
    if all_words {
        ranked.retain(|(found, ..)| *found == words.len());
    }
    // Of equals the one that stands first is first.
    ranked.sort_by_key(|(found, score, _)| std::cmp::Reverse((*found, *score)));
    let more = ranked.len() > MAX_HITS;
    let hits = ranked.into_iter().take(MAX_HITS).map(|(_, _, entry)| entry.hit(&words)).collect();
    Hits { all_words, more, hits }
}

/// The address of the first section of a page whose id begins so.
pub fn section(page: &str, id: &str) -> Option<String> {
    let found = ENTRIES.iter().find(|entry| entry.page == page && entry.section.id.starts_with(id));
    found.map(Entry::href)
}

/// The words that count, each once.
fn words(query: &str) -> Vec<String> {
    let lower = query.to_lowercase();
    let trim = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric()).to_owned();
    let mut all: Vec<String> = Vec::new();
    for word in lower.split_whitespace().map(trim) {
        if !word.is_empty() && !all.contains(&word) {
            all.push(word);
        }
    }
    let mut telling: Vec<String> =
        all.iter().filter(|word| !COMMON.contains(&word.as_str())).cloned().collect();
    if telling.is_empty() {
        telling = all;
    }
    telling.truncate(MAX_WORDS);
    telling
}

fn score(entry: &Entry, words: &[String]) -> usize {
    let of_word = |word: &String| {
        let in_text = entry.text.matches(word.as_str()).take(MAX_COUNTED).count();
        if entry.title.contains(word) { 20 + in_text } else { in_text }
    };
    words.iter().map(of_word).sum()
}

impl Entry {
    fn href(&self) -> String {
        match self.section.id.as_str() {
            "" => format!("/help/{}", self.page),
            id => format!("/help/{}#{id}", self.page),
        }
    }

    fn hit(&self, words: &[String]) -> Hit {
        Hit {
            href: self.href(),
            page: self.page_title,
            title: marked(&self.section.title, words),
            excerpt: marked(&excerpt(&self.section.text, words), words),
        }
    }
}

/// A piece of a text around the first of the words.
fn excerpt(text: &str, words: &[String]) -> String {
    let text: Vec<char> = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().collect();
    let first = words.iter().filter_map(|word| find(&text, 0, word)).min().unwrap_or(0);
    let mut start = first.saturating_sub(LEAD_CHARS);
    // Not in the middle of a word.
    while start > 0 && start < first && text[start - 1] != ' ' {
        start += 1;
    }
    let end = (start + EXCERPT_CHARS).min(text.len());
    let shown: String = text[start..end].iter().collect();
    format!("{}{shown}{}", if start > 0 { "… " } else { "" }, if end < text.len() { "…" } else { "" })
}

/// Where a word (in lower case) is found from a place on, whatever its case there.
fn find(text: &[char], from: usize, word: &str) -> Option<usize> {
    let word: Vec<char> = word.chars().collect();
    let same = |(a, b): (&char, &char)| a == b || a.to_lowercase().eq(std::iter::once(*b));
    let starts = from..(text.len() + 1).saturating_sub(word.len());
    starts.into_iter().find(|&at| text[at..].iter().zip(&word).all(same))
}

/// The text in pieces, those that are one of the words marked.
fn marked(text: &str, words: &[String]) -> Vec<Piece> {
    let chars: Vec<char> = text.chars().collect();
    let mut pieces = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let next = words.iter().filter_map(|word| Some((find(&chars, at, word)?, word.chars().count())));
        // Of two at one place the longer one.
        let Some((start, length)) = next.min_by_key(|(start, length)| (*start, usize::MAX - length)) else {
            break;
        };
        if start > at {
            pieces.push(Piece { text: chars[at..start].iter().collect(), found: false });
        }
        pieces.push(Piece { text: chars[start..start + length].iter().collect(), found: true });
        at = start + length;
    }
    if at < chars.len() {
        pieces.push(Piece { text: chars[at..].iter().collect(), found: false });
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(query: &str) -> String {
        search(query).hits.first().map(|hit| hit.href.clone()).unwrap_or_default()
    }

    #[test]
    fn symptoms_lead_to_what_helps() {
        for (query, expected) in [
            ("a job is stuck", "/help/operations#a-job-is-stuck"),
            ("everything waits", "/help/operations#everything-waits"),
            ("budget exceeded", "/help/operations#a-workflow-is-paused-budget-exceeded"),
            ("disk full", "/help/operations#the-disk-is-full"),
            ("the result is gone", "/help/operations#a-result-is-gone"),
            ("which worker has it", "/help/operations#which-worker-has-it"),
            ("429", "/help/errors#429-too-many-requests-or-too-many-tries"),
            ("503", "/help/errors#503-the-store-is-away"),
            ("code review", "/help/briefs#code-review-of-an-upload"),
            ("IDEMPOTENCY-KEY", "/help/api#sending-a-request-twice"),
        ] {
            assert_eq!(
                first(query),
                expected,
                "{query}: {:#?}",
                search(query).hits.iter().map(|h| &h.href).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn what_no_section_has_as_a_whole_is_found_in_part_or_not_at_all() {
        let some = search("redis zzzzz");
        assert!(!some.all_words && !some.hits.is_empty());
        let none = search("zzzzz");
        assert!(none.hits.is_empty() && !none.all_words && !none.more);
        assert!(search("?!").hits.is_empty());
        let many = search("the");
        assert!(many.more && many.hits.len() == MAX_HITS);
    }

    #[test]
    fn words_are_marked_whatever_their_case() {
        let piece = |text: &str, found| Piece { text: text.to_owned(), found };
        let words = words("redis RED İ");
        let expected = [piece("A ", false), piece("Redis", true), piece("<b>, ", false), piece("red", true)];
        assert_eq!(marked("A Redis<b>, red", &words), expected);
        assert_eq!(marked("", &words), []);
    }

    #[test]
    fn an_excerpt_is_short_and_has_the_word_in_it() {
        let text = format!("{} needle {}", "hay ".repeat(500), "straw ".repeat(500));
        let shown = excerpt(&text, &["needle".to_owned()]);
        assert!(shown.contains("needle") && shown.starts_with("… hay") && shown.ends_with('…'), "{shown}");
        assert!(shown.chars().count() < EXCERPT_CHARS + 10);
        assert_eq!(excerpt("short", &["needle".to_owned()]), "short");
    }

    #[test]
    fn a_query_has_few_words_each_once() {
        assert_eq!(words("Why does my job wait, wait?"), ["job", "wait"]);
        assert_eq!(words("what is it"), ["what", "is", "it"]);
        assert_eq!(words(&"w ".repeat(50)), ["w"]);
        assert_eq!(words(&(0..50).map(|n| format!("w{n} ")).collect::<String>()).len(), MAX_WORDS);
    }
}
