//! One connection to the fake model: reads requests, writes answers and plays the faults.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

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
        let (reply, mut running) = state.begin(&ask);
        let ended = match wait(&mut stream, &mut running, reply.delay, reply.held).await {
            true => write(&mut stream, &mut running, &reply, &ask).await,
            false => Ended::Gone,
        };
        match ended {
            Ended::Well if !close => {}
            Ended::Well | Ended::Closed => return,
            Ended::Gone => {
                state.note_hang_up();
                return;
            }
        }
    }
}

/// How an answer ended.
enum Ended {
    Well,
    /// As the reply wanted it.
    Closed,
    /// The client went away.
    Gone,
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
    Some(Ask { method, path, headers, json, at: Instant::now() })
}

/// Waits for a time and, if told so, for a release. False: the client has gone meanwhile.
async fn wait(stream: &mut TcpStream, running: &mut Running, delay: Duration, held: bool) -> bool {
    let ready = async {
        tokio::time::sleep(delay).await;
        if held {
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

async fn write(stream: &mut TcpStream, running: &mut Running, reply: &Reply, ask: &Ask) -> Ended {
    let wire = reply.write(ask);
    let mut bytes_left = match reply.delivery {
        Delivery::CutAfter(n) | Delivery::ResetAfter(n) => n,
        Delivery::Reset => {
            let _ = stream.set_zero_linger();
            return Ended::Closed;
        }
        Delivery::Close => return Ended::Closed,
        _ => usize::MAX,
    };
    let pieces_left = match reply.delivery {
        Delivery::CutAfterPieces(n) | Delivery::ResetAfterPieces(n) | Delivery::EndAfterPieces(n) => n,
        _ => usize::MAX,
    };
    let mut out = wire.head.clone().into_bytes();
    for (n, piece) in wire.pieces.iter().take(pieces_left).enumerate() {
        let held = reply.held_after == Some(n);
        let pause = if n == 0 { Duration::ZERO } else { reply.pause };
        if (held || !pause.is_zero())
            && !(flush(stream, &mut out).await && wait(stream, running, pause, held).await)
        {
            return Ended::Gone;
        }
        for bit in piece.chunks(reply.bits.unwrap_or(usize::MAX)) {
            let sent = &bit[..bit.len().min(bytes_left)];
            bytes_left -= sent.len();
            if wire.chunked && !sent.is_empty() {
                out.extend_from_slice(format!("{:x}\r\n", sent.len()).as_bytes());
                out.extend_from_slice(sent);
                out.extend_from_slice(b"\r\n");
            } else {
                out.extend_from_slice(sent);
            }
            // So that every bit is a packet of its own.
            if reply.bits.is_some() && !flush(stream, &mut out).await {
                return Ended::Gone;
            }
        }
    }
    let ends = matches!(reply.delivery, Delivery::Whole | Delivery::EndAfterPieces(_));
    if wire.chunked && ends {
        out.extend_from_slice(b"0\r\n\r\n");
    }
    if !flush(stream, &mut out).await {
        return Ended::Gone;
    }
    if matches!(reply.delivery, Delivery::ResetAfter(_) | Delivery::ResetAfterPieces(_)) {
        // Gives the client time to read the beginning: a reset throws away what is unread.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let _ = stream.set_zero_linger();
    }
    if ends { Ended::Well } else { Ended::Closed }
}

async fn flush(stream: &mut TcpStream, out: &mut Vec<u8>) -> bool {
    let bytes = std::mem::take(out);
    stream.write_all(&bytes).await.is_ok() && stream.flush().await.is_ok()
}
