//! `pubspec.yaml`: the part of YAML that it is written in, by indentation.

use super::{Found, Parsed};
use crate::analysis::DependencyKind::{Dev, Runtime};

pub(super) fn pubspec(text: &str) -> Parsed {
    let mut found = Found::default();
    let mut section = None;
    // The indentation of the names of dependencies, once it is known.
    let mut indent = None;
    for line in text.lines() {
        let line = line.split(" #").next().unwrap_or_default();
        let plain = line.trim();
        let Some((key, value)) = plain.split_once(':').filter(|_| !plain.starts_with('#')) else { continue };
        let value = value.trim().trim_matches(['"', '\'']);
        let depth = line.len() - line.trim_start().len();
        if depth == 0 {
            section = match key {
                "dependencies" => Some(Runtime),
                "dev_dependencies" => Some(Dev),
                _ => None,
            };
            indent = None;
            match key {
                "name" => found.name = Some(value.to_owned()),
                "version" => found.version = Some(value.to_owned()),
                _ => {}
            }
        } else if let Some(kind) = section
            && *indent.get_or_insert(depth) == depth
        {
            found.depends(key.trim_matches(['"', '\'']), Some(value.to_owned()), kind);
        }
    }
    if found.name.is_none() { Err("it has no name".to_owned()) } else { Ok(found) }
}
