//! `doctor`: real faults, each found and told with what to do.

use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    process::Command,
};

use serde_json::{Value, json};

use crate::support::{
    command::{Ended, Workspace},
    fake_model::{FAKE_KEY, FakeModel, Reply},
    process::{Process, free_port},
    redis_server::{Options, RedisServer},
    s3_server::{S3Server, keys as s3_keys},
    wait::until,
};

/// The findings by the name of their check; of several of one name the worst.
struct Report {
    json: Value,
    checks: BTreeMap<String, Value>,
}

impl Report {
    fn of(ended: &Ended) -> Self {
        Self::parse(&ended.stdout)
    }

    fn parse(text: &str) -> Self {
        let json: Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"));
        let mut checks = BTreeMap::new();
        let severity =
            |finding: &Value| ["ok", "warning", "problem"].iter().position(|s| finding["state"] == *s);
        for finding in json["checks"].as_array().unwrap() {
            assert_eq!(finding["state"] == "ok", finding.get("do").is_none(), "what to do: {finding}");
            let name = finding["check"].as_str().unwrap().to_owned();
            let known = checks.entry(name).or_insert_with(|| finding.clone());
            if severity(finding) > severity(known) {
                *known = finding.clone();
            }
        }
        Self { json, checks }
    }

    #[track_caller]
    fn expect(&self, check: &str, state: &str, found: &str) {
        let finding = self.checks.get(check).unwrap_or_else(|| panic!("no {check} in {}", self.json));
        let text = finding["found"].as_str().unwrap();
        assert!(
            finding["state"] == state && text.contains(found),
            "{check} is not {state} ({found}): {finding}"
        );
    }
}

/// Settings that leave nothing to be wished for but what a test is about.
fn port() -> String {
    free_port().to_string()
}

fn look(here: &Workspace, env: &[(&str, &str)]) -> (Option<i32>, Report) {
    let port = port();
    let ended = here.run(&["doctor", "--json"], &[&[("PORT", port.as_str())], env].concat());
    (ended.code, Report::of(&ended))
}

#[test]
fn before_the_first_start_all_is_well_and_nothing_is_made() {
    let here = Workspace::new();
    let (code, report) = look(&here, &[]);
    assert_eq!(code, Some(0), "{}", report.json);
    report.expect("workspace", "ok", "workspace does not exist yet and can be made");
    report.expect("store", "ok", "does not exist yet; the first start makes it");
    report.expect("disk", "ok", "MiB are free");
    report.expect("model", "warning", "answers are simulated");
    report.expect("api_key", "ok", "only this machine gets in");
    assert_eq!((&report.json["ok"], &report.json["problems"]), (&json!(true), &json!(0)));
    assert_eq!(fs::read_dir(here.path()).unwrap().count(), 0, "it has left something behind");
    // For people.
    let port = port();
    let text = here.run(&["doctor"], &[("PORT", &port)]).expect_code(0).stdout;
    assert!(text.contains("\nwarning  model") && text.contains("→ set OPENAI_API_KEY"), "{text}");
    assert!(text.trim_end().ends_with("warning.") || text.trim_end().ends_with("warnings."), "{text}");
    assert!(text.contains("\nno problems, "), "{text}");
}

#[test]
fn a_bad_configuration_is_told_problem_by_problem() {
    let (code, report) = look(&Workspace::new(), &[("WORKERS", "many"), ("API_KEY", "short")]);
    assert_eq!(code, Some(1));
    assert_eq!(report.json["problems"], 2, "{}", report.json);
    report.expect("configuration", "problem", "API_KEY must have at least 8 characters");
}

#[test]
fn keys_and_addresses_are_judged() {
    let here = Workspace::new();
    let weak = look(&here, &[("API_KEY", "aaaaaaaaaaaaaaaaaaaa"), ("HOST", "0.0.0.0")]).1;
    weak.expect("api_key", "warning", "API_KEY is weak: 20 characters, 1 different ones");
    look(&here, &[("HOST", "0.0.0.0")]).1.expect("api_key", "warning", "a new key is made with every start");
    look(&here, &[("HOST", "0.0.0.0"), ("OPEN", "true")]).1.expect("api_key", "warning", "everybody");
    let strong = "qF2n8LxT4vW9zRk1mB7s";
    look(&here, &[("API_KEY", strong), ("HOST", "0.0.0.0")]).1.expect("api_key", "ok", "is set");
    // A worker of which other machines could ask its figures, without a key.
    let worker = [("HOST", "0.0.0.0"), ("METRICS_PORT", "0")];
    let (code, report) = look(&here, &worker);
    assert_eq!(code, Some(1));
    report.expect("api_key", "problem", "a worker with METRICS_PORT does not start");
    look(&here, &[("METRICS_PORT", "0")]).1.expect("api_key", "ok", "only this machine");
    look(&here, &[("HOST", "192.0.2.1")]).1.expect("address", "problem", "cannot be listened on");
    // Somebody else has the port.
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap().port().to_string();
    let ended = here.run(&["doctor", "--json"], &[("PORT", &taken)]).expect_code(1);
    Report::of(&ended).expect("address", "problem", "another program listens");
}

