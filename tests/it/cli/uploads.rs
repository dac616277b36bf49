//! `uploads`: archives for a running server from the command line.

use serde_json::Value;

use crate::{
    support::{
        command::{Ended, Workspace},
        process::Server,
        wait::until,
    },
    surface::uploads::shop,
};

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_is_sent_shown_and_deleted() {
    let workspace = Workspace::new();
    let key = ("API_KEY", "a-key-of-the-cli-tests");
    let latency = ("SIMULATED_LATENCY_MS", "0");
    let server = Server::start(workspace.path(), &["--workers", "1"], &[key, latency]).await;
    let run = |args: &[&str]| -> Ended {
        workspace.run(&[&["uploads"], args].concat(), &[("PRODUCTFORGE_SERVER", &server.url), key])
    };
    std::fs::write(workspace.path().join("shop.zip"), shop()).unwrap();
    let id = run(&["send", "shop.zip", "--project", "shop"]).expect_code(0).stdout.trim().to_owned();
    let show =
        || serde_json::from_str::<Value>(&run(&["show", &id, "--json"]).expect_code(0).stdout).unwrap();
    until("it is analysed", || async { (show()["status"] == "analysed").then_some(()) }).await;
    let shown = run(&["show", &id]).expect_code(0).stdout;
    assert!(shown.contains("file       shop.zip\n") && shown.contains("status     analysed\n"), "{shown}");
    assert!(shown.contains("project    shop\n") && shown.contains("files      4\n"), "{shown}");
    let list = run(&["list"]).expect_code(0).stdout;
    assert!(list.starts_with("UPLOAD ") && list.contains(&id), "{list}");
    let report = run(&["report", &id]).expect_code(0).stdout;
    assert!(report.starts_with("# ") && report.contains("shop.zip"), "{report}");
    run(&["delete", &id]).expect_code(0);
    assert_eq!(run(&["list"]).expect_code(0).stderr, "there are no uploads\n");

    std::fs::write(workspace.path().join("lies.zip"), "no archive").unwrap();
    let refused = run(&["send", "lies.zip"]).expect_code(2);
    assert!(refused.stderr.contains("file: The file is not a zip archive"), "{refused:?}");
    let other = run(&["send", "nowhere.zip"]).expect_code(1);
    assert!(other.stderr.contains("nowhere.zip cannot be read"), "{other:?}");
    std::fs::write(workspace.path().join("shop.tar"), "x").unwrap();
    assert!(run(&["send", "shop.tar"]).expect_code(2).stderr.contains("only .zip files are taken"));
}
