//! The audit: holds what is kept beside the rows against the rows themselves.
//!
//! Every write is one transaction, so only a foreign hand or a fault of this program leaves anything to
//! mend. Numbers are recounted up to [`COUNTED`], so that a piece costs the same however much is stored.

use rusqlite::params;

use super::{
    indexes,
    queues::{self, Place},
    step::Step,
};
use crate::store::{Audited, Cursor, IndexName, MAX_BATCH, StoreError, Token};

/// What is more than this is not counted again.
const COUNTED: i64 = 10_000;

/// Where the audit of the leases goes on.
enum Stage {
    /// At the holders of claims behind this one.
    Holders(Token, String),
    /// At the names behind this one.
    Claims(String),
}

impl Stage {
    fn cursor(&self) -> Cursor {
        Cursor(match self {
            Stage::Holders(token, name) => format!("holders:{token}:{name}"),
            Stage::Claims(name) => format!("claims:{name}"),
        })
    }

    fn parse(cursor: &Cursor) -> Option<Self> {
        let (stage, place) = cursor.0.split_once(':')?;
        match stage {
            "holders" => {
                let (token, name) = place.split_once(':')?;
                Some(Stage::Holders(Token(token.parse().ok()?), name.to_owned()))
            }
            "claims" => Some(Stage::Claims(place.to_owned())),
            _ => None,
        }
    }
}

/// One piece of: the numbers of `depths`, the holders of claims, the numbers of claims.
pub(super) fn leases(step: &Step, after: Option<&Cursor>) -> Result<Audited, StoreError> {
    let mut audited = Audited::default();
    let stage = match after {
        Some(cursor) => Stage::parse(cursor).ok_or_else(indexes::foreign_cursor)?,
        None => {
            recount_places(step, &mut audited)?;
            Stage::Holders(Token(0), String::new())
        }
    };
    let next = match stage {
        Stage::Holders(token, name) => Some(holders(step, token, &name, &mut audited)?),
        Stage::Claims(name) => claims(step, &name, &mut audited)?,
    };
    audited.next = next.map(|stage| stage.cursor());
    Ok(audited)
}

/// One piece of an index: entries whose document is gone leave it.
pub(super) fn index(step: &Step, index: &IndexName, after: Option<&Cursor>) -> Result<Audited, StoreError> {
    let (entries, next) = indexes::documents_of(step, index, after, MAX_BATCH)?;
    let mut audited = Audited { looked_at: entries.len(), mended: Vec::new(), next };
    for entry in entries.into_iter().filter(|entry| !entry.exists) {
        indexes::leave(step, entry.document, entry.index_no)?;
        audited.mended.push(format!("{}: `{}` stood in it, which is gone", index.as_str(), entry.id));
    }
    if audited.next.is_none() {
        recount_index(step, index, &mut audited)?;
    }
    Ok(audited)
}

fn recount_places(step: &Step, audited: &mut Audited) -> Result<(), StoreError> {
    let amounts = queues::amounts(step)?;
    for place in Place::ALL {
        let count = |which: &str, rank: i64| -> Result<i64, StoreError> {
            let sql = format!("SELECT count(*) FROM (SELECT 1 FROM {which} LIMIT ?1)");
            Ok(step.sql(&sql)?.query_row([COUNTED + 1, rank], |row| row.get(0))?)
        };
        let (name, found) = match place {
            Place::Ready(queue) => (queue.name(), count("ready WHERE queue = ?2", queue.rank().into())?),
            Place::Due => ("those that are due later", count("due WHERE ?2 = 0", 0)?),
            Place::Leased => ("those under a lease", count("leases WHERE ?2 = 0", 0)?),
            Place::Parked => ("those that are parked", count("parked WHERE ?2 = 0", 0)?),
        };
        audited.looked_at += 1;
        let counted = amounts[place.number()];
        if found <= COUNTED && found != counted {
            queues::count(step, place, found - counted);
            audited.mended.push(format!("{name}: there are {found}, {counted} were counted"));
        }
    }
    Ok(())
}

fn holders(step: &Step, token: Token, name: &str, audited: &mut Audited) -> Result<Stage, StoreError> {
    let piece: Vec<(Token, String, bool)> = step
        .sql(
            "SELECT token, name, token IN (SELECT token FROM leases) FROM holders
             WHERE (token, name) > (?1, ?2) ORDER BY token, name LIMIT ?3",
        )?
        .query_map(params![token, name, MAX_BATCH as i64], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    audited.looked_at += piece.len();
    for (token, name, _) in piece.iter().filter(|(_, _, held)| !held) {
        step.sql("DELETE FROM holders WHERE token = ?1 AND name = ?2")?.execute(params![token, name])?;
        step.sql("UPDATE claims SET held = held - 1 WHERE name = ?1")?.execute([name])?;
        audited.mended.push(format!("`{name}` was held by lease {token}, which has ended"));
    }
    Ok(match piece.into_iter().next_back() {
        Some((token, name, _)) => Stage::Holders(token, name),
        None => Stage::Claims(String::new()),
    })
}

fn claims(step: &Step, after: &str, audited: &mut Audited) -> Result<Option<Stage>, StoreError> {
    let names: Vec<(String, i64, i64)> = step
        .sql("SELECT name, held, parked FROM claims WHERE name > ?1 ORDER BY name LIMIT ?2")?
        .query_map(params![after, MAX_BATCH as i64 / 10], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    audited.looked_at += names.len();
    for (name, held, parked) in &names {
        let count = |table: &str| -> Result<i64, StoreError> {
            let sql = format!("SELECT count(*) FROM (SELECT 1 FROM {table} WHERE name = ?1 LIMIT ?2)");
            Ok(step.sql(&sql)?.query_row(params![name, COUNTED + 1], |row| row.get(0))?)
        };
        let (holders, waiting) = (count("holders")?, count("parked")?);
        if holders <= COUNTED && waiting <= COUNTED && (holders, waiting) != (*held, *parked) {
            step.sql("UPDATE claims SET held = ?2, parked = ?3 WHERE name = ?1")?
                .execute(params![name, holders, waiting])?;
            audited.mended.push(format!(
                "`{name}`: {holders} hold it and {waiting} are parked for it, {held} and {parked} were counted"
            ));
        }
        super::claims::forget_unused(step, name)?;
    }
    Ok(names.into_iter().next_back().map(|(name, ..)| Stage::Claims(name)))
}

fn recount_index(step: &Step, index: &IndexName, audited: &mut Audited) -> Result<(), StoreError> {
    let Some((no, counted)) = indexes::entries(step, index)? else { return Ok(()) };
    let found: i64 = step
        .sql("SELECT count(*) FROM (SELECT 1 FROM index_entries WHERE index_no = ?1 LIMIT ?2)")?
        .query_row([no, COUNTED + 1], |row| row.get(0))?;
    if found <= COUNTED && found != counted {
        step.known.count_entries(no, found - counted);
        let name = index.as_str();
        audited.mended.push(format!("{name}: there are {found} entries, {counted} were counted"));
    }
    Ok(())
}
