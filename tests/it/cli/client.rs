//! What all commands that ask a server share: how it is named, its key, and what is said when it does not do it.

use crate::support::{
    command::{Ended, Workspace},
    process::Server,
};

use super::canned::{Canned, answer};

const KEY: &str = "a-key-of-the-cli-tests";

fn list(url: &str, args: &[&str], env: &[(&str, &str)]) -> Ended {
    Workspace::new().run(&[&["agents", "list", "--server", url], args].concat(), env)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_comes_from_the_environment_a_file_or_the_command_line() {
    let workspace = Workspace::new();
    let server = Server::start(workspace.path(), &["--workers", "0"], &[("API_KEY", KEY)]).await;
    std::fs::write(workspace.path().join("key"), format!("{KEY}\n")).unwrap();
    let run = |args: &[&str], env: &[(&str, &str)]| {
        let args = [&["agents", "list"], args].concat();
        let server = [("PRODUCTFORGE_SERVER", server.url.as_str())];
        workspace.run(&args, &[&server[..], env].concat())
    };
    for (args, env) in [
        (&[][..], &[("API_KEY", KEY)][..]),
        (&[], &[("API_KEY_FILE", "key")]),
        (&["--key-file", "key"], &[]),
        (&["--key", KEY], &[]),
        // What stands nearer wins.
        (&["--key-file", "key"], &[("API_KEY", "another-key-than-that")]),
    ] {
        let ended = run(args, env).expect_code(0);
        assert!(ended.stdout.contains("qa_bot"), "{args:?} {env:?} {ended:?}");
    }
    let none = run(&[], &[]).expect_code(2);
    assert!(none.stderr.contains("the server wants a key: set API_KEY"), "{none:?}");
    let wrong = run(&["--key", "another-key-than-that"], &[]).expect_code(2);
    assert!(wrong.stderr.contains("does not take this key"), "{wrong:?}");
    assert!(!wrong.stderr.contains("another-key-than-that"), "{wrong:?}");
    let gone = run(&["--key-file", "nowhere"], &[]).expect_code(2);
    assert!(gone.stderr.contains("the key cannot be read from nowhere"), "{gone:?}");
    let odd = run(&[], &[("API_KEY", "two words")]).expect_code(2);
    assert!(odd.stderr.contains("visible ASCII"), "{odd:?}");
    run(&["--key", KEY, "--key-file", "key"], &[]).expect_code(2);
}

/// `jobs show "$ID"` with a variable that is not set would ask for the list, and look like success.
#[test]
fn an_id_or_a_name_that_is_empty_is_no_command() {
    let server = Canned::start(&[&answer("200 OK", "", "{}")]);
    for (args, why) in [
        (&["jobs", "show", ""][..], "the id is empty"),
        (&["jobs", "cancel", "some-id", ""], "the id is empty"),
        (&["jobs", "retry", " "], "the id is empty"),
        (&["jobs", "delete", ""], "the id is empty"),
        (&["jobs", "bulk", "delete", "--workflow", ""], "the id is empty"),
        (&["jobs", "list", "--agent", ""], "the name is empty"),
        (&["results", "show", ""], "the id is empty"),
        (&["results", "delete", ""], "the id is empty"),
        (&["agents", "show", ""], "the name is empty"),
        (&["agents", "delete", ""], "the name is empty"),
        (&["agents", "create", "", "--role", "QA"], "the name is empty"),
        (&["workflows", "show", ""], "the id is empty"),
        (&["workflows", "watch", ""], "the id is empty"),
        (&["workflows", "approve", ""], "the id is empty"),
        (&["workflows", "delete", ""], "the id is empty"),
        (&["uploads", "report", ""], "the id is empty"),
        (&["reports", "show", ""], "the name is empty"),
        (&["keys", "create", "", "--scope", "run"], "the name is empty"),
        (&["keys", "revoke", ""], "the name is empty"),
        (&["queues", "pause", ""], "the name is empty"),
        (&["workers", "drain", ""], "the id is empty"),
        (&["export", "--workflow", ""], "the id is empty"),
    ] {
        let ended = Workspace::new().run(&[args, &["--server", &server.url]].concat(), &[]).expect_code(2);
        assert!(ended.stderr.contains(why), "{args:?}: {ended:?}");
    }
    assert_eq!(server.requests().len(), 0, "something was asked all the same");
}

#[test]
fn every_refusal_says_what_to_do() {
    let problem = |status: &str, headers: &str, detail: &str| {
        answer(status, headers, &format!("{{\"detail\":\"{detail}\",\"request_id\":\"r-7\"}}"))
    };
    for (answer, code, said) in [
        (
            problem("403 Forbidden", "", "The key may only read"),
            1,
            "The key may only read\nThis key may not do that: ask",
        ),
        (
            problem("429 Too Many Requests", "Retry-After: 77\r\n", "Slower"),
            1,
            "Slower\nWait 77 s, then try again.",
        ),
        (problem("500 Internal Server Error", "", "Oh"), 1, "Oh\nIts log has more under the request id r-7."),
        (
            answer("200 OK", "Content-Type: text/html\r\n", "<html>"),
            1,
            "answers, but not as ProductForge does",
        ),
        (answer("404 Not Found", "", "<html>"), 1, "answers, but not as ProductForge does"),
        (
            answer("302 Found", "Location: https://elsewhere.example/\r\n", ""),
            2,
            "sends on to https://elsewhere.example/",
        ),
        (problem("409 Conflict", "", "It \\u001b[31mruns"), 1, "error: It  [31mruns\n"),
    ] {
        let server = Canned::start(&[&answer]);
        let ended = list(&server.url, &[], &[]).expect_code(code);
        assert!(ended.stderr.contains(said), "{said}: {ended:?}");
        assert!(!ended.stderr.contains('\u{1b}'), "{ended:?}");
        assert_eq!(server.requests().len(), 1, "{said}");
    }
}

#[test]
fn what_only_reads_is_asked_again_while_the_server_is_busy() {
    let busy = answer("503 Service Unavailable", "Retry-After: 1\r\n", "{\"detail\":\"Not now\"}");
    let gateway = answer("502 Bad Gateway", "", "<html>");
    let server = Canned::start(&[&busy, &gateway, &answer("200 OK", "", "[]")]);
    let ended = list(&server.url, &[], &[]).expect_code(0);
    assert_eq!(ended.stderr.matches("the server is busy; trying again in 1 s").count(), 2, "{ended:?}");
    assert_eq!(server.requests().len(), 3);

    let server = Canned::start(&[&busy]);
    let workspace = Workspace::new();
    let pause = workspace.run(&["queues", "pause", "high", "--server", &server.url], &[]).expect_code(1);
    assert_eq!(
        (pause.stderr.as_str(), server.requests().len()),
        ("error: Not now\n", 1),
        "a write is sent once"
    );
}

#[test]
fn a_server_that_speaks_no_tls_is_told_from_one_that_is_away() {
    let server = Canned::start(&[&answer("400 Bad Request", "", "")]);
    let ended = list(&server.url.replace("http:", "https:"), &[], &[]).expect_code(3);
    assert!(ended.stderr.contains("does not speak TLS"), "{ended:?}");
}

#[test]
fn who_does_not_answer_in_time_is_told_so() {
    // A listener that nobody accepts from takes connections all the same.
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let ended = list(&url, &["--timeout", "1"], &[]).expect_code(3);
    assert!(ended.stderr.contains("did not answer in time\n--timeout gives it more."), "{ended:?}");
}

#[test]
fn colours_are_for_terminals_and_for_those_who_want_them() {
    let agents = answer("200 OK", "", "[{\"name\":\"a\",\"role\":\"QA\"}]");
    let server = Canned::start(&[&agents]);
    let plain = list(&server.url, &[], &[]).expect_code(0).stdout;
    assert!(plain.starts_with("AGENT  ROLE") && !plain.contains('\u{1b}'), "{plain:?}");
    let coloured = list(&server.url, &["--color", "always"], &[]).expect_code(0).stdout;
    assert!(coloured.starts_with("\u{1b}[1mAGENT\u{1b}[0m  "), "{coloured:?}");
    let terminal = |env: &[(&str, &str)]| {
        let command = format!("'{}' agents list --server {}", env!("CARGO_BIN_EXE_productforge"), server.url);
        Workspace::new().on_a_terminal(&command, env, &[]).0
    };
    assert!(terminal(&[("TERM", "xterm")]).contains("\u{1b}[1mAGENT"));
    assert!(!terminal(&[("TERM", "xterm"), ("NO_COLOR", "1")]).contains('\u{1b}'));
}

#[test]
fn the_address_of_a_proxy_is_honoured_but_for_this_machine() {
    let proxy = Canned::start(&[&answer("200 OK", "", "[]")]);
    let env = [("HTTP_PROXY", proxy.url.as_str()), ("http_proxy", proxy.url.as_str())];
    list("http://forge.invalid", &[], &env).expect_code(0);
    assert!(proxy.requests()[0].starts_with("GET http://forge.invalid/agents "), "{:?}", proxy.requests());
    let server = Canned::start(&[&answer("200 OK", "", "[]")]);
    list(&server.url, &[], &env).expect_code(0);
    assert_eq!((proxy.requests().len(), server.requests().len()), (1, 1));
}
