//! Python manifests in TOML: `pyproject.toml` and `Pipfile`.

use toml::{Table, Value};

use super::{Found, Parsed, python_old::pep508};
use crate::analysis::DependencyKind::{self, Build, Dev, Optional, Runtime};

pub(super) fn pyproject(text: &str) -> Parsed {
    let table = table(text)?;
    let mut found = Found::default();
    if let Some(project) = table.get("project").and_then(Value::as_table) {
        pep621(project, &mut found);
    }
    if let Some(poetry) = table.get("tool").and_then(|tool| tool.get("poetry")).and_then(Value::as_table) {
        self::poetry(poetry, &mut found);
    }
    let groups = table.get("dependency-groups").and_then(Value::as_table);
    for group in groups.into_iter().flat_map(Table::values) {
        add_all(group, Dev, &mut found);
    }
    if let Some(requires) = table.get("build-system").and_then(|build| build.get("requires")) {
        add_all(requires, Build, &mut found);
    }
    Ok(found)
}

pub(super) fn pipfile(text: &str) -> Parsed {
    let table = table(text)?;
    let mut found = Found::default();
    for (section, kind) in [("packages", Runtime), ("dev-packages", Dev)] {
        add_table(table.get(section), kind, &mut found);
    }
    Ok(found)
}

fn pep621(project: &Table, found: &mut Found) {
    found.name = string(project.get("name"));
    found.version = string(project.get("version"));
    found.licence = match project.get("license") {
        Some(Value::Table(licence)) => string(licence.get("text"))
            .map(|text| text.lines().next().unwrap_or_default().to_owned())
            .or_else(|| string(licence.get("file")).map(|file| format!("see {file}"))),
        licence => string(licence),
    };
    if let Some(dependencies) = project.get("dependencies") {
        add_all(dependencies, Runtime, found);
    }
    let extras = project.get("optional-dependencies").and_then(Value::as_table);
    for extra in extras.into_iter().flat_map(Table::values) {
        add_all(extra, Optional, found);
    }
    for section in ["scripts", "gui-scripts"] {
        commands(project.get(section), found);
    }
}

fn poetry(poetry: &Table, found: &mut Found) {
    found.name = found.name.take().or_else(|| string(poetry.get("name")));
    found.version = found.version.take().or_else(|| string(poetry.get("version")));
    found.licence = found.licence.take().or_else(|| string(poetry.get("license")));
    add_table(poetry.get("dependencies"), Runtime, found);
    add_table(poetry.get("dev-dependencies"), Dev, found);
    let groups = poetry.get("group").and_then(Value::as_table);
    for group in groups.into_iter().flat_map(Table::values) {
        add_table(group.get("dependencies"), Dev, found);
    }
    commands(poetry.get("scripts"), found);
}

fn commands(scripts: Option<&Value>, found: &mut Found) {
    for (name, target) in scripts.and_then(Value::as_table).into_iter().flatten() {
        found.command(format!("command {name}: {}", target.as_str().unwrap_or_default()));
    }
}

/// A list of requirements as in PEP 508. Other values, such as an included group, are passed over.
fn add_all(list: &Value, kind: DependencyKind, found: &mut Found) {
    for text in list.as_array().into_iter().flatten().filter_map(Value::as_str) {
        if let Some((name, requirement)) = pep508(text) {
            found.depends(name, requirement, kind);
        }
    }
}

/// A table from names to versions or tables, as poetry and pipenv have it.
fn add_table(section: Option<&Value>, kind: DependencyKind, found: &mut Found) {
    for (name, value) in section.and_then(Value::as_table).into_iter().flatten() {
        let is_optional = value.get("optional").and_then(Value::as_bool).unwrap_or(false);
        let field = |name: &str| value.get(name).and_then(Value::as_str);
        let requirement = value
            .as_str()
            .or_else(|| field("version"))
            .map(str::to_owned)
            .or_else(|| field("git").map(|git| format!("git {git}")))
            .or_else(|| field("path").map(|path| format!("path {path}")));
        found.depends(name, requirement, if is_optional { Optional } else { kind });
    }
}

fn table(text: &str) -> Result<Table, String> {
    text.parse().map_err(|error: toml::de::Error| error.message().to_owned())
}

fn string(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_str).map(str::to_owned)
}
