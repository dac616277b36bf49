//! What the process logs, kept so that tests can look at it. All tests of a process share one log,
//! so look for what only your test can have caused: a request id, say.

use std::sync::{Mutex, Once};

use log::kv::Key;

/// One record.
#[derive(Debug, Clone)]
pub struct Record {
    pub level: log::Level,
    pub target: String,
    pub text: String,
    pub request_id: Option<String>,
}

struct Keeper(Mutex<Vec<Record>>);

static KEEPER: Keeper = Keeper(Mutex::new(Vec::new()));
static START: Once = Once::new();

impl log::Log for Keeper {
    fn enabled(&self, metadata: &log::Metadata) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &log::Record) {
        if self.enabled(record.metadata()) {
            let request_id = record.key_values().get(Key::from("request_id")).map(|v| v.to_string());
            self.0.lock().unwrap().push(Record {
                level: record.level(),
                target: record.target().to_owned(),
                text: record.args().to_string(),
                request_id,
            });
        }
    }

    fn flush(&self) {}
}

/// From now on records are kept.
pub fn keep() {
    START.call_once(|| {
        log::set_logger(&KEEPER).unwrap();
        log::set_max_level(log::LevelFilter::Info);
    });
}

/// The same, down to debugging.
pub fn keep_all() {
    keep();
    log::set_max_level(log::LevelFilter::Debug);
}

/// All records so far, for tests that look for what must not be in any.
pub fn all() -> Vec<Record> {
    KEEPER.0.lock().unwrap().clone()
}

/// The records of one request so far.
pub fn of_request(id: &str) -> Vec<Record> {
    KEEPER.0.lock().unwrap().iter().filter(|r| r.request_id.as_deref() == Some(id)).cloned().collect()
}
