//! One connection to the fake model: reads requests, writes answers and plays the faults.

use std::{sync::Arc, time::Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{Ask, Delivery, Reply, Running, State};

/// Larger requests are a fault of the test.
const MAX_REQUEST: usize = 64 << 20;

pub(super) async fn serve(mut stream: TcpStream, state: Arc<State>) {
    let mut unread = Vec::new();
    while let Some(ask) = read_request(&mut stream, &mut unread).await {
        let close = ask.header("connection").is_some_and(|v| v.eq_ignore_ascii_case("close"));
        let (reply, mut running) = state.begin(ask);
        if !wait(&mut stream, &mut running, &reply).await {
            state.note_hang_up();
            return;
        }
        if !write(&mut stream, &reply, &state).await || close {
            return;
        }
    }
}

/// Reads one request; `None` when the client is done or talks no HTTP.
async fn read_request(stream: &mut TcpStream, unread: &mut Vec<u8>) -> Option<Ask> {
    let head_end = loop {
        if let Some(at) = unread.windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 4;
        }
        if unread.len() > MAX_REQUEST || stream.read_buf(unread).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&unread[..head_end]).into_owned();
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|l| l.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let length: usize =
        headers.iter().find(|(n, _)| n == "content-length").and_then(|(_, v)| v.parse().ok()).unwrap_or(0);
    while unread.len() < head_end + length {
        if length > MAX_REQUEST || stream.read_buf(unread).await.ok()? == 0 {
            return None;
        }
    }
    let json = serde_json::from_slice(&unread[head_end..head_end + length]).unwrap_or_default();
    unread.drain(..head_end + length);
    Some(Ask { method, path, headers, json, nth: 0, at: Instant::now() })
}

/// Waits as long as the reply asks for. False: the client has gone meanwhile.
async fn wait(stream: &mut TcpStream, running: &mut Running, reply: &Reply) -> bool {
    let ready = async {
        tokio::time::sleep(reply.delay).await;
        if reply.held {
            running.released().await;
        }
    };
    let mut byte = [0u8; 1];
    tokio::select! {
        () = ready => true,
        // A client that waits for its answer sends nothing: readable means that it hung up.
        read = stream.peek(&mut byte) => !matches!(read, Ok(0) | Err(_)),
    }
}

/// Writes a reply piece by piece, the last of which ends the connection.
async fn write_pieces(stream: &mut TcpStream, reply: &Reply, state: &State) -> bool {
    let mut head = format!("HTTP/1.1 {} Fake\r\nconnection: close\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if stream.write_all(format!("{head}\r\n").as_bytes()).await.is_err() {
        return false;
    }
    for (wait, piece) in &reply.pieces {
        let mut byte = [0u8; 1];
        // A client that waits for more sends nothing: readable means that it hung up.
        let gone = tokio::select! {
            () = tokio::time::sleep(*wait) => false,
            read = stream.peek(&mut byte) => matches!(read, Ok(0) | Err(_)),
        };
        if gone {
            state.note_hang_up();
            return false;
        }
        if stream.write_all(piece).await.is_err() || stream.flush().await.is_err() {
            return false;
        }
    }
    if reply.delivery == Delivery::Reset {
        let _ = stream.set_zero_linger();
    }
    false
}

/// Writes the reply. False: the connection is of no more use.
async fn write(stream: &mut TcpStream, reply: &Reply, state: &State) -> bool {
    if !reply.pieces.is_empty() {
        return write_pieces(stream, reply, state).await;
    }
    let sent = match reply.delivery {
        Delivery::Whole => reply.body.len(),
        Delivery::CutAfter(n) | Delivery::ResetAfter(n) => n.min(reply.body.len()),
        Delivery::Reset => {
            let _ = stream.set_zero_linger();
            return false;
        }
        Delivery::Close => return false,
    };
    let mut bytes = reply.head().into_bytes();
    bytes.extend_from_slice(&reply.body[..sent]);
    let written = stream.write_all(&bytes).await.is_ok() && stream.flush().await.is_ok();
    match reply.delivery {
        Delivery::ResetAfter(_) => {
            // Gives the client time to read the beginning: a reset throws away what is unread.
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            let _ = stream.set_zero_linger();
            false
        }
        Delivery::CutAfter(_) => false,
        _ => written,
    }
}
