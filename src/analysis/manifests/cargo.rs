//! `Cargo.toml`.

use toml::{Table, Value};

use super::{Found, Parsed};
use crate::analysis::DependencyKind::{self, Build, Dev, Optional, Runtime};

const SECTIONS: &[(&str, DependencyKind)] =
    &[("dependencies", Runtime), ("dev-dependencies", Dev), ("build-dependencies", Build)];

pub(super) fn parse(text: &str) -> Parsed {
    let table: Table = text.parse().map_err(|error: toml::de::Error| error.message().to_owned())?;
    let mut found = Found::default();
    let workspace = table.get("workspace").and_then(Value::as_table);
    let shared = workspace.and_then(|w| w.get("package")).and_then(Value::as_table);
    if let Some(package) = table.get("package").and_then(Value::as_table) {
        let field = |name: &str| string(package, name);
        found.name = field("name");
        found.version = field("version");
        found.licence = field("license").or_else(|| field("license-file").map(|file| format!("see {file}")));
    }
    // The root package may inherit from the workspace in the same file.
    let inherited = |name: &str| shared.and_then(|shared| string(shared, name));
    found.version = found.version.or_else(|| inherited("version"));
    found.licence = found.licence.or_else(|| inherited("license"));
    sections(&table, &mut found);
    if let Some(workspace) = workspace {
        sections(workspace, &mut found);
    }
    let targets = table.get("target").and_then(Value::as_table);
    for target in targets.into_iter().flat_map(Table::values).filter_map(Value::as_table) {
        sections(target, &mut found);
    }
    let bins = table.get("bin").and_then(Value::as_array);
    for bin in bins.into_iter().flatten().filter_map(Value::as_table) {
        let name = string(bin, "name").unwrap_or_default();
        let path = string(bin, "path").map(|path| format!(" from {path}")).unwrap_or_default();
        found.command(format!("command {name}{path}"));
    }
    Ok(found)
}

fn sections(table: &Table, found: &mut Found) {
    for (section, kind) in SECTIONS {
        let Some(dependencies) = table.get(*section).and_then(Value::as_table) else { continue };
        for (name, value) in dependencies {
            let is_optional = value.get("optional").and_then(Value::as_bool).unwrap_or(false);
            let kind = if is_optional { Optional } else { *kind };
            let name = value.get("package").and_then(Value::as_str).unwrap_or(name);
            found.depends(name, requirement(value), kind);
        }
    }
}

fn requirement(value: &Value) -> Option<String> {
    let field = |name: &str| value.get(name).and_then(Value::as_str);
    if let Some(version) = value.as_str().or_else(|| field("version")) {
        return Some(version.to_owned());
    }
    if value.get("workspace").and_then(Value::as_bool) == Some(true) {
        return Some("workspace".to_owned());
    }
    let git =
        field("git").map(|git| match field("rev").or_else(|| field("tag")).or_else(|| field("branch")) {
            Some(at) => format!("git {git} {at}"),
            None => format!("git {git}"),
        });
    git.or_else(|| field("path").map(|path| format!("path {path}")))
}

fn string(table: &Table, name: &str) -> Option<String> {
    table.get(name).and_then(Value::as_str).map(str::to_owned)
}
