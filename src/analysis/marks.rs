//! What the names of files, and a little of their content, tell: tests and their frameworks, CI, and documents.

use std::{collections::BTreeMap, sync::LazyLock};

use regex::Regex;

use super::{CiFile, DocFile, Framework, Manifest, text};

static TEST_NAME: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let names = [
        r"test_[^/]*\.py",
        r"[^/]*_tests?\.(?:py|go|rs|rb|dart|exs|cc|cpp|c|clj|zig)",
        r"tests\.(?:py|rs)",
        r"conftest\.py",
        r"[^/]*[.-](?:test|spec)s?\.(?:js|jsx|ts|tsx|mjs|cjs|mts|cts|vue)",
        r"[^/]*_spec\.rb",
        r"[^/]*(?:Test|Tests|TestCase|Spec|IT)\.(?:java|kt|scala|groovy|cs|php|swift|fs|vb)",
        r"[^/]*\.bats",
        r"[^/]*\.feature",
    ];
    Regex::new(&format!(r"(?:^|/)(?:{})$", names.join("|"))).ok()
});
static TEST_FOLDER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?:^|/)(?:tests?|specs?|__tests__|e2e|cypress|[^/]*\.Tests?)/(?:.*/)?[^/]+\.(?:py|rs|go|rb|js|jsx|ts|tsx|mjs|cjs|java|kt|scala|groovy|cs|php|swift|dart|ex|exs|c|cc|cpp|t|pl|sh|lua|jl|r|R)$")
        .ok()
});
static RUST_TEST: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?m)^\s*#\[(?:[a-z_]+::)?test(?:\(|\])").ok());

/// Whether a file holds tests.
pub(super) fn is_test(path: &str, content: &str) -> bool {
    let matches =
        |regex: &Option<Regex>, text: &str| regex.as_ref().is_some_and(|regex| regex.is_match(text));
    matches(&TEST_NAME, path)
        || matches(&TEST_FOLDER, path)
        || (path.ends_with(".rs") && matches(&RUST_TEST, content))
}

/// What a test file holds when it uses a framework: the framework, extensions, and a mark in the text.
const IN_FILES: &[(&str, &[&str], &str)] = &[
    ("Rust test", &["rs"], "#[test]"),
    ("Tokio test", &["rs"], "#[tokio::test"),
    ("proptest", &["rs"], "proptest!"),
    ("pytest", &["py"], "import pytest"),
    ("unittest", &["py"], "unittest"),
    ("hypothesis", &["py"], "from hypothesis"),
    ("Go testing", &["go"], "\"testing\""),
    ("testify", &["go"], "stretchr/testify"),
    ("JUnit 5", &["java", "kt", "groovy"], "org.junit.jupiter"),
    ("JUnit 4", &["java", "kt", "groovy"], "org.junit.Test"),
    ("TestNG", &["java", "kt"], "org.testng"),
    ("ScalaTest", &["scala"], "org.scalatest"),
    ("Vitest", &["js", "jsx", "ts", "tsx", "mjs", "mts"], "vitest"),
    ("Node test runner", &["js", "ts", "mjs", "cjs", "mts"], "node:test"),
    ("Playwright", &["js", "ts", "mjs", "py"], "playwright"),
    ("Cypress", &["js", "ts", "jsx", "tsx"], "cy.visit("),
    ("RSpec", &["rb"], "RSpec"),
    ("Minitest", &["rb"], "minitest"),
    ("PHPUnit", &["php"], "PHPUnit\\"),
    ("xUnit", &["cs", "fs"], "Xunit"),
    ("NUnit", &["cs", "fs"], "NUnit.Framework"),
    ("MSTest", &["cs"], "Microsoft.VisualStudio.TestTools"),
    ("GoogleTest", &["cc", "cpp", "cxx", "h", "hpp"], "gtest/gtest.h"),
    ("Catch2", &["cc", "cpp", "cxx", "h", "hpp"], "catch2/"),
    ("XCTest", &["swift", "m"], "import XCTest"),
    ("ExUnit", &["exs", "ex"], "ExUnit"),
    ("Dart test", &["dart"], "package:test/"),
    ("Flutter test", &["dart"], "package:flutter_test/"),
    ("Bats", &["bats"], "@test"),
    ("Cucumber", &["feature"], "Feature:"),
];

