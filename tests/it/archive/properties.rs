//! Whatever the bytes are: no panic, and nothing accepted that another reader understands otherwise.

use std::io::{Cursor, Read};

use productforge::archive::{Archive, Limits};
use proptest::{collection::vec, prelude::*, sample::Index};

use super::{
    build::{Descriptor, Entry, Zip, directory, entry, stored, zip},
    file, inspected,
};

type Files = Vec<(String, Vec<u8>)>;

/// All files as the inspected archive gives them, if it is accepted.
fn ours(bytes: &[u8]) -> Option<Files> {
    let limits = Limits { total_bytes: 1 << 20, ..Limits::default() };
    let contents = inspected(bytes, &limits).ok()?;
    let file = file(bytes);
    let archive = Archive::open(file.path(), contents).expect("what is accepted opens");
    let read = |path: &str| archive.read(path, 1 << 20).expect("what is accepted is read");
    Some(archive.members().iter().map(|member| (member.path.clone(), read(&member.path))).collect())
}

/// All files as another reader gives them.
fn theirs(bytes: &[u8]) -> Files {
    let mut archive = ::zip::ZipArchive::new(Cursor::new(bytes)).expect("the other reader opens it");
    let mut files = Files::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).expect("an entry");
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("its content");
        if entry.is_file() {
            let name = entry.name().expect("its name").into_owned();
            files.push((name, content));
        }
    }
    files.sort();
    files
}

fn sample() -> Zip {
    let inner = zip([entry("inner.txt", "words inside")]).bytes();
    zip([
        directory("d/"),
        entry("d/a.txt", "some words, some words, some words"),
        stored("d/b.bin", [0, 1, 2, 255]),
        entry("d/c", "streamed words").streamed(Descriptor::Marked),
        stored("e.zip", inner),
        entry("wide", "words").with(|e| e.zip64 = true),
    ])
    .with(|z| (z.zip64, z.comment) = (true, b"comment".to_vec()))
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let name = "(d/)?[a-dA-B]{1,2}(/|/\\.)?";
    let one = (name, vec(any::<u8>(), 0..200), 0..8_usize, any::<bool>(), any::<bool>());
    let one = one.prop_map(|(name, data, descriptor, deflate, zip64)| {
        let forms = [Descriptor::Marked, Descriptor::Bare, Descriptor::Marked64, Descriptor::Bare64];
        let entry = if name.ends_with('/') { directory(name) } else { entry(name, data) };
        let entry = entry.with(|e| (e.method, e.zip64) = (if deflate { 8 } else { 0 }, zip64));
        match forms.get(descriptor) {
            Some(form) => entry.streamed(*form),
            None => entry,
        }
    });
    vec(one, 1..6)
}

/// A field of an entry and what it says instead of the truth.
fn lie() -> impl Strategy<Value = (Index, u8, u64)> {
    let value = prop_oneof![4 => 0..300_u64, 1 => Just(u64::from(u32::MAX)), 1 => any::<u64>()];
    (any::<Index>(), 0..14_u8, value)
}

fn tell(entries: &mut [Entry], (which, field, value): &(Index, u8, u64)) {
    let e = &mut entries[which.index(entries.len())];
    let value = *value;
    match field {
        0 => e.size = Some(value),
        1 => e.local_size = Some(value),
        2 => e.compressed = Some(value),
        3 => e.local_compressed = Some(value),
        4 => e.crc = Some(value as u32),
        5 => e.local_crc = Some(value as u32),
        6 => e.at = Some(value),
        7 => e.gap = vec![0; (value % 300) as usize],
        8 => e.in_directory = false,
        9 => e.in_file = false,
        10 => e.flags ^= 1 << (value % 16),
        11 => e.local_flags = Some(e.flags ^ (1 << (value % 16))),
        12 => e.extra = field_of(value),
        _ => e.local_extra = field_of(value),
    }
}

/// A zip64 field with whatever numbers.
fn field_of(value: u64) -> Vec<u8> {
    let len = (value % 4 * 8) as usize;
    super::build::field(1, &value.to_le_bytes().repeat(3)[..len])
}

