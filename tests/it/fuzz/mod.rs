//! The fuzz targets on stable, in seconds: every kept input of `fuzz/seeds/`, and a fixed number of changes to them.
//! The same functions run for as long as one likes with `./dev fuzz`.

mod change;

use std::{
    collections::BTreeSet,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
};

use productforge::fuzzing::{TARGETS, Target, target};

use change::Changes;

/// Changed inputs for each target. `FUZZ_CASES` sets another number.
const CASES: usize = 1_000;
/// No input grows beyond this.
const MAX_BYTES: usize = 4_096;

/// The kept inputs; with `FUZZ_SEEDS` those of another folder, such as `fuzz/corpus`.
fn seeds_of(target: &Target) -> Vec<(String, Vec<u8>)> {
    let other = std::env::var_os("FUZZ_SEEDS").map(PathBuf::from);
    let folder = other
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds"))
        .join(target.name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{} has no seeds: {e}", folder.display()));
    let mut seeds: Vec<_> = entries
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap())
        })
        .collect();
    seeds.sort_unstable();
    seeds
}

/// Runs one input; a broken promise says with which bytes it can be seen again.
fn holds(target: &Target, input: &[u8], origin: &str) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (target.holds)(input))) {
        let words = panic.downcast_ref::<String>().map(String::as_str);
        let words = words.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked");
        let name = target.name;
        panic!(
            "{name}, {origin}: {words}\nThe input, to be kept in fuzz/seeds/{name}/: b\"{}\"",
            input.escape_ascii()
        );
    }
}

fn run(name: &str) {
    let target = target(name).unwrap();
    let seeds = seeds_of(target);
    for (file, input) in &seeds {
        holds(target, input, file);
    }
    let cases = std::env::var("FUZZ_CASES").ok().map_or(CASES, |cases| cases.parse().unwrap());
    let mut changes = Changes::new(&seeds, target.words);
    for number in 0..cases {
        holds(target, &changes.next(MAX_BYTES), &format!("change {number}"));
    }
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                run(stringify!($name));
            }
        )*
        const TESTED: &[&str] = &[$(stringify!($name)),*];
    };
}

targets! {
    job_payload documents archive analysis model_stream model_answer verdict calculator config request_body multipart
    form markdown access redis_reply
}

#[test]
fn every_target_is_tested_and_has_small_seeds() {
    let names: BTreeSet<&str> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(names, TESTED.iter().copied().collect());
    let folders = fs::read_dir(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds")).unwrap();
    let folders: BTreeSet<String> =
        folders.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    assert_eq!(folders, names.iter().map(|name| (*name).to_owned()).collect());
    for target in TARGETS {
        let seeds = seeds_of(target);
        assert!(seeds.len() >= 3, "{} has {} seeds", target.name, seeds.len());
        for (file, input) in &seeds {
            assert!(input.len() <= MAX_BYTES, "{}/{file} has {} bytes", target.name, input.len());
        }
    }
}
