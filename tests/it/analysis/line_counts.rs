//! Lines of real packages, against what other counters say of them.
//!
//! `line_counts.tsv` was made by `tests/support/line-counts.py`, which says which counter is asked for which
//! language and why. Every number is equal: lines, code, comments and blanks.

use std::collections::{BTreeMap, BTreeSet};

use productforge::analysis::{Files, Limits, MemoryFiles, analyse};

use super::support::archive;

const COUNTED: &str = include_str!("line_counts.tsv");

/// Files that are not empty, blanks, comments and code.
type Counts = [u64; 4];

#[test]
fn lines_of_real_packages_are_those_of_other_counters() {
    let mut expected: BTreeMap<&str, BTreeMap<&str, Counts>> = BTreeMap::new();
    for row in COUNTED.lines().filter(|row| !row.starts_with('#')) {
        let cells: Vec<&str> = row.split('\t').collect();
        let counts = [3, 4, 5, 6].map(|at: usize| cells[at].parse().unwrap());
        expected.entry(cells[0]).or_default().insert(cells[1], counts);
    }
    assert!(expected.len() >= 10);
    for (name, endings) in &expected {
        let files = archive(name);
        assert_eq!(counted(&files, endings.keys().copied().collect()), *endings, "{name}");
    }
}

fn counted<'e>(files: &MemoryFiles, endings: BTreeSet<&'e str>) -> BTreeMap<&'e str, Counts> {
    let mut sums: BTreeMap<&str, Counts> = BTreeMap::new();
    for entry in files.list() {
        let name = entry.path.rsplit('/').next().unwrap_or_default();
        let ending = name.rsplit('.').next().unwrap_or_default().to_lowercase();
        let Some(ending) = endings.get(ending.as_str()) else { continue };
        let alone = MemoryFiles::new([(name, files.read(&entry.path, u64::MAX).unwrap())]);
        // A name such as vendor.txt may be that of more than a text; only its lines matter here.
        for row in analyse(&alone, &Limits::default()).languages.iter().filter(|row| row.lines > 0) {
            let sum = sums.entry(ending).or_default();
            for (sum, count) in sum.iter_mut().zip([1, row.blanks, row.comments, row.code]) {
                *sum += count;
            }
        }
    }
    sums
}