/// A change of bytes: at a place, cut out or put in.
#[derive(Debug, Clone)]
enum Change {
    Set(Index, u8),
    Flip(Index, u8),
    Wide(Index, u32),
    Cut(Index, usize),
    Insert(Index, Vec<u8>),
    Copy(Index, Index, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let wide = prop_oneof![
        Just(0),
        Just(u32::MAX),
        Just(0xFFFF),
        any::<u32>(),
        Just(u32::from_le_bytes(*b"PK\x05\x06"))
    ];
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, to)| Change::Set(at, to)),
        (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        (any::<Index>(), wide).prop_map(|(at, to)| Change::Wide(at, to)),
        (any::<Index>(), 1..50_usize).prop_map(|(at, len)| Change::Cut(at, len)),
        (any::<Index>(), vec(any::<u8>(), 1..30)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (any::<Index>(), any::<Index>(), 1..100_usize)
            .prop_map(|(from, to, len)| Change::Copy(from, to, len)),
    ]
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    if bytes.is_empty() {
        return;
    }
    let len = bytes.len();
    match change {
        Change::Set(at, to) => bytes[at.index(len)] = *to,
        Change::Flip(at, bit) => bytes[at.index(len)] ^= 1 << bit,
        Change::Wide(at, to) => {
            let at = at.index(len);
            let end = (at + 4).min(len);
            bytes[at..end].copy_from_slice(&to.to_le_bytes()[..end - at]);
        }
        Change::Cut(at, most) => {
            let at = at.index(len);
            bytes.drain(at..(at + most).min(len));
        }
        Change::Insert(at, more) => {
            let at = at.index(len);
            bytes.splice(at..at, more.iter().copied());
        }
        Change::Copy(from, to, most) => {
            let (from, to) = (from.index(len), to.index(len));
            let piece = bytes[from..(from + most).min(len)].to_vec();
            bytes.splice(to..to, piece);
        }
    }
}

#[test]
fn truncations_never_pass() {
    let bytes = sample().bytes();
    assert!(ours(&bytes).is_some(), "the whole passes");
    for len in 0..bytes.len() {
        assert!(inspected(&bytes[..len], &Limits::default()).is_err(), "{len} of {} bytes", bytes.len());
    }
}

#[test]
fn no_single_byte_changes_the_content() {
    let bytes = sample().bytes();
    let expected = ours(&bytes).expect("the whole passes");
    for at in 0..bytes.len() {
        for to in [0, 1, b'/', 0x7F, 0xFF, bytes[at] ^ 1, bytes[at] ^ 8] {
            let mut changed = bytes.clone();
            changed[at] = to;
            if let Some(files) = ours(&changed) {
                assert_eq!(files, expected, "byte {at} as {to}");
            }
        }
    }
}

/// More cases than by default, since one takes less than a millisecond. PROPTEST_CASES sets the number.
fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig { cases: default.cases.saturating_mul(3), failure_persistence: None, ..default }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..600), front in any::<bool>(), end in any::<bool>()) {
        let mut bytes = bytes;
        if front {
            bytes.splice(0..0, *b"PK\x03\x04");
        }
        if end {
            bytes.extend(b"PK\x05\x06");
            bytes.extend([0; 18]);
        }
        prop_assert!(inspected(&bytes, &Limits::default()).is_err());
    }

    #[test]
    fn changes_never_pass_with_other_content(changes in vec(change(), 1..6)) {
        let mut bytes = sample().bytes();
        changes.iter().for_each(|change| apply(&mut bytes, change));
        if let Some(files) = ours(&bytes) {
            prop_assert_eq!(&files, &ours(&sample().bytes()).expect("the whole passes"));
            prop_assert_eq!(files, theirs(&bytes));
        }
    }

    #[test]
    fn what_passes_is_what_another_reader_sees(
        entries in entries(),
        lies in vec(lie(), 0..3),
        zip64 in any::<bool>(),
        comment in ".{0,20}",
    ) {
        let mut entries = entries;
        lies.iter().for_each(|lie| tell(&mut entries, lie));
        let bytes = zip(entries).with(|z| (z.zip64, z.comment) = (zip64, comment.into_bytes())).bytes();
        if let Some(files) = ours(&bytes) {
            prop_assert_eq!(files, theirs(&bytes));
        }
    }

    #[test]
    fn names_never_panic(name in "\\PC{0,30}", raw in vec(any::<u8>(), 0..30)) {
        let _ = inspected(&zip([entry(&name, "x"), entry(name.to_uppercase(), "y")]).bytes(), &Limits::default());
        if let Ok(contents) = inspected(&zip([entry(&raw, "x")]).bytes(), &Limits::default()) {
            let path = &contents.members()[0].path;
            prop_assert_eq!(path.as_bytes(), &raw[..]);
            prop_assert!(!path.starts_with('/') && path.split('/').all(|part| !matches!(part, "" | "." | "..")));
        }
    }
}
