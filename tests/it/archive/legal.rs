//! What honest packers write passes, however unusual it is.

use std::io::{Cursor, Write};

use productforge::archive::{Archive, Contents, Limits};
use zip::{ZipWriter, write::SimpleFileOptions};

use super::{
    build::{Descriptor, Zip, directory, entry, field, stored, unicode_path, zip as archive},
    file, inspected,
};

/// Accepted, and each file has the content that the entry was made of.
fn passes(what: &str, zip: &Zip) -> Contents {
    let bytes = zip.bytes();
    let file = file(&bytes);
    let contents =
        inspected(&bytes, &Limits::default()).unwrap_or_else(|refusal| panic!("{what}: {refusal}"));
    let open = Archive::open(file.path(), contents.clone()).expect(what);
    let files: Vec<_> = zip.entries.iter().filter(|entry| !entry.name.ends_with(b"/")).collect();
    assert_eq!(open.members().len(), files.len(), "{what}");
    for entry in files {
        let name = str::from_utf8(&entry.name).expect("names that pass are UTF-8");
        assert_eq!(open.read(name, u64::MAX).expect(what), entry.data, "{what}: {name}");
    }
    contents
}

#[test]
fn stored_deflated_and_directories() {
    let contents = passes(
        "all kinds",
        &archive([
            directory("project/"),
            entry("project/a.txt", "some words, some words, some words"),
            stored("project/b.bin", [0, 1, 2, 255]),
            directory("project/empty/"),
            entry("project/nothing", ""),
            stored("project/nothing stored", ""),
        ]),
    );
    assert_eq!(contents.root(), Some("project"));
    assert_eq!(contents.total_bytes, 34 + 4);
    let paths: Vec<_> = contents.members().iter().map(|member| member.path.as_str()).collect();
    assert_eq!(paths, ["project/a.txt", "project/b.bin", "project/nothing", "project/nothing stored"]);
}

#[test]
fn a_root_is_one_folder_for_all() {
    assert_eq!(passes("one file", &archive([entry("a", "x")])).root(), None);
    assert_eq!(passes("a file beside", &archive([entry("d/a", "x"), entry("z", "x")])).root(), None);
    assert_eq!(passes("two folders", &archive([entry("d/a", "x"), entry("da/a", "x")])).root(), None);
}

#[test]
fn descriptors_of_every_form() {
    for (name, descriptor) in [
        ("marked", Descriptor::Marked),
        ("bare", Descriptor::Bare),
        ("marked 64", Descriptor::Marked64),
        ("bare 64", Descriptor::Bare64),
    ] {
        let known = |e: &mut super::build::Entry| {
            (e.local_crc, e.local_size, e.local_compressed) = (None, None, None);
        };
        passes(
            name,
            &archive([
                entry("a", "some words").streamed(descriptor),
                stored("b", "some words").streamed(descriptor),
                entry("c", "some words").streamed(descriptor).with(known),
                stored("d", "").streamed(descriptor),
                entry("e", "words").streamed(descriptor).with(|e| e.zip64 = true),
            ]),
        );
    }
    let flag_alone = stored("d/", "").streamed(Descriptor::Bare).with(|e| e.descriptor = None);
    passes("flag of an empty entry", &archive([flag_alone, entry("a", "x")]));
}

#[test]
fn zip64_in_any_place() {
    let entries = || [entry("a", "some words"), stored("b", "more words")];
    passes("end record", &archive(entries()).with(|z| z.zip64 = true));
    passes("entries", &archive(entries().map(|e| e.with(|e| e.zip64 = true))));
    passes("both", &archive(entries().map(|e| e.with(|e| e.zip64 = true))).with(|z| z.zip64 = true));
    let same = archive(entries()).with(|z| {
        z.zip64 = true;
        (z.count, z.entries_here) = (Some(2), Some(2));
    });
    passes("end record that repeats the count", &same);
}

#[test]
fn names_of_the_world() {
    let flagged = |name: &str| entry(name, "x").with(|e| e.flags = 1 << 11);
    passes(
        "UTF-8",
        &archive([
            flagged("資料/報告.txt"),
            flagged("مجلد/ملف.txt"),
            flagged("עברית.txt"),
            flagged("cafe\u{301}.txt"),
            flagged("\u{1F469}\u{200D}\u{1F4BB}.md"),
            flagged("何：故／？.txt"),
        ]),
    );
    passes("UTF-8 without the flag, as macOS does", &archive([entry("caf\u{e9}.txt", "x")]));
    passes(
        "flag on one side of an ASCII name",
        &archive([flagged("a.txt").with(|e| e.local_flags = Some(0))]),
    );
    passes(
        "same Unicode path",
        &archive([entry("caf\u{e9}", "x").with(|e| {
            e.extra = unicode_path(&e.name, &e.name);
            e.local_extra.clone_from(&e.extra);
        })]),
    );
    passes(
        "odd but harmless",
        &archive(
            [
                "..a",
                "a..",
                "...b/c",
                ".gitignore",
                "-rf",
                "a b",
                " leading",
                "[...slug].js",
                "$HOME",
                "~",
                "%2e%2e",
                "aux.c",
                "con.rs",
                "console",
                "com",
                "com10",
                "null",
                "a'b\"c",
                "*?<>|",
                "CON1",
            ]
            .map(|name| entry(name, "x")),
        ),
    );
    passes("neighbours in order", &archive(["a-b", "a/b", "a.b", "a b", "ab", "a0"].map(|n| entry(n, "x"))));
}

