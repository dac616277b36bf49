//! The rules. A rule gets one file and answers with what is wrong in it.

use super::source::{Source, names_after};

pub type Rule = fn(&Source) -> Vec<String>;

/// Who may use whom. A layer may always use itself; whatever is not listed is forbidden.
const LAYERS: &[(&str, &[&str])] = &[
    ("lib", &[]),
    ("main", &["cli"]),
    (
        "fuzzing",
        &[
            "http", "migrate", "service", "engine", "store", "llm", "tools", "archive", "analysis", "model",
            "config",
        ],
    ),
    (
        "cli",
        &[
            "app",
            "http",
            "worker",
            "migrate",
            "service",
            "engine",
            "store",
            "llm",
            "tools",
            "archive",
            "analysis",
            "blobs",
            "model",
            "config",
            "clock",
            "telemetry",
        ],
    ),
    (
        "app",
        &[
            "http",
            "worker",
            "migrate",
            "service",
            "engine",
            "store",
            "llm",
            "tools",
            "archive",
            "analysis",
            "blobs",
            "model",
            "config",
            "clock",
            "telemetry",
        ],
    ),
    (
        "http",
        &["service", "engine", "store", "llm", "tools", "blobs", "model", "config", "clock", "telemetry"],
    ),
    ("worker", &["service", "engine", "store", "llm", "model", "config", "clock", "telemetry"]),
    ("migrate", &["service", "engine", "store", "model", "config", "clock", "telemetry"]),
    (
        "service",
        &[
            "engine",
            "store",
            "llm",
            "tools",
            "archive",
            "analysis",
            "blobs",
            "model",
            "config",
            "clock",
            "telemetry",
            "outgoing",
        ],
    ),
    ("engine", &["model"]),
    ("store", &["model", "config", "clock", "telemetry"]),
    ("llm", &["model", "config", "clock", "telemetry"]),
    ("tools", &["model", "config", "clock", "telemetry"]),
    ("archive", &[]),
    ("analysis", &[]),
    ("blobs", &[]),
    ("model", &[]),
    ("telemetry", &["config", "clock"]),
    ("config", &[]),
    ("clock", &[]),
    ("outgoing", &[]),
];

/// A place that may do what its rule forbids.
#[derive(Clone, Copy)]
pub struct Exception {
    pub path: &'static str,
    pub what: &'static str,
    /// For the reader of this file.
    #[expect(dead_code, reason = "an exception without a reason is none")]
    pub because: &'static str,
}

const fn except(path: &'static str, what: &'static str, because: &'static str) -> Exception {
    Exception { path, what, because }
}

const TIME: &[Exception] = &[
    except("src/clock.rs", "Utc::now", "it is the clock"),
    except("src/clock.rs", "Local::now", "it is the clock"),
    except("src/blobs/files.rs", "SystemTime::now", "the age of a file is told by the clock that dated it"),
    except(
        "src/blobs/bucket/cache.rs",
        "SystemTime::now",
        "the age of a file is told by the clock that dated it",
    ),
    except(
        "src/llm/openai/transport.rs",
        "SystemTime::now",
        "a date in Retry-After is a date of the world, compared once and stored nowhere",
    ),
];

const SLEEP: &[Exception] = &[
    except("tests/it/support/wait.rs", "sleep(", "polls for a condition, with a limit"),
    except("tests/it/support/command.rs", "sleep(", "polls for the end of a process, with a limit"),
    except("tests/it/support/redis_server.rs", "sleep(", "polls for a condition, with a limit"),
    except("tests/it/support/small_model.rs", "sleep(", "polls for a condition, with a limit"),
    except("tests/it/chaos/fleet.rs", "sleep(", "when a fault comes and how long it lasts is planned"),
    except("tests/it/chaos/load.rs", "sleep(", "polls for room in the backlog"),
    except("tests/it/chaos/mod.rs", "sleep(", "polls for the end of a run, with a limit"),
    except("tests/it/chaos/model.rs", "sleep(", "a slow model is what is being played"),
    except("tests/it/chaos/watch.rs", "sleep(", "looks at the store again and again"),
    except("tests/it/support/fake_model/connection.rs", "sleep(", "a slow model is what is being played"),
    except("tests/it/support/fake_model/mod.rs", "sleep(", "polls for a condition, with a limit"),
    except("tests/it/store/fixtures.rs", "sleep(", "polls for a condition, with a limit"),
    except("tests/it/store/waiting.rs", "sleep(", "lets a waiter begin to wait before it is woken"),
    except("tests/it/store/redis_outages.rs", "sleep(", "the time between two outages is what is tested"),
    except("tests/it/store/redis_wakeups.rs", "sleep(", "what happens in a span of time is counted"),
    except(
        "tests/it/blobs/cache.rs",
        "sleep(",
        "the times of files have steps, and room comes while one waits",
    ),
    except("tests/it/blobs/crash.rs", "sleep(", "a process is killed at planned moments of its work"),
    except("tests/it/blobs/hostile.rs", "sleep(", "a slow server is what is being played"),
    except("tests/it/blobs/world.rs", "sleep(", "polls for a condition, with a limit"),
    except("tests/it/support/s3_server.rs", "sleep(", "polls for a condition, with a limit"),
    except("tests/it/llm/retries.rs", "sleep(", "that nothing happens in a span of time is what is tested"),
];

