//! Ready-made briefs: the files of `assets/briefs/`, each a few lines of facts, an empty line and the text.

use std::sync::LazyLock;

use serde::Serialize;

use super::assets;

const FOLDER: &str = "briefs/";

/// A brief to begin with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TemplateBrief {
    /// As in addresses: `api-design`.
    pub name: String,
    pub title: String,
    /// What one gets, in a sentence.
    pub summary: String,
    /// Whether it is about the files of an upload.
    pub upload: bool,
    pub text: String,
}

static BRIEFS: LazyLock<Vec<TemplateBrief>> = LazyLock::new(|| {
    let mut names = assets::names(FOLDER);
    names.sort();
    let brief = |name: &String| read(name.strip_suffix(".md")?, &assets::text(&format!("{FOLDER}{name}"))?);
    names.iter().filter_map(brief).collect()
});

/// All of them, by name.
pub fn all() -> &'static [TemplateBrief] {
    &BRIEFS
}

pub fn find(name: &str) -> Option<&'static TemplateBrief> {
    BRIEFS.iter().find(|brief| brief.name == name)
}

fn read(name: &str, file: &str) -> Option<TemplateBrief> {
    let (facts, text) = file.split_once("\n\n")?;
    let fact = |key: &str| {
        let lines = facts.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(k, _)| *k == key).map(|(_, value)| value.trim().to_owned())
    };
    Some(TemplateBrief {
        name: name.to_owned(),
        title: fact("title")?,
        summary: fact("summary")?,
        upload: fact("upload").is_some_and(|yes| yes == "yes"),
        text: text.trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_a_brief() {
        assert_eq!(all().len(), assets::names(FOLDER).len());
        assert!(all().len() >= 6);
        for brief in all() {
            assert!(brief.text.len() > 300, "{} says too little", brief.name);
            assert!(brief.text.len() < 4_000, "{} says too much", brief.name);
        }
        assert!(find("code-review").is_some_and(|brief| brief.upload));
        assert!(find("../help/api").is_none());
    }
}