/// Dependencies that are frameworks for tests.
const IN_MANIFESTS: &[(&str, &[&str])] = &[
    ("Jest", &["jest", "ts-jest", "@jest/globals"]),
    ("Vitest", &["vitest"]),
    ("Mocha", &["mocha"]),
    ("Jasmine", &["jasmine", "jasmine-core"]),
    ("Karma", &["karma"]),
    ("AVA", &["ava"]),
    ("Cypress", &["cypress"]),
    ("Playwright", &["@playwright/test", "pytest-playwright"]),
    ("pytest", &["pytest"]),
    ("hypothesis", &["hypothesis"]),
    ("tox", &["tox"]),
    ("nox", &["nox"]),
    ("proptest", &["proptest"]),
    ("Criterion", &["criterion"]),
    ("rstest", &["rstest"]),
    ("RSpec", &["rspec", "rspec-rails"]),
    ("Minitest", &["minitest"]),
    ("PHPUnit", &["phpunit/phpunit"]),
    ("Pest", &["pestphp/pest"]),
    ("xUnit", &["xunit"]),
    ("NUnit", &["NUnit"]),
    ("MSTest", &["MSTest.TestFramework"]),
    ("JUnit 4", &["junit:junit"]),
    ("JUnit 5", &["org.junit.jupiter:junit-jupiter", "org.junit.jupiter:junit-jupiter-api"]),
    ("testify", &["github.com/stretchr/testify"]),
    ("Flutter test", &["flutter_test"]),
    ("Dart test", &["test"]),
];

