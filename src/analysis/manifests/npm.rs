//! Manifests in JSON: `package.json` and `composer.json`.

use serde_json::{Map, Value};

use super::{Found, Parsed};
use crate::analysis::DependencyKind::{self, Dev, Optional, Runtime};

pub(super) fn package_json(text: &str) -> Parsed {
    let object = object(text)?;
    let mut found = described(&object);
    let peers = object.get("peerDependenciesMeta").and_then(Value::as_object);
    for (section, kind) in [
        ("dependencies", Runtime),
        ("peerDependencies", Runtime),
        ("devDependencies", Dev),
        ("optionalDependencies", Optional),
    ] {
        section_of(&object, section, &mut found, |name| {
            let meta = peers.filter(|_| section == "peerDependencies").and_then(|peers| peers.get(name));
            let is_optional = meta.and_then(|meta| meta.get("optional")) == Some(&Value::Bool(true));
            if is_optional { Optional } else { kind }
        });
    }
    match object.get("bin") {
        Some(Value::String(path)) => found.command(format!("command from {path}")),
        Some(Value::Object(bins)) => {
            for (name, path) in bins {
                found.command(format!("command {name} from {}", path.as_str().unwrap_or_default()));
            }
        }
        _ => {}
    }
    if let Some(main) = object.get("main").and_then(Value::as_str) {
        found.command(format!("main module {main}"));
    }
    let scripts = object.get("scripts").and_then(Value::as_object);
    for (name, script) in scripts.into_iter().flatten() {
        if matches!(name.as_str(), "start" | "dev" | "serve" | "build" | "test")
            && let Some(script) = script.as_str()
        {
            found.command(format!("script {name}: {script}"));
        }
    }
    Ok(found)
}

pub(super) fn composer_json(text: &str) -> Parsed {
    let object = object(text)?;
    let mut found = described(&object);
    section_of(&object, "require", &mut found, |_| Runtime);
    section_of(&object, "require-dev", &mut found, |_| Dev);
    section_of(&object, "suggest", &mut found, |_| Optional);
    match object.get("bin") {
        Some(Value::String(path)) => found.command(format!("command from {path}")),
        Some(Value::Array(paths)) => {
            for path in paths.iter().filter_map(Value::as_str) {
                found.command(format!("command from {path}"));
            }
        }
        _ => {}
    }
    Ok(found)
}

fn object(text: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err("it is JSON, and no object".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn described(object: &Map<String, Value>) -> Found {
    let string = |name: &str| object.get(name).and_then(Value::as_str).map(str::to_owned);
    let licence = match object.get("license").or_else(|| object.get("licenses")) {
        Some(Value::Array(all)) => {
            let names: Vec<&str> = all.iter().filter_map(licence).collect();
            (!names.is_empty()).then(|| names.join(" OR "))
        }
        Some(one) => licence(one).map(str::to_owned),
        None => None,
    };
    Found { name: string("name"), version: string("version"), licence, ..Found::default() }
}

/// A licence is a name, or was once an object with `type`.
fn licence(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value.get("type").and_then(Value::as_str))
}

fn section_of(
    object: &Map<String, Value>,
    section: &str,
    found: &mut Found,
    kind: impl Fn(&str) -> DependencyKind,
) {
    for (name, requirement) in object.get(section).and_then(Value::as_object).into_iter().flatten() {
        found.depends(name, requirement.as_str().map(str::to_owned), kind(name));
    }
}
