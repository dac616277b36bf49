//! Watching a workflow of a running server to its end: a line an event, over cuts of the connection.

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

/// Prints what happens until the workflow has ended; its last status.
pub(super) async fn watch(client: &Client, id: &str, json: bool) -> Result<String, Failure> {
    let (mut last, mut failures) = (None, 0);
    loop {
        match follow(client, id, &mut last, json).await {
            Ok(Some(status)) => return Ok(status),
            Ok(None) => failures = 0,
            Err(NoStream::Refused(error)) => return Err(error),
            // One that has answered once may come back.
            Err(NoStream::Away(error)) if last.is_none() || failures >= TRIES => return Err(error),
            Err(NoStream::Away(_)) => {
                failures += 1;
                note("the server does not answer; trying again");
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// One connection; the last status if the workflow ended.
async fn follow(
    client: &Client,
    id: &str,
    last: &mut Option<u64>,
    json: bool,
) -> Result<Option<String>, NoStream> {
    let mut stream = client.events(&["workflows", id, "events"], *last).await?;
    let mut text = Vec::new();
    while let Ok(Ok(Some(piece))) = tokio::time::timeout(SILENCE, stream.chunk()).await {
        text.extend_from_slice(&piece);
        while let Some(end) = text.windows(2).position(|pair| pair == b"\n\n") {
            let frame: Vec<u8> = text.drain(..end + 2).collect();
            if let Some(status) = take(&String::from_utf8_lossy(&frame), last, json) {
                return Ok(Some(status));
            }
        }
    }
    Ok(None)
}

/// One frame; the status that an `end` tells.
fn take(frame: &str, last: &mut Option<u64>, json: bool) -> Option<String> {
    let field = |name: &str| frame.lines().find_map(|line| line.strip_prefix(name));
    let data: Value = serde_json::from_str(field("data: ")?).ok()?;
    match field("event: ") {
        Some("end") => return Some(cell(&data["status"])),
        Some(_) => return None,
        None => *last = field("id: ").and_then(|id| id.parse().ok()).or(*last),
    }
    if json {
        say(&data.to_string());
        return None;
    }
    let at = time(&data["at"]);
    let step = match data["step"].as_str() {
        Some(step) => match data["round"].as_u64() {
            Some(round) if round > 1 => format!("{step} (round {round}): "),
            _ => format!("{step}: "),
        },
        None => String::new(),
    };
    say(&printable(&format!("{at}  {step}{}", cell(&data["message"]))));
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_and_the_end_is_told() {
        let mut last = None;
        assert_eq!(take("retry: 2000\n\n", &mut last, true), None);
        assert_eq!(take(": keep-alive\n\n", &mut last, true), None);
        assert_eq!(take("id: 7\ndata: {\"message\":\"x\"}\n\n", &mut last, true), None);
        assert_eq!(take("event: partial\ndata: {}\n\n", &mut last, true), None);
        assert_eq!(last, Some(7));
        let end = take("event: end\ndata: {\"status\":\"failed\"}\n\n", &mut last, true);
        assert_eq!(end.as_deref(), Some("failed"));
    }
}
