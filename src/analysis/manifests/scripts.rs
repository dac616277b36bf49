//! Manifests that are programs, read by their usual forms: `Gemfile`, `*.gemspec` and `mix.exs`.

use std::sync::LazyLock;

use regex::Regex;

use super::{Found, Parsed};
use crate::analysis::DependencyKind::{Dev, Optional, Runtime};

static GEM: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"^\s*gem[ (]+["']([^"']{1,200})["']((?:\s*,\s*["'][^"']{1,100}["'])*)(.{0,500})"#).ok()
});
static GEMSPEC: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?m)\.(name|version|license|add_dependency|add_runtime_dependency|add_development_dependency)[ (=]+["']([^"'\n]{1,200})["']((?:\s*,\s*["'][^"'\n]{1,100}["'])*)"#,
    )
    .ok()
});
static MIX_FIELD: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?m)^\s*(app|version):\s*[:"]([^",\s]{1,200})"#).ok());
static MIX_DEPENDENCY: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"\{:(\w{1,100}),\s*(?:"([^"\n]{1,100})")?([^}\n]{0,300})\}"#).ok());

pub(super) fn gemfile(text: &str) -> Parsed {
    let mut found = Found::default();
    let mut group = None;
    for line in text.lines() {
        let plain = line.trim();
        if let Some(names) = plain.strip_prefix("group ") {
            group = Some(if is_dev(names) { Dev } else { Optional });
        } else if plain == "end" {
            group = None;
        } else if let Some(gem) = GEM.as_ref().and_then(|regex| regex.captures(line)) {
            let own = gem.get(3).map_or("", |rest| rest.as_str());
            let kind = if own.contains("group") && is_dev(own) { Dev } else { group.unwrap_or(Runtime) };
            found.depends(&gem[1], Some(unquoted(&gem[2])), kind);
        }
    }
    Ok(found)
}

fn is_dev(names: &str) -> bool {
    names.contains("development") || names.contains("test")
}

/// `, "~> 1.0", ">= 1.2"` without the quotes and the first comma.
fn unquoted(versions: &str) -> String {
    versions.trim_start_matches([',', ' ']).replace(['"', '\''], "")
}

pub(super) fn gemspec(text: &str) -> Parsed {
    let mut found = Found::default();
    for all in GEMSPEC.iter().flat_map(|regex| regex.captures_iter(text)) {
        match &all[1] {
            "name" => found.name = Some(all[2].to_owned()),
            "version" => found.version = Some(all[2].to_owned()),
            "license" => found.licence = Some(all[2].to_owned()),
            "add_development_dependency" => found.depends(&all[2], Some(unquoted(&all[3])), Dev),
            _ => found.depends(&all[2], Some(unquoted(&all[3])), Runtime),
        }
    }
    Ok(found)
}

pub(super) fn mix(text: &str) -> Parsed {
    let mut found = Found::default();
    for field in MIX_FIELD.iter().flat_map(|regex| regex.captures_iter(text)) {
        let slot = if &field[1] == "app" { &mut found.name } else { &mut found.version };
        slot.get_or_insert_with(|| field[2].to_owned());
    }
    for all in MIX_DEPENDENCY.iter().flat_map(|regex| regex.captures_iter(text)) {
        let options = all.get(3).map_or("", |rest| rest.as_str());
        let kind = if options.contains("only:") && is_dev(&options.replace(":dev", "development")) {
            Dev
        } else if options.contains("optional: true") {
            Optional
        } else {
            Runtime
        };
        found.depends(&all[1], all.get(2).map(|version| version.as_str().to_owned()), kind);
    }
    Ok(found)
}
