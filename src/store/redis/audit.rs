//! The slow walk through leases and indexes that mends what an eviction or a failover left half done.

use super::{Shared, reply::Reply, script};
use crate::store::{AuditPart, Audited, Cursor, StoreError};

/// The last of the four walks of [`AuditPart::Leases`].
const CLAIMS: &str = "4";

pub(super) async fn audit(
    store: &Shared,
    part: &AuditPart,
    after: Option<Cursor>,
) -> Result<Audited, StoreError> {
    let keys = &store.keys;
    match part {
        AuditPart::Leases => {
            let place = after.map_or("1 0".to_owned(), |cursor| cursor.0);
            let (walk, cursor) = place.split_once(' ').ok_or_else(foreign_cursor)?;
            if !["1", "2", "3", CLAIMS].contains(&walk) || cursor.parse::<u64>().is_err() {
                return Err(foreign_cursor());
            }
            if walk == CLAIMS {
                return audit_claims(store, cursor).await;
            }
            let [high, normal, low] = &keys.lists;
            let touched = [high, normal, low, &keys.leases, &keys.inflight, &keys.crashes, &keys.claimed];
            let value = script::AUDIT_LEASES.run(&store.work, &touched, |command| {
                command.arg(&keys.prefix).arg(walk).arg(cursor);
            });
            let mut reply = Reply::of("audit", value.await?)?;
            let (walk, cursor): (u8, _) = (reply.number()?, reply.text()?);
            let next = if walk == 0 { format!("{CLAIMS} 0") } else { format!("{walk} {cursor}") };
            read(reply, Some(Cursor(next)))
        }
        AuditPart::Index(kind, index) => {
            let cursor = after.map_or("0".to_owned(), |cursor| cursor.0);
            if cursor.parse::<u64>().is_err() {
                return Err(foreign_cursor());
            }
            let before_id = format!("{}{}:", keys.prefix, kind.0);
            let touched = [keys.index(index), keys.indexed.clone()];
            let value = script::AUDIT_INDEX.run(&store.work, &touched, |command| {
                command.arg(&before_id).arg(&cursor);
            });
            let mut reply = Reply::of("audit", value.await?)?;
            let next = reply.text()?;
            read(reply, (next != "0").then_some(Cursor(next)))
        }
    }
}

async fn audit_claims(store: &Shared, cursor: &str) -> Result<Audited, StoreError> {
    let keys = &store.keys;
    let touched = [&keys.leases, &keys.parked, &keys.parked_count];
    let value = script::AUDIT_CLAIMS.run(&store.work, &touched, |command| {
        command.arg(&keys.prefix).arg(cursor);
    });
    let mut reply = Reply::of("audit", value.await?)?;
    let next = reply.text()?;
    read(reply, (next != "0").then(|| Cursor(format!("{CLAIMS} {next}"))))
}

fn read(mut reply: Reply, next: Option<Cursor>) -> Result<Audited, StoreError> {
    let looked_at = reply.number()?;
    let mut mended = Vec::with_capacity(reply.len());
    while !reply.is_empty() {
        mended.push(String::from_utf8_lossy(&reply.bytes()?).into_owned());
    }
    Ok(Audited { looked_at, mended, next })
}

fn foreign_cursor() -> StoreError {
    StoreError::Invalid("the cursor is not one of this store".to_owned())
}
