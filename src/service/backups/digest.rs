//! Copies that are counted and digested on their way.

use std::io::{self, Read, Write};

use sha2::{Digest, Sha256};

const CHUNK: usize = 128 * 1024;

/// Copies all of it; how many bytes, and their SHA-256 in hexadecimal digits. `most`: more bytes are an error.
pub(super) fn copy(from: &mut dyn Read, to: &mut dyn Write, most: u64) -> io::Result<(u64, String)> {
    let (mut digest, mut bytes) = (Sha256::new(), 0_u64);
    let mut chunk = vec![0; CHUNK];
    loop {
        let n = match from.read(&mut chunk) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        bytes += n as u64;
        if bytes > most {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is longer than it should be"));
        }
        digest.update(&chunk[..n]);
        to.write_all(&chunk[..n])?;
    }
    let hex = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((bytes, hex))
}
