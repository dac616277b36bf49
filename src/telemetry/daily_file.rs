//! `app.log`: a new file every day, the last seven days beside it as `app.log.2026-11-21`.
//!
//! Several processes may share the folder (`serve` and `run`, say). Whoever writes first on a new
//! day renames the file, under a lock on the folder; the others find that done and open the new one.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use chrono::{DateTime, Days, Local, NaiveDate};

const NAME: &str = "app.log";
/// How many days are kept beside the current one.
const DAYS_KEPT: u64 = 7;

/// The current log file. Failures are said once on stderr and cost lines, never the process.
pub(super) struct DailyFile {
    folder: PathBuf,
    day: NaiveDate,
    file: Option<File>,
    /// A failed write may have left half a line behind.
    torn: bool,
    /// So that a full disk is said once and not with every line.
    complained: bool,
}

impl DailyFile {
    pub(super) fn open(folder: &Path, today: NaiveDate) -> Self {
        let mut log =
            Self { folder: folder.to_owned(), day: today, file: None, torn: false, complained: false };
        if let Err(e) = log.turn(today) {
            log.complain(&e);
        }
        log
    }

    /// Appends one line, which includes its line break.
    pub(super) fn write(&mut self, line: &[u8], today: NaiveDate) {
        match self.try_write(line, today) {
            Ok(()) => self.complained = false,
            Err(e) => self.complain(&e),
        }
    }

    fn try_write(&mut self, line: &[u8], today: NaiveDate) -> io::Result<()> {
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

    fn complain(&mut self, error: &io::Error) {
        if !self.complained {
            self.complained = true;
            let _ = writeln!(
                io::stderr(),
                "warning: the log file {} cannot be written ({error}); the log goes on without it",
                self.folder.join(NAME).display()
            );
        }
    }
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
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let day = name
            .to_str()
            .and_then(|name| name.strip_prefix(NAME)?.strip_prefix('.')?.parse::<NaiveDate>().ok());
        if day.is_some_and(|day| day < oldest_kept) {
            fs::remove_file(folder.join(name))?;
        }
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
        log.write(b"lost\n", day("2026-11-22"));
        assert!(log.complained);

        fs::remove_file(&in_the_way).unwrap();
        log.write(b"found\n", day("2026-11-22"));
        assert!(!log.complained);
        assert_eq!(read(&in_the_way, "app.log"), "found\n");
    }

    /// `/dev/full` answers every write as a full disk does.
    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_costs_lines_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = DailyFile::open(dir.path(), day("2026-11-22"));
        log.file = Some(OpenOptions::new().append(true).open("/dev/full").unwrap());
        log.write(b"lost\n", day("2026-11-22"));
        assert!(log.complained);

        log.file = None;
        log.write(b"found\n", day("2026-11-22"));
        assert_eq!(read(dir.path(), "app.log"), "\nfound\n", "a torn line is ended first");
    }
}
