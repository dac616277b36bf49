//! Archives whose records lie, contradict each other or hide something.

use super::{
    super::build::{Descriptor, directory, entry, field, stored, zip},
    Hostile,
};

pub fn hostile() -> Vec<Hostile> {
    [ends(), hidden(), headers(), overlaps()].concat()
}

fn plain() -> Vec<u8> {
    zip([entry("a.txt", "some words"), stored("b.txt", "more words")]).bytes()
}

fn cut(by: usize) -> Vec<u8> {
    let mut bytes = plain();
    bytes.truncate(bytes.len() - by);
    bytes
}

fn ends() -> Vec<Hostile> {
    let base = zip([entry("a.txt", "some words"), stored("b.txt", "more words")]);
    let wide = base.clone().with(|z| z.zip64 = true);
    vec![
        ("no bytes", Vec::new(), "empty"),
        ("no entries", zip([]).bytes(), "empty"),
        ("directories only", zip([directory("a/"), directory("a/b/")]).bytes(), "empty"),
        ("text", b"This is a text that ends with .zip".to_vec(), "not_a_zip"),
        ("gzip", [&[0x1f, 0x8b, 8, 0][..], &[7; 300]].concat(), "not_a_zip"),
        ("first bytes alone", b"PK\x03\x04".to_vec(), "truncated"),
        ("without the last byte", cut(1), "truncated"),
        ("without the end record", cut(22), "truncated"),
        ("half of it", plain()[..40].to_vec(), "truncated"),
        (
            "comment cut off",
            base.clone().with(|z| (z.comment, z.comment_len) = (b"short".to_vec(), Some(500))).bytes(),
            "truncated",
        ),
        ("second disk", base.clone().with(|z| z.disk = 1).bytes(), "multi_disk"),
        ("directory on another disk", base.clone().with(|z| z.directory_disk = 1).bytes(), "multi_disk"),
        ("entries on another disk", base.clone().with(|z| z.entries_here = Some(1)).bytes(), "multi_disk"),
        ("two zip64 disks", wide.clone().with(|z| z.zip64_disks = 2).bytes(), "multi_disk"),
        ("entry on another disk", zip([entry("a", "x").with(|e| e.disk = 1)]).bytes(), "multi_disk"),
        ("split archive", [b"PK\x07\x08", &plain()[..]].concat(), "multi_disk"),
        ("one entry hidden", base.clone().with(|z| z.count = Some(1)).bytes(), "corrupt"),
        ("one entry invented", base.clone().with(|z| z.count = Some(3)).bytes(), "corrupt"),
        ("directory too long", base.clone().with(|z| z.directory_len = Some(9999)).bytes(), "corrupt"),
        (
            "directory at the end of 32 bits",
            base.clone().with(|z| z.directory_at = Some(u32::MAX)).bytes(),
            "corrupt",
        ),
        ("directory too short", base.clone().with(|z| z.directory_len = Some(40)).bytes(), "polyglot"),
        ("zip64 record far away", wide.clone().with(|z| z.zip64_at = Some(u64::MAX - 8)).bytes(), "corrupt"),
        ("zip64 record elsewhere", wide.clone().with(|z| z.zip64_at = Some(0)).bytes(), "corrupt"),
        (
            "end records of two opinions",
            wide.clone().with(|z| (z.count, z.entries_here) = (Some(1), Some(1))).bytes(),
            "polyglot",
        ),
        (
            "zip64 with 2^60 entries",
            wide.clone().with(|z| z.zip64_count = Some(1 << 60)).bytes(),
            "bomb_entries",
        ),
        ("encrypted directory", wide.with(|z| z.zip64_more = vec![1; 28]).bytes(), "encrypted"),
        (
            "extra field cut off",
            zip([entry("a", "x").with(|e| e.extra = vec![1, 2, 9, 9, 0])]).bytes(),
            "corrupt",
        ),
        (
            "zip64 field twice",
            zip([entry("a", "x").with(|e| e.extra = [field(1, &[0; 8]), field(1, &[9; 8])].concat())])
                .bytes(),
            "corrupt",
        ),
    ]
}

