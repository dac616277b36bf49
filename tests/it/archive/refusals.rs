//! Each hostile archive is refused for its reason, in words that can be shown.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use productforge::archive::{Limits, Refusal};

use super::{
    build::{directory, entry, stored, zip},
    hostile::hostile,
    inspected,
};

#[test]
fn hostile_archives_are_refused_for_their_reason_in_plain_words() {
    let wrong: Vec<String> = hostile()
        .iter()
        .filter_map(|(name, bytes, reason)| match inspected(bytes, &Limits::default()) {
            Ok(_) => Some(format!("{name}: accepted, not {reason}")),
            Err(refusal) if refusal.reason() != *reason => {
                Some(format!("{name}: not {reason} but {refusal}"))
            }
            Err(refusal) => {
                let message = refusal.to_string();
                (!plain(&message)).then(|| format!("{name}: {message:?}"))
            }
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Short, in one line, and without characters that deceive.
fn plain(message: &str) -> bool {
    let deceives = |c: char| c.is_control() || ('\u{2028}'..='\u{202E}').contains(&c) || c == '\u{200B}';
    message.chars().count() < 700 && !message.contains(deceives)
}

#[test]
fn the_list_has_every_reason() {
    let have: BTreeSet<_> = hostile().iter().map(|(_, _, reason)| *reason).collect();
    let all = BTreeSet::from([
        "not_a_zip",
        "empty",
        "truncated",
        "corrupt",
        "traversal",
        "absolute_path",
        "drive_path",
        "link",
        "device",
        "encrypted",
        "duplicate_name",
        "colliding_names",
        "bad_name",
        "bomb_ratio",
        "bomb_size",
        "bomb_entries",
        "bomb_nesting",
        "overlapping_entries",
        "unsupported_method",
        "header_mismatch",
        "bad_checksum",
        "multi_disk",
        "polyglot",
    ]);
    assert_eq!(have, all);
    let names: BTreeSet<_> = hostile().iter().map(|(name, _, _)| name).collect();
    assert_eq!(names.len(), hostile().len(), "each name once");
}

#[test]
fn a_long_name_is_cut_where_it_is_shown() {
    let bytes = zip([entry("n".repeat(60_000), "x")]).bytes();
    let message = inspected(&bytes, &Limits::default()).expect_err("the name is too long").to_string();
    assert!(message.contains(&format!("`{}…`", "n".repeat(120))), "{message}");
}

#[test]
fn an_archive_inside_is_named() {
    let inner = zip([entry("../evil", "x")]).bytes();
    let bytes = zip([entry("lib/inner.jar", inner)]).bytes();
    let refusal = inspected(&bytes, &Limits::default()).expect_err("it leads out");
    assert!(matches!(refusal, Refusal::Nested { .. }));
    let message = refusal.to_string();
    assert!(message.contains("`lib/inner.jar`") && message.contains("`../evil`"), "{message}");
}

#[test]
fn each_limit_is_kept_to_the_byte() {
    let base = Limits::default();
    let bytes = zip([directory("d/"), entry("d/abc", [7; 1000]), entry("d/xyz", [8; 500])]).bytes();
    let accepted = |limits: Limits| inspected(&bytes, &limits).map(|_| ());
    let exact = Limits {
        file_bytes: bytes.len() as u64,
        entries: 3,
        // Each name twice, and `d/` as `d` the second time.
        names_bytes: 12 + 11,
        total_bytes: 1500,
        entry_bytes: 1000,
        path_bytes: 5,
        depth: 2,
        nesting: 0,
        ..base
    };
    accepted(exact).expect("everything fits exactly");
    let too_low = [
        (Limits { file_bytes: exact.file_bytes - 1, ..base }, "bomb_size"),
        (Limits { entries: 2, ..base }, "bomb_entries"),
        (Limits { names_bytes: 22, ..base }, "bomb_entries"),
        (Limits { total_bytes: 1499, ..base }, "bomb_size"),
        (Limits { entry_bytes: 999, ..base }, "bomb_size"),
        (Limits { path_bytes: 4, ..base }, "bad_name"),
        (Limits { depth: 1, ..base }, "bad_name"),
        (Limits { ratio: 2, ratio_floor_bytes: 999, ..base }, "bomb_ratio"),
    ];
    for (limits, reason) in too_low {
        assert_eq!(accepted(limits).expect_err(reason).reason(), reason, "{limits:?}");
    }
    accepted(Limits { ratio: 1, ratio_floor_bytes: 1500, ..base }).expect("the ratio is not judged");
}

#[test]
fn nesting_is_counted_from_the_upload() {
    let mut bytes = zip([entry("a", "x")]).bytes();
    for level in 0..4 {
        for nesting in 0..4 {
            let limits = Limits { nesting, ..Limits::default() };
            assert_eq!(
                inspected(&bytes, &limits).is_ok(),
                level <= nesting,
                "{level} levels, limit {nesting}"
            );
        }
        bytes = zip([entry("inner", bytes)]).bytes();
    }
}

#[test]
fn all_levels_share_the_limits() {
    let inner = zip([entry("a", [7; 1000]), stored("b", [8; 500])]).bytes();
    let outer = zip([stored("1.zip", &inner), entry("2.zip", &inner)]).bytes();
    let base = Limits::default();
    let all = inspected(&outer, &base).expect("accepted").inspected_bytes;
    assert_eq!(all, 2 * (inner.len() as u64 + 1500));
    inspected(&outer, &Limits { entries: 6, total_bytes: all, ..base }).expect("everything fits exactly");
    for (limits, reason) in [
        (Limits { entries: 5, ..base }, "bomb_entries"),
        (Limits { total_bytes: all - 1, ..base }, "bomb_size"),
        (Limits { names_bytes: 27, ..base }, "bomb_entries"),
        (Limits { time: Duration::ZERO, ..base }, "bomb_time"),
    ] {
        assert_eq!(inspected(&outer, &limits).expect_err(reason).reason(), reason, "{limits:?}");
    }
}

#[test]
fn data_made_to_be_slow_ends_in_time() {
    // Each block describes a code of its own, which is work, and then ends without any content.
    const BLOCKS: [u8; 92] = slow_blocks();
    let slow =
        zip([entry("slow", "").with(|e| e.packed = Some([&BLOCKS.repeat(40_000)[..], &[3, 0]].concat()))]);
    let limits = Limits { time: Duration::from_millis(20), ..Limits::default() };
    let start = Instant::now();
    let refusal = inspected(&slow.bytes(), &limits).expect_err("it takes longer");
    assert_eq!(refusal.reason(), "bomb_time");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    let message = inspected(&slow.bytes(), &limits).expect_err("it takes longer").to_string();
    assert!(message.contains("20ms"), "{message}");
}

/// Eight deflate blocks of 92 bits, since eight are whole bytes.
const fn slow_blocks() -> [u8; 92] {
    // Bits in the order of the stream: not the last block, dynamic codes, 257 literals, 1 distance, 18 code
    // lengths of which 18 has 1 bit, 0 and 1 have 2; then 138 and 118 zeros, twice the length 1, the end.
    const BITS: &[u8; 92] =
        b"00100000000000111000000100010000000000000000000000000000000000000000010011111110110101111110";
    let mut bytes = [0; 92];
    let mut at = 0;
    while at < 92 * 8 {
        bytes[at / 8] |= (BITS[at % 92] - b'0') << (at % 8);
        at += 1;
    }
    bytes
}

#[test]
fn something_that_is_no_file_is_no_zip() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let refusal = productforge::archive::inspect(folder.path(), &Limits::default()).expect_err("a directory");
    assert_eq!(refusal.reason(), "not_a_zip");
    let missing = folder.path().join("missing.zip");
    let refusal = productforge::archive::inspect(&missing, &Limits::default()).expect_err("nothing there");
    assert_eq!(refusal.reason(), "unreadable");
}
