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
mod tests {
    use super::*;
    use crate::clock;
    use chrono::{NaiveTime, TimeZone};

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Makes the file look as if its last line had been written at noon of that day.
    fn last_written(folder: &Path, day: NaiveDate) {
        let noon = day.and_time(NaiveTime::from_hms_opt(12, 0, 0).unwrap());
        let noon = Local.from_local_datetime(&noon).unwrap();
        let file = OpenOptions::new().append(true).open(folder.join(NAME)).unwrap();
        file.set_modified(noon.into()).unwrap();
    }

    fn read(folder: &Path, name: &str) -> String {
        fs::read_to_string(folder.join(name)).unwrap()
    }

    #[test]
    fn a_new_day_gets_a_new_file_and_the_old_one_is_named_after_its_day() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = DailyFile::open(dir.path(), day("2026-11-21"));
        log.write(b"one\n", day("2026-11-21"));
        last_written(dir.path(), day("2026-11-21"));
        log.write(b"two\n", day("2026-11-22"));
        log.write(b"three\n", day("2026-11-22"));
        assert_eq!(names(dir.path()), ["app.log", "app.log.2026-11-21"]);
        assert_eq!(read(dir.path(), "app.log"), "two\nthree\n");
        assert_eq!(read(dir.path(), "app.log.2026-11-21"), "one\n");
    }

    #[test]
    fn a_restart_on_the_same_day_appends() {
        let dir = tempfile::tempdir().unwrap();
        let today = clock::local_now().date_naive();
        DailyFile::open(dir.path(), today).write(b"one\n", today);
        DailyFile::open(dir.path(), today).write(b"two\n", today);
        assert_eq!(names(dir.path()), ["app.log"]);
        assert_eq!(read(dir.path(), "app.log"), "one\ntwo\n");
    }

    #[test]
    fn a_restart_days_later_names_the_old_file_after_the_day_of_its_last_line() {
        let dir = tempfile::tempdir().unwrap();
        DailyFile::open(dir.path(), day("2026-11-18")).write(b"old\n", day("2026-11-18"));
        last_written(dir.path(), day("2026-11-18"));
        DailyFile::open(dir.path(), day("2026-11-22")).write(b"new\n", day("2026-11-22"));
        assert_eq!(names(dir.path()), ["app.log", "app.log.2026-11-18"]);
        assert_eq!(read(dir.path(), "app.log"), "new\n");
    }

    #[test]
    fn seven_days_are_kept_and_other_files_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = DailyFile::open(dir.path(), day("2026-11-01"));
        fs::write(dir.path().join("app.log.notes"), "mine").unwrap();
        fs::write(dir.path().join("other.log.2020-01-01"), "mine").unwrap();
        for n in 1..=20 {
            let today = day("2026-11-01") + Days::new(n);
            log.write(b"line\n", today);
            last_written(dir.path(), today);
        }
        let mut expected = vec!["app.log".to_owned()];
        expected.extend((14..=20).map(|n| format!("app.log.2026-11-{n}")));
        expected.extend(["app.log.notes".to_owned(), "other.log.2020-01-01".to_owned()]);
        assert_eq!(names(dir.path()), expected);
    }

    #[test]
    fn two_processes_at_midnight_lose_no_line() {
        let dir = tempfile::tempdir().unwrap();
        let (yesterday, today) =
            (clock::local_now().date_naive() - Days::new(1), clock::local_now().date_naive());
        let mut a = DailyFile::open(dir.path(), yesterday);
        let mut b = DailyFile::open(dir.path(), yesterday);
        a.write(b"a1\n", yesterday);
        b.write(b"b1\n", yesterday);
        last_written(dir.path(), yesterday);
        a.write(b"a2\n", today);
        b.write(b"b2\n", today);
        assert_eq!(read(dir.path(), &format!("app.log.{yesterday}")), "a1\nb1\n");
        assert_eq!(read(dir.path(), "app.log"), "a2\nb2\n");
    }

    #[test]
    fn lines_of_a_day_seen_twice_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("app.log.2026-11-21"), "first\n").unwrap();
        fs::write(dir.path().join(NAME), "second\n").unwrap();
        last_written(dir.path(), day("2026-11-21"));
        DailyFile::open(dir.path(), day("2026-11-22"));
        assert_eq!(read(dir.path(), "app.log.2026-11-21"), "first\nsecond\n");
    }

    #[test]
    fn a_folder_that_cannot_be_made_costs_lines_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let in_the_way = dir.path().join("logs");
        fs::write(&in_the_way, "a file").unwrap();
        let mut log = DailyFile::open(&in_the_way, day("2026-11-22"));
        assert!(matches!(log.write(b"lost\n", day("2026-11-22")), Some(News::Failing(_))));
        assert!(log.write(b"lost\n", day("2026-11-22")).is_none(), "it is said once");

        fs::remove_file(&in_the_way).unwrap();
        let news = log.write(b"found\n", day("2026-11-22"));
        assert!(matches!(news, Some(News::Recovered { lost: 2 })), "{news:?}");
        assert!(log.write(b"found\n", day("2026-11-22")).is_none());
        assert_eq!(read(&in_the_way, "app.log"), "found\nfound\n");
    }

    #[test]
    fn a_file_that_is_deleted_or_renamed_while_open_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, today) = (dir.path().join("logs"), day("2026-11-22"));
        let mut log = DailyFile::open(&folder, today);
        let mut written = |line: &[u8]| {
            // As if the second were over.
            log.looked_at = Instant::now().checked_sub(LOOK).unwrap();
            assert!(log.write(line, today).is_none());
        };
        written(b"one\n");
        fs::remove_file(folder.join(NAME)).unwrap();
        written(b"two\n");
        assert_eq!(read(&folder, NAME), "two\n");
        fs::rename(folder.join(NAME), folder.join("app.log.old")).unwrap();
        written(b"three\n");
        fs::remove_dir_all(&folder).unwrap();
        written(b"four\n");
        written(b"five\n");
        assert_eq!(read(&folder, NAME), "four\nfive\n");
    }

    #[test]
    fn a_clock_that_jumps_deletes_nothing_and_loses_no_line() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = DailyFile::open(dir.path(), day("2026-11-20"));
        for n in 0..3 {
            let today = day("2026-11-20") + Days::new(n);
            log.write(b"line\n", today);
            last_written(dir.path(), today);
        }
        // The file is from the 22nd: a day before that goes on in it.
        log.write(b"back\n", day("2026-11-10"));
        last_written(dir.path(), day("2026-11-22"));
        assert_eq!(names(dir.path()), ["app.log", "app.log.2026-11-20", "app.log.2026-11-21"]);
        assert_eq!(read(dir.path(), NAME), "line\nback\n");
        log.write(b"ahead\n", day("2036-01-01"));
        assert_eq!(
            names(dir.path()),
            ["app.log", "app.log.2026-11-20", "app.log.2026-11-21", "app.log.2026-11-22"]
        );
        assert_eq!(read(dir.path(), NAME), "ahead\n");
    }

    /// `/dev/full` answers every write as a full disk does.
    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_costs_lines_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = DailyFile::open(dir.path(), day("2026-11-22"));
        log.file = Some(OpenOptions::new().append(true).open("/dev/full").unwrap());
        let news = log.write(b"lost\n", day("2026-11-22"));
        assert!(
            matches!(&news, Some(News::Failing(e)) if e.kind() == io::ErrorKind::StorageFull),
            "{news:?}"
        );

        log.file = None;
        let news = log.write(b"found\n", day("2026-11-22"));
        assert!(matches!(news, Some(News::Recovered { lost: 1 })), "{news:?}");
        assert_eq!(read(dir.path(), "app.log"), "\nfound\n", "a torn line is ended first");
    }
}
