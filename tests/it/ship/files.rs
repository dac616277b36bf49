//! The files of a deployment, held against the linters and schemas of those who read them. Each check is shown to find
//! what is wrong.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use super::{file, output, run, said};
use crate::support::process::folder;

fn tool(name: &str, path: &Path) -> Command {
    let mut command = Command::new(file("tests/support/deploy-tools.sh"));
    command.arg(name).arg(path);
    command
}

fn text(path: &str) -> String {
    std::fs::read_to_string(file(path)).unwrap()
}

/// A copy of a file with something in it changed.
fn changed(path: &str, from: &str, to: &str) -> (TempDir, PathBuf) {
    let text = text(path);
    assert!(text.contains(from), "{from} is not in {path}");
    let folder = folder();
    let copy = folder.path().join(Path::new(path).file_name().unwrap());
    std::fs::write(&copy, text.replacen(from, to, 1)).unwrap();
    (folder, copy)
}

#[test]
fn the_dockerfile_is_clean_and_the_linter_sees_what_is_not() {
    run(&mut tool("dockerfile", &file("Dockerfile")));
    let (_folder, copy) = changed("Dockerfile", "FROM debian:bookworm-slim", "FROM debian");
    let found = output(&mut tool("dockerfile", &copy));
    assert!(!found.status.success() && said(&found).contains("DL3006"), "{}", said(&found));
}

/// Railway's builder refuses a Dockerfile that has one.
#[test]
fn the_dockerfile_has_no_volume() {
    let volume = |line: &str| line.trim_start().to_uppercase().starts_with("VOLUME");
    assert!(!text("Dockerfile").lines().any(volume));
}

/// A unit that names a file which nobody has made does not start; and a file with a key is nobody else's.
#[test]
fn every_file_that_the_unit_names_is_made_by_a_step_of_the_guide() {
    let (unit, guide) = (text("docs/deploy/productforge.service"), text("docs/deploy.md"));
    let named = |before: &str| -> Vec<&str> {
        let lines = unit.lines().filter_map(|line| line.strip_prefix(before));
        lines.map(|rest| rest.rsplit([':', '-']).next().unwrap()).collect()
    };
    let (steps, later) = guide.split_once("enable --now productforge").unwrap();
    let made = |path: &&str| format!("/dev/stdin {path}");
    let needed = [named("LoadCredential="), named("EnvironmentFile=")].concat();
    assert_eq!(needed, ["/etc/productforge/api_key", "/etc/productforge/environment"]);
    assert!(needed.iter().all(|path| steps.contains(&made(path))), "{needed:?}");
    let optional = named("#LoadCredential=");
    assert_eq!(optional, ["/etc/productforge/openai_api_key"]);
    assert!(optional.iter().all(|path| later.contains(&made(path))), "{optional:?}");
    let files = guide.split("sudo install -m ").skip(1).filter(|rest| rest.contains("/dev/stdin"));
    let open = files
        .filter(|rest| rest.lines().next().is_some_and(|l| l.contains("stdin") && !l.starts_with("600")));
    assert_eq!(open.count(), 0, "a file of /etc/productforge that others can read");
    assert!(!guide.contains("tee /etc/productforge"), "tee makes files that all can read");
}

#[test]
fn railway_knows_every_key() {
    for path in ["railway.toml", "docs/deploy/railway.worker.toml"] {
        run(&mut tool("railway", &file(path)));
    }
    for (from, to) in [
        ("drainingSeconds", "drainSeconds"),
        ("drainingSeconds = 35", "drainingSeconds = \"35\""),
        ("\"ON_FAILURE\"", "\"SOMETIMES\""),
        ("[deploy]", "[deploy"),
    ] {
        let (_folder, copy) = changed("railway.toml", from, to);
        assert!(!output(&mut tool("railway", &copy)).status.success(), "{to} is let through");
    }
}

/// What Railway, Compose and systemd wait before SIGKILL is longer than what a process takes to drain.
#[test]
fn whoever_stops_it_waits_until_it_has_drained() {
    let drain = crate::support::world::config(&[]).worker.drain.as_secs();
    for (path, before, after) in [
        ("railway.toml", "drainingSeconds = ", "\n"),
        ("docs/deploy/railway.worker.toml", "drainingSeconds = ", "\n"),
        ("docs/deploy/compose.yml", "stop_grace_period: ", "s"),
        ("docs/deploy/productforge.service", "TimeoutStopSec=", "\n"),
    ] {
        let text = text(path);
        let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("no {before} in {path}"));
        let wait: u64 = rest.split_once(after).unwrap().0.parse().unwrap();
        // What follows the drain: giving back, ending roles.
        assert!(wait >= drain + 10, "{path}: {wait} s for a drain of {drain} s");
    }
}

#[test]
fn the_compose_file_follows_the_specification() {
    run(&mut tool("compose", &file("docs/deploy/compose.yml")));
    let (_folder, copy) = changed("docs/deploy/compose.yml", "stop_grace_period:", "stop_grace_time:");
    let found = output(&mut tool("compose", &copy));
    assert!(!found.status.success() && said(&found).contains("stop_grace_time"), "{}", said(&found));
}

