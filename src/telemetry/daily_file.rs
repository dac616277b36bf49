//! `app.log`: a new file every day, the last seven days beside it as `app.log.2026-11-21`.
//!
//! Several processes may share the folder (`serve` and `run`, say). Whoever writes first on a new
//! day renames the file, under a lock on the folder; the others find that done and open the new one.
//!
//! ```text
//! opened ──write──▶ opened          a full disk, a folder that is read-only or gone: the line is lost to
//!   ▲  │ fails                      the file (not to stderr) and counted
//!   │  ▼
//!   └─ failing ──write succeeds──▶  says how many are missing
//! ```
//!
//! A file that somebody deleted or renamed under us would go on taking lines that nobody finds: once a second
//! it is looked whether the name still means the file that is open. A clock that goes back changes nothing, the
//! file goes on; one that jumps ahead deletes nothing, for the newest seven files stay whatever their age.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use chrono::{DateTime, Days, Local, NaiveDate};

use super::counters;

const NAME: &str = "app.log";
/// How many days are kept beside the current one.
const DAYS_KEPT: u64 = 7;

/// How often it is looked whether the file is still the one of its name.
const LOOK: Duration = Duration::from_secs(1);

/// What there is to say of a write.
#[derive(Debug)]
pub(super) enum News {
    /// It is the first in a row that failed.
    Failing(io::Error),
    /// It succeeded, after so many that failed.
    Recovered { lost: u64 },
}

/// The current log file. Failures cost lines, never the process.
pub(super) struct DailyFile {
    folder: PathBuf,
    day: NaiveDate,
    file: Option<File>,
    /// A failed write may have left half a line behind.
    torn: bool,
    /// Lines that were lost since a write succeeded, so that a full disk is said once and not with every line.
    lost: u64,
    looked_at: Instant,
}

impl DailyFile {
    pub(super) fn open(folder: &Path, today: NaiveDate) -> Self {
        let (folder, looked_at) = (folder.to_owned(), Instant::now());
        let mut log = Self { folder, day: today, file: None, torn: false, lost: 0, looked_at };
        // The first line tries again, and says what is wrong.
        let _ = log.turn(today);
        log
    }

    /// Where lines go.
    pub(super) fn path(&self) -> PathBuf {
        self.folder.join(NAME)
    }

    /// Appends one line, which includes its line break.
    pub(super) fn write(&mut self, line: &[u8], today: NaiveDate) -> Option<News> {
        match self.try_write(line, today) {
            Ok(()) => {
                let lost = std::mem::take(&mut self.lost);
                (lost > 0).then_some(News::Recovered { lost })
            }
            Err(e) => {
                self.lost += 1;
                counters::LOG_LINES_LOST.add(1);
                (self.lost == 1).then_some(News::Failing(e))
            }
        }
    }

    fn try_write(&mut self, line: &[u8], today: NaiveDate) -> io::Result<()> {
        if self.looked_at.elapsed() >= LOOK {
            self.look();
        }
        if today != self.day || self.file.is_none() {
            self.turn(today)?;
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        if self.torn {
            file.write_all(b"\n")?;
        }
        self.torn = true;
        file.write_all(line)?;
        self.torn = false;
        Ok(())
    }

    /// Opens the file of `today`, after putting away that of an earlier day.
    fn turn(&mut self, today: NaiveDate) -> io::Result<()> {
        self.file = None;
        let mut folders = fs::DirBuilder::new();
        folders.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut folders, 0o700);
        folders.create(&self.folder)?;
        // Held until the end of this function. Where a folder cannot be locked, go on without.
        let lock = File::open(&self.folder)?;
        let _ = lock.lock();

        let current = self.folder.join(NAME);
        // Even if yesterday's lines cannot be put away, today's are written.
        let put_away = put_away(&current, today).and_then(|()| forget_old(&self.folder, today));
        self.file = Some(private().create(true).append(true).open(&current)?);
        self.day = today;
        put_away
    }

    /// Lets go of the file if its name means another one or none by now.
    fn look(&mut self) {
        self.looked_at = Instant::now();
        if let Some(file) = &self.file
            && !is_named(file, &self.path())
        {
            (self.file, self.torn) = (None, false);
        }
    }
}

/// Whether a name stands for this very file.
#[cfg(unix)]
fn is_named(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |file: fs::Metadata| (file.dev(), file.ino());
    // What cannot be asked is left as it is.
    let Ok(own) = file.metadata() else { return true };
    fs::metadata(path).is_ok_and(|named| id(named) == id(own))
}

/// Where files have no identity: whether there is one of this name.
#[cfg(not(unix))]
fn is_named(_: &File, path: &Path) -> bool {
    path.exists()
}

/// Renames the file to the day of its last line, if that is over.
fn put_away(current: &Path, today: NaiveDate) -> io::Result<()> {
    let written = match fs::metadata(current) {
        Ok(file) => DateTime::<Local>::from(file.modified()?).date_naive(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
    };
    if written >= today {
        return Ok(());
    }
    let archive = current.with_file_name(format!("{NAME}.{written}"));
    if !archive.exists() {
        return fs::rename(current, archive);
    }
    // The clock went back, or somebody made the file: keep both.
    io::copy(&mut File::open(current)?, &mut OpenOptions::new().append(true).open(archive)?)?;
    fs::remove_file(current)
}

/// Briefs and errors are nobody else's business: files are the owner's alone.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn forget_old(folder: &Path, today: NaiveDate) -> io::Result<()> {
    let oldest_kept = today - Days::new(DAYS_KEPT);
    let mut days = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let day = name
            .to_str()
            .and_then(|name| name.strip_prefix(NAME)?.strip_prefix('.')?.parse::<NaiveDate>().ok());
        days.extend(day.map(|day| (day, name)));
    }
    days.sort_unstable_by(|a, b| b.cmp(a));
    for (_, name) in days.into_iter().skip(DAYS_KEPT as usize).filter(|(day, _)| *day < oldest_kept) {
        fs::remove_file(folder.join(name))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
