//! libFuzzer on the parsers of foreign bytes. `FUZZ_TARGET` says which; `./dev fuzz` sets it.
#![no_main]

use std::{env, fs, process, sync::OnceLock};

use productforge::fuzzing::{TARGETS, Target, target};

static TARGET: OnceLock<&Target> = OnceLock::new();

/// The target that was asked for.
fn chosen() -> &'static Target {
    TARGET.get_or_init(|| {
        let name = env::var("FUZZ_TARGET").unwrap_or_default();
        target(&name).unwrap_or_else(|| {
            let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            eprintln!("FUZZ_TARGET must be one of: {}", names.join(" "));
            process::exit(2);
        })
    })
}

/// Writes the words of the target where libFuzzer looks for its dictionary. This runs before it looks.
fn write_dictionary() {
    let Ok(file) = env::var("FUZZ_DICTIONARY") else { return };
    let quoted = |word: &&str| {
        let bytes: String = word.bytes().map(|byte| format!("\\x{byte:02x}")).collect();
        format!("\"{bytes}\"\n")
    };
    let words: String = chosen().words.iter().map(quoted).collect();
    if let Err(e) = fs::write(&file, words) {
        eprintln!("{file} cannot be written: {e}");
        process::exit(2);
    }
}

libfuzzer_sys::fuzz_target!(init: write_dictionary(), |data: &[u8]| {
    (chosen().holds)(data);
});
