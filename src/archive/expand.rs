//! The data of one entry, expanded as a stream and held to its declared size and checksum.

use std::{io, time::Instant};

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::{
    directory::{Entry, Method},
    source::Source,
};

/// Bytes read from the file at once.
const INPUT_BYTES: usize = 32 << 10;

/// What is wrong with the data of an entry.
#[derive(Debug)]
pub(super) enum Broken {
    /// It is no valid compressed stream, or has something behind its end.
    Stream(&'static str),
    /// It has more or fewer bytes than declared.
    Size,
    Checksum,
    /// The deadline has passed.
    Late,
    Io(io::Error),
}

/// The state that streams share one after the other.
pub(super) struct Workspace {
    inflate: Decompress,
    input: Box<[u8]>,
}

impl Workspace {
    pub(super) fn new() -> Self {
        Self { inflate: Decompress::new(false), input: vec![0; INPUT_BYTES].into_boxed_slice() }
    }
}

/// The expanded data of an entry.
pub(super) struct Stream<'a, S: ?Sized> {
    source: &'a S,
    entry: &'a Entry,
    space: &'a mut Workspace,
    /// Where in the file to read on.
    at: u64,
    end: u64,
    /// What of the input has been read but not used.
    unused: std::ops::Range<usize>,
    crc: Crc,
    size: u64,
    done: bool,
    deadline: Option<Instant>,
}

impl<'a, S: Source + ?Sized> Stream<'a, S> {
    /// `data_at` is where the packed data begins; it has been proven to lie inside the file.
    pub(super) fn new(source: &'a S, entry: &'a Entry, data_at: u64, space: &'a mut Workspace) -> Self {
        space.inflate.reset(false);
        Self {
            source,
            entry,
            space,
            at: data_at,
            end: data_at.saturating_add(entry.compressed),
            unused: 0..0,
            crc: Crc::new(),
            size: 0,
            done: false,
            deadline: None,
        }
    }

    /// The stream ends with [`Broken::Late`] then.
    pub(super) fn until(mut self, deadline: Option<Instant>) -> Self {
        self.deadline = deadline;
        self
    }

    /// Fills the buffer as far as there is data. Fewer bytes than asked for are the last ones, and all is
    /// proven once they have been returned without an error.
    pub(super) fn fill(&mut self, into: &mut [u8]) -> Result<usize, Broken> {
        let mut filled = 0;
        while filled < into.len() && !self.done {
            let space = into.get_mut(filled..).unwrap_or_default();
            let made = match self.entry.method {
                Method::Stored => self.copy(space)?,
                Method::Deflated => self.inflate(space)?,
            };
            self.crc.update(space.get(..made).unwrap_or_default());
            self.size = self.size.saturating_add(made as u64);
            filled += made;
            if self.size > self.entry.size {
                return Err(Broken::Size);
            }
        }
        if self.done {
            if self.size != self.entry.size {
                return Err(Broken::Size);
            }
            if self.crc.sum() != self.entry.crc32 {
                return Err(Broken::Checksum);
            }
        }
        Ok(filled)
    }

    fn copy(&mut self, into: &mut [u8]) -> Result<usize, Broken> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let most = left.min(into.len());
        self.source.fill_at(&mut into[..most], self.at).map_err(Broken::Io)?;
        self.at += most as u64;
        self.done = self.at >= self.end;
        Ok(most)
    }

    fn inflate(&mut self, into: &mut [u8]) -> Result<usize, Broken> {
        if self.unused.is_empty() && self.at < self.end {
            if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Err(Broken::Late);
            }
            let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
            let most = left.min(self.space.input.len());
            self.source.fill_at(&mut self.space.input[..most], self.at).map_err(Broken::Io)?;
            self.at += most as u64;
            self.unused = 0..most;
        }
        // One byte more than declared is enough to know.
        let room = usize::try_from(self.entry.size - self.size).unwrap_or(usize::MAX).saturating_add(1);
        let most = room.min(into.len());
        let Workspace { inflate, input } = &mut *self.space;
        let (used_before, made_before) = (inflate.total_in(), inflate.total_out());
        let status = inflate
            .decompress(&input[self.unused.clone()], &mut into[..most], FlushDecompress::None)
            .map_err(|_| Broken::Stream("its data is no deflate stream"))?;
        let used = usize::try_from(inflate.total_in() - used_before).unwrap_or(usize::MAX);
        let made = usize::try_from(inflate.total_out() - made_before).unwrap_or(usize::MAX).min(most);
        self.unused.start = self.unused.start.saturating_add(used).min(self.unused.end);
        let all_read = self.unused.is_empty() && self.at >= self.end;
        if status == Status::StreamEnd {
            if !all_read {
                return Err(Broken::Stream("something lies behind its data"));
            }
            self.done = true;
        } else if used == 0 && made == 0 {
            return Err(Broken::Stream(match all_read {
                true => "its data ends too early",
                false => "its data is no deflate stream",
            }));
        }
        Ok(made)
    }
}
