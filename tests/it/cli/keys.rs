//! `keys`: a key is made, printed once, used by other commands, listed and revoked.

use serde_json::Value;

use crate::support::{command::Workspace, process::Server};

const KEY: &str = "a-key-of-the-cli-tests";

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_made_printed_once_used_and_revoked() {
    let workspace = Workspace::new();
    let server = Server::start(workspace.path(), &["--workers", "0"], &[("API_KEY", KEY)]).await;
    let with = |key: &str, args: &[&str]| {
        workspace.run(args, &[("PRODUCTFORGE_URL", &server.url), ("API_KEY", key)])
    };
    let made = with(KEY, &["keys", "create", "ci", "--scope", "run", "--budget-usd", "2.5"]).expect_code(0);
    let secret = made.stdout.trim();
    assert!(made.stdout.lines().count() == 1 && secret.starts_with("pf_") && secret.len() == 52, "{made:?}");
    assert!(made.stderr.contains("'ci'") && made.stderr.contains("this once"), "{made:?}");

    let list = with(KEY, &["keys", "list"]).expect_code(0).stdout;
    assert!(list.contains("ci") && list.contains("run") && list.contains("active"), "{list}");
    assert!(!list.contains(&secret[12..]), "{list}");
    let json: Value =
        serde_json::from_str(&with(KEY, &["keys", "list", "--json"]).expect_code(0).stdout).unwrap();
    assert_eq!((&json["total"], &json["keys"][0]["budget"]["usd"]), (&1.into(), &2.5.into()));

    // It gives work and makes no keys.
    with(secret, &["queues", "list"]).expect_code(0);
    for args in [&["keys", "list"][..], &["queues", "pause", "low"]] {
        let refused = with(secret, args).expect_code(1);
        assert!(refused.stderr.contains("needs a key of scope 'admin'"), "{refused:?}");
    }
    let taken = with(KEY, &["keys", "create", "ci", "--scope", "read"]).expect_code(2);
    assert!(taken.stderr.contains("There is a key 'ci' already"), "{taken:?}");
    let bad = with(KEY, &["keys", "create", "c i", "--scope", "root"]).expect_code(2);
    assert!(bad.stderr.contains("scope: Input should be 'read', 'run' or 'admin'"), "{bad:?}");

    for (amount, why) in [("-1", "must be above 0"), ("0", "must be above 0"), ("two", "must be a number")] {
        let args = ["keys", "create", "x", "--scope", "run", "--budget-usd", amount];
        let bad = with(KEY, &args).expect_code(2);
        assert!(bad.stderr.contains(why), "{bad:?}");
    }
    let none = with(KEY, &["audit", "list", "--operation", "nothing"]).expect_code(0);
    assert_eq!(none.stderr, "no entry fits; operations are such as DELETE /jobs/{job_id}\n");

    let revoked = with(KEY, &["keys", "revoke", "ci"]).expect_code(0).stdout;
    assert!(revoked.contains("is revoked"), "{revoked}");
    with(secret, &["queues", "list"]).expect_code(2);
    let unknown = with(KEY, &["keys", "revoke", "nobody"]).expect_code(1);
    assert!(unknown.stderr.contains("Key 'nobody' not found"), "{unknown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_a_key_makes_none() {
    let workspace = Workspace::new();
    let server = Server::start(workspace.path(), &["--workers", "0"], &[]).await;
    let args = ["keys", "create", "ci", "--scope", "read", "--url", &server.url];
    let refused = workspace.run(&args, &[]).expect_code(1);
    assert!(refused.stderr.contains("start the server with API_KEY"), "{refused:?}");
}
