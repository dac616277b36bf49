//! The built executable as a child process that ends with its test.

use std::{
    fs::File,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use super::wait::until;

/// A process of `productforge`, with an environment of its own and nothing else.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it in a folder; its output goes to a file there.
    pub fn start(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_productforge"));
        command.args(arguments).env_clear().envs(environment.iter().copied()).current_dir(folder);
        Self::of(command, folder)
    }

    /// The same by another program, which ends by becoming it: these are its first arguments.
    fn start_by(
        program: &str,
        first: &[&str],
        folder: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let mut command = Command::new(program);
        command.args(first).arg(env!("CARGO_BIN_EXE_productforge")).args(arguments).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(environment.iter().copied()).current_dir(folder);
        Self::of(command, folder)
    }

    /// Any command, with the environment that it has; its output goes to a file in the folder.
    pub fn of(mut command: Command, folder: &Path) -> Self {
        let log = folder.join(format!("{}.out", productforge::model::new_id()));
        let output = File::create(&log).unwrap();
        let command = command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
        Self { child: command.spawn().unwrap(), log }
    }

    /// The same where one folder, relative to the first, is a file system of its own of so many MiB: seen by this
    /// process alone, and gone with it. Root needs no user namespace for that, and may not be allowed one.
    pub fn start_with_small_disk(
        folder: &Path,
        small: &str,
        mebibytes: u32,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        std::fs::create_dir_all(folder.join(small)).unwrap();
        let script = format!("mount -t tmpfs -o size={mebibytes}m tmpfs {small} && exec \"$0\" \"$@\"");
        let ways: [&[&str]; 2] = [&["--user", "--map-root-user", "--mount"], &["--mount"]];
        let tried = |way: &&&[&str]| {
            let mut command = Command::new("unshare");
            let command = command.args(**way).args(["sh", "-c", &script, "true"]).current_dir(folder);
            command.output().is_ok_and(|output| output.status.success())
        };
        let way = ways.iter().find(tried).expect("a mount namespace, by a user namespace or as root");
        Self::start_by("unshare", &[*way, &["sh", "-c", &script]].concat(), folder, arguments, environment)
    }

    /// The same with limits of the system that a shell sets before, such as `ulimit -n 64`.
    pub fn start_limited(
        folder: &Path,
        limits: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let script = format!("{limits} && exec \"$0\" \"$@\"");
        Self::start_by("sh", &["-c", &script], folder, arguments, environment)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL: no chance to tidy up.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// A signal by name, such as `TERM`, `STOP` or `CONT`.
    pub fn signal(&self, name: &str) {
        let status =
            Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// What it has said so far.
    pub fn output(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.log.display(), self.output());
        }
    }
}

/// A process that serves HTTP.
pub struct Server {
    pub process: Process,
    pub url: String,
    client: reqwest::Client,
}

impl Server {
    /// Starts `serve` on a free port and waits until it answers.
    pub async fn start(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let arguments = [&["serve", "--port", "0"], arguments].concat();
        Self::of(Process::start(folder, &arguments, environment)).await
    }

    /// A process of `serve --port 0` that was just started.
    pub async fn of(mut process: Process) -> Self {
        let url = until("the server says where it listens", || {
            assert!(process.ended().is_none(), "serve has ended:\n{}", process.output());
            let output = process.output();
            let url = output.split_once("listening on ").and_then(|(_, rest)| rest.split_once(['\n', '"']));
            std::future::ready(url.map(|(url, _)| url.to_owned()))
        });
        let url = url.await;
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().timeout(Duration::from_secs(20)).build().unwrap();
        Self { process, url, client }
    }

    /// POSTs JSON; the status and the answer.
    pub async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let request = self.client.post(format!("{}{path}", self.url)).body(body.to_string());
        let answer = request.header("content-type", "application/json").send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        let answer = self.client.get(format!("{}{path}", self.url)).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
    }

    /// Posts a brief with review; the workflow's id.
    pub async fn orchestrate(&self, brief: &str) -> String {
        let (status, answer) =
            self.post("/orchestrate", serde_json::json!({"job": brief, "requires_qa": true})).await;
        assert_eq!(status, 200, "{answer}");
        answer["workflow_id"].as_str().unwrap().to_owned()
    }

    /// The workflow, if it has ended.
    pub async fn ended(&self, id: &str) -> Option<Value> {
        let (status, answer) = self.get(&format!("/workflows/{id}")).await;
        assert!(status == 200 || status == 503, "{status} {answer}");
        (status == 200 && answer["workflow"]["status"] != "running").then(|| answer["workflow"].clone())
    }
}

/// A port that nobody listens on at this moment.
pub fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// A folder that is gone with its test.
pub fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}
