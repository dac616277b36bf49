//! Inspection takes little memory, whatever the file is.

use std::{ffi::OsStr, fs, path::Path, process::Command};

use productforge::archive::{Archive, Limits, inspect};

use super::{
    build::{Descriptor, entry, stored, zip},
    file,
};

/// Names the file that a process of its own inspects.
const FILE: &str = "PRODUCTFORGE_TEST_ARCHIVE";
/// Most KiB that an inspection may add to the process, with the code of this large test binary that it is the first
/// to touch: about half of what was seen.
const MOST_KIB: u64 = 32 << 10;

/// The most memory that this process ever had, in KiB.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("the system tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("and tells this");
    line.trim().trim_end_matches(" kB").parse().expect("in KiB")
}

/// What the test below starts itself for.
fn inspected_in_a_process_of_its_own(path: &OsStr) {
    let before = peak_kib();
    let result = inspect(Path::new(path), &Limits::default());
    let after = peak_kib();
    let files = result.as_ref().map(|contents| contents.members().len());
    if let Ok(contents) = &result {
        let first = contents.members()[0].path.clone();
        Archive::open(Path::new(path), contents.clone())
            .expect("it opens")
            .read(&first, 1 << 30)
            .expect("read");
    }
    println!("grown by {} KiB, {files:?}", after - before);
    assert!(after - before < MOST_KIB, "{} KiB", after - before);
}

#[test]
fn memory_stays_low() {
    if let Some(path) = std::env::var_os(FILE) {
        return inspected_in_a_process_of_its_own(&path);
    }
    let limits = Limits::default();
    let many = |name: &dyn Fn(u64) -> String| zip((0..limits.entries).map(|n| stored(name(n), ""))).bytes();
    // As long as all names together may be.
    let long = |n: u64| format!("{}{n:06}", "long name".repeat(16));
    // Of a character that folds to 18.
    let growing = |n: u64| format!("{n}{}", "\u{FDFA}".repeat(6));
    let big = stored("big", vec![7; 16 << 20]);
    let cases = [
        ("many entries", many(&|n| n.to_string())),
        ("many long names", many(&long)),
        ("many names that grow", many(&growing)),
        ("one large file", zip([big.clone()]).bytes()),
        ("a large archive inside", zip([stored("inner.zip", zip([big]).bytes())]).bytes()),
        (
            "large fields",
            zip((0..300).map(|n| {
                stored(n.to_string(), "").streamed(Descriptor::Marked).with(|e| {
                    e.local_extra = super::build::field(0xCAFE, &[7; 60_000]);
                    e.extra.clone_from(&e.local_extra);
                    e.comment = vec![7; 60_000];
                })
            }))
            .bytes(),
        ),
        ("a bomb", zip([entry("zeros", vec![0; 9 << 20]).with(|e| e.size = Some(7 << 20))]).bytes()),
    ];
    for (name, bytes) in cases {
        let file = file(&bytes);
        let child = Command::new(std::env::current_exe().expect("this executable"))
            .args(["archive::memory::memory_stays_low", "--exact", "--nocapture"])
            .env(FILE, file.path())
            .output()
            .expect("it starts");
        let said = String::from_utf8_lossy(&child.stdout).into_owned();
        assert!(child.status.success(), "{name}: {said}{}", String::from_utf8_lossy(&child.stderr));
        let grown = said.lines().find(|line| line.contains("grown by")).expect("it ran");
        println!("{name}: {grown}");
    }
}
