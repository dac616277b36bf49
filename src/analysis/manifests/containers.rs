//! What containers are made from and what they start: `Dockerfile` and `Procfile`.

use super::{Found, Parsed};
use crate::analysis::{
    DependencyKind::{Build, Runtime},
    model::EntryKind,
};

pub(super) fn dockerfile(text: &str) -> Parsed {
    let mut found = Found::default();
    // Names of stages, which later stages may be made from.
    let mut stages: Vec<String> = Vec::new();
    let mut images: Vec<(String, Option<String>)> = Vec::new();
    for line in logical_lines(text) {
        let mut words = line.split_whitespace();
        match words.next().map(str::to_uppercase).as_deref() {
            Some("FROM") => {
                let mut words = words.skip_while(|word| word.starts_with("--"));
                let Some(image) = words.next() else { continue };
                if !stages.iter().any(|stage| stage.eq_ignore_ascii_case(image)) {
                    images.push(split(image));
                }
                if words.next().is_some_and(|word| word.eq_ignore_ascii_case("as")) {
                    stages.extend(words.next().map(str::to_owned));
                }
            }
            Some("CMD" | "ENTRYPOINT") => {
                found.commands.push((EntryKind::Process, format!("container starts: {line}")));
            }
            _ => {}
        }
    }
    let last = images.len().saturating_sub(1);
    for (at, (name, requirement)) in images.into_iter().enumerate() {
        found.depends(name, requirement, if at == last { Runtime } else { Build });
    }
    Ok(found)
}

/// The name of an image, and its tag or digest.
fn split(image: &str) -> (String, Option<String>) {
    if let Some((name, digest)) = image.split_once('@') {
        return (name.to_owned(), Some(digest.to_owned()));
    }
    match image.rsplit_once(':') {
        // A colon before a slash is that of a registry's port.
        Some((name, tag)) if !tag.contains('/') => (name.to_owned(), Some(tag.to_owned())),
        _ => (image.to_owned(), None),
    }
}

/// Lines without comments, those that end in a backslash joined with the next.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open = String::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.strip_suffix('\\') {
            Some(line) => open.extend([line, " "]),
            None => {
                open.push_str(line);
                lines.push(std::mem::take(&mut open));
            }
        }
    }
    if !open.is_empty() {
        lines.push(open);
    }
    lines
}

pub(super) fn procfile(text: &str) -> Parsed {
    let mut found = Found::default();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        if let Some((name, command)) = line.split_once(':') {
            found.commands.push((EntryKind::Process, format!("process {name}: {}", command.trim())));
        }
    }
    Ok(found)
}
