//! Watching a workflow of a running server to its end, over cuts of the connection.

use std::time::Duration;

use serde_json::Value;

use super::{
    Failure,
    client::{Client, NoStream},
    note, say,
    table::{cell, printable, time},
};

/// The server says something every 15 seconds; who says nothing for this long is gone.
const SILENCE: Duration = Duration::from_secs(45);
/// The pause before the stream is asked for again.
const PAUSE: Duration = Duration::from_secs(2);
/// How often in a row that may fail.
const TRIES: u32 = 30;
/// An event is far shorter.
const MAX_FRAME: usize = 4 << 20;

/// Prints what happens until the workflow has ended, a line an event; its last status.
pub(super) async fn watch(client: &Client, id: &str, json: bool) -> Result<String, Failure> {
    let mut events = Follower::new(client, id);
    loop {
        for event in events.next().await? {
            match event {
                Told::Event(data) if json => say(&data.to_string()),
                Told::Event(data) => say(&line(&data)),
                Told::End(status) => return Ok(status),
            }
        }
    }
}

/// What a stream tells.
#[derive(Debug, PartialEq)]
pub(super) enum Told {
    /// Something happened.
    Event(Value),
    /// The workflow has ended, with this status.
    End(String),
}

/// Follows the events of a workflow. What was told is not told again.
pub(super) struct Follower<'a> {
    client: &'a Client,
    id: &'a str,
    stream: Option<reqwest::Response>,
    text: Vec<u8>,
    /// The id of the last event.
    last: Option<u64>,
    /// Whether the server has answered at all; one that has may come back.
    known: bool,
    /// How often in a row there was no connection.
    failures: u32,
}

impl<'a> Follower<'a> {
    pub(super) fn new(client: &'a Client, id: &'a str) -> Self {
        Self { client, id, stream: None, text: Vec::new(), last: None, known: false, failures: 0 }
    }

    /// The same for a workflow that the server has already told about.
    pub(super) fn of_known(client: &'a Client, id: &'a str) -> Self {
        Self { known: true, ..Self::new(client, id) }
    }

    /// What happens next; waits for it, and connects again as long as there is hope.
    pub(super) async fn next(&mut self) -> Result<Vec<Told>, Failure> {
        loop {
            let Some(stream) = &mut self.stream else {
                self.connect().await?;
                continue;
            };
            match tokio::time::timeout(SILENCE, stream.chunk()).await {
                Ok(Ok(Some(piece))) if self.text.len() + piece.len() <= MAX_FRAME => {
                    self.text.extend_from_slice(&piece);
                    let told = self.frames();
                    if !told.is_empty() {
                        return Ok(told);
                    }
                }
                _ => {
                    self.stream = None;
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn connect(&mut self) -> Result<(), Failure> {
        self.text.clear();
        match self.client.events(&["workflows", self.id, "events"], self.last).await {
            Ok(stream) => {
                self.stream = Some(stream);
                self.known = true;
                self.failures = 0;
                Ok(())
            }
            Err(NoStream::Refused(error)) => Err(error),
            Err(NoStream::Away(error)) if !self.known => Err(error),
            Err(NoStream::Away(error)) => self.away(error).await,
        }
    }

    /// The server was there and does not answer now: waits a little, unless that has been done too often.
    pub(super) async fn away(&mut self, error: Failure) -> Result<(), Failure> {
        self.failures += 1;
        if self.failures > TRIES {
            return Err(error);
        }
        note("the server does not answer; trying again");
        tokio::time::sleep(PAUSE).await;
        Ok(())
    }

    /// The frames that are whole.
    fn frames(&mut self) -> Vec<Told> {
        let mut told = Vec::new();
        while let Some(end) = self.text.windows(2).position(|pair| pair == b"\n\n") {
            let frame: Vec<u8> = self.text.drain(..end + 2).collect();
            told.extend(take(&String::from_utf8_lossy(&frame), &mut self.last));
        }
        told
    }
}

/// One frame.
fn take(frame: &str, last: &mut Option<u64>) -> Option<Told> {
    let field = |name: &str| frame.lines().find_map(|line| line.strip_prefix(name));
    let data: Value = serde_json::from_str(field("data: ")?).ok()?;
    match field("event: ") {
        Some("end") => return Some(Told::End(cell(&data["status"]))),
        // What a model is saying at the moment, say.
        Some(_) => return None,
        None => *last = field("id: ").and_then(|id| id.parse().ok()).or(*last),
    }
    Some(Told::Event(data))
}

/// An event in a line.
fn line(data: &Value) -> String {
    let step = match data["step"].as_str() {
        Some(step) => match data["round"].as_u64() {
            Some(round) if round > 1 => format!("{step} (round {round}): "),
            _ => format!("{step}: "),
        },
        None => String::new(),
    };
    printable(&format!("{}  {step}{}", time(&data["at"]), cell(&data["message"])))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn frames_are_read_and_the_end_is_told() {
        let mut last = None;
        assert_eq!(take("retry: 2000\n\n", &mut last), None);
        assert_eq!(take(": keep-alive\n\n", &mut last), None);
        assert_eq!(
            take("id: 7\ndata: {\"message\":\"x\"}\n\n", &mut last),
            Some(Told::Event(json!({"message": "x"})))
        );
        assert_eq!(take("event: partial\ndata: {}\n\n", &mut last), None);
        assert_eq!(last, Some(7));
        let end = take("event: end\ndata: {\"status\":\"failed\"}\n\n", &mut last);
        assert_eq!(end, Some(Told::End("failed".to_owned())));
    }

    #[test]
    fn an_event_is_one_line_that_a_terminal_does_not_obey() {
        let data = json!({"at": "2026-11-22T10:18:25.5+00:00", "step": "qa", "round": 2, "message": "a\u{1b}[2J\nb"});
        assert_eq!(line(&data), "2026-11-22 10:18:25  qa (round 2): a [2J b");
    }
}
