//! What a deployment is made of: the image, and the files that describe how it is run.

mod files;
mod image;
mod proxy;

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// A file of the repository.
fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Runs a program to its end.
fn output(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap_or_else(|e| panic!("{command:?}: {e}: run ./dev setup"))
}

/// What it said on both channels, in one text.
fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + String::from_utf8_lossy(&output.stderr).as_ref()
}

/// Runs a program, which has to end well; what it said.
#[track_caller]
fn run(command: &mut Command) -> String {
    let output = output(command);
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, said(&output));
    said(&output)
}
