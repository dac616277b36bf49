//! `serve`: start, answer, stop.

use crate::support::command::{Running, Workspace};

/// Waits for the line that says where it listens; the address.
fn address(server: &mut Running) -> String {
    let line = server.line_with("listening on http://");
    line[line.find("http://").unwrap()..].to_owned()
}

#[test]
fn it_starts_on_a_free_port_is_healthy_and_stops_on_sigterm() {
    let workspace = Workspace::new();
    let mut server = workspace.start(&["serve", "--port", "0"], &[]);
    let url = address(&mut server);
    let ping = format!("{url}/system/ping");
    assert_eq!(workspace.run(&["healthcheck", "--url", &ping], &[]).expect_code(0).stdout, "ok\n");
    server.signal("TERM");
    let output = server.ends_with_code(0);
    for said in
        ["engine=sqlite", "No model is configured: answers are simulated", "/dashboard/", "SIGTERM: stopping"]
    {
        assert!(output.contains(said), "'{said}' is not in {output}");
    }
    let log = workspace.read("workspace/logs/app.log");
    let access = log.lines().find(|line| line.contains("path=/system/ping")).unwrap();
    let (time, rest) = access.split_at(23);
    assert!(time.as_bytes()[19] == b',' && time.starts_with("20"), "{access}");
    assert!(rest.starts_with(" method=GET path=/system/ping status=200 duration_ms="), "{access}");
    assert!(rest.ends_with(" ip=127.0.0.1"), "{access}");
}

#[test]
fn ctrl_c_stops_it_too() {
    let workspace = Workspace::new();
    let mut server = workspace.start(&["serve", "--port", "0", "--workers", "0"], &[]);
    address(&mut server);
    server.signal("INT");
    server.ends_with_code(0);
}

#[test]
fn a_second_signal_ends_the_wait_for_running_jobs() {
    let workspace = Workspace::new();
    // What the first process left behind is what the second one works on, for ten minutes.
    let slow = [("SIMULATED_LATENCY_MS", "600000"), ("DRAIN_SECONDS", "600")];
    let mut run = workspace.start(&["run", "Take your time"], &slow);
    run.line_with("working");
    run.signal("INT");
    run.ends_with_code(130);

    let mut server = workspace.start(&["serve", "--port", "0"], &slow);
    server.line_with("attempt has begun");
    server.signal("TERM");
    server.line_with("waiting up to 600 s for 1 running jobs");
    server.signal("TERM");
    server.ends_with_code(0);
}

#[test]
fn a_port_in_use_is_said_with_the_address() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let ended = Workspace::new().run(&["serve", "--port", &port], &[]).expect_code(1);
    assert!(ended.stderr.contains(&format!("cannot listen on 127.0.0.1:{port}")), "{ended:?}");
}

#[test]
fn beyond_loopback_a_key_is_made_shown_once_and_kept_out_of_the_log() {
    let workspace = Workspace::new();
    let mut server = workspace.start(&["serve", "--port", "0", "--host", "0.0.0.0"], &[]);
    let line = server.line_with("API key: ");
    let key = line.split("API key: ").nth(1).unwrap().to_owned();
    assert_eq!(key.len(), 43);
    address(&mut server);
    server.signal("TERM");
    let output = server.ends_with_code(0);
    assert_eq!(output.matches(&key).count(), 1, "shown once");
    assert!(!workspace.read("workspace/logs/app.log").contains(&key), "the log file holds no key");
}

#[test]
fn a_folder_that_cannot_be_logged_to_does_not_stop_it() {
    let workspace = Workspace::new();
    // A file where the folder of the log should be.
    std::fs::create_dir(workspace.path().join("workspace")).unwrap();
    std::fs::write(workspace.path().join("workspace/logs"), "in the way").unwrap();
    let mut server = workspace.start(&["serve", "--port", "0"], &[]);
    server.line_with("the log file");
    address(&mut server);
    server.signal("TERM");
    server.ends_with_code(0);
}

#[test]
fn behind_a_balancer_it_says_that_it_stops_before_it_refuses() {
    let workspace = Workspace::new();
    let mut server = workspace.start(&["serve", "--port", "0"], &[("DRAIN_DELAY_SECONDS", "30")]);
    let url = address(&mut server);
    server.signal("TERM");
    server.line_with("health says draining for 30.0 s");
    let asked = workspace.run(&["healthcheck", "--url", &format!("{url}/system/health")], &[]).expect_code(1);
    assert!(asked.stderr.contains("503"), "{asked:?}");
    let ping = workspace.run(&["healthcheck", "--url", &format!("{url}/system/ping")], &[]).expect_code(0);
    assert_eq!(ping.stdout, "ok\n");
    // The second signal ends the wait.
    server.signal("TERM");
    server.ends_with_code(0);
}
