//! The log file over days, restarts, full disks and clocks that jump.

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
    assert!(matches!(&news, Some(News::Failing(e)) if e.kind() == io::ErrorKind::StorageFull), "{news:?}");

    log.file = None;
    let news = log.write(b"found\n", day("2026-11-22"));
    assert!(matches!(news, Some(News::Recovered { lost: 1 })), "{news:?}");
    assert_eq!(read(dir.path(), "app.log"), "\nfound\n", "a torn line is ended first");
}
