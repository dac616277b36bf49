//! Real archives from public packages are accepted.
//!
//! `tests/support/real-archives.sh`, which `./dev setup` calls, fetches those of `real_archives.txt` beside it into a
//! cache.

use std::{env, fs, io::Cursor, io::Read, path::PathBuf};

use productforge::archive::{Archive, Limits, inspect};
use sha2::{Digest, Sha256};

fn cache() -> Option<PathBuf> {
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home)?;
    Some(cache.join("productforge-tests/archives"))
}

/// File names with their SHA-256.
fn list() -> Vec<(&'static str, &'static str)> {
    let lines = include_str!("../../support/real_archives.txt").lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| Some((line.split_whitespace().nth(2)?, line.split_whitespace().nth(1)?)))
        .collect()
}

#[test]
fn real_archives_are_accepted_and_read() {
    let cache = cache().expect("HOME or XDG_CACHE_HOME is set");
    assert!(list().len() >= 12);
    let mut archives_inside = 0;
    for (name, sha256) in list() {
        let path = cache.join(name);
        let bytes =
            fs::read(&path).unwrap_or_else(|error| panic!("{name}: {error}; `./dev setup` fetches it"));
        let digest = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(digest, sha256, "{name}");

        let contents =
            inspect(&path, &Limits::default()).unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
        archives_inside += contents.members().iter().filter(|member| member.archive).count();
        let archive = Archive::open(&path, contents).expect(name);
        let mut other = zip::ZipArchive::new(Cursor::new(&bytes)).expect(name);
        let files = other.file_names_raw().filter(|name| !name.ends_with(b"/")).count();
        assert_eq!(archive.members().len(), files, "{name}");
        // Reading all of them would prove the same and take its time.
        for member in archive.members().iter().step_by(10).filter(|member| member.size < 100_000) {
            let mut expected = Vec::new();
            let mut entry = other.by_name(&member.path).expect(&member.path);
            entry.read_to_end(&mut expected).expect(&member.path);
            assert_eq!(archive.read(&member.path, member.size).expect(&member.path), expected);
        }
    }
    assert!(archives_inside >= 5, "wheels, jars and office documents inside: {archives_inside}");
}
