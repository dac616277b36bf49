//! `go.mod`.

use super::{Found, Parsed};
use crate::analysis::DependencyKind::{Optional, Runtime};

pub(super) fn go_mod(text: &str) -> Parsed {
    let mut found = Found::default();
    let mut block = String::new();
    for line in text.lines() {
        let (code, comment) = line.split_once("//").unwrap_or((line, ""));
        let code = code.trim();
        if let Some(name) = code.strip_suffix('(') {
            block = name.trim().to_owned();
            continue;
        }
        if code == ")" {
            block.clear();
            continue;
        }
        let (verb, rest) = match block.as_str() {
            "" => code.split_once(char::is_whitespace).unwrap_or((code, "")),
            block => (block, code),
        };
        let mut words = rest.split_whitespace().map(|word| word.trim_matches('"'));
        match verb {
            "module" => found.name = words.next().map(str::to_owned),
            "require" => {
                if let Some(name) = words.next() {
                    // What is needed only by other dependencies.
                    let kind = if comment.trim() == "indirect" { Optional } else { Runtime };
                    found.depends(name, words.next().map(str::to_owned), kind);
                }
            }
            _ => {}
        }
    }
    if found.name.is_none() { Err("it has no line with the module's name".to_owned()) } else { Ok(found) }
}
