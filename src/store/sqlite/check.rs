//! What the embedded store says of itself.

use super::{
    open::{self, Location},
    schema,
    step::Step,
};
use crate::store::{StoreCheck, StoreError, StoreReport, StoreSize};

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
    let size = Some(size(step, location)?);
    Ok(StoreReport { engine: "sqlite", version: rusqlite::version().into(), checks, size })
}

/// The file with its log, and what in the file is free.
fn size(step: &Step, location: &Location) -> Result<StoreSize, StoreError> {
    let pragma = |name: &str| step.conn().pragma_query_value(None, name, |row| row.get::<_, u32>(0));
    let page = u64::from(pragma("page_size")?);
    let log = match location {
        Location::Memory => 0,
        Location::File(file) => std::fs::metadata(open::beside(file, "-wal")).map_or(0, |meta| meta.len()),
    };
    Ok(StoreSize {
        bytes: page * u64::from(pragma("page_count")?) + log,
        free: Some(page * u64::from(pragma("freelist_count")?)),
    })
}

fn found(name: &'static str, ok: bool, detail: String) -> StoreCheck {
    StoreCheck { name, ok, detail }
}
