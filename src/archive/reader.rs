//! The reading of files from an inspected archive.

use std::{fs::File, io, path::Path};

use super::{
    contents::{Contents, Member},
    directory::CENTRAL_BYTES,
    end::END_BYTES,
    expand::{Broken, Stream, Workspace},
    local,
    refusal::{Refusal, shown},
};

/// Memory taken for a file before its data proves that it is as large as declared.
const FIRST_BYTES: usize = 64 << 10;

/// Why a file of an archive cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    #[error("the archive has no file {path}; ask for one of its members")]
    NotFound { path: String },
    #[error("the file {path} has {size} bytes, more than the {limit} asked for; read it with a higher limit")]
    TooLarge { path: String, size: u64, limit: u64 },
    #[error("the archive is no longer what was inspected: {detail}; inspect it again")]
    Changed { detail: String },
    #[error("the archive cannot be read: {0}; try again")]
    Io(#[from] io::Error),
}

/// An inspected archive, open for reading. Threads may read from it at the same time.
#[derive(Debug)]
pub struct Archive {
    file: File,
    contents: Contents,
}

impl Archive {
    /// Opens an archive that [`inspect`](super::inspect()) accepted.
    ///
    /// # Errors
    /// [`ReadError::Changed`] if the file has another length than at its inspection.
    pub fn open(path: &Path, contents: Contents) -> Result<Self, ReadError> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.len() != contents.file_bytes {
            return Err(ReadError::Changed { detail: "it has another length".to_owned() });
        }
        Ok(Self { file, contents })
    }

    #[must_use]
    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    /// Files, sorted by path.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        self.contents.members()
    }

    /// The first `limit` bytes of a file, or all of it when it is shorter. What is only a part of a file cannot be
    /// held against its checksum.
    ///
    /// # Errors
    /// [`ReadError`], but never [`ReadError::TooLarge`].
    pub fn read_start(&self, path: &str, limit: u64) -> Result<Vec<u8>, ReadError> {
        match self.contents.member(path) {
            Some(member) if member.size > limit => self.expand(member, limit),
            _ => self.read(path, limit),
        }
    }

    /// The content of a file, of at most `limit` bytes. Position, size and checksum are proven again.
    ///
    /// # Errors
    /// [`ReadError`]; never part of a file.
    pub fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, ReadError> {
        let member =
            self.contents.member(path).ok_or_else(|| ReadError::NotFound { path: shown(path.as_bytes()) })?;
        if member.size > limit {
            let path = shown(path.as_bytes());
            return Err(ReadError::TooLarge { path, size: member.size, limit });
        }

        self.expand(member, member.size.saturating_add(1))
    }

    /// Expands a file, up to so many bytes. With more than it has, its end is seen and proven.
    fn expand(&self, member: &Member, limit: u64) -> Result<Vec<u8>, ReadError> {
        let entry = member.entry();
        // Behind the data come at least one entry of the directory and the end record.
        let end = self.contents.file_bytes.saturating_sub((CENTRAL_BYTES + END_BYTES) as u64);
        let data_at = local::data_at(&self.file, &entry, end).map_err(changed)?;
        let mut space = Workspace::new();
        let mut stream = Stream::new(&self.file, &entry, data_at, &mut space);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut content = Vec::new();
        loop {
            let have = content.len();
            let room = (limit - have).min(have.max(FIRST_BYTES));
            content.resize(have + room, 0);
            let made = stream.fill(content.get_mut(have..).unwrap_or_default()).map_err(broken)?;
            content.truncate(have + made);
            if made < room || content.len() >= limit {
                return Ok(content);
            }
        }
    }
}

fn changed(refusal: Refusal) -> ReadError {
    match refusal {
        Refusal::Unreadable(error) => broken(Broken::Io(error)),
        refusal => ReadError::Changed { detail: refusal.to_string() },
    }
}

fn broken(broken: Broken) -> ReadError {
    let detail = match broken {
        Broken::Io(error) if error.kind() != io::ErrorKind::UnexpectedEof => return ReadError::Io(error),
        Broken::Io(_) => "it is shorter",
        Broken::Stream(what) => what,
        Broken::Size => "a file has another size",
        // Reading has no deadline: what was inspected was not slow.
        Broken::Late => "it has become slow to read",
        Broken::Checksum => "a file has another content",
    };
    ReadError::Changed { detail: detail.to_owned() }
}
