//! The built executable, run as a user would: in a folder and an environment of its own.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::process::{Process, folder};

/// More than a busy machine needs, less than the patience of the test runner.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with a workspace, and the executable in it.
pub struct Workspace(TempDir);

impl Workspace {
    pub fn new() -> Self {
        Self(folder())
    }

    /// `productforge` with these arguments; nothing of the environment is left.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_productforge"));
        command.args(args).current_dir(self.0.path()).stdin(Stdio::null());
        command.env_clear();
        command
    }

    /// Runs it to its end.
    pub fn run(&self, args: &[&str], env: &[(&str, &str)]) -> Ended {
        Ended::of(self.command(args).envs(env.iter().copied()).output().unwrap())
    }

    /// Starts it; it is killed if the test ends before it.
    pub fn start(&self, args: &[&str], env: &[(&str, &str)]) -> Running {
        Running { process: Process::start(self.0.path(), args, env), read: 0 }
    }

    /// Runs a shell command on a terminal of 120 columns (a pseudo-terminal that Python makes), answering what it asks:
    /// once the first text of a pair was said, the second is typed. What the terminal showed, and the exit code.
    pub fn on_a_terminal(
        &self,
        command: &str,
        env: &[(&str, &str)],
        answers: &[(&str, &str)],
    ) -> (String, i32) {
        const PLAY: &str = r#"
import fcntl, json, os, pty, select, struct, sys, termios, time
command, answers = sys.argv[1], json.loads(sys.argv[2])
pid, terminal = pty.fork()
if pid == 0:
    os.execvp("sh", ["sh", "-c", "stty cols 120 rows 40; " + command])
shown, deadline = b"", time.time() + 60
while time.time() < deadline:
    if not select.select([terminal], [], [], 1)[0]:
        continue
    try:
        piece = os.read(terminal, 65536)
    except OSError:
        break
    if not piece:
        break
    shown += piece
    if answers and answers[0][0].encode() in shown:
        os.write(terminal, answers.pop(0)[1].encode())
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"#;
        let mut python = Command::new("python3");
        python.args(["-c", PLAY, command, &serde_json::json!(answers).to_string()]);
        python.current_dir(self.0.path()).stdin(Stdio::null()).env_clear();
        python.env("PATH", std::env::var_os("PATH").unwrap_or_default()).envs(env.iter().copied());
        let output = python.output().expect("python3 is not installed: run ./dev setup");
        (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code().unwrap_or(-1))
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
    pub fn of(output: Output) -> Self {
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

/// A run that goes on.
pub struct Running {
    process: Process,
    /// How much of its output has been looked at.
    read: usize,
}

impl Running {
    /// The next line of its output that has this text in it.
    #[track_caller]
    pub fn line_with(&mut self, text: &str) -> String {
        self.until(&format!("a line with '{text}'"), |running| {
            let output = running.process.output();
            // The last line may not be whole yet.
            for line in output[running.read..].split_inclusive('\n').filter(|line| line.ends_with('\n')) {
                running.read += line.len();
                if line.contains(text) {
                    return Some(line.trim_end().to_owned());
                }
            }
            None
        })
    }

    /// `TERM`, `INT`, …
    pub fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// Waits for its end, which has to be with this exit code; all of its output.
    #[track_caller]
    pub fn ends_with_code(mut self, code: i32) -> String {
        let status = self.until("its end", |running| running.process.ended());
        let output = self.process.output();
        assert_eq!(status.code(), Some(code), "{output}");
        output
    }

    #[track_caller]
    fn until<T>(&mut self, what: &str, mut look: impl FnMut(&mut Self) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            assert!(Instant::now() < deadline, "waited in vain for {what}");
            thread::sleep(Duration::from_millis(10));
        }
    }
}
