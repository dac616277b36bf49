//! Files that were made to take long, to fill memory, or to confuse.

use std::{io, time::Instant};

use productforge::analysis::{
    Analysis, FileEntry, Files, Limits, MemoryFiles, analyse,
    browse::{self, Search},
    report,
};

/// Files that cannot be read.
struct Broken(Vec<FileEntry>);

impl Files for Broken {
    fn list(&self) -> &[FileEntry] {
        &self.0
    }

    fn read(&self, _: &str, _: u64) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::PermissionDenied.into())
    }
}

fn kept(analysis: &Analysis, what: &str) -> Option<(u64, u64)> {
    analysis.truncated.iter().find(|row| row.what == what).map(|row| (row.kept, row.total))
}

/// The analysis, checked for what is true of every one.
fn checked(files: &dyn Files) -> Analysis {
    let limits = Limits::default();
    let analysis = analyse(files, &limits);
    for row in &analysis.languages {
        assert_eq!(row.lines, row.code + row.comments + row.blanks, "{}", row.name);
    }
    assert!(analysis.secrets.len() <= limits.rows && analysis.entry_points.len() <= limits.rows);
    let json = serde_json::to_string(&analysis).unwrap();
    assert!(json.len() < 4_000_000, "{}", json.len());
    assert_eq!(serde_json::from_str::<Analysis>(&json).unwrap(), analysis);
    assert!(report::markdown(&analysis).len() <= report::MAX_BYTES);
    analysis
}

#[test]
fn nothing_at_all() {
    let analysis = checked(&MemoryFiles::default());
    assert_eq!(analysis, Analysis::default());
}

#[test]
fn huge_lines() {
    let line = "x = \"".repeat(800_000);
    let names = [
        "a.py",
        "a.js",
        "a.rs",
        "package.json",
        "Cargo.toml",
        ".gitignore",
        "README.md",
        "Gemfile",
        "LICENSE",
    ];
    let analysis = checked(&MemoryFiles::new(names.map(|name| (name, line.clone()))));
    assert_eq!(analysis.totals.text_files, 9);
}

#[test]
fn deep_folders() {
    let deep = format!("{}a.rs", "d/".repeat(20_000));
    let analysis = checked(&MemoryFiles::new([(deep, "fn main() {}"), ("x/b.rs".to_owned(), "")]));
    assert_eq!(kept(&analysis, "files_within_depth"), Some((1, 2)));
    let near = format!("{}a.rs", "d/".repeat(100));
    let analysis = checked(&MemoryFiles::new([(near, "fn main() {}")]));
    assert_eq!(analysis.entry_points.len(), 1);
}

#[test]
fn fifty_thousand_entries() {
    let files = MemoryFiles::new((0..50_001).map(|n| (format!("d{}/f{n}.py", n % 3_000), "import pytest\n")));
    let started = Instant::now();
    let analysis = checked(&files);
    assert_eq!(kept(&analysis, "files"), Some((50_000, 50_001)));
    assert_eq!(analysis.totals.files, 50_001);
    assert!(started.elapsed().as_secs() < 120, "{:?}", started.elapsed());
    let listed = browse::list(&files, "", None, 10_000).unwrap();
    assert!(
        listed.len() <= browse::MAX_ANSWER_BYTES + 200 && listed.contains("2000 more of 3000"),
        "{listed}"
    );
    let error = browse::read_range(&files, "d1/f2.pyx", None, None, 100).unwrap_err().to_string();
    assert!(error.contains("did you mean"), "{error}");
}

