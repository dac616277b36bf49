//! Tallies: the verb that reads them. They are added to in the one write.

use std::collections::BTreeMap;

use super::{Shared, reply::Reply, script};
use crate::store::{StoreError, limits};

pub(super) async fn tallies(
    store: &Shared,
    names: &[String],
) -> Result<Vec<BTreeMap<String, i64>>, StoreError> {
    limits::check_batch("tallies", names.len())?;
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<String> = names.iter().map(|name| store.keys.tally(name)).collect();
    let mut reply = Reply::of("tallies", script::TALLIES.run(&store.read, &keys, |_| ()).await?)?;
    let mut tallies = Vec::with_capacity(names.len());
    for _ in names {
        let (mut fields, mut tally) = (reply.array()?, BTreeMap::new());
        while !fields.is_empty() {
            tally.insert(fields.text()?, fields.number()?);
        }
        tallies.push(tally);
    }
    Ok(tallies)
}
