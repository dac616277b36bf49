//! `healthcheck`: the exit code is the answer. That a server is found healthy is in `serve`.

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
};

use crate::support::{command::Workspace, process::free_port};

/// A server that answers one request with these bytes; its port.
fn answer_once(answer: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 1024];
        let _ = stream.read(&mut request);
        let _ = stream.write_all(answer.as_bytes());
    });
    port
}

#[test]
fn nobody_there_is_unhealthy() {
    let port = free_port();
    let ended = Workspace::new().run(&["healthcheck"], &[("PORT", &port.to_string())]).expect_code(1);
    assert!(
        ended.stderr.contains(&format!("http://127.0.0.1:{port}/system/ping does not answer")),
        "{ended:?}"
    );
}

#[test]
fn an_answer_that_is_no_success_is_unhealthy() {
    let port = answer_once("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
    let url = format!("http://127.0.0.1:{port}/system/health?x=1");
    let ended = Workspace::new().run(&["healthcheck", "--url", &url], &[]).expect_code(1);
    assert!(ended.stderr.contains("answers 503"), "{ended:?}");
}

#[test]
fn an_answer_that_is_not_http_is_unhealthy() {
    let port = answer_once("SSH-2.0-OpenSSH\r\n");
    let url = format!("http://127.0.0.1:{port}/");
    let ended = Workspace::new().run(&["healthcheck", "--url", &url], &[]).expect_code(1);
    assert!(ended.stderr.contains("not HTTP"), "{ended:?}");
}

#[test]
fn whatever_is_wrong_the_exit_code_is_1() {
    for url in ["nonsense", "ftp://127.0.0.1/", "127.0.0.1:8000", "localhost:8000"] {
        let ended = Workspace::new().run(&["healthcheck", "--url", url], &[]).expect_code(1);
        let told = format!("--url {url}: must be an address such as http://127.0.0.1:8000");
        assert!(ended.stderr.contains(&told), "{ended:?}");
    }
    let worker = Workspace::new().run(&["healthcheck", "--worker"], &[]).expect_code(1);
    assert!(worker.stderr.contains("a worker needs REDIS_URL"), "{worker:?}");
    let flag = Workspace::new().run(&["healthcheck", "--wroker"], &[]).expect_code(1);
    assert!(flag.stderr.contains("--wroker"), "{flag:?}");
    Workspace::new().run(&["healthcheck", "--help"], &[]).expect_code(0);
}

#[test]
fn a_server_is_asked_by_tls_where_its_address_says_so() {
    let url = format!("https://127.0.0.1:{}", free_port());
    let ended = Workspace::new().run(&["healthcheck", "--server", &url], &[]).expect_code(1);
    assert!(ended.stderr.contains(&format!("{url}/system/ping does not answer")), "{ended:?}");
}
