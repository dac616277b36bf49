//! `build.gradle` and `build.gradle.kts`: the forms that can be read without running them.

use std::sync::LazyLock;

use regex::Regex;

use super::{Found, Parsed};
use crate::analysis::DependencyKind::{Build, Dev, Runtime};

/// `implementation "group:name:1.0"`, `testImplementation(platform("group:name"))`, and `id("x") version "1"`.
const DEPENDENCY: &str = r#"(?m)^\s*(implementation|api|compile|compileOnly|runtime|runtimeOnly|providedCompile|testImplementation|testCompile|testRuntimeOnly|testCompileOnly|androidTestImplementation|debugImplementation|annotationProcessor|kapt|ksp|classpath)[ \t]*\(?[ \t]*(?:(?:platform|enforcedPlatform|kotlin)[ \t]*\([ \t]*)?["']([^"'\s:]{1,200})(?::([^"'\s:]{1,200}))?(?::([^"'\s]{1,200}))?["']"#;

/// `implementation group: "g", name: "n", version: "1"`.
const NAMED: &str = r#"(?m)^\s*(\w{1,40})[ \t]*\(?[ \t]*group[ \t]*[:=][ \t]*["']([^"'\n]{1,200})["'],[ \t]*name[ \t]*[:=][ \t]*["']([^"'\n]{1,200})["'](?:,[ \t]*version[ \t]*[:=][ \t]*["']([^"'\n]{1,200})["'])?"#;

const PLUGIN: &str = r#"(?m)^\s*id[ \t]*\(?[ \t]*["']([^"'\n]{1,200})["'][ \t]*\)?(?:[ \t]+version[ \t]*\(?[ \t]*["']([^"'\n]{1,200})["'])?"#;

const VERSION: &str = r#"(?m)^version[ \t]*=?[ \t]*["']([^"'\n]{1,200})["']"#;

static REGEXES: LazyLock<Option<[Regex; 4]>> = LazyLock::new(|| {
    Some([
        Regex::new(DEPENDENCY).ok()?,
        Regex::new(NAMED).ok()?,
        Regex::new(PLUGIN).ok()?,
        Regex::new(VERSION).ok()?,
    ])
});

pub(super) fn parse(text: &str) -> Parsed {
    let Some([dependency, named, plugin, version]) = &*REGEXES else { return Ok(Found::default()) };
    let version = version.captures(text).map(|captures| captures[1].to_owned());
    let mut found = Found { version, ..Found::default() };
    let kind = |configuration: &str| match configuration {
        "annotationProcessor" | "kapt" | "ksp" | "classpath" => Build,
        name if name.to_lowercase().contains("test") || name.starts_with("debug") => Dev,
        _ => Runtime,
    };
    for all in dependency.captures_iter(text) {
        let name = match all.get(3) {
            Some(name) => format!("{}:{}", &all[2], name.as_str()),
            None => all[2].to_owned(),
        };
        found.depends(name, all.get(4).map(|version| version.as_str().to_owned()), kind(&all[1]));
    }
    for all in named.captures_iter(text) {
        let version = all.get(4).map(|version| version.as_str().to_owned());
        found.depends(format!("{}:{}", &all[2], &all[3]), version, kind(&all[1]));
    }
    for all in plugin.captures_iter(text) {
        found.depends(&all[1], all.get(2).map(|version| version.as_str().to_owned()), Build);
    }
    Ok(found)
}
