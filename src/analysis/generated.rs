//! Folders that tools make and nobody writes.

/// Folders that are made by a tool wherever they are.
const ALWAYS: &[&str] = &[
    ".git",
    ".hg",
    ".svn",
    ".bzr",
    "node_modules",
    "bower_components",
    "jspm_packages",
    "__pycache__",
    "__MACOSX",
    ".venv",
    ".tox",
    ".nox",
    ".eggs",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".ipynb_checkpoints",
    ".gradle",
    ".next",
    ".nuxt",
    ".svelte-kit",
    ".parcel-cache",
    ".turbo",
    ".nyc_output",
    ".terraform",
    ".dart_tool",
    ".stack-work",
    "dist-newstyle",
    "elm-stuff",
    "DerivedData",
];

/// Folders with common names, which a tool made when its manifest is beside them (or a mark inside).
const BESIDE: &[(&str, &[&str])] = &[
    ("target", &["Cargo.toml", "pom.xml", "build.sbt"]),
    ("build", &["build.gradle", "build.gradle.kts", "pubspec.yaml"]),
    ("obj", &[".csproj", ".fsproj", ".vbproj"]),
    ("vendor", &["go.mod", "composer.json"]),
    ("deps", &["mix.exs"]),
    ("_build", &["mix.exs", "dune-project"]),
    ("Pods", &["Podfile"]),
];

/// Files in a folder that tell that a tool made it.
const INSIDE: &[&str] = &["pyvenv.cfg", "CACHEDIR.TAG"];

/// Files that a system leaves behind.
pub(super) const LITTER: &[&str] = &[".DS_Store", "Thumbs.db", "desktop.ini"];

/// Whether a tool made the folder with this name, beside and with these files.
pub(super) fn is_generated(name: &str, beside: &[&str], inside: &[&str]) -> bool {
    ALWAYS.contains(&name)
        || INSIDE.iter().any(|mark| inside.contains(mark))
        || BESIDE.iter().any(|(folder, manifests)| {
            *folder == name && manifests.iter().any(|m| beside.iter().any(|file| file.ends_with(m)))
        })
}

/// Whether a path leads through a folder that is made by a tool wherever it is.
pub(super) fn leads_through(path: &str) -> bool {
    path.rsplit_once('/').is_some_and(|(folder, _)| folder.split('/').any(|part| ALWAYS.contains(&part)))
}
