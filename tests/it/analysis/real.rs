//! Analyses of real packages and of this project.

use std::path::Path;

use productforge::analysis::{DependencyKind, Limits, analyse, browse, report};

use super::support::{FolderFiles, archive};

#[test]
fn a_wheel_tells_what_it_is() {
    let name = "requests-2.34.2-py3-none-any.whl";
    let files = archive(name);
    let analysis = analyse(&files, &Limits::default());
    let manifest = analysis.manifests.iter().find(|row| row.path.ends_with("METADATA")).unwrap();
    assert_eq!((manifest.name.as_deref(), manifest.version.as_deref()), (Some("requests"), Some("2.34.2")));
    let runtime = manifest.dependencies.iter().filter(|row| row.kind == DependencyKind::Runtime);
    let names: Vec<&str> = runtime.map(|row| row.name.as_str()).collect();
    assert!(["certifi", "idna", "urllib3"].iter().all(|name| names.contains(name)), "{names:?}");
    assert!(analysis.licences.iter().any(|row| row.spdx.as_deref() == Some("Apache-2.0")));
    assert_eq!(analysis.languages[0].name, "Python");
    assert_eq!(analysis.secrets, []);
    assert!(report::markdown(&analysis).contains("| Python |"));
}

#[test]
fn a_large_wheel_is_no_riddle() {
    let name = "django-5.2.19-py3-none-any.whl";
    let files = archive(name);
    let analysis = analyse(&files, &Limits::default());
    assert!(
        analysis.entry_points.iter().any(|row| row.why.contains("django-admin")),
        "{:?}",
        analysis.entry_points
    );
    assert!(analysis.licences.iter().any(|row| row.spdx.as_deref() == Some("BSD-3-Clause")));
    // Its own passwords are names of fields and words of its documentation.
    assert_eq!(analysis.secrets, []);
    let found =
        browse::search(&files, &browse::Search { pattern: "class QuerySet", limit: 5, ..Default::default() });
    assert!(found.unwrap().contains("django/db/models/query.py:"));
}

#[test]
fn this_project_is_understood() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let analysis = analyse(&FolderFiles::new(root).unwrap(), &Limits::default());
    assert!(analysis.ignored.iter().any(|row| row.path == "target/"), "{:?}", analysis.ignored);
    let cargo = analysis.manifests.iter().find(|row| row.path == "Cargo.toml").unwrap();
    assert_eq!(cargo.name.as_deref(), Some(env!("CARGO_PKG_NAME")));
    assert_eq!(analysis.languages[0].name, "Rust");
    assert!(analysis.tests.frameworks.iter().any(|row| row.name == "Rust test"));
    assert!(analysis.lock_files.iter().any(|row| row.path == "Cargo.lock"));
}