#[test]
fn comments_extra_fields_and_modes() {
    let times = field(0x5455, &[3, 1, 2, 3, 4, 5, 6, 7, 8]);
    let owner = field(0x7875, &[1, 4, 1, 0, 0, 0, 4, 1, 0, 0, 0]);
    passes(
        "extra fields",
        &archive([
            entry("jar", "x").with(|e| e.local_extra = field(0xCAFE, &[])),
            entry("info-zip", "x").with(|e| {
                e.extra = [times.clone(), owner.clone()].concat();
                e.local_extra = [owner.clone(), times.clone()].concat();
            }),
            entry("aligned", "x").with(|e| e.local_extra = vec![0; 3]),
            entry("aligned more", "x").with(|e| e.local_extra = [times.clone(), vec![0; 4095]].concat()),
            entry("pkware unix", "x").with(|e| e.extra = field(0x000d, &[9; 12])),
            entry("asi unix", "x")
                .with(|e| e.extra = field(0x756e, &[0, 0, 0, 0, 0xa4, 0x81, 0, 0, 0, 0, 0, 0, 0, 0])),
        ]),
    );
    let comment = archive([entry("a", "x").with(|e| e.comment = b"of the entry".to_vec())]);
    passes("comments", &comment.clone().with(|z| z.comment = vec![b'c'; 0xFFFF]));
    passes(
        "comment of a code host",
        &comment.with(|z| z.comment = b"0123456789abcdef0123456789abcdef01234567".to_vec()),
    );
    passes(
        "attributes",
        &archive([
            entry("dos", "x").with(|e| (e.made_by, e.attributes) = (20, 0x20)),
            entry("none", "x").with(|e| e.attributes = 0),
            entry("executable", "x").with(|e| e.attributes = 0o100_755 << 16),
            entry("without type", "x").with(|e| e.attributes = 0o600 << 16),
            stored("directory of a mode/", "").with(|e| e.attributes = 0o100_644 << 16),
            entry("packed directory/", ""),
        ]),
    );
}

#[test]
fn entries_in_another_order_than_the_directory() {
    let [a, b] = [stored("a", "words"), stored("b", "words")];
    let other = archive([
        a.clone().with(|e| e.in_directory = false),
        b,
        a.with(|e| (e.in_file, e.at) = (false, Some(0))),
    ]);
    let contents = inspected(&other.bytes(), &Limits::default()).expect("the order is free");
    assert_eq!(contents.members().len(), 2);
}

#[test]
fn small_files_of_zeros_and_archives_inside() {
    passes("zeros", &archive([entry("zeros", vec![0; 4 << 20]), entry("more", vec![0; 1000])]));
    let inner = archive([entry("a", "x"), entry("word/document.xml", "<x/>")]);
    let empty = archive([]);
    let contents = passes(
        "archives",
        &archive([
            entry("text.docx", inner.bytes()),
            stored("lib.jar", inner.clone().with(|z| z.zip64 = true).bytes()),
            stored("empty.zip", empty.bytes()),
            entry("large.zip", archive([stored("noise", noise(700_000))]).bytes()),
            entry("no archive.zip", "a text"),
            entry("magic", b"PK\x03\x04"),
        ]),
    );
    let archives: Vec<_> = contents.members().iter().filter(|m| m.archive).map(|m| m.path.as_str()).collect();
    assert_eq!(archives, ["empty.zip", "large.zip", "lib.jar", "text.docx"]);
    assert!(contents.inspected_bytes > contents.total_bytes + 700_000);
}

/// Bytes that do not compress.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    })
    .take(len)
    .collect()
}

#[test]
fn archives_of_another_packer() {
    let options = SimpleFileOptions::default();
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.add_directory("d", options).expect("a directory");
    for (name, options) in [
        ("d/deflated", options.compression_method(zip::CompressionMethod::Deflated)),
        ("d/stored", options.compression_method(zip::CompressionMethod::Stored)),
        ("d/large", options.large_file(true)),
        ("d/executable", options.unix_permissions(0o755)),
        ("d/\u{e9}", options),
    ] {
        writer.start_file(name, options).expect("a file");
        writer.write_all(name.repeat(100).as_bytes()).expect("its content");
    }
    writer.set_comment("a comment").expect("a comment");
    let bytes = writer.finish().expect("an archive").into_inner();
    let contents = inspected(&bytes, &Limits::default()).expect("accepted");
    assert_eq!(contents.members().len(), 5);

    let mut stream = ZipWriter::new_stream(Vec::new());
    stream.start_file("streamed", options).expect("a file");
    stream.write_all(b"content").expect("its content");
    let bytes = stream.finish().expect("an archive").into_inner();
    inspected(&bytes, &Limits::default()).expect("accepted as well");
}
