//! Uploaded zip files: proof that one is harmless, and the reading of its files.
//!
//! [`inspect()`] proves by content alone that a file is one plain zip. It reads the structure with code of
//! its own, since readers of archives are lenient and each in another way: what one shows, another hides.
//! So whatever two readers could understand differently is refused, and what is accepted means the same
//! to all. Each byte of an accepted file belongs to one entry, to the directory or to the end record.
//!
//! [`Archive`] reads the files of an inspected archive into memory. Nothing is ever unpacked to disk under
//! a name that the archive chose.
//!
//! Both block: they belong on a thread that may.

mod collisions;
mod contents;
mod directory;
mod end;
mod expand;
mod extra;
mod inspect;
mod limits;
mod local;
mod names;
mod reader;
mod refusal;
mod source;

pub use contents::{Contents, Member};
pub use inspect::inspect;
pub use limits::Limits;
pub use reader::{Archive, ReadError};
pub use refusal::Refusal;