/// Every exception of every rule.
pub fn exceptions() -> impl Iterator<Item = Exception> {
    TIME.iter().chain(SLEEP).copied()
}

fn excepted(list: &[Exception], source: &Source, what: &str) -> bool {
    list.iter().any(|exception| exception.path == source.path && exception.what == what)
}

/// `src/store/sqlite/mod.rs` is of the layer `store`.
fn layer(path: &str) -> &str {
    let path = path.strip_prefix("src/").unwrap_or(path);
    path.split('/').next().unwrap_or(path).trim_end_matches(".rs")
}

/// How many `super` lead from a file to the crate.
fn depth(path: &str) -> usize {
    let path = path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    path.split('/').count()
}

pub fn imports_go_down(source: &Source) -> Vec<String> {
    let own = layer(&source.path);
    let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == own) else {
        return vec![format!("{}: no layer is called {own}; add it to LAYERS", source.path)];
    };
    let way_up = vec!["super"; depth(&source.path)].join("::");
    ["crate", "productforge", &way_up]
        .iter()
        .flat_map(|prefix| names_after(&source.code, prefix))
        .filter(|(_, name)| {
            let is_layer = LAYERS.iter().any(|(layer, _)| layer == name);
            is_layer && name != own && !allowed.contains(&name.as_str())
        })
        .map(|(line, name)| format!("{}: {own} may not use {name}", source.place(line)))
        .collect()
}

pub fn opens_with_its_purpose(source: &Source) -> Vec<String> {
    let opens = source.text.starts_with("//!");
    if opens { Vec::new() } else { vec![format!("{} does not open with //!", source.path)] }
}

pub fn environment_is_configuration(source: &Source) -> Vec<String> {
    if matches!(layer(&source.path), "config" | "cli") {
        return Vec::new();
    }
    forbid(
        source,
        &["env::var", "env::set_var", "env::remove_var"],
        "the environment is read by config alone",
    )
}

pub fn time_comes_from_the_clock(source: &Source) -> Vec<String> {
    let forbidden: Vec<&str> = ["Utc::now", "Local::now", "SystemTime::now"]
        .into_iter()
        .filter(|what| !excepted(TIME, source, what))
        .collect();
    forbid(source, &forbidden, "take the time from crate::clock, so that tests can turn it")
}

/// Model and engine: no input, no output, no threads, no clock, no chance.
pub fn pure_layers_are_pure(source: &Source) -> Vec<String> {
    if !matches!(layer(&source.path), "model" | "engine") {
        return Vec::new();
    }
    const CRATES: &[&str] = &[
        "actix_web",
        "deadpool_redis",
        "redis",
        "rusqlite",
        "reqwest",
        "tokio",
        "tokio_util",
        "futures_util",
        "async_trait",
        "log",
        "rand",
        "getrandom",
        "tera",
        "rust_embed",
    ];
    const STD: &[&str] = &["fs", "net", "thread", "process", "env", "io"];
    let words = forbid(source, &["async", ".await", "Instant"], "this layer is pure");
    let std = names_after(&source.code, "std");
    let std = std.into_iter().filter(|(_, name)| STD.contains(&name.as_str()));
    let crates = CRATES.iter().flat_map(|name| {
        names_after(&source.code, name).into_iter().map(|(line, _)| (line, (*name).to_owned()))
    });
    let names =
        std.chain(crates).map(|(line, name)| format!("{}: {name}: this layer is pure", source.place(line)));
    words.into_iter().chain(names).collect()
}

/// A fixed wait is either too short on a busy machine or too long on an idle one.
pub fn tests_do_not_sleep(source: &Source) -> Vec<String> {
    if excepted(SLEEP, source, "sleep(") {
        return Vec::new();
    }
    forbid(source, &["sleep("], "wait for a condition with the helpers of tests/it/support")
}

/// Where any of these stands in code as a word of its own.
fn forbid(source: &Source, forbidden: &[&str], instead: &str) -> Vec<String> {
    let starts_word = |line: &str, at: usize| {
        !line[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_')
    };
    source
        .lines()
        .flat_map(|(n, line)| forbidden.iter().map(move |what| (n, line, *what)))
        .filter(|(_, line, what)| line.match_indices(what).any(|(at, _)| starts_word(line, at)))
        .map(|(n, _, what)| format!("{}: {what}: {instead}", source.place(n)))
        .collect()
}
