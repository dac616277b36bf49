//! Extra fields of an entry: the few that change what the entry is.

use super::{
    refusal::{Refusal, shown},
    source::Fields,
};

const ZIP64: u16 = 0x0001;
const PKWARE_UNIX: u16 = 0x000d;
const STRONG_ENCRYPTION: u16 = 0x0017;
const UNICODE_PATH: u16 = 0x7075;
const ASI_UNIX: u16 = 0x756e;
const AES: u16 = 0x9901;

/// Bytes of the PKWARE Unix field before the target of a link.
const PKWARE_UNIX_BYTES: usize = 12;
/// Bytes of the ASi Unix field before the target of a link.
const ASI_UNIX_BYTES: usize = 14;

/// What the extra fields say.
#[derive(Debug, Default)]
pub(super) struct Extra<'a> {
    pub(super) zip64: Option<&'a [u8]>,
}

/// Reads the extra fields of an entry with this name, and refuses those that make it something else than
/// the header says.
pub(super) fn read<'a>(name: &[u8], mut bytes: &'a [u8]) -> Result<Extra<'a>, Refusal> {
    let mut extra = Extra::default();
    let mut renamed = false;
    // Tools that align entries pad with zeros, and not by whole fields.
    while bytes.iter().any(|byte| *byte != 0) {
        let broken = || Refusal::corrupt(format!("an extra field of {} is not complete", shown(name)));
        let (head, rest) = bytes.split_first_chunk::<4>().ok_or_else(broken)?;
        let mut head = Fields(head);
        let (id, len) = (head.u16(), usize::from(head.u16()));
        let (body, rest) = rest.split_at_checked(len).ok_or_else(broken)?;
        bytes = rest;
        let twice = match id {
            ZIP64 => extra.zip64.replace(body).is_some(),
            UNICODE_PATH => std::mem::replace(&mut renamed, true),
            _ => false,
        };
        if twice {
            return Err(Refusal::corrupt(format!("{} has one extra field twice", shown(name))));
        }
        match id {
            STRONG_ENCRYPTION | AES => return Err(Refusal::Encrypted { what: shown(name) }),
            UNICODE_PATH => same_name(name, body)?,
            PKWARE_UNIX if body.len() > PKWARE_UNIX_BYTES => {
                return Err(Refusal::Link { entry: shown(name) });
            }
            ASI_UNIX => asi_unix(name, body)?,
            _ => {}
        }
    }
    Ok(extra)
}

/// Some readers take the name from this field, others from the header.
fn same_name(name: &[u8], body: &[u8]) -> Result<(), Refusal> {
    // One byte of version and the checksum of the name in the header come first.
    if body.get(5..) != Some(name) {
        let why = "is another one in its Unicode path field".to_owned();
        return Err(Refusal::BadName { entry: shown(name), why });
    }
    Ok(())
}

fn asi_unix(name: &[u8], body: &[u8]) -> Result<(), Refusal> {
    let mode = Fields(body.get(4..).unwrap_or_default()).u16();
    special(name, mode)?;
    if body.len() > ASI_UNIX_BYTES {
        return Err(Refusal::Link { entry: shown(name) });
    }
    Ok(())
}

/// Refuses a Unix mode that is neither that of a file nor that of a directory. No type at all is a file.
pub(super) fn special(name: &[u8], mode: u16) -> Result<(), Refusal> {
    let kind = match mode >> 12 {
        0 | 0o04 | 0o10 => return Ok(()),
        0o12 => return Err(Refusal::Link { entry: shown(name) }),
        0o01 => "fifo",
        0o02 => "character device",
        0o06 => "block device",
        0o14 => "socket",
        _ => "file of unknown type",
    };
    Err(Refusal::Device { entry: shown(name), kind })
}
