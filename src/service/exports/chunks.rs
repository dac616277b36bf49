//! A writer whose bytes go to a client in chunks.

use std::io::{self, Write};

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;

/// The first chunk is small, so that a client hears of its file at once.
const FIRST_CHUNK: usize = 1024;
const CHUNK: usize = 64 * 1024;

/// Collects bytes and sends them; to be used on a thread that may wait.
pub(in crate::service) struct ChunkWriter {
    buffer: BytesMut,
    size: usize,
    sender: mpsc::Sender<io::Result<Bytes>>,
}

impl ChunkWriter {
    pub fn new(sender: mpsc::Sender<io::Result<Bytes>>) -> Self {
        Self { buffer: BytesMut::with_capacity(CHUNK + FIRST_CHUNK), size: FIRST_CHUNK, sender }
    }

    /// Sends the rest.
    pub fn end(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() { Ok(()) } else { self.send() }
    }

    /// Breaks the file off.
    pub fn fail(&self, error: io::Error) {
        let _ = self.sender.blocking_send(Err(error));
    }

    fn send(&mut self) -> io::Result<()> {
        self.size = CHUNK;
        let chunk = self.buffer.split().freeze();
        let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the client has gone");
        self.sender.blocking_send(Ok(chunk)).map_err(gone)
    }
}

impl Write for ChunkWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A document may be far larger than a chunk: it goes in parts.
        let part = &bytes[..bytes.len().min(CHUNK)];
        self.buffer.extend_from_slice(part);
        if self.buffer.len() >= self.size {
            self.send()?;
        }
        Ok(part.len())
    }

    /// Chunks are sent when they are full: who formats a file asks for this far too often.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
