//! A real `redis-server` of a test's own: free port, own folder, gone with the test.

use std::{
    fs::File,
    io::Write,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use deadpool_redis::redis::{self, aio::MultiplexedConnection};
use tempfile::TempDir;

use super::certificates::Certificate;

/// How the server is set up; the default keeps nothing on disk.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `appendonly yes` with this `appendfsync`.
    pub appendfsync: Option<&'static str>,
    /// Further arguments, as words.
    pub extra: &'static str,
    /// Those that are known only now.
    pub arguments: Vec<String>,
    pub environment: Vec<(&'static str, String)>,
    /// Speaks TLS and nothing else, with this certificate.
    pub tls: Option<Arc<Certificate>>,
    /// A sentinel with this configuration.
    pub sentinel: Option<String>,
}

/// A server that runs until it is dropped.
pub struct RedisServer {
    port: u16,
    folder: TempDir,
    options: Options,
    running: Option<Running>,
}

struct Running {
    server: Child,
    /// Kills the server when this process dies without having dropped it (a test that was killed).
    watchdog: Child,
}

impl RedisServer {
    /// One that keeps nothing.
    pub fn start() -> Self {
        Self::start_with(Options::default())
    }

    /// One that keeps every write before it answers.
    pub fn start_durable() -> Self {
        Self::start_with(Options { appendfsync: Some("always"), ..Options::default() })
    }

    pub fn start_with(options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Self { port: 0, folder, options, running: None };
        // Between finding a free port and taking it another process may be faster: then the server ends.
        for _ in 0..20 {
            server.port = free_port();
            if server.try_start() {
                return server;
            }
        }
        panic!("redis-server did not start on any of 20 ports");
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        let scheme = if self.options.tls.is_some() { "rediss" } else { "redis" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// What is preserved in its folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A connection for the test itself: the foreign program. Past the TLS, where there is some.
    pub async fn connection(&self) -> MultiplexedConnection {
        self.try_connection().await.unwrap()
    }

    /// The same of a server that may be about to end its connections.
    pub async fn try_connection(&self) -> redis::RedisResult<MultiplexedConnection> {
        let url = match &self.options.tls {
            None => self.url(),
            Some(_) => format!("unix://{}", self.socket().display()),
        };
        redis::Client::open(url)?.get_multiplexed_async_connection().await
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    /// Ends the server in good order.
    pub fn stop(&mut self) {
        if let Some(mut running) = self.running.take() {
            TcpStream::connect(("127.0.0.1", self.port)).unwrap().write_all(b"SHUTDOWN\r\n").unwrap();
            running.server.wait().unwrap();
            running.end();
        }
    }

    /// Ends the server with SIGKILL.
    pub fn kill(&mut self) {
        if let Some(running) = self.running.take() {
            running.end();
        }
    }

    /// Starts the server again on the same port with what it kept.
    pub fn start_again(&mut self) {
        assert!(self.running.is_none(), "the server still runs");
        assert!(self.try_start(), "redis-server did not start again on port {}", self.port);
    }

    /// Stops the server in its tracks (SIGSTOP), or lets it go on (SIGCONT).
    pub fn freeze(&self, frozen: bool) {
        let pid = self.running.as_ref().unwrap().server.id().to_string();
        let signal = if frozen { "-STOP" } else { "-CONT" };
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Starts the server and waits until it answers; `false` if it ended instead.
    ///
    /// It says so in its log. Its port could be answered by a server of another test that was faster, which
    /// would be gone with that test.
    fn try_start(&mut self) -> bool {
        let log_path = self.folder.path().join("redis.log");
        let log = File::create(&log_path).unwrap();
        let mut command = Command::new("redis-server");
        let port = self.port.to_string();
        if let Some(configuration) = &self.options.sentinel {
            let file = self.folder.path().join("sentinel.conf");
            std::fs::write(&file, configuration).unwrap();
            command.arg(file).arg("--sentinel");
        } else {
            command.args(["--save", ""]);
        }
        match &self.options.tls {
            None => _ = command.args(["--port", &port]),
            Some(certificate) => {
                command.args(["--port", "0", "--tls-port", &port, "--tls-auth-clients", "no"]);
                command.arg("--unixsocket").arg(self.socket());
                command.arg("--tls-cert-file").arg(certificate.certificate());
                command.arg("--tls-key-file").arg(certificate.key());
                command.arg("--tls-ca-cert-file").arg(certificate.authority());
            }
        }
        command.args(["--bind", "127.0.0.1", "--daemonize", "no", "--dir"]).arg(self.folder.path());
        command.args(&self.options.arguments).envs(self.options.environment.clone());
        if let Some(appendfsync) = self.options.appendfsync {
            command.args(["--appendonly", "yes", "--appendfsync", appendfsync]);
        }
        command.args(self.options.extra.split_whitespace());
        let mut server = match command.stdin(Stdio::null()).stdout(log).stderr(Stdio::null()).spawn() {
            Ok(server) => server,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                panic!("redis-server is not installed: run `./dev setup`")
            }
            Err(error) => panic!("redis-server cannot be started: {error}"),
        };
        let watchdog = watchdog(server.id());
        let deadline = Instant::now() + Duration::from_secs(120);
        while !is_ready(&log_path) {
            if server.try_wait().unwrap().is_some() {
                Running { server, watchdog }.end();
                return false;
            }
            assert!(Instant::now() < deadline, "redis-server does not answer on port {}", self.port);
            std::thread::sleep(Duration::from_millis(5));
        }
        self.running = Some(Running { server, watchdog });
        true
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Running {
    /// The watchdog first, so that it cannot kill a later process with the server's old number.
    fn end(mut self) {
        for child in [&mut self.watchdog, &mut self.server] {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// A process that waits for the end of the pipe from this one, however it comes.
fn watchdog(server: u32) -> Child {
    Command::new("sh")
        .args(["-c", &format!("read _; kill -9 {server}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// Whether the server whose log this is listens and has loaded its data, or the sentinel has begun to watch.
fn is_ready(log: &Path) -> bool {
    let says =
        |words: &str| words.contains("Ready to accept connections") || words.contains("+monitor master");
    std::fs::read_to_string(log).is_ok_and(|words| says(&words))
}
