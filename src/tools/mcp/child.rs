//! An MCP server that runs as a child process.

use std::{
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    task::JoinHandle,
    time::timeout,
};

use super::redact::Redactor;
use crate::config::{Secret, inherited_environment};

/// How long a server may take to end of itself, once when its input is closed and once when it is told to.
const GRACE: Duration = Duration::from_secs(2);

/// How long the end of a process may take after it has closed its pipes.
const LAST_BREATH: Duration = Duration::from_secs(2);

/// The most of a line on standard error that is kept, in bytes while it is read and in characters after.
const MAX_LINE: usize = 16 << 10;
const MAX_LINE_SHOWN: usize = 2_000;

/// A running child with everything it has started. Dropping it ends them all at once.
pub(super) struct Server {
    child: Child,
    /// The process group; `None` once it has been ended.
    group: Option<u32>,
    last_words: Arc<Mutex<String>>,
    stderr: Option<JoinHandle<()>>,
}

impl Server {
    pub(super) fn start(
        name: &str,
        command: &str,
        args: &[String],
        env: &[(String, Secret)],
        redactor: &Arc<Redactor>,
    ) -> std::io::Result<(Self, ChildStdout, ChildStdin)> {
        let mut command = Command::new(command);
        command
            .args(args)
            .env_clear()
            .envs(inherited_environment())
            .envs(env.iter().map(|(name, secret)| (name, secret.expose())))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        // A group of its own: what ends it ends what it has started (`npx` starts the server proper), and a
        // Ctrl-C in our terminal leaves it to us.
        #[cfg(unix)]
        command.process_group(0);
        let mut child = command.spawn()?;
        let missing = || std::io::Error::other("the child has no pipes");
        let stdout = child.stdout.take().ok_or_else(missing)?;
        let stdin = child.stdin.take().ok_or_else(missing)?;
        let last_words = Arc::new(Mutex::new(String::new()));
        let stderr = child.stderr.take().map(|stderr| {
            tokio::spawn(log_lines(name.to_owned(), stderr, Arc::clone(redactor), Arc::clone(&last_words)))
        });
        let group = child.id();
        Ok((Self { child, group, last_words, stderr }, stdout, stdin))
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// How it ended, if it did.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().ok().flatten()?;
        // What it leaves behind serves nobody.
        self.signal_group(true);
        self.group = None;
        Some(status)
    }

    /// How it ended, of one that has closed its pipes: what follows at once, if it is the end.
    pub(super) async fn end_at_once(&mut self) -> Option<ExitStatus> {
        timeout(LAST_BREATH, self.child.wait()).await.ok().and_then(Result::ok)
    }

    /// Ends it, its input being closed: it is waited for, told, and killed.
    pub(super) async fn stop(&mut self) {
        if timeout(GRACE, self.child.wait()).await.is_err() {
            self.signal_group(false);
            if timeout(GRACE, self.child.wait()).await.is_err() {
                self.kill().await;
            }
        }
        self.signal_group(true);
        self.group = None;
    }

    /// Ends it at once.
    pub(super) async fn kill(&mut self) {
        self.signal_group(true);
        let _ = self.child.kill().await;
        self.group = None;
    }

    /// How it ended and what it said last, of a server that never got to work.
    pub(super) async fn obituary(&mut self) -> String {
        let status = self.end_at_once().await;
        self.kill().await;
        if let Some(stderr) = self.stderr.take() {
            // What it wrote is in the pipe by now; a grandchild of another group may hold that open.
            let _ = timeout(LAST_BREATH, stderr).await;
        }
        let mut text = status.map(|status| format!("it ended with {status}")).unwrap_or_default();
        let said = self.last_words.lock().unwrap_or_else(PoisonError::into_inner);
        if !said.is_empty() {
            let said: String = said.chars().take(200).collect();
            text.push_str(&format!("{}it said: {said}", if text.is_empty() { "" } else { ", " }));
        }
        text
    }

    #[cfg(unix)]
    fn signal_group(&self, kill: bool) {
        use nix::sys::signal::{Signal, killpg};
        if let Some(group) = self.group.and_then(|group| i32::try_from(group).ok()) {
            let signal = if kill { Signal::SIGKILL } else { Signal::SIGTERM };
            // It fails when nobody is left.
            let _ = killpg(nix::unistd::Pid::from_raw(group), signal);
        }
    }

    #[cfg(not(unix))]
    fn signal_group(&self, _kill: bool) {}
}

impl Drop for Server {
    fn drop(&mut self) {
        self.signal_group(true);
    }
}

/// Writes what a server says on standard error to the log, line by line, until it ends.
async fn log_lines(
    name: String,
    stderr: ChildStderr,
    redactor: Arc<Redactor>,
    last_words: Arc<Mutex<String>>,
) {
    let mut stderr = BufReader::new(stderr);
    while let Some(line) = next_line(&mut stderr).await {
        let line = redactor.line(&String::from_utf8_lossy(&line), MAX_LINE_SHOWN);
        if !line.is_empty() {
            log::debug!(server = name.as_str(); "MCP server says: {line}");
            *last_words.lock().unwrap_or_else(PoisonError::into_inner) = line;
        }
    }
}

/// The next line, as much of it as is kept; `None` at the end.
async fn next_line(from: &mut BufReader<impl AsyncRead + Unpin>) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    loop {
        let piece = from.fill_buf().await.ok()?;
        if piece.is_empty() {
            return if line.is_empty() { None } else { Some(line) };
        }
        let end = piece.iter().position(|b| *b == b'\n');
        let taken = &piece[..end.unwrap_or(piece.len())];
        line.extend_from_slice(&taken[..taken.len().min(MAX_LINE.saturating_sub(line.len()))]);
        let read = end.map_or(piece.len(), |end| end + 1);
        from.consume(read);
        if end.is_some() {
            return Some(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_read_and_bounded() {
        let text = format!("a\n\n{}\nend", "x".repeat(MAX_LINE + 10));
        let mut from = BufReader::with_capacity(100, text.as_bytes());
        let mut lines = Vec::new();
        while let Some(line) = next_line(&mut from).await {
            lines.push(line.len());
        }
        assert_eq!(lines, [1, 0, MAX_LINE, 3]);
    }
}
