//! What the program stands on, without a network: every crate comes from crates.io, under a licence that
//! `deny.toml` allows, and none that it forbids is there. `cargo deny` looks deeper, where it is installed.

use std::{collections::BTreeSet, process::Command};

use serde_json::Value;
use spdx::{Expression, Licensee, ParseMode};

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

struct Rules {
    allowed: Vec<Licensee>,
    exceptions: Vec<(String, Vec<Licensee>)>,
    forbidden: BTreeSet<String>,
}

impl Rules {
    fn read() -> Self {
        let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/deny.toml")).unwrap();
        let rules: toml::Table = toml::from_str(&text).unwrap();
        let licensees = |list: &toml::Value| -> Vec<Licensee> {
            let names = list.as_array().unwrap().iter().map(|name| name.as_str().unwrap());
            names.map(|name| Licensee::parse(name).unwrap()).collect()
        };
        let list = |place: &toml::Value| place.as_array().unwrap().clone();
        let name = |entry: &toml::Value| entry["name"].as_str().unwrap().to_owned();
        Self {
            allowed: licensees(&rules["licenses"]["allow"]),
            exceptions: list(&rules["licenses"]["exceptions"])
                .iter()
                .map(|entry| (name(entry), licensees(&entry["allow"])))
                .collect(),
            forbidden: list(&rules["bans"]["deny"]).iter().map(name).collect(),
        }
    }

    /// What is wrong with a package, as `cargo metadata` tells of it.
    fn complaints(&self, package: &Value) -> Vec<String> {
        let name = package["name"].as_str().unwrap();
        let mut found = Vec::new();
        if package["source"] != CRATES_IO {
            found.push(format!("{name} comes from {}", package["source"]));
        }
        if self.forbidden.contains(name) {
            found.push(format!("{name} is forbidden by deny.toml"));
        }
        let excepted = self.exceptions.iter().filter(|(of, _)| of == name).flat_map(|(_, also)| also);
        let allowed: Vec<_> = self.allowed.iter().chain(excepted).collect();
        let licence = package["license"].as_str().unwrap_or("");
        // Old manifests write `MIT/Apache-2.0`.
        let fits = Expression::parse_mode(licence, ParseMode::LAX).is_ok_and(|expression| {
            expression.evaluate(|asked| allowed.iter().any(|licensee| licensee.satisfies(asked)))
        });
        if !fits {
            found.push(format!("{name} has the licence '{licence}'"));
        }
        found
    }
}

#[test]
fn every_dependency_has_a_known_source_and_an_allowed_licence() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--offline", "--format-version", "1"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 300, "{}", packages.len());
    let rules = Rules::read();
    let others = packages.iter().filter(|package| package["name"] != "productforge");
    let found: Vec<_> = others.flat_map(|package| rules.complaints(package)).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn what_is_wrong_with_a_dependency_is_found() {
    let rules = Rules::read();
    let of = |name: &str, source: &str, licence: &str| {
        rules.complaints(&serde_json::json!({"name": name, "source": source, "license": licence}))
    };
    assert_eq!(of("a", CRATES_IO, "MIT OR GPL-3.0-only"), Vec::<String>::new());
    assert_eq!(of("a", CRATES_IO, "MIT/Apache-2.0"), Vec::<String>::new());
    assert_eq!(of("a", CRATES_IO, "MIT AND GPL-3.0-only"), ["a has the licence 'MIT AND GPL-3.0-only'"]);
    assert_eq!(of("a", CRATES_IO, "MPL-2.0"), ["a has the licence 'MPL-2.0'"]);
    assert_eq!(of("cssparser", CRATES_IO, "MPL-2.0"), Vec::<String>::new());
    assert_eq!(of("a", CRATES_IO, ""), ["a has the licence ''"]);
    assert_eq!(of("actix-governor", CRATES_IO, "MIT"), ["actix-governor is forbidden by deny.toml"]);
    assert_eq!(of("a", "git+https://example.com/a", "MIT").len(), 1);
}
