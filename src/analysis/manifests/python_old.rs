//! Python's other manifests: requirements, `setup.cfg`, `setup.py`, and the metadata inside of wheels and eggs.

use std::sync::LazyLock;

use regex::Regex;

use super::{Found, Parsed};
use crate::analysis::DependencyKind::{Build, Optional, Runtime};

/// The name and the rest of a requirement such as `a[extra] >=1; python_version<"3"`.
pub(super) fn pep508(text: &str) -> Option<(String, Option<String>)> {
    let text = text.trim();
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let end = text.find(|c| !is_name(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    let rest = rest.trim_start();
    let rest = match rest.strip_prefix('[') {
        Some(extras) => extras.split_once(']').map_or("", |(_, rest)| rest).trim_start(),
        None => rest,
    };
    // Old metadata has the versions in parentheses.
    let rest = match rest.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
        Some((versions, marker)) => format!("{versions}{marker}"),
        None => rest.to_owned(),
    };
    if !rest.is_empty() && !rest.starts_with(['<', '>', '=', '!', '~', ';', '@', ' ', ',']) {
        return None;
    }
    Some((name.to_owned(), Some(rest)))
}

/// `requirements*.txt`: options and links without a name are passed over.
pub(super) fn requirements(text: &str) -> Parsed {
    let mut found = Found::default();
    for line in text.lines() {
        let line = line.split(" #").next().unwrap_or_default().trim();
        // Hashes follow the requirement on the same logical line.
        let line = line.split(" --").next().unwrap_or_default().trim_end_matches(['\\', ' ']);
        if let Some((_, egg)) = line.split_once("#egg=") {
            let name = egg.split(['&', '[']).next().unwrap_or_default();
            let link = line.trim_start_matches("-e ").split('#').next().unwrap_or_default();
            found.depends(name, Some(link.to_owned()), Runtime);
        } else if !line.starts_with(['#', '-'])
            && let Some((name, requirement)) = pep508(line)
        {
            found.depends(name, requirement, Runtime);
        }
    }
    Ok(found)
}

/// `setup.cfg`: an INI file whose values go on in indented lines.
pub(super) fn setup_cfg(text: &str) -> Parsed {
    let mut found = Found::default();
    let (mut section, mut key) = (String::new(), String::new());
    for line in text.lines() {
        let plain = line.trim();
        if plain.is_empty() || plain.starts_with(['#', ';']) {
            continue;
        }
        let value = if line.starts_with([' ', '\t']) {
            plain
        } else if let Some(name) = plain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            (section, key) = (name.to_owned(), String::new());
            continue;
        } else if let Some((name, value)) = plain.split_once(['=', ':']) {
            key = name.trim().to_lowercase().replace('-', "_");
            value.trim()
        } else {
            continue;
        };
        if value.is_empty() {
            continue;
        }
        let kind = match (section.as_str(), key.as_str()) {
            ("metadata", "name") => {
                found.name.get_or_insert_with(|| value.to_owned());
                continue;
            }
            ("metadata", "version") => {
                found.version.get_or_insert_with(|| value.to_owned());
                continue;
            }
            ("metadata", "license") => {
                found.licence.get_or_insert_with(|| value.to_owned());
                continue;
            }
            ("options.entry_points", "console_scripts" | "gui_scripts") => {
                found.command(format!("command {value}"));
                continue;
            }
            ("options", "install_requires") => Runtime,
            ("options", "setup_requires") => Build,
            ("options.extras_require", _) => Optional,
            _ => continue,
        };
        if let Some((name, requirement)) = pep508(value) {
            found.depends(name, requirement, kind);
        }
    }
    Ok(found)
}

/// `setup.py`: only what stands there as plain strings; it is not run.
pub(super) fn setup_py(text: &str) -> Parsed {
    static FIELD: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r#"(?m)^\s*(?:setup\()?\s*(name|version|license)\s*=\s*["']([^"'\n]{1,200})["']"#).ok()
    });
    static REQUIRES: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"\b(install_requires|setup_requires)\s*=\s*\[([^\]]*)\]").ok());
    static STRING: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#""([^"\n]+)"|'([^'\n]+)'"#).ok());
    let mut found = Found::default();
    for field in FIELD.iter().flat_map(|regex| regex.captures_iter(text)) {
        let slot = match &field[1] {
            "name" => &mut found.name,
            "version" => &mut found.version,
            _ => &mut found.licence,
        };
        slot.get_or_insert_with(|| field[2].to_owned());
    }
    for list in REQUIRES.iter().flat_map(|regex| regex.captures_iter(text)) {
        let kind = if &list[1] == "install_requires" { Runtime } else { Build };
        for string in STRING.iter().flat_map(|regex| regex.captures_iter(&list[2])) {
            let string = string.get(1).or_else(|| string.get(2)).map_or("", |text| text.as_str());
            if let Some((name, requirement)) = pep508(string) {
                found.depends(name, requirement, kind);
            }
        }
    }
    Ok(found)
}

/// `METADATA` of a wheel and `PKG-INFO` of an egg: headers until the first empty line.
pub(super) fn metadata(text: &str) -> Parsed {
    let mut found = Found::default();
    let mut classifier = None;
    if !text.starts_with("Metadata-Version:") {
        return Err("it does not begin with Metadata-Version".to_owned());
    }
    for line in text.lines().take_while(|line| !line.trim().is_empty()) {
        let Some((header, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        match header {
            "Name" => found.name = Some(value.to_owned()),
            "Version" => found.version = Some(value.to_owned()),
            "License-Expression" => found.licence = Some(value.to_owned()),
            "License" if found.licence.is_none() && !value.is_empty() && value != "UNKNOWN" => {
                found.licence = Some(value.to_owned());
            }
            "Classifier" if value.starts_with("License :: ") => {
                classifier = value.rsplit(" :: ").next().map(str::to_owned);
            }
            "Requires-Dist" => {
                if let Some((name, requirement)) = pep508(value) {
                    let marker = value.split_once(';').map_or("", |(_, marker)| marker);
                    let kind = if names_extra(marker) { Optional } else { Runtime };
                    found.depends(name, requirement, kind);
                }
            }
            _ => {}
        }
    }
    found.licence = found.licence.or(classifier);
    Ok(found)
}

fn names_extra(marker: &str) -> bool {
    marker.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| word == "extra")
}

/// `entry_points.txt` of a wheel.
pub(super) fn entry_points(text: &str) -> Parsed {
    let mut found = Found::default();
    let mut is_scripts = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            is_scripts = matches!(line, "[console_scripts]" | "[gui_scripts]");
        } else if is_scripts && !line.is_empty() && !line.starts_with(['#', ';']) {
            found.command(format!("command {line}"));
        }
    }
    Ok(found)
}
