use super::*;
use crate::analysis::MemoryFiles;

fn project() -> MemoryFiles {
    MemoryFiles::new([
        ("p-1/README.md", b"# P\n".to_vec()),
        ("p-1/src/main.rs", b"fn main() {\n    let x = 1;\n}\n".to_vec()),
        ("p-1/src/lib.rs", b"//! Lib.\npub fn main_like() {}".to_vec()),
        ("p-1/node_modules/a.js", b"main".to_vec()),
        ("p-1/a.bin", b"\0\x01main".to_vec()),
        ("p-1/empty", b"".to_vec()),
    ])
}

fn found(pattern: &str, glob: Option<&str>, limit: usize) -> String {
    search(&project(), &Search { pattern, is_literal: false, glob, limit }).unwrap()
}

#[test]
fn folders_are_listed_before_files() {
    assert_eq!(list(&project(), "", None, 100).unwrap(), "p-1/  6 files, 73 bytes\n");
    let root = "p-1/node_modules/  1 file, 4 bytes\np-1/src/  2 files, 59 bytes\np-1/README.md  4 bytes\n\
                p-1/a.bin  6 bytes\np-1/empty  0 bytes\n";
    assert_eq!(list(&project(), "/p-1/", None, 100).unwrap(), root);
    assert_eq!(list(&project(), "src", None, 1).unwrap().lines().count(), 2);
}

#[test]
fn globs_go_through_all_folders() {
    assert_eq!(list(&project(), "", Some("*.rs"), 9).unwrap().lines().count(), 2);
    assert_eq!(list(&project(), "src", Some("m*.rs"), 9).unwrap(), "p-1/src/main.rs  29 bytes\n");
    assert_eq!(list(&project(), "p-1", Some("src/*.rs"), 9).unwrap().lines().count(), 2);
    assert_eq!(list(&project(), "", Some("*.java"), 9).unwrap(), "no file fits");
    assert!(matches!(list(&project(), "", Some("[a"), 9), Err(BrowseError::BadGlob { .. })));
    assert!(matches!(list(&project(), "", Some(&"a".repeat(999)), 9), Err(BrowseError::BadGlob { .. })));
}

#[test]
fn lines_have_numbers_and_say_where_to_go_on() {
    let read = |first, last| read_range(&project(), "src/main.rs", first, last, 10_000).unwrap();
    assert_eq!(read(None, None), "     1  fn main() {\n     2      let x = 1;\n     3  }\n");
    assert_eq!(read(Some(2), Some(2)), "     2      let x = 1;\n(3 lines in all)");
    assert_eq!(read(Some(0), Some(900)), read(None, None));
    assert_eq!(read_range(&project(), "empty", None, None, 1).unwrap(), "p-1/empty is empty");
    let files = MemoryFiles::new([("a", "line\n".repeat(1_000))]);
    let part = read_range(&files, "a", Some(10), None, 300).unwrap();
    assert!(part.ends_with("(lines 10 to 32 of 1000; go on with line 33)"), "{part}");
}

#[test]
fn long_lines_are_cut_visibly() {
    let files = MemoryFiles::new([("a", format!("{}\nb", "é".repeat(1_000_000)))]);
    let text = read_range(&files, "a", None, None, 100_000).unwrap();
    assert!(text.contains("é… (999000 more characters)\n     2  b"), "{}", &text[1_900..]);
    let text = read_range(&files, "a", None, None, 0).unwrap();
    assert!(text.contains("é… (no room for the rest of the line)\n     2  b"), "{text}");
    let files = MemoryFiles::new([("a", format!("{}needle{}", "x".repeat(9_000), "y".repeat(9_000)))]);
    let text = search(&files, &Search { pattern: "needle", limit: 5, ..Search::default() }).unwrap();
    assert!(text.starts_with("a:1: …xxx") && text.contains("needleyyy") && text.len() < 500, "{text}");
}

#[test]
fn mistakes_are_explained() {
    let read = |path: &str, first| read_range(&project(), path, first, None, 100).unwrap_err().to_string();
    assert_eq!(
        read("src/mian.rs", None),
        "there is no file src/mian.rs; did you mean p-1/src/main.rs or p-1/src/lib.rs?"
    );
    assert_eq!(read("src", None), "src is a folder: list it, or read a file in it");
    assert_eq!(read("a.bin", None), "p-1/a.bin is a binary file of 6 bytes and cannot be shown");
    assert_eq!(read("README.md", Some(9)), "p-1/README.md has 1 lines: line 9 is beyond its end");
    assert!(read_range(&project(), "README.md", Some(3), Some(2), 9).is_err());
    assert!(matches!(list(&project(), "nowhere", None, 9), Err(BrowseError::NoFolder { .. })));
    assert!(list(&project(), "README.md", None, 9).unwrap_err().to_string().contains("it is a file"));
}

#[test]
fn searches_show_path_line_and_text() {
    let all =
        "p-1/src/lib.rs:2: pub fn main_like() {}\np-1/src/main.rs:1: fn main() {\n(2 matches in 2 files)";
    assert_eq!(found("main", None, 10), all);
    assert_eq!(
        found(r"\bmain\(", Some("src/*.rs"), 10),
        "p-1/src/main.rs:1: fn main() {\n(1 match in 1 file)"
    );
    assert_eq!(found("main", Some("*.js"), 10), "p-1/node_modules/a.js:1: main\n(1 match in 1 file)");
    assert!(found("main", None, 1).contains("more matches than may be shown"));
    assert_eq!(found("nowhere", None, 1), "(nothing found in 4 files)");
    assert_eq!(found("main", Some("*.java"), 1), "no file fits the glob");
    assert!(found("main(", None, 9).contains("taken as plain text"));
    assert!(search(&project(), &Search::default()).is_err());
}

#[test]
fn expensive_patterns_end() {
    let files = MemoryFiles::new([("a", format!("{}\n", "a".repeat(2_000)).repeat(4))]);
    for pattern in ["(a*)*b", "(?:a{1,90}){1,90}b", "(?:x?){200}y{200}", &"(".repeat(60), &"a?".repeat(490)] {
        let _ = search(&files, &Search { pattern, limit: 5, ..Search::default() });
    }
    let error = search(&files, &Search { pattern: r"(\w{100}){100}", limit: 5, ..Search::default() });
    assert!(matches!(error, Err(BrowseError::BadPattern { .. })));
}