#[test]
fn systemd_takes_the_unit_and_finds_it_tight() {
    // The unit is looked at where the executable is.
    let (_folder, unit) = changed(
        "docs/deploy/productforge.service",
        "/usr/local/bin/productforge",
        env!("CARGO_BIN_EXE_productforge"),
    );
    let found = run(Command::new("systemd-analyze").arg("verify").arg(&unit));
    assert_eq!(found.trim(), "", "{found}");
    let rating = run(Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--no-pager", "--threshold=20"])
        .arg(&unit));
    assert!(rating.contains("Overall exposure level"), "{rating}");
    let (_folder, wrong) =
        changed("docs/deploy/productforge.service", "TimeoutStopSec=40", "TimeoutStopSecs=40");
    let found = output(Command::new("systemd-analyze").arg("verify").arg(&wrong));
    assert!(said(&found).contains("TimeoutStopSecs"), "{}", said(&found));
}

#[test]
fn caddy_takes_its_file() {
    let caddy = |path: &Path| {
        let mut command = Command::new("caddy");
        command.args(["adapt", "--validate", "--adapter", "caddyfile", "--config"]).arg(path);
        command
    };
    run(&mut caddy(&file("docs/deploy/Caddyfile")));
    let (_folder, copy) = changed("docs/deploy/Caddyfile", "flush_interval", "flush_intervals");
    assert!(!output(&mut caddy(&copy)).status.success());
}

#[test]
fn shell_scripts_are_clean() {
    for path in ["dev", ".ci/run", "tests/support/deploy-tools.sh", "tests/support/image-rootfs.sh"] {
        run(&mut tool("shell", &file(path)));
    }
}

/// The scripts of the guides are well-formed, and what they call `productforge` with exists, flags and all.
#[test]
fn the_commands_of_the_guides_are_true() {
    let guide = text("docs/deploy.md") + text("docs/keeping.md").as_str();
    for script in guide.split("```sh\n").skip(1).map(|rest| rest.split_once("```").unwrap().0) {
        let folder = folder();
        let path = folder.path().join("script.sh");
        std::fs::write(&path, format!("#!/bin/bash\n{script}")).unwrap();
        run(&mut tool("shell", &path));
    }
    let mut seen = 0;
    for call in guide.split("productforge ").skip(1) {
        let call = call.split(['|', '>', '#', ';', '`', '\'', '\n']).next().unwrap();
        let words: Vec<&str> = call.split_whitespace().collect();
        // A unit, an image or a folder of that name is no call.
        if words.first().is_some_and(|word| COMMANDS.contains(word)) {
            let mut command = Command::new(env!("CARGO_BIN_EXE_productforge"));
            run(command.args(words).arg("--help").env_clear());
            seen += 1;
        }
    }
    assert!(seen >= 20, "{seen}");
    for path in guide.split('(').skip(1).filter_map(|rest| rest.split_once(')')).map(|(path, _)| path) {
        if path.starts_with("deploy/") || path.starts_with("../") {
            let path = path.split('#').next().unwrap();
            assert!(file("docs").join(path).exists(), "{path} is named in docs");
        }
    }
}

const COMMANDS: [&str; 13] = [
    "serve",
    "worker",
    "run",
    "doctor",
    "config",
    "migrate",
    "copy",
    "healthcheck",
    "completions",
    "man",
    "backup",
    "restore",
    "audit",
];

/// What the image is built from is let through by `.dockerignore`, and the step that builds the dependencies alone leaves
/// a package that cargo can read.
#[test]
fn the_image_is_built_from_what_it_needs() {
    let ignored = text(".dockerignore");
    let allowed: BTreeSet<&str> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
    assert!(ignored.lines().any(|line| line == "*"), "nothing is ignored");
    for path in &allowed {
        assert!(file(path).exists(), "{path} of .dockerignore does not exist");
    }
    // Files that the source takes in from outside of src.
    for source in walk(&file("src")) {
        let text = std::fs::read_to_string(&source).unwrap_or_default();
        for included in
            ["include_str!(\"", "include_bytes!(\""].iter().flat_map(|call| text.split(call).skip(1))
        {
            let path = source.parent().unwrap().join(included.split('"').next().unwrap());
            let path = path.canonicalize().unwrap();
            let path = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap();
            let top = path.components().next().unwrap().as_os_str().to_str().unwrap();
            assert!(allowed.contains(top), "{} needs {}", source.display(), path.display());
        }
    }
    let dockerfile = text("Dockerfile").replace("\\\n", " ");
    let (copied, steps) = dockerfile.split_once("COPY Cargo.toml").unwrap().1.split_once("RUN ").unwrap();
    let here = folder();
    for name in ["Cargo.toml"].into_iter().chain(copied.split_whitespace().filter(|word| *word != "./")) {
        if file(name).is_file() {
            std::fs::copy(file(name), here.path().join(name)).unwrap();
        }
    }
    let steps = steps.lines().next().unwrap();
    let (prepare, build) = steps.rsplit_once("&& cargo build").unwrap();
    assert!(build.contains("--locked") && build.contains("--release"), "{build}");
    run(Command::new("bash").args(["-euc", prepare]).current_dir(here.path()));
    run(Command::new("cargo")
        .args(["metadata", "--locked", "--offline", "--format-version=1"])
        .current_dir(here.path()));
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}