#[test]
fn bytes_that_are_no_text() {
    let files = MemoryFiles::new([
        ("a.py", b"x = 1\n\xff\xfe\xfa\n# \xc3\x28\n".to_vec()),
        ("b.py", b"\0\0\0".to_vec()),
        ("c.cs", b"\xff\xfec\0\n\0".to_vec()),
        ("d.json", b"\xff\xfe".to_vec()),
        ("package.json", b"{\"name\":\"\xff\"}".to_vec()),
        ("e/.gitignore", b"\xff\n*.x\n".to_vec()),
        ("e/a.x", b"".to_vec()),
    ]);
    let analysis = checked(&files);
    assert_eq!(
        (analysis.totals.binary_files, analysis.totals.text_files, analysis.totals.ignored_files),
        (1, 5, 1)
    );
    let python = analysis.languages.iter().find(|row| row.name == "Python").unwrap();
    assert_eq!((python.code, python.comments), (2, 1));
}

#[test]
fn names_that_are_no_names() {
    let names = [
        "../../etc/passwd",
        "/abs",
        "a//b",
        "",
        "/",
        ".",
        "a/../b.rs",
        "a\nb.py",
        "c:\\x.rs",
        "\u{202e}x.md",
        "a/",
    ];
    let analysis = checked(&MemoryFiles::new(names.map(|name| (name, "x\n"))));
    assert_eq!(analysis.totals.files, names.len() as u64);
    let text = serde_json::to_string(&analysis).unwrap() + report::markdown(&analysis).as_str();
    assert!(!text.contains('\u{202e}') && !text.contains("a\\nb.py"));
    let long = MemoryFiles::new([("x".repeat(1 << 20), "x")]);
    assert!(serde_json::to_string(&checked(&long)).unwrap().len() < 10_000);
}

#[test]
fn files_that_cannot_be_read() {
    let names = ["a.rs", "Cargo.toml", ".gitignore", ".env"];
    let files = Broken(names.map(|name| FileEntry { path: name.to_owned(), size: u64::MAX }).to_vec());
    let analysis = checked(&files);
    assert_eq!((analysis.totals.unreadable_files, analysis.totals.bytes), (4, u64::MAX));
    assert_eq!(analysis.secrets.len(), 1);
    assert!(
        browse::read_range(&files, "a.rs", None, None, 99)
            .unwrap_err()
            .to_string()
            .contains("cannot be read")
    );
    assert!(
        browse::search(&files, &Search { pattern: "a", ..Search::default() })
            .unwrap()
            .contains("nothing found")
    );
}

#[test]
fn more_bytes_than_are_read() {
    let limits = Limits { file_bytes: 10, total_bytes: 25, ..Limits::default() };
    let files = MemoryFiles::new((0..5).map(|n| (format!("{n}.txt"), "a\n".repeat(10))));
    let analysis = analyse(&files, &limits);
    assert_eq!(analysis.totals.read_bytes, 25);
    assert_eq!(kept(&analysis, "files_read"), Some((3, 5)));
    assert_eq!(kept(&analysis, "files_read_whole"), Some((0, 3)));
}

#[test]
fn many_of_everything() {
    let secret =
        format!("k = 'gh{}_{}'\nif __name__ == '__main__':\n", "p", "q7Rm2Zx9Kc4Wv8Tb3Nh6Yd5Lf1Gs0PjQw8e2");
    let manifest: String = (0..400).map(|n| format!("package{n}=={n}\n")).collect();
    let files = MemoryFiles::new((0..400).flat_map(|n| {
        [
            (format!("{n}/test_a.py"), secret.clone()),
            (format!("{n}/requirements.txt"), manifest.clone()),
            (format!("{n}/uv.lock"), String::new()),
            (format!("{n}/LICENSE"), String::new()),
            (format!("{n}/README.md"), String::new()),
            (format!("{n}/.travis.yml"), String::new()),
            (format!("{n}/node_modules/x"), String::new()),
        ]
    }));
    let analysis = checked(&files);
    for what in
        ["secrets", "manifests", "lock_files", "licences", "docs", "ci", "ignored", "tests", "entry_points"]
    {
        assert_eq!(kept(&analysis, what), Some((200, 400)), "{what}");
    }
    assert_eq!(kept(&analysis, "dependencies"), Some((3_000, 160_000)));
    assert!(!serde_json::to_string(&analysis).unwrap().contains("q7Rm2"));
}
