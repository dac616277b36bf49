//! Reading from inspected archives, also from those that changed afterwards.

use std::{fs, thread};

use productforge::archive::{Archive, Contents, Limits, ReadError, inspect};

use super::{
    build::{Zip, entry, stored, zip},
    file,
};

fn sample() -> Zip {
    zip([
        entry("d/deflated", "some words, ".repeat(20_000)),
        stored("d/stored", "some words"),
        entry("empty", ""),
        entry("exact", vec![7; 1 << 17]),
    ])
}

fn open(zip: &Zip) -> (tempfile::NamedTempFile, Archive) {
    let file = file(&zip.bytes());
    let contents = inspect(file.path(), &Limits::default()).expect("accepted");
    let archive = Archive::open(file.path(), contents).expect("it opens");
    (file, archive)
}

#[test]
fn files_are_read_whole() {
    let (_file, archive) = open(&sample());
    for entry in sample().entries {
        let path = str::from_utf8(&entry.name).expect("a text");
        assert_eq!(archive.read(path, entry.data.len() as u64).expect(path), entry.data);
    }
}

#[test]
fn what_is_not_there_or_too_large_is_an_error() {
    let (_file, archive) = open(&sample());
    for path in ["nothing", "d", "d/", "D/STORED", "", "../d/stored", "\u{202E}"] {
        assert!(matches!(archive.read(path, 1000), Err(ReadError::NotFound { .. })), "{path}");
    }
    let error = archive.read("d/stored", 9).expect_err("one byte too many");
    assert!(matches!(error, ReadError::TooLarge { size: 10, limit: 9, .. }), "{error}");
    assert!(error.to_string().contains("`d/stored`"), "{error}");
}

#[test]
fn threads_read_at_the_same_time() {
    let (_file, archive) = open(&sample());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5 {
                    assert_eq!(archive.read("d/deflated", 1 << 20).expect("read").len(), 240_000);
                    assert_eq!(archive.read("d/stored", 1 << 20).expect("read"), b"some words");
                }
            });
        }
    });
}

#[test]
fn contents_survive_being_stored() {
    let (file, archive) = open(&sample());
    let text = serde_json::to_string(archive.contents()).expect("a form");
    let contents: Contents = serde_json::from_str(&text).expect("and back");
    assert_eq!(&contents, archive.contents());
    let again = Archive::open(file.path(), contents).expect("it opens");
    assert_eq!(again.read("d/stored", 100).expect("read"), b"some words");
}

#[test]
fn a_changed_file_is_noticed() {
    let (file, archive) = open(&sample());
    let bytes = sample().bytes();
    let contents = archive.contents().clone();

    // Each byte of the entry: the header, the name, the data.
    let header = bytes.windows(8).position(|w| w == b"d/stored").expect("its local header") - 30;
    for at in header..header + 30 + 8 + 10 {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        fs::write(file.path(), &changed).expect("written");
        match archive.read("d/stored", 100) {
            Ok(content) => assert_eq!(content, b"some words", "byte {}", at - header),
            Err(error) => {
                assert!(matches!(error, ReadError::Changed { .. }), "byte {}: {error}", at - header)
            }
        }
    }

    fs::write(file.path(), &bytes[..100]).expect("written");
    assert!(matches!(archive.read("d/stored", 100), Err(ReadError::Changed { .. })));
    assert!(matches!(Archive::open(file.path(), contents.clone()), Err(ReadError::Changed { .. })));

    fs::write(file.path(), vec![0; bytes.len()]).expect("written");
    let zeros = Archive::open(file.path(), contents).expect("it has its length");
    assert!(matches!(zeros.read("d/stored", 100), Err(ReadError::Changed { .. })));
}

#[test]
fn a_forged_record_of_contents_does_no_harm() {
    let (file, archive) = open(&sample());
    let honest = serde_json::to_value(archive.contents()).expect("a form");
    for (field, value) in [
        ("at", u64::MAX.into()),
        ("at", 1.into()),
        ("size", u64::MAX.into()),
        ("size", 1_u64.into()),
        ("compressed_size", u64::MAX.into()),
        ("compressed_size", 0.into()),
        ("deflated", true.into()),
        ("crc32", 1.into()),
        ("path", serde_json::Value::from("exact ")),
    ] {
        let mut forged = honest.clone();
        forged["members"][1][field] = value;
        let contents: Contents = serde_json::from_value(forged).expect("of the same form");
        let path = contents.members()[1].path.clone();
        let forged = Archive::open(file.path(), contents).expect("it opens");
        assert!(forged.read(&path, u64::MAX).is_err(), "{field}");
    }
}
