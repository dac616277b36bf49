//! The built executable, run as a user would: in a folder and an environment of its own.

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::mpsc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// More than a busy machine needs, less than the patience of the test runner.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with a workspace, and the executable in it.
pub struct Workspace(TempDir);

impl Workspace {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// `productforge` with these arguments; of the environment nothing but the search path is left.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_productforge"));
        command.args(args).current_dir(self.0.path()).stdin(Stdio::null());
        command.env_clear().env("PATH", std::env::var("PATH").unwrap_or_default());
        command
    }

    /// Runs it to its end.
    pub fn run(&self, args: &[&str], env: &[(&str, &str)]) -> Ended {
        Ended::of(self.command(args).envs(env.iter().copied()).output().unwrap())
    }

    /// Starts it and reads its stderr on.
    pub fn start(&self, args: &[&str], env: &[(&str, &str)]) -> Running {
        let mut command = self.command(args);
        let mut child =
            command.envs(env.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let reader = thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                // Whoever started it may no longer listen; the pipe is emptied all the same.
                let _ = sender.send(line);
            }
        });
        Running { child, lines, seen: Vec::new(), reader: Some(reader) }
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The text of a file below the folder.
    pub fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.0.path().join(path)).unwrap()
    }
}

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }
}

/// A run that goes on. It is killed if the test ends before it.
pub struct Running {
    child: Child,
    lines: mpsc::Receiver<String>,
    seen: Vec<String>,
    reader: Option<JoinHandle<()>>,
}

impl Running {
    /// The next line on stderr that has this text in it.
    #[track_caller]
    pub fn line_with(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(why) => panic!("no line with '{text}' ({why}); there was:\n{}", self.seen.join("\n")),
            }
        }
    }

    /// `TERM`, `INT`, `KILL`, …
    pub fn signal(&self, name: &str) {
        let signal = format!("-{name}");
        assert!(
            Command::new("kill").args([&signal, &self.child.id().to_string()]).status().unwrap().success()
        );
    }

    /// Waits for its end; all of stderr and the rest of stdout.
    #[track_caller]
    pub fn wait(mut self) -> Ended {
        let status = self.wait_status();
        self.reader.take().map(JoinHandle::join);
        self.seen.extend(self.lines.try_iter());
        let mut stdout = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        Ended { code: status.code(), stdout, stderr: self.seen.join("\n") }
    }

    #[track_caller]
    fn wait_status(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end; it said:\n{}", self.seen.join("\n"));
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
