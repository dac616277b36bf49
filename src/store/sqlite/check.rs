//! What the embedded store says of itself.

use super::{open::Location, schema, step::Step};
use crate::store::{StoreCheck, StoreError, StoreReport};

/// Whether it is set up to be trusted with work.
pub(super) fn report(step: &Step, location: &Location) -> Result<StoreReport, StoreError> {
    let schema = schema::version(step.conn())?;
    let mut checks = vec![found("schema", true, format!("version {schema}"))];
    match location {
        Location::Memory => {
            let detail = "in memory: everything is gone when the process ends; give it a file to keep work";
            checks.push(found("persistence", false, detail.into()));
        }
        Location::File(file) => {
            let journal: String = step.conn().pragma_query_value(None, "journal_mode", |row| row.get(0))?;
            let wal = journal.eq_ignore_ascii_case("wal");
            let what_to_do = if wal { "" } else { "; the file system must support shared memory files" };
            checks.push(found(
                "persistence",
                wal,
                format!("{}, every commit synced, journal {journal}{what_to_do}", file.display()),
            ));
        }
    }
    Ok(StoreReport { engine: "sqlite", version: rusqlite::version().into(), checks })
}

fn found(name: &'static str, ok: bool, detail: String) -> StoreCheck {
    StoreCheck { name, ok, detail }
}
