//! The architecture, as far as it can be read off the source: every rule fails with the place and
//! the reason, and is itself tested with a violation planted in a string.

mod dependencies;
mod rules;
mod source;

use rules::Rule;
use source::{Source, read_tree};

/// Holds the tree to one rule.
fn hold(rule: Rule, sources: &[Source]) {
    let violations: Vec<String> = sources.iter().flat_map(rule).collect();
    assert!(violations.is_empty(), "{} violation(s):\n{}", violations.len(), violations.join("\n"));
}

/// What a rule says to a file with this text.
#[track_caller]
fn finds(rule: Rule, path: &str, text: &str, expected: &str) {
    let violations = rule(&Source::new(path, text));
    assert!(violations.iter().any(|v| v.contains(expected)), "'{expected}' is not in {violations:?}");
}

#[track_caller]
fn accepts(rule: Rule, path: &str, text: &str) {
    let violations = rule(&Source::new(path, text));
    assert!(violations.is_empty(), "{violations:?}");
}

#[test]
fn imports_only_go_down() {
    hold(rules::imports_go_down, &read_tree("src"));
}

#[test]
fn an_import_that_goes_up_is_found() {
    let rule = rules::imports_go_down;
    finds(rule, "src/store/sqlite/mod.rs", "use crate::service::Services;", "store may not use service");
    finds(rule, "src/http/api/jobs.rs", "use crate::worker;", "http may not use worker");
    finds(rule, "src/worker/pool.rs", "use crate::{clock, http::HttpState};", "worker may not use http");
    finds(rule, "src/engine/plan.rs", "fn f() { crate::store::open() }", "engine may not use store");
    finds(
        rule,
        "src/engine/plan.rs",
        "use crate::{\n    model::{Step,\n Job},\n    clock,\n};",
        "engine may not use clock",
    );
    finds(
        rule,
        "src/model/job.rs",
        "pub(in crate::model) struct A(crate::config::Secret);",
        "model may not use config",
    );
    finds(rule, "src/config/mod.rs", "use super::telemetry;", "config may not use telemetry");
    finds(rule, "src/clock.rs", "use super::config;", "clock may not use config");
    finds(
        rule,
        "src/store/redis/keys.rs",
        "use super::super::super::service::x;",
        "store may not use service",
    );
    finds(rule, "src/tools/mod.rs", "use crate::store::Store;", "tools may not use store");
    finds(rule, "src/worker/pool.rs", "use crate::tools::Tool;", "worker may not use tools");
    finds(rule, "src/main.rs", "productforge::app::App::open();", "main may not use app");
    finds(rule, "src/cat/mod.rs", "", "no layer is called cat");
}

#[test]
fn imports_that_go_down_are_accepted() {
    let rule = rules::imports_go_down;
    accepts(rule, "src/http/api/jobs.rs", "use crate::{service::{Jobs, worker}, model::http};");
    accepts(
        rule,
        "src/store/mod.rs",
        "// use crate::service;\n/* crate::http::x */ let s = \"crate::worker::x\";",
    );
    accepts(rule, "src/store/redis/keys.rs", "use super::super::service_of; use super::service;");
    accepts(rule, "src/main.rs", "fn main() { productforge::cli::main() }");
}

#[test]
fn every_file_says_what_it_is_for() {
    hold(rules::opens_with_its_purpose, &[read_tree("src"), read_tree("tests/it")].concat());
}

#[test]
fn a_file_without_a_purpose_is_found() {
    finds(rules::opens_with_its_purpose, "src/a.rs", "use std::fs;\n//! late", "does not open with //!");
    accepts(rules::opens_with_its_purpose, "src/a.rs", "//! What it is for.\n");
}

#[test]
fn only_configuration_reads_the_environment() {
    hold(rules::environment_is_configuration, &read_tree("src"));
}

#[test]
fn reading_the_environment_elsewhere_is_found() {
    let rule = rules::environment_is_configuration;
    finds(rule, "src/llm/mod.rs", "let k = std::env::var(\"KEY\");", "src/llm/mod.rs:1");
    finds(rule, "src/llm/mod.rs", "\nuse std::env;\nfn f() { env::var_os(\"KEY\"); }", "src/llm/mod.rs:3");
    finds(rule, "src/llm/mod.rs", "use std::env::vars;", "environment");
    accepts(rule, "src/llm/mod.rs", "env!(\"CARGO_PKG_VERSION\"); std::env::temp_dir();");
    accepts(rule, "src/config/mod.rs", "std::env::var(name)");
}

#[test]
fn only_the_clock_reads_the_time() {
    hold(rules::time_comes_from_the_clock, &read_tree("src"));
}

#[test]
fn reading_the_time_elsewhere_is_found() {
    let rule = rules::time_comes_from_the_clock;
    finds(rule, "src/service/jobs.rs", "let now = Utc::now();", "Utc::now");
    finds(rule, "src/service/jobs.rs", "chrono::Local::now()", "Local::now");
    finds(rule, "src/service/jobs.rs", "SystemTime::now()", "SystemTime::now");
    accepts(rule, "src/service/jobs.rs", "let now = self.clock.now(); let t = Instant::now();");
    accepts(rule, "src/clock.rs", "Utc::now()");
}

#[test]
fn the_model_and_the_engine_are_pure() {
    hold(rules::pure_layers_are_pure, &read_tree("src"));
}

#[test]
fn input_and_output_in_a_pure_layer_is_found() {
    let rule = rules::pure_layers_are_pure;
    finds(rule, "src/model/job.rs", "use actix_web::web;", "actix_web");
    finds(rule, "src/engine/plan.rs", "async fn f() {}", "async");
    finds(rule, "src/engine/plan.rs", "tokio::spawn(x)", "tokio");
    finds(rule, "src/engine/plan.rs", "let x = rand::random();", "rand");
    finds(rule, "src/engine/plan.rs", "use std::{collections::BTreeMap, fs};", "fs");
    finds(rule, "src/model/job.rs", "std::time::Instant::now()", "Instant");
    accepts(
        rule,
        "src/engine/plan.rs",
        "use std::time::Duration; let offset = operand; serde_json::to_value(x);",
    );
    accepts(rule, "src/service/jobs.rs", "async fn f() { tokio::fs::read(x).await }");
}

#[test]
fn tests_wait_for_conditions_and_not_for_time() {
    hold(rules::tests_do_not_sleep, &read_tree("tests/it"));
}

#[test]
fn a_sleeping_test_is_found() {
    let rule = rules::tests_do_not_sleep;
    finds(
        rule,
        "tests/it/api/jobs.rs",
        "tokio::time::sleep(Duration::from_secs(1)).await;",
        "tests/it/api/jobs.rs:1",
    );
    finds(rule, "tests/it/api/jobs.rs", "use std::thread::sleep;\nsleep(d)", "tests/it/api/jobs.rs:2");
    accepts(
        rule,
        "tests/it/api/jobs.rs",
        "// sleep(1)\nlet busy_sleep = \"sleep(1)\"; wait_until(ready).await;",
    );
}

#[test]
fn every_exception_is_still_needed() {
    let known = [read_tree("src"), read_tree("tests/it")].concat();
    for exception in rules::exceptions() {
        let source = known.iter().find(|source| source.path == exception.path);
        let used = source.is_some_and(|source| source.code.contains(exception.what));
        assert!(used, "{} no longer has {}: take the exception away", exception.path, exception.what);
    }
}
