//! Where the watcher looks: Redis through the store, the embedded store's file past its lock.

use std::{path::PathBuf, sync::Arc};

use productforge::{
    service::records,
    store::{IndexName, MAX_BATCH, QueueDepth, Store, StoreError},
};
use rusqlite::{Connection, OpenFlags, params};

use super::watch::{Lease, Look};

pub enum Place {
    Redis(Arc<dyn Store>),
    Sqlite {
        file: PathBuf,
        reader: Option<Connection>,
        /// Documents up to this number were looked at.
        last_document: i64,
    },
}

impl Place {
    /// What there is to see, if there is a way to look.
    pub async fn look(&mut self) -> Option<Look> {
        match self {
            Self::Redis(store) => look_at_redis(store.as_ref()).await.ok(),
            Self::Sqlite { file, reader, last_document } => {
                if reader.is_none() {
                    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                    *reader = Connection::open_with_flags(file, flags).ok();
                }
                look_at_sqlite(reader.as_ref()?, last_document).ok()
            }
        }
    }

    /// Nobody else has the file open when its process is killed: so the next one has to mend it.
    pub fn let_go(&mut self) {
        if let Self::Sqlite { reader, .. } = self {
            *reader = None;
        }
    }
}

async fn look_at_redis(store: &dyn Store) -> Result<Look, StoreError> {
    let leases = store.leases(MAX_BATCH).await?.into_iter();
    let depth = store.depth().await?;
    let finished = store.count(&IndexName::all(records::RESULT)).await?;
    let leases = leases.map(|l| Lease { token: l.token.0, worker: l.worker, expires_at: l.expires_at });
    Ok(Look { depth, leases: leases.collect(), finished, journaled: Vec::new() })
}

fn look_at_sqlite(reader: &Connection, last_document: &mut i64) -> rusqlite::Result<Look> {
    let _one_moment = reader.unchecked_transaction()?;
    let mut leases = reader.prepare_cached("SELECT token, worker, expires_at FROM leases")?;
    let leases = leases.query_map([], |row| {
        let token = row.get::<_, i64>(0)? as u64;
        Ok(Lease { token, worker: row.get(1)?, expires_at: row.get(2)? })
    })?;
    let leases = leases.collect::<rusqlite::Result<Vec<_>>>()?;
    let number = |query: &str| {
        let number: i64 = reader.prepare_cached(query)?.query_row([], |row| row.get(0))?;
        Ok::<_, rusqlite::Error>(number as u64)
    };
    let depth = QueueDepth {
        normal: number("SELECT count(*) FROM ready")?,
        due: number("SELECT count(*) FROM due")?,
        leased: leases.len() as u64,
        ..QueueDepth::default()
    };
    let finished = number("SELECT coalesce(sum(entries), 0) FROM indexes WHERE name = 'results_index'")?;
    let mut fresh = reader.prepare_cached("SELECT no, kind, id FROM documents WHERE no > ?1")?;
    let fresh = fresh.query_map(params![*last_document], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
    })?;
    let mut journaled = Vec::new();
    for document in fresh {
        let (no, kind, id) = document?;
        *last_document = no.max(*last_document);
        journaled.extend(id.strip_suffix(":1").filter(|_| kind == "call").map(str::to_owned));
    }
    Ok(Look { depth, leases, finished, journaled })
}
