//! Manifests: what a project is called, and what it depends on.
//!
//! Nothing is resolved or executed: what cannot be read from the text of a manifest is not said.

mod cargo;
mod containers;
mod go;
mod gradle;
mod npm;
mod python;
mod python_old;
mod scripts;
mod xml;
mod yaml;

use std::collections::BTreeSet;

use super::{Dependency, DependencyKind, Limits, LockFile, Manifest, model::EntryKind, text};

/// What a parser finds in a manifest. Texts are as they are in the file: they are made harmless later.
#[derive(Debug, Default)]
struct Found {
    name: Option<String>,
    version: Option<String>,
    licence: Option<String>,
    dependencies: Vec<(String, Option<String>, DependencyKind)>,
    /// Commands that come with it: what starts, and why it is thought so.
    commands: Vec<(EntryKind, String)>,
}

impl Found {
    fn depends(&mut self, name: impl Into<String>, requirement: Option<String>, kind: DependencyKind) {
        let requirement = requirement.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        self.dependencies.push((name.into(), requirement, kind));
    }

    fn command(&mut self, why: impl Into<String>) {
        self.commands.push((EntryKind::Command, why.into()));
    }
}

/// A parser's answer: the text says what is wrong.
type Parsed = Result<Found, String>;

type Parser = fn(&str) -> Parsed;

/// The ecosystem and the parser for a file of this name.
fn parser(path: &str) -> Option<(&'static str, Parser)> {
    let name = text::file_name(path);
    let lower = name.to_lowercase();
    let parser: (&'static str, Parser) = match name {
        "Cargo.toml" => ("cargo", cargo::parse),
        "package.json" => ("npm", npm::package_json),
        "composer.json" => ("composer", npm::composer_json),
        "pyproject.toml" => ("pypi", python::pyproject),
        "Pipfile" => ("pypi", python::pipfile),
        "setup.cfg" => ("pypi", python_old::setup_cfg),
        "setup.py" => ("pypi", python_old::setup_py),
        "METADATA" | "PKG-INFO" => ("pypi", python_old::metadata),
        "entry_points.txt" => ("pypi", python_old::entry_points),
        "go.mod" => ("go", go::go_mod),
        "pom.xml" => ("maven", xml::pom),
        "build.gradle" | "build.gradle.kts" => ("gradle", gradle::parse),
        "Gemfile" => ("rubygems", scripts::gemfile),
        "mix.exs" => ("hex", scripts::mix),
        "pubspec.yaml" | "pubspec.yml" => ("pub", yaml::pubspec),
        "Procfile" => ("procfile", containers::procfile),
        _ if lower == "dockerfile" || lower == "containerfile" => ("docker", containers::dockerfile),
        _ if lower.starts_with("dockerfile.") || lower.ends_with(".dockerfile") => {
            ("docker", containers::dockerfile)
        }
        _ if lower.ends_with(".gemspec") => ("rubygems", scripts::gemspec),
        _ if [".csproj", ".fsproj", ".vbproj"].iter().any(|end| lower.ends_with(end)) => {
            ("nuget", xml::dotnet)
        }
        _ if lower.contains("requirements") && lower.ends_with(".txt") => ("pypi", python_old::requirements),
        _ if lower.ends_with(".txt") && path.rsplit('/').nth(1) == Some("requirements") => {
            ("pypi", python_old::requirements)
        }
        _ => return None,
    };
    Some(parser)
}

const LOCK_FILES: &[(&str, &str)] = &[
    ("Cargo.lock", "cargo"),
    ("package-lock.json", "npm"),
    ("npm-shrinkwrap.json", "npm"),
    ("yarn.lock", "npm"),
    ("pnpm-lock.yaml", "npm"),
    ("bun.lock", "npm"),
    ("bun.lockb", "npm"),
    ("deno.lock", "npm"),
    ("poetry.lock", "pypi"),
    ("pdm.lock", "pypi"),
    ("uv.lock", "pypi"),
    ("pylock.toml", "pypi"),
    ("Pipfile.lock", "pypi"),
    ("go.sum", "go"),
    ("gradle.lockfile", "gradle"),
    ("Gemfile.lock", "rubygems"),
    ("composer.lock", "composer"),
    ("packages.lock.json", "nuget"),
    ("pubspec.lock", "pub"),
    ("mix.lock", "hex"),
    ("flake.lock", "nix"),
];

/// The lock file that a path is.
pub(super) fn lock_file(path: &str) -> Option<LockFile> {
    let name = text::file_name(path);
    let (_, ecosystem) = LOCK_FILES.iter().find(|(lock, _)| *lock == name)?;
    Some(LockFile { path: path.to_owned(), ecosystem: (*ecosystem).to_owned() })
}

/// Whether a file of this name is a manifest.
pub(super) fn is_manifest(path: &str) -> bool {
    parser(path).is_some()
}

/// What a manifest says.
#[derive(Debug)]
pub(super) struct Read {
    pub manifest: Manifest,
    pub commands: Vec<(EntryKind, String)>,
    /// Dependencies that are not in the manifest because there are too many.
    pub left_out: usize,
}

/// Reads a manifest of at most `limits.manifest_bytes`. None when the name is not that of one.
pub(super) fn read(path: &str, content: &str, limits: &Limits) -> Option<Read> {
    let (ecosystem, parse) = parser(path)?;
    let is_too_long = content.len() as u64 > limits.manifest_bytes;
    let parsed = if is_too_long {
        Err(format!("it is longer than {} bytes and was not read", limits.manifest_bytes))
    } else {
        parse(content)
    };
    let shown = |text: &str| text::shown(text.trim(), limits.text_chars);
    let (found, error) = match parsed {
        Ok(found) => (found, None),
        Err(error) => (Found::default(), Some(shown(&error))),
    };
    let distinct: BTreeSet<_> =
        found.dependencies.iter().filter(|(name, ..)| !name.trim().is_empty()).collect();
    let left_out = distinct.len().saturating_sub(limits.dependencies);
    let dependencies = distinct
        .into_iter()
        .take(limits.dependencies)
        .map(|(name, requirement, kind)| Dependency {
            name: shown(name),
            requirement: requirement.as_deref().map(shown),
            kind: *kind,
        })
        .collect();
    let text = |text: Option<String>| text.as_deref().map(shown).filter(|text| !text.is_empty());
    let manifest = Manifest {
        path: path.to_owned(),
        ecosystem: ecosystem.to_owned(),
        name: text(found.name),
        version: text(found.version),
        licence: text(found.licence),
        dependencies,
        error,
    };
    let commands = found.commands.iter().take(limits.rows).map(|(kind, why)| (*kind, shown(why))).collect();
    Some(Read { manifest, commands, left_out })
}

#[cfg(test)]
mod tests;
