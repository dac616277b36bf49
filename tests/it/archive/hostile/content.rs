//! Bombs, broken data and hostile archives inside archives.

use super::{
    super::build::{deflated, directory, entry, special, stored, zip},
    Hostile,
};

const MIB: usize = 1 << 20;

pub fn hostile() -> Vec<Hostile> {
    [bombs(), data(), nested()].concat()
}

/// An archive in as many archives.
fn wrapped(bytes: Vec<u8>, times: usize) -> Vec<u8> {
    (0..times).fold(bytes, |bytes, level| zip([entry(format!("level{level}.zip"), bytes)]).bytes())
}

fn bombs() -> Vec<Hostile> {
    let zeros = zip([entry("zeros", vec![0; 6 * MIB])]).bytes();
    let words = |name: String| stored(name, "");
    vec![
        ("file of zeros", zip([entry("zeros", vec![0; 9 * MIB])]).bytes(), "bomb_ratio"),
        (
            "many files of zeros",
            zip(["a", "b", "c"].map(|name| entry(name, vec![0; 3 * MIB]))).bytes(),
            "bomb_ratio",
        ),
        (
            "archives of zeros in an archive",
            zip([entry("a.zip", &zeros), entry("b.zip", &zeros)]).bytes(),
            "bomb_ratio",
        ),
        (
            "declared as a terabyte",
            zip([entry("a", "x").with(|e| (e.size, e.zip64) = (Some(1 << 40), true))]).bytes(),
            "bomb_size",
        ),
        (
            "declared as all there is",
            zip([entry("a", "x").with(|e| (e.size, e.zip64) = (Some(u64::MAX), true))]).bytes(),
            "bomb_size",
        ),
        (
            "declared together as more than the limit",
            zip((0..3).map(|n| {
                entry(format!("{n}"), "x").with(|e| {
                    (e.size, e.compressed) = (Some(200 << 20), Some(100 << 20));
                })
            }))
            .bytes(),
            "bomb_size",
        ),
        (
            "bomb declared as small",
            zip([entry("a", vec![0; 9 * MIB]).with(|e| e.size = Some(10))]).bytes(),
            "header_mismatch",
        ),
        (
            "many entries promised",
            zip([entry("a", "x")]).with(|z| z.count = Some(60_000)).bytes(),
            "bomb_entries",
        ),
        ("many entries", zip((0..20_001).map(|n| words(format!("{n}")))).bytes(), "bomb_entries"),
        (
            "many entries over several archives",
            zip((0..3)
                .map(|n| entry(format!("{n}.zip"), zip((0..7_000).map(|n| words(format!("{n}")))).bytes())))
            .bytes(),
            "bomb_entries",
        ),
        ("long names", zip((0..5_000).map(|n| words(format!("{n:01000}")))).bytes(), "bomb_entries"),
        ("nested too deep", wrapped(zip([entry("a", "x")]).bytes(), 3), "bomb_nesting"),
        ("nested far too deep", wrapped(zip([entry("a", "x")]).bytes(), 40), "bomb_nesting"),
    ]
}

fn data() -> Vec<Hostile> {
    let packed = |bytes: Vec<u8>| zip([entry("a", "some words").with(|e| e.packed = Some(bytes))]).bytes();
    let whole = deflated(b"some words");
    vec![
        ("wrong checksum", zip([entry("a", "words").with(|e| e.crc = Some(1))]).bytes(), "bad_checksum"),
        (
            "wrong checksum of stored data",
            zip([stored("a", "words").with(|e| e.crc = Some(1))]).bytes(),
            "bad_checksum",
        ),
        (
            "wrong checksum of a directory",
            zip([directory("d/").with(|e| e.crc = Some(1)), entry("a", "x")]).bytes(),
            "bad_checksum",
        ),
        ("other data", packed(deflated(b"same words")), "bad_checksum"),
        ("data cut off", packed(whole[..whole.len() - 3].to_vec()), "corrupt"),
        ("no data", packed(Vec::new()), "corrupt"),
        ("data that is no stream", packed(vec![0xFF; 30]), "corrupt"),
        ("bytes behind the stream", packed([&whole[..], b"hidden"].concat()), "corrupt"),
        ("second stream behind the stream", packed([&whole[..], &whole].concat()), "corrupt"),
        ("empty blocks without an end", packed([0, 0, 0, 0xFF, 0xFF].repeat(2000)), "corrupt"),
        ("bzip2", zip([entry("a", "x").with(|e| e.method = 12)]).bytes(), "unsupported_method"),
        ("zstd", zip([entry("a", "x").with(|e| e.method = 93)]).bytes(), "unsupported_method"),
        ("deflate64", zip([entry("a", "x").with(|e| e.method = 9)]).bytes(), "unsupported_method"),
        ("unknown method", zip([entry("a", "x").with(|e| e.method = 0xFFFF)]).bytes(), "unsupported_method"),
        ("patch", zip([entry("a", "x").with(|e| e.flags = 1 << 5)]).bytes(), "unsupported_method"),
    ]
}

fn nested() -> Vec<Hostile> {
    let link = zip([special("link", 0o120_777, "/etc")]).bytes();
    let parent = zip([entry("../evil", "x")]).bytes();
    let cut = zip([entry("a", "x")]).bytes()[..60].to_vec();
    vec![
        ("link in an archive inside", wrapped(link, 1), "link"),
        ("parent in an archive two levels inside", wrapped(parent.clone(), 2), "traversal"),
        ("archive inside under another name", zip([stored("picture.png", parent)]).bytes(), "traversal"),
        ("broken archive inside", zip([entry("a.zip", cut)]).bytes(), "truncated"),
        (
            "several things at once",
            zip([
                entry("good", "x"),
                special("/etc/link", 0o120_777, "x"),
                entry("..", "x").with(|e| e.flags = 1),
            ])
            .bytes(),
            "absolute_path",
        ),
    ]
}