/// Frameworks by name, with the first file that shows each.
#[derive(Debug, Default)]
pub(super) struct Frameworks(BTreeMap<&'static str, String>);

impl Frameworks {
    pub(super) fn of_file(&mut self, path: &str, content: &str) {
        let extension = text::extension(path);
        for (name, extensions, mark) in IN_FILES {
            if extensions.contains(&extension.as_str()) && content.contains(mark) {
                self.0.entry(name).or_insert_with(|| path.to_owned());
            }
        }
    }

    pub(super) fn of_manifest(&mut self, manifest: &Manifest) {
        for (name, dependencies) in IN_MANIFESTS {
            // The short name stands for something else elsewhere.
            let is_here = *name != "Dart test" || manifest.ecosystem == "pub";
            if is_here && manifest.dependencies.iter().any(|d| dependencies.contains(&d.name.as_str())) {
                self.0.entry(name).or_insert_with(|| manifest.path.clone());
            }
        }
    }

    pub(super) fn rows(self) -> Vec<Framework> {
        self.0.into_iter().map(|(name, path)| Framework { name: name.to_owned(), path }).collect()
    }
}

/// Folders and files of CI systems, relative to the root of a project.
const CI: &[(&str, &str)] = &[
    (".github/workflows/", "GitHub Actions"),
    (".gitlab-ci.yml", "GitLab CI"),
    (".gitlab/ci/", "GitLab CI"),
    (".circleci/", "CircleCI"),
    (".travis.yml", "Travis CI"),
    ("Jenkinsfile", "Jenkins"),
    ("azure-pipelines.yml", "Azure Pipelines"),
    (".azure-pipelines/", "Azure Pipelines"),
    ("bitbucket-pipelines.yml", "Bitbucket Pipelines"),
    (".drone.yml", "Drone"),
    (".woodpecker/", "Woodpecker"),
    (".woodpecker.yml", "Woodpecker"),
    (".buildkite/", "Buildkite"),
    ("appveyor.yml", "AppVeyor"),
    (".appveyor.yml", "AppVeyor"),
    (".cirrus.yml", "Cirrus CI"),
    (".builds/", "SourceHut"),
    (".build.yml", "SourceHut"),
    ("cloudbuild.yaml", "Google Cloud Build"),
    ("buildspec.yml", "AWS CodeBuild"),
    (".forgejo/workflows/", "Forgejo Actions"),
    (".gitea/workflows/", "Gitea Actions"),
    (".pre-commit-config.yaml", "pre-commit"),
];

/// The CI file that a path is.
pub(super) fn ci(path: &str) -> Option<CiFile> {
    let is = |mark: &str| match mark.strip_suffix('/') {
        Some(_) => path.starts_with(mark) || path.contains(&format!("/{mark}")),
        None => text::file_name(path) == mark,
    };
    let (_, system) = CI.iter().find(|(mark, _)| is(mark))?;
    Some(CiFile { path: path.to_owned(), system: (*system).to_owned() })
}

const DOCS: &[(&str, &str)] = &[
    ("readme", "readme"),
    ("changelog", "changelog"),
    ("changes", "changelog"),
    ("history", "changelog"),
    ("news", "changelog"),
    ("release-notes", "changelog"),
    ("contributing", "contributing"),
    ("security", "security"),
    ("code_of_conduct", "conduct"),
    ("architecture", "guide"),
];

/// The document that a path is.
pub(super) fn doc(path: &str) -> Option<DocFile> {
    let name = text::file_name(path).to_lowercase();
    let (stem, extension) = name.split_once('.').unwrap_or((&name, ""));
    if !matches!(extension, "" | "md" | "markdown" | "rst" | "txt" | "adoc" | "mdx" | "org") {
        return None;
    }
    let known =
        DOCS.iter().find(|(begin, _)| stem == *begin || (*begin == "readme" && stem.starts_with(begin)));
    let in_folder =
        path.split('/').rev().skip(1).any(|part| matches!(part, "doc" | "docs" | "documentation" | "man"));
    let kind = match known {
        Some((_, kind)) => kind,
        None if in_folder && !extension.is_empty() && extension != "txt" => "guide",
        None => return None,
    };
    Some(DocFile { path: path.to_owned(), kind: kind.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_known_by_name_folder_or_content() {
        for path in [
            "tests/it/a.rs",
            "a/test_x.py",
            "pkg/x_test.go",
            "src/a.test.tsx",
            "src/a.spec.js",
            "spec/a_spec.rb",
            "src/test/java/ATest.java",
            "x/__tests__/a.js",
            "A.Tests/B.cs",
            "src/engine/lane_tests.rs",
        ] {
            assert!(is_test(path, ""), "{path}");
        }
        for path in ["src/latest.rs", "contest.py", "tests/data.json", "src/attest.go", "test.md"] {
            assert!(!is_test(path, ""), "{path}");
        }
        assert!(is_test("src/a.rs", "x\n    #[test]\n    fn a() {}"));
        assert!(is_test("src/a.rs", "#[tokio::test]\n"));
    }

    #[test]
    fn files_of_ci_are_known() {
        let system = |path: &str| ci(path).map(|file| file.system);
        assert_eq!(system("x/.github/workflows/a.yml").as_deref(), Some("GitHub Actions"));
        assert_eq!(system(".gitlab-ci.yml").as_deref(), Some("GitLab CI"));
        assert_eq!(system("a.yml"), None);
    }

    #[test]
    fn documents_are_known() {
        let kind = |path: &str| doc(path).map(|file| file.kind);
        assert_eq!(kind("a/README.md").as_deref(), Some("readme"));
        assert_eq!(kind("readme_de.md").as_deref(), Some("readme"));
        assert_eq!(kind("CHANGES.rst").as_deref(), Some("changelog"));
        assert_eq!(kind("docs/a/b.md").as_deref(), Some("guide"));
        assert_eq!(kind("src/readme.rs"), None);
        assert_eq!(kind("src/a.md"), None);
    }
}
