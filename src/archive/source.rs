//! Bytes at positions: a file on disk or an archive held in memory.

use std::{fs::File, io};

/// Something that can be read at any position, from several threads, without a cursor.
pub(super) trait Source {
    /// Bytes read: 0 is the end.
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize>;

    /// Fills the whole buffer, or says that the bytes are not there.
    fn fill_at(&self, mut into: &mut [u8], mut at: u64) -> io::Result<()> {
        while !into.is_empty() {
            match self.read_at(into, at) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => {
                    into = into.get_mut(read..).unwrap_or_default();
                    at = at.saturating_add(read as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Source for File {
    #[cfg(unix)]
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, into, at)
    }

    #[cfg(windows)]
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_read(self, into, at)
    }
}

impl Source for [u8] {
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        let rest = usize::try_from(at).ok().and_then(|at| self.get(at..)).unwrap_or_default();
        let read = rest.len().min(into.len());
        into[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }
}

/// A part of a source, read from its start to its end.
pub(super) struct Window<'a, S: ?Sized> {
    pub(super) source: &'a S,
    pub(super) at: u64,
    pub(super) end: u64,
}

impl<S: Source + ?Sized> io::Read for Window<'_, S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let most = left.min(into.len());
        let read = self.source.read_at(&mut into[..most], self.at)?;
        self.at = self.at.saturating_add(read as u64);
        Ok(read)
    }
}

/// Little-endian fields of a record, front to back. What lies behind the end reads as zero: callers hold
/// records of known length.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        match self.0.split_first_chunk::<N>() {
            Some((head, rest)) => {
                self.0 = rest;
                *head
            }
            None => [0; N],
        }
    }

    pub(super) fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.take())
    }

    pub(super) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    pub(super) fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }

    /// The next 8 bytes, if they are there.
    pub(super) fn more(&mut self) -> Option<u64> {
        (self.0.len() >= 8).then(|| self.u64())
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.0
    }
}
