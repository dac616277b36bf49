//! Hostile names and kinds of entries.

use super::{
    super::build::{directory, entry, field, special, stored, unicode_path, zip},
    Hostile,
};

/// An archive of harmless files with these names.
fn named(names: &[&str]) -> Vec<u8> {
    zip(names.iter().map(|name| if name.ends_with('/') { directory(name) } else { entry(name, "content") }))
        .bytes()
}

fn raw(name: &[u8], flags: u16) -> Vec<u8> {
    zip([stored(name, "content").with(|e| e.flags = flags)]).bytes()
}

pub fn hostile() -> Vec<Hostile> {
    let long = "a".repeat(5000);
    let deep = "d/".repeat(100) + "file";
    let asi = |mode: u16, link: &str| {
        let body = [&[0; 4][..], &mode.to_le_bytes(), &[0; 8], link.as_bytes()].concat();
        zip([entry("plain", "content").with(|e| e.local_extra = field(0x756e, &body))]).bytes()
    };
    vec![
        ("parent", named(&["../evil"]), "traversal"),
        ("parent inside", named(&["ok/../../evil"]), "traversal"),
        ("parent at the end", named(&["ok/.."]), "traversal"),
        ("parent as a directory", named(&["../"]), "traversal"),
        ("parent after good files", named(&["a", "b", "c/d", "../../../etc/passwd"]), "traversal"),
        ("parent with a space that Windows drops", named(&["ok/.. /evil"]), "traversal"),
        ("parent as one character", named(&["ok/\u{2025}/evil"]), "traversal"),
        ("parent with an invisible character", named(&["ok/.\u{200B}./evil"]), "traversal"),
        ("parent in full-width dots", named(&["ok/\u{FF0E}\u{FF0E}/evil"]), "traversal"),
        ("absolute", named(&["/etc/passwd"]), "absolute_path"),
        ("root alone", named(&["/"]), "absolute_path"),
        ("drive", named(&["C:/Windows/evil"]), "drive_path"),
        ("drive without a slash", named(&["c:evil"]), "drive_path"),
        ("drive and backslashes", named(&["C:\\Windows\\evil"]), "drive_path"),
        ("share", named(&["\\\\server\\share\\evil"]), "drive_path"),
        ("share with slashes", named(&["//server/share/evil"]), "drive_path"),
        ("backslash parent", named(&["ok\\..\\..\\evil"]), "drive_path"),
        ("backslash in a name", named(&["ok\\file"]), "drive_path"),
        ("stream of a file", named(&["file.txt::$DATA"]), "drive_path"),
        ("empty name", named(&[""]), "bad_name"),
        ("empty part", named(&["a//b"]), "bad_name"),
        ("here", named(&["./a"]), "bad_name"),
        ("dots alone", named(&["a/.../b"]), "bad_name"),
        ("space alone", named(&["a/ /b"]), "bad_name"),
        ("device name", named(&["a/NUL"]), "bad_name"),
        ("numbered device name", named(&["com1/a"]), "bad_name"),
        ("zero byte", named(&["good.txt\0.exe"]), "bad_name"),
        ("line break", named(&["a\nb"]), "bad_name"),
        ("terminal escape", named(&["a\u{1b}[2Jb"]), "bad_name"),
        ("C1 control", named(&["a\u{9b}b"]), "bad_name"),
        ("right to left", named(&["photo\u{202E}gpj.exe"]), "bad_name"),
        ("isolate", named(&["a\u{2066}b"]), "bad_name"),
        ("long name", named(&[&long]), "bad_name"),
        ("deep name", named(&[&deep]), "bad_name"),
        ("not UTF-8", raw(b"caf\x82.txt", 0), "bad_name"),
        ("not UTF-8 but flagged", raw(b"caf\xe9.txt", 1 << 11), "bad_name"),
        ("overlong slash", raw(b"..\xc0\xafevil", 1 << 11), "bad_name"),
        ("surrogates", raw(b"\xed\xa0\x80", 1 << 11), "bad_name"),
        (
            "other Unicode path",
            zip([entry("good.txt", "x").with(|e| e.extra = unicode_path(b"good.txt", b"../evil"))]).bytes(),
            "bad_name",
        ),
        (
            "other Unicode path in the local header",
            zip([entry("good.txt", "x").with(|e| e.local_extra = unicode_path(b"good.txt", b"evil.txt"))])
                .bytes(),
            "bad_name",
        ),
        ("same name twice", named(&["a", "b", "a"]), "duplicate_name"),
        ("same directory twice", named(&["a/", "a/", "a/b"]), "duplicate_name"),
        ("names that differ by case", named(&["src/Main.rs", "src/main.rs"]), "colliding_names"),
        ("directories that differ by case", named(&["Src/a", "src/b"]), "colliding_names"),
        ("composed and decomposed", named(&["caf\u{e9}", "cafe\u{301}"]), "colliding_names"),
        ("compatibility forms", named(&["\u{fb01}le", "file"]), "colliding_names"),
        ("Kelvin sign", named(&["\u{212A}.txt", "k.txt"]), "colliding_names"),
        ("sharp s", named(&["stra\u{df}e", "STRASSE"]), "colliding_names"),
        ("sigma at the end", named(&["\u{3bf}\u{3c2}", "\u{39f}\u{3a3}"]), "colliding_names"),
        ("invisible character", named(&["a\u{200D}b", "ab"]), "colliding_names"),
        ("dot at the end", named(&["a.", "a"]), "colliding_names"),
        ("space at the end", named(&["d /a", "d/b"]), "colliding_names"),
        ("file and directory", named(&["a", "a/b"]), "colliding_names"),
        ("file and directory with names between", named(&["a/b/c", "a!", "a-", "a/b"]), "colliding_names"),
        ("file and directory by case", named(&["LIB", "lib/x"]), "colliding_names"),
        ("file and empty directory", named(&["a", "a/"]), "colliding_names"),
        ("link", zip([special("link", 0o120_777, "/etc/passwd")]).bytes(), "link"),
        (
            "link and a file through it",
            zip([special("out", 0o120_777, "/tmp"), entry("out/evil", "x")]).bytes(),
            "link",
        ),
        (
            "link made on another system",
            zip([special("link", 0o120_777, "..").with(|e| e.made_by = 20)]).bytes(),
            "link",
        ),
        ("link in an ASi field", asi(0o120_777, "/etc/passwd"), "link"),
        ("link target in an ASi field", asi(0o100_644, "/etc/passwd"), "link"),
        (
            "link in a PKWARE field",
            zip([entry("link", "x").with(|e| e.extra = field(0x000d, b"0123456789ab/etc/passwd"))]).bytes(),
            "link",
        ),
        ("fifo", zip([special("fifo", 0o010_644, "")]).bytes(), "device"),
        ("socket", zip([special("socket", 0o140_644, "")]).bytes(), "device"),
        ("block device", zip([special("sda", 0o060_644, "")]).bytes(), "device"),
        ("character device", zip([special("null", 0o020_644, "")]).bytes(), "device"),
        ("device in an ASi field", asi(0o020_644, ""), "device"),
        ("unknown type", zip([special("what", 0o170_644, "")]).bytes(), "device"),
    ]
}
