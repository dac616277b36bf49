//! The executable in the file system of its image, without the build tools: as the image's user, with the root read-only.
//!
//! `tests/support/image-rootfs.sh` lays the file system out after the Dockerfile. What is not tested this way: that an
//! engine builds the first stage, and what an engine adds by itself (its own network and process numbers, `/etc/resolv.conf`).

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::PathBuf,
    process::{Command, Output},
};

use tempfile::TempDir;

use super::{file, output, run, said};
use crate::support::{
    command::Workspace,
    process::{Process, folder, free_port},
    redis_server::RedisServer,
    wait::until,
};

struct Image {
    place: TempDir,
    /// Of the machine that a container would be.
    host: String,
}

impl Image {
    fn build() -> Self {
        let place = folder();
        let script = file("tests/support/image-rootfs.sh");
        let root = place.path().join("root");
        run(Command::new(script).arg("build").arg(env!("CARGO_BIN_EXE_productforge")).arg(&root));
        fs::create_dir(place.path().join("data")).unwrap();
        let host = format!("image-{}", &productforge::model::new_id()[..8]);
        Self { place, host }
    }

    fn root(&self) -> PathBuf {
        self.place.path().join("root")
    }

    fn data(&self) -> PathBuf {
        self.place.path().join("data")
    }

    /// The entry point in the image.
    fn command(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Command {
        let mut command = Command::new(file("tests/support/image-rootfs.sh"));
        command.arg("run").arg(self.root()).arg(self.data()).arg(&self.host);
        command.args(environment.iter().map(|(name, value)| format!("{name}={value}")));
        command.arg("--").args(arguments);
        command
    }

    #[track_caller]
    fn output(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Output {
        let output = output(&mut self.command(environment, arguments));
        assert_ne!(output.status.code(), Some(77), "{}", said(&output));
        output
    }

    /// Starts the entry point and waits for a line of its output.
    async fn start(&self, environment: &[(&str, &str)], arguments: &[&str], line: &str) -> Process {
        let mut process = Process::of(self.command(environment, arguments), self.place.path());
        until(&format!("the image says '{line}'"), || {
            assert!(process.ended().is_none(), "it has ended:\n{}", process.output());
            std::future::ready(process.output().contains(line).then_some(()))
        })
        .await;
        process
    }
}

#[test]
fn a_brief_is_worked_on_as_the_images_user() {
    let image = Image::build();
    let output = image.output(&[], &["run", "Say what this is", "--no-qa"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("Say what this is"), "{}", said(&output));
    let database = fs::metadata(image.data().join("workspace/productforge.db")).unwrap();
    let runs_as_root = fs::metadata(image.root()).unwrap().uid() == 0;
    let expected = if runs_as_root { 10_001 } else { fs::metadata(image.place.path()).unwrap().uid() };
    assert_eq!(database.uid(), expected, "whose the database is");
    assert_eq!(database.mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_server_answers_is_healthy_and_stops_on_sigterm() {
    let image = Image::build();
    let port = free_port().to_string();
    let environment = [("PORT", port.as_str()), ("API_KEY", "the-key-of-the-image")];
    let unhealthy = image.output(&environment, &["healthcheck"]);
    assert_eq!(unhealthy.status.code(), Some(1), "{}", said(&unhealthy));
    let mut server = image.start(&environment, &["serve"], "listening on").await;
    let healthy = image.output(&environment, &["healthcheck"]);
    assert_eq!(said(&healthy), "ok\n");
    // From outside, beyond loopback: the image listens on all addresses and wants the key.
    let there = Workspace::new();
    let url = format!("http://127.0.0.1:{port}");
    there.run(&["jobs", "list", "--url", &url], &[("API_KEY", "the-key-of-the-image")]).expect_code(0);
    there.run(&["jobs", "list", "--url", &url], &[("API_KEY", "another-key")]).expect_code(2);
    server.signal("TERM");
    let ended = until("it stops", || std::future::ready(server.ended())).await;
    assert_eq!(ended.code(), Some(0), "{}", server.output());
}

#[tokio::test]
async fn a_worker_is_healthy_while_it_is_heard_of() {
    let image = Image::build();
    let redis = RedisServer::start();
    let (port, url) = (free_port().to_string(), redis.url());
    let environment = [("PORT", port.as_str()), ("REDIS_URL", url.as_str())];
    let alone = image.output(&environment, &["healthcheck"]);
    assert_eq!(alone.status.code(), Some(1), "{}", said(&alone));
    assert!(said(&alone).contains(&format!("no worker of {} has spoken", image.host)), "{}", said(&alone));
    let mut worker = image.start(&environment, &["worker"], "ready for jobs").await;
    until("the worker is healthy", || {
        let healthy = image.output(&environment, &["healthcheck"]);
        std::future::ready(healthy.status.success().then_some(()))
    })
    .await;
    worker.signal("TERM");
    let ended = until("it stops", || std::future::ready(worker.ended())).await;
    assert_eq!(ended.code(), Some(0), "{}", worker.output());
    assert_eq!(image.output(&environment, &["healthcheck"]).status.code(), Some(1));
}

/// With the certificates the client gets as far as the connection, without them it cannot be made.
#[test]
fn the_roots_of_tls_are_found() {
    let image = Image::build();
    let environment = [("OPENAI_BASE_URL", "https://127.0.0.1:1/v1")];
    let look = || said(&image.output(&environment, &["doctor"]));
    let with = look();
    assert!(with.to_lowercase().contains("refused") && !with.contains("certificates"), "{with}");
    for path in ["etc/ssl", "usr/share/ca-certificates"] {
        fs::remove_dir_all(image.root().join(path)).unwrap();
    }
    let without = look();
    assert!(without.contains("are CA certificates installed?"), "{without}");
}

#[test]
fn there_is_nothing_in_it_but_the_executable_and_what_it_needs() {
    let image = Image::build();
    let missing = ["bin/sh", "usr/bin/env", "usr/bin/cc", "usr/bin/cargo", "usr/bin/curl"];
    let found: Vec<_> = missing.iter().filter(|path| image.root().join(path).exists()).collect();
    assert!(found.is_empty(), "{found:?}");
    // Nothing can be written but /data, and the doctor says so of anything else.
    let doctor = said(&image.output(&[("WORKSPACE_DIR", "/elsewhere")], &["doctor"]));
    assert!(doctor.contains("/elsewhere cannot be written: Read-only file system"), "{doctor}");
    let doctor = said(&image.output(&[], &["doctor"]));
    assert!(doctor.contains("/data/workspace does not exist yet and can be made"), "{doctor}");
    assert!(!image.data().join("workspace").exists(), "the doctor has made something");
}
