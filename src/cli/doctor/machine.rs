//! What the machine gives: room, rights and descriptors.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use nix::sys::{
    resource::{Resource, getrlimit},
    statvfs::statvfs,
};

use super::Finding;
use crate::{
    app::log_folder,
    config::{Config, Source},
};

/// Less free room is a warning, and a problem.
const ROOM: [u64; 2] = [1 << 30, 100 << 20];
/// Fewer descriptors are a warning, and a problem: each viewer, client and call takes one.
const DESCRIPTORS: [u64; 2] = [4_096, 256];
/// Where a container finds its secrets, for all of its users.
const OF_CONTAINERS: &str = "/run/secrets/";

pub(super) async fn look(config: &Config) -> Vec<Finding> {
    let (workspace, logs) = (&config.store.workspace, log_folder(config));
    let mut findings = vec![writable("workspace", workspace), room("disk", workspace), log(&logs)];
    findings.extend(rights(config));
    findings.push(descriptors());
    findings
}

/// The folder, or as long as there is none the one that it would be made in.
fn nearest(folder: &Path) -> PathBuf {
    let there =
        folder.ancestors().find(|folder| folder.exists()).filter(|there| !there.as_os_str().is_empty());
    there.map_or_else(|| PathBuf::from("."), Path::to_owned)
}

/// Whether files can be made in a folder, by making one that is gone at once.
fn try_write(folder: &Path) -> std::io::Result<()> {
    use std::io::Write;
    let mut file = tempfile::NamedTempFile::new_in(nearest(folder))?;
    file.write_all(b"doctor")?;
    file.as_file().sync_all()
}

fn writable(check: &str, folder: &Path) -> Finding {
    let shown = folder.display();
    match try_write(folder) {
        Ok(()) if folder.exists() => Finding::ok(check, format!("{shown} can be written")),
        Ok(()) => Finding::ok(check, format!("{shown} does not exist yet and can be made")),
        Err(e) => Finding::problem(
            check,
            format!("{shown} cannot be written: {e}"),
            "give the folder to the user that the server runs as, or set WORKSPACE_DIR to one that is",
        ),
    }
}

/// Logs that cannot be written cost lines and nothing else.
fn log(folder: &Path) -> Finding {
    match try_write(folder) {
        Ok(()) => Finding::ok("log", format!("{} can be written", folder.display())),
        Err(e) => Finding::warning(
            "log",
            format!("{} cannot be written: {e}; lines go to standard error alone", folder.display()),
            "give the folder to the user that the server runs as",
        ),
    }
}

fn room(check: &str, folder: &Path) -> Finding {
    let there = nearest(folder);
    let stat = match statvfs(&there) {
        Ok(stat) => stat,
        Err(e) => {
            let found = format!("the room below {} is not known: {e}", there.display());
            return Finding::warning(check, found, "look with `df`");
        }
    };
    // What this user may take, in units of a fragment; both are 32 bits wide on some systems.
    #[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
    let free = (stat.blocks_available() as u64).saturating_mul(stat.fragment_size() as u64);
    let found = format!("{} MiB are free below {}", free >> 20, there.display());
    let remedy = "make room: results, uploads and logs need it, and without it no job is accepted";
    match free {
        free if free < ROOM[1] => Finding::problem(check, found, remedy),
        free if free < ROOM[0] => Finding::warning(check, found, remedy),
        _ => Finding::ok(check, found),
    }
}

/// Files with secrets in them, which nobody else should be able to read.
fn rights(config: &Config) -> Vec<Finding> {
    let mut files: Vec<PathBuf> = config.settings.iter().filter_map(|s| s.secret_file.clone()).collect();
    files.retain(|file| !file.starts_with(OF_CONTAINERS));
    files.extend(config_file(config));
    files.push(config.store.workspace.join("productforge.db"));
    let open: Vec<Finding> = files.iter().filter_map(|file| of_others(file)).collect();
    match open.is_empty() {
        true => vec![Finding::ok("rights", "no file with secrets is open to other users")],
        false => open,
    }
}

/// The configuration file, if there are secrets in it.
fn config_file(config: &Config) -> Option<PathBuf> {
    let file = config.settings.iter().find(|setting| setting.name == "CONFIG_FILE")?;
    let text = fs::read_to_string(&file.value).ok()?;
    let of_setting = config.settings.iter().any(|s| s.secret && s.source == Source::File);
    // `key` of a provider.
    let of_provider = text.lines().any(|line| line.split('=').next().is_some_and(|key| key.trim() == "key"));
    (of_setting || of_provider).then(|| PathBuf::from(&file.value))
}

fn of_others(file: &Path) -> Option<Finding> {
    let mode = fs::metadata(file).ok()?.permissions().mode();
    (mode & 0o006 != 0).then(|| {
        let shown = file.display();
        Finding::warning(
            "rights",
            format!("{shown} holds secrets and is open to all users (mode {:o})", mode & 0o777),
            format!("chmod 600 {shown}"),
        )
    })
}

fn descriptors() -> Finding {
    const NAME: &str = "descriptors";
    let Ok((limit, _)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return Finding::warning(NAME, "the limit of open files is not known", "look with `ulimit -n`");
    };
    #[allow(clippy::useless_conversion)]
    let limit = u64::from(limit);
    let found = format!("{limit} files and connections may be open at once");
    let remedy = "raise the limit to 65536: `ulimit -n 65536`, or LimitNOFILE=65536 in the systemd unit";
    match limit {
        limit if limit < DESCRIPTORS[1] => Finding::problem(NAME, found, remedy),
        limit if limit < DESCRIPTORS[0] => Finding::warning(NAME, found, remedy),
        _ => Finding::ok(NAME, found),
    }
}