fn hidden() -> Vec<Hostile> {
    let base = zip([entry("a.txt", "some words"), stored("b.txt", "more words")]);
    let other = zip([entry("evil.txt", "other words")]).bytes();
    vec![
        (
            "self-extracting",
            base.clone().with(|z| z.before = b"MZ\x90\0 program".to_vec()).bytes(),
            "polyglot",
        ),
        (
            "self-extracting with true positions",
            base.clone().with(|z| (z.before, z.shifted) = (b"\x7fELF program".to_vec(), true)).bytes(),
            "polyglot",
        ),
        (
            "picture before",
            base.clone().with(|z| z.before = b"\x89PNG\r\n\x1a\n".to_vec()).bytes(),
            "polyglot",
        ),
        ("archive before", [&other[..], &plain()].concat(), "polyglot"),
        (
            "archive before with true positions",
            base.clone().with(|z| (z.before, z.shifted) = (other.clone(), true)).bytes(),
            "polyglot",
        ),
        ("bytes after", base.clone().with(|z| z.after = b"hidden".to_vec()).bytes(), "polyglot"),
        ("many bytes after", base.clone().with(|z| z.after = vec![7; 90_000]).bytes(), "truncated"),
        ("archive in the comment", base.clone().with(|z| z.comment = other.clone()).bytes(), "polyglot"),
        (
            "mark of an end record in the comment",
            base.clone()
                .with(|z| z.comment = b"see PK\x05\x06, which is no record of its own".to_vec())
                .bytes(),
            "polyglot",
        ),
        (
            "bytes before the directory",
            base.clone().with(|z| z.before_directory = b"hidden".to_vec()).bytes(),
            "polyglot",
        ),
        (
            "bytes after the directory",
            base.clone().with(|z| z.after_directory = b"hidden".to_vec()).bytes(),
            "polyglot",
        ),
        (
            "bytes between entries",
            zip([entry("a", "x"), entry("b", "y").with(|e| e.gap = vec![0; 40])]).bytes(),
            "polyglot",
        ),
        (
            "entry that is not in the directory",
            zip([entry("a", "x"), entry("hidden", "y").with(|e| e.in_directory = false), entry("b", "z")])
                .bytes(),
            "polyglot",
        ),
        (
            "first entry that is not in the directory",
            zip([entry("hidden", "y").with(|e| e.in_directory = false), entry("a", "x")]).bytes(),
            "polyglot",
        ),
        (
            "encrypted directory record",
            marked(zip([entry("a", "x")]).bytes(), b"PK\x01\x02", b"PK\x06\x08"),
            "encrypted",
        ),
    ]
}

/// With the first of these marks as another one.
fn marked(mut bytes: Vec<u8>, from: &[u8; 4], to: &[u8; 4]) -> Vec<u8> {
    if let Some(at) = bytes.windows(4).position(|w| w == from) {
        bytes[at..at + 4].copy_from_slice(to);
    }
    bytes
}