#[test]
fn beyond_this_machine_clients_have_to_be_told_apart_or_limited() {
    let here = Workspace::new();
    let key = ("API_KEY", "qF2n8LxT4vW9zRk1mB7s");
    let (code, report) = look(&here, &[key, ("HOST", "0.0.0.0")]);
    assert_eq!(code, Some(0), "{}", report.json);
    report.expect("proxies", "warning", "behind a proxy all clients are one");
    for given in [("TRUSTED_PROXIES", "none"), ("RATE_LIMIT", "600")] {
        look(&here, &[key, ("HOST", "0.0.0.0"), given]).1.expect("proxies", "ok", given.0);
    }
    for place in [("HOST", "127.0.0.1"), ("RAILWAY_ENVIRONMENT", "production")] {
        assert!(!look(&here, &[key, place]).1.checks.contains_key("proxies"), "{place:?}");
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_a_problem() {
    // Root writes everywhere but where the kernel has nothing to write to.
    let (code, report) = look(&Workspace::new(), &[("WORKSPACE_DIR", "/proc/nowhere")]);
    assert_eq!(code, Some(1));
    report.expect("workspace", "problem", "/proc/nowhere cannot be written");
    report.expect("log", "warning", "/proc/nowhere/logs cannot be written");
}

#[tokio::test]
async fn a_disk_that_is_nearly_full_is_a_problem() {
    let here = Workspace::new();
    let port = port();
    let arguments = ["doctor", "--json"];
    let mut doctor =
        Process::start_with_small_disk(here.path(), "workspace", 50, &arguments, &[("PORT", &port)]);
    let ended = until("the doctor is done", || std::future::ready(doctor.ended())).await;
    assert_eq!(ended.code(), Some(1), "{}", doctor.output());
    Report::parse(&doctor.output()).expect("disk", "problem", "50 MiB are free");
}

#[test]
fn too_few_descriptors_are_told() {
    let here = Workspace::new();
    for (limit, state) in [("200", "problem"), ("1024", "warning"), ("8192", "ok")] {
        let mut command = Command::new("bash");
        command.args(["-c", "ulimit -n $1 && exec \"$2\" doctor --json", "bash", limit]);
        command.arg(env!("CARGO_BIN_EXE_productforge")).current_dir(here.path()).env("PORT", port());
        let output = command.output().unwrap();
        let report = Report::parse(&String::from_utf8(output.stdout).unwrap());
        report.expect("descriptors", state, &format!("{limit} files"));
    }
}

#[test]
fn files_with_secrets_that_others_can_read_are_named() {
    let here = Workspace::new();
    let write = |name: &str, text: &str, mode: u32| {
        let path = here.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    };
    write("key", "qF2n8LxT4vW9zRk1mB7s\n", 0o644);
    write("productforge.toml", "workers = 3\n", 0o644);
    let report = look(&here, &[("API_KEY_FILE", "key")]).1;
    report.expect("rights", "warning", "key holds secrets and is open to all users (mode 644)");
    write("key", "qF2n8LxT4vW9zRk1mB7s\n", 0o600);
    // The configuration file has no secret in it.
    look(&here, &[("API_KEY_FILE", "key")]).1.expect("rights", "ok", "");
    write("productforge.toml", "api_key = 'qF2n8LxT4vW9zRk1mB7s'\n", 0o644);
    look(&here, &[]).1.expect("rights", "warning", "productforge.toml holds secrets");
}

#[test]
fn a_damaged_database_is_found_and_a_sound_one_too() {
    let here = Workspace::new();
    here.run(&["run", "Leave something behind", "--no-qa"], &[]).expect_code(0);
    let (code, report) = look(&here, &[]);
    report.expect("store", "ok", "is sound");
    assert_eq!(code, Some(0));
    let database = here.path().join("workspace/productforge.db");
    let mut bytes = fs::read(&database).unwrap();
    // Behind the first page, whose loss would be noticed when it is opened.
    bytes[4096..].fill(0xa5);
    fs::write(&database, bytes).unwrap();
    let (code, report) = look(&here, &[]);
    assert_eq!(code, Some(1), "{}", report.json);
    report.expect("store", "problem", "is damaged");
    fs::write(&database, "no database at all").unwrap();
    look(&here, &[]).1.expect("store", "problem", "");
}

#[test]
fn a_newer_database_is_a_problem_and_is_left_alone() {
    let here = Workspace::new();
    here.run(&["run", "Leave something behind", "--no-qa"], &[]).expect_code(0);
    let database = here.path().join("workspace/productforge.db");
    let newer = rusqlite::Connection::open(&database).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    drop(newer);
    let (code, report) = look(&here, &[]);
    assert_eq!(code, Some(1));
    report.expect("store", "problem", "has schema version 99");
}

#[test]
fn beside_a_running_server_its_store_is_left_alone_and_it_is_asked() {
    let here = Workspace::new();
    let port = port();
    let mut server = here.start(&["serve", "--port", &port], &[]);
    server.line_with("listening on http://");
    let report = Report::of(&here.run(&["doctor", "--json"], &[("PORT", &port)]).expect_code(0));
    report.expect("address", "ok", "a server (version ");
    report.expect("server", "ok", "it is well");
    report.expect("store", "ok", "is in use by a running process");
    server.signal("TERM");
    server.ends_with_code(0);
}

#[test]
fn a_redis_that_may_throw_work_away_is_a_problem() {
    let here = Workspace::new();
    let careless =
        RedisServer::start_with(Options { extra: "--maxmemory-policy allkeys-lru", ..Options::default() });
    let (code, report) = look(&here, &[("REDIS_URL", &careless.url())]);
    assert_eq!(code, Some(1));
    report.expect("redis_eviction", "problem", "maxmemory-policy is allkeys-lru");
    report.expect("redis_persistence", "problem", "nothing is kept on disk");
    report.expect("redis_version", "ok", "Redis ");
    report.expect("redis_clock", "ok", "Redis");
    let good = RedisServer::start_durable();
    let (code, report) = look(&here, &[("REDIS_URL", &good.url())]);
    assert_eq!(code, Some(0), "{}", report.json);
    report.expect("redis_persistence", "ok", "appendonly is on");
    report.expect("migrations", "warning", "the database has version 0");
    report.expect("uploads", "warning", "a folder of this node");
    let remedy = report.checks["uploads"]["do"].as_str().unwrap();
    assert!(remedy.contains("processes that share this folder (Compose) need nothing"), "{remedy}");
    assert!(!report.checks.contains_key("uploads_owner"), "{}", report.json);
    // The workspace of another store.
    fs::create_dir_all(here.path().join("workspace/uploads")).unwrap();
    fs::write(here.path().join("workspace/uploads/productforge-installation"), "another\n").unwrap();
    let (code, report) = look(&here, &[("REDIS_URL", &good.url())]);
    assert_eq!(code, Some(0), "{}", report.json);
    report.expect("uploads_owner", "warning", "belong to another installation");
    here.run(&["migrate"], &[("REDIS_URL", &good.url())]).expect_code(0);
    look(&here, &[("REDIS_URL", &good.url())]).1.expect("migrations", "ok", "the database has version ");
}

#[test]
fn a_redis_that_does_not_answer_or_let_one_in_is_a_problem() {
    let here = Workspace::new();
    let away = format!("redis://:hush@127.0.0.1:{}", free_port());
    let (code, report) = look(&here, &[("REDIS_URL", &away)]);
    assert_eq!(code, Some(1));
    report.expect("redis", "problem", "");
    let locked = RedisServer::start_with(Options { extra: "--requirepass hush", ..Options::default() });
    let wrong = format!("redis://:wrong-hush@127.0.0.1:{}", locked.port());
    let wrong = look(&here, &[("REDIS_URL", &wrong)]).1;
    wrong.expect("redis", "problem", "");
    assert!(!report.json.to_string().contains("hush") && !wrong.json.to_string().contains("hush"));
    // One that has stopped in its tracks: it comes to an end all the same.
    let frozen = RedisServer::start();
    frozen.freeze(true);
    let (code, report) = look(&here, &[("REDIS_URL", &frozen.url())]);
    frozen.freeze(false);
    assert_eq!(code, Some(1), "{}", report.json);
}

/// A provider with these models that lets this key in.
fn provider() -> FakeModel {
    FakeModel::by(|ask, _| match (ask.path.as_str(), ask.header("authorization")) {
        ("/v1/models", Some(key)) if key == format!("Bearer {FAKE_KEY}") => {
            Reply::json(200, json!({"object": "list", "data": [{"id": "small"}, {"id": "large"}]}))
        }
        ("/v1/models", _) => {
            Reply::error(401, "invalid_api_key", "invalid_request_error", "Incorrect API key")
        }
        _ => Reply::json(404, json!({})),
    })
}

#[test]
fn the_provider_is_asked_for_its_models_and_nothing_else() {
    let here = Workspace::new();
    let fake = provider();
    let url = fake.base_url();
    let with = |key: &str, model: &str| {
        look(&here, &[("OPENAI_BASE_URL", &url), ("OPENAI_API_KEY", key), ("OPENAI_MODEL", model)])
    };
    let (code, report) = with(FAKE_KEY, "small");
    assert_eq!(code, Some(0), "{}", report.json);
    report.expect("model_openai", "ok", "takes the key and knows small");
    with(FAKE_KEY, "huge").1.expect("model_openai", "warning", "does not list huge; it has small, large");
    let (code, report) = with("sk-wrong-0123456789", "small");
    assert_eq!(code, Some(1));
    report.expect("model_openai", "problem", "refuses the key (status 401)");
    assert!(!report.json.to_string().contains("sk-wrong"), "{}", report.json);
    let keyless = look(&here, &[("OPENAI_BASE_URL", &url)]).1;
    keyless.expect("model_openai", "problem", "wants a key, and none is set");
    assert!(
        fake.requests().iter().all(|ask| ask.method == "GET" && ask.path == "/v1/models"),
        "money was spent"
    );
    let away = format!("http://127.0.0.1:{}/v1", free_port());
    let (code, report) = look(&here, &[("OPENAI_BASE_URL", &away)]);
    assert_eq!(code, Some(1));
    report.expect("model_openai", "problem", "does not answer");
    let silent = FakeModel::by(|_, _| Reply::json(404, json!({})));
    let report = look(&here, &[("OPENAI_BASE_URL", &silent.base_url())]).1;
    report.expect("model_openai", "warning", "gives no list of models (status 404)");
}

/// The library that gives a process a clock of its own.
fn fake_time() -> String {
    let found = fs::read_dir("/usr/lib").unwrap().flatten();
    let found =
        found.map(|folder| folder.path().join("faketime/libfaketime.so.1")).find(|file| file.exists());
    found.expect("libfaketime is missing: ./dev setup installs it").display().to_string()
}

#[test]
fn a_clock_that_is_wrong_is_told_by_redis_and_by_the_provider() {
    let here = Workspace::new();
    let redis = RedisServer::start_durable();
    let dated = FakeModel::by(|_, _| {
        let now = httpdate::fmt_http_date(std::time::SystemTime::now());
        Reply::json(200, json!({"data": [{"id": "small"}]})).header("date", &now)
    });
    let (library, redis, url) = (fake_time(), redis.url(), dated.base_url());
    let at = |by: &str| {
        let clock = [("LD_PRELOAD", library.as_str()), ("FAKETIME", by), ("DONT_FAKE_MONOTONIC", "1")];
        let parts =
            [("REDIS_URL", redis.as_str()), ("OPENAI_BASE_URL", url.as_str()), ("OPENAI_MODEL", "small")];
        look(&here, &[&clock[..], &parts].concat())
    };
    let (code, report) = at("+10m");
    assert_eq!(code, Some(1));
    report.expect("redis_clock", "problem", "s ahead of Redis");
    report.expect("clock_openai", "problem", "s ahead of 127.0.0.1");
    at("-10s").1.expect("redis_clock", "warning", "s behind Redis");
    let (code, report) = at("+0s");
    assert_eq!(code, Some(0), "{}", report.json);
    report.expect("redis_clock", "ok", "Redis");
}

#[test]
fn the_bucket_of_uploads_is_tried() {
    let here = Workspace::new();
    let server = S3Server::shared();
    let (url, keys) = (server.url("doctor"), s3_keys());
    let with = |secret: &str| {
        let env = [
            ("BLOB_URL", url.as_str()),
            ("AWS_ACCESS_KEY_ID", keys.access_key_id.as_str()),
            ("AWS_SECRET_ACCESS_KEY", secret),
        ];
        look(&here, &env)
    };
    let (code, report) = with(&keys.secret_access_key);
    assert_eq!(code, Some(0), "{}", report.json);
    report.expect("uploads", "ok", "can be read and written");
    let (code, report) = look(&here, &[("BLOB_URL", &url)]);
    assert_eq!(code, Some(1));
    report.expect("uploads", "problem", "AWS_ACCESS_KEY_ID");
    let (code, report) = with("not-the-secret");
    assert_eq!(code, Some(1), "{}", report.json);
    report.expect("uploads", "problem", "");
    assert!(!report.json.to_string().contains("not-the-secret"));
    assert!(!here.path().join("workspace").exists(), "the doctor has made something");
}