fn headers() -> Vec<Hostile> {
    let a = || entry("a.txt", "some words");
    let one =
        |change: &dyn Fn(&mut super::super::build::Entry)| zip([a().with(change), stored("b", "")]).bytes();
    let streamed = || a().streamed(Descriptor::Marked);
    vec![
        (
            "other name in the local header",
            one(&|e| e.local_name = Some(b"evil.".to_vec())),
            "header_mismatch",
        ),
        (
            "longer name in the local header",
            one(&|e| e.local_name = Some(b"../../evil".to_vec())),
            "header_mismatch",
        ),
        ("other method in the local header", one(&|e| e.local_method = Some(0)), "header_mismatch"),
        ("other size in the local header", one(&|e| e.local_size = Some(3)), "header_mismatch"),
        ("other packed size in the local header", one(&|e| e.local_compressed = Some(3)), "header_mismatch"),
        ("other checksum in the local header", one(&|e| e.local_crc = Some(3)), "header_mismatch"),
        ("descriptor by the local header alone", one(&|e| e.local_flags = Some(8)), "header_mismatch"),
        ("encrypted by the local header alone", one(&|e| e.local_flags = Some(1)), "header_mismatch"),
        (
            "name of two encodings",
            zip([entry("caf\u{e9}", "x").with(|e| (e.flags, e.local_flags) = (1 << 11, Some(0)))]).bytes(),
            "header_mismatch",
        ),
        ("declared smaller than it is", one(&|e| e.size = Some(3)), "header_mismatch"),
        ("declared larger than it is", one(&|e| e.size = Some(3000)), "header_mismatch"),
        (
            "descriptor with another mark",
            marked(zip([streamed()]).bytes(), b"PK\x07\x08", b"PK\x07\x09"),
            "header_mismatch",
        ),
        (
            "descriptor with another size",
            marked(
                zip([stored("a", "word").streamed(Descriptor::Bare)]).bytes(),
                b"\x04\0\0\0",
                b"\x05\0\0\0",
            ),
            "header_mismatch",
        ),
        (
            "descriptor promised and not there",
            zip([streamed().with(|e| e.descriptor = None)]).bytes(),
            "header_mismatch",
        ),
        (
            "descriptor nobody spoke of",
            zip([a().with(|e| e.descriptor = Some(Descriptor::Marked))]).bytes(),
            "polyglot",
        ),
        (
            "stored of two sizes",
            zip([stored("a", "words").with(|e| e.size = Some(4))]).bytes(),
            "header_mismatch",
        ),
        ("directory with content", zip([stored("a/", "words"), entry("b", "x")]).bytes(), "header_mismatch"),
        (
            "directory by mode, file by name",
            zip([stored("a", "").with(|e| e.attributes = 0o040_755 << 16), entry("b", "x")]).bytes(),
            "header_mismatch",
        ),
        (
            "directory by DOS attribute, file by name",
            zip([stored("a", "x").with(|e| (e.attributes, e.made_by) = (0x10, 20))]).bytes(),
            "header_mismatch",
        ),
        ("encrypted", one(&|e| e.flags = 1), "encrypted"),
        ("strongly encrypted", one(&|e| e.flags = 1 << 6), "encrypted"),
        ("masked headers", one(&|e| e.flags = 1 << 13), "encrypted"),
        ("AES by method", one(&|e| e.method = 99), "encrypted"),
        ("AES by extra field", one(&|e| e.extra = field(0x9901, b"\x02\0AE\x03\x08\0")), "encrypted"),
        (
            "strong encryption in the local header",
            one(&|e| e.local_extra = field(0x17, &[0; 8])),
            "encrypted",
        ),
    ]
}

fn overlaps() -> Vec<Hostile> {
    // The second entry lies inside the stored data of the first one.
    let inner = zip([stored("inner", "words")]).bytes();
    let inner = &inner[..30 + 5 + 5];
    vec![
        (
            "two names for the same bytes",
            zip([
                stored("a", "words"),
                stored("a", "words").with(|e| {
                    (e.in_file, e.at, e.name) = (false, Some(0), b"b".to_vec());
                }),
            ])
            .bytes(),
            "overlapping_entries",
        ),
        (
            "entry inside another one",
            zip([
                stored("outer", inner),
                stored("inner", "words").with(|e| (e.in_file, e.at) = (false, Some(35))),
            ])
            .bytes(),
            "overlapping_entries",
        ),
        (
            "data that reaches into the next entry",
            zip([
                stored("a", "words").with(|e| (e.size, e.compressed) = (Some(20), Some(20))),
                stored("b", "words"),
            ])
            .bytes(),
            "overlapping_entries",
        ),
        (
            "data that reaches into the directory",
            zip([stored("a", "words").with(|e| (e.size, e.compressed) = (Some(20), Some(20)))]).bytes(),
            "overlapping_entries",
        ),
        (
            "entry in the directory",
            zip([stored("a", "words"), stored("b", "words").with(|e| (e.in_file, e.at) = (false, Some(40)))])
                .bytes(),
            "overlapping_entries",
        ),
        (
            "entry behind the file",
            zip([
                stored("a", "words"),
                stored("b", "words").with(|e| (e.in_file, e.at) = (false, Some(1 << 30))),
            ])
            .bytes(),
            "overlapping_entries",
        ),
        (
            "entry at the end of 64 bits",
            zip([
                stored("a", "words"),
                stored("b", "words").with(|e| (e.in_file, e.zip64, e.at) = (false, true, Some(u64::MAX - 3))),
            ])
            .bytes(),
            "overlapping_entries",
        ),
        (
            "no header at the position",
            zip([
                stored("a", "a long text without a header in it, to be stored").with(|e| {
                    e.local_extra = field(0xCAFE, &[0; 60]);
                }),
                stored("b", "").with(|e| (e.in_file, e.at) = (false, Some(100))),
            ])
            .with(|z| z.entries[0].compressed = Some(5))
            .with(|z| z.entries[0].size = Some(5))
            .bytes(),
            "corrupt",
        ),
    ]
}
