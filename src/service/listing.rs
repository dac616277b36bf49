//! Pages of documents, parsed.

use serde::de::DeserializeOwned;

use crate::store::{Cursor, IndexName, Kind, ListQuery, MAX_BATCH, Store};

use super::ServiceError;

/// One page of a listing.
#[derive(Debug, Clone)]
pub struct Listing<T> {
    pub items: Vec<T>,
    /// Where the next page begins, when there may be one.
    pub next: Option<Cursor>,
    /// How many there are in all.
    pub total: u64,
}

/// The newest `limit` documents of an index after a cursor. One that cannot be read is passed over
/// with a line in the log: it must not hide the others.
pub(super) async fn page<T: DeserializeOwned>(
    store: &dyn Store,
    kind: Kind,
    index: IndexName,
    limit: usize,
    after: Option<Cursor>,
) -> Result<Listing<T>, ServiceError> {
    let total = store.count(&index).await?;
    let mut query = ListQuery::newest(kind, 1).index(index).after(after);
    let mut items: Vec<T> = Vec::new();
    loop {
        query.limit = (limit - items.len()).clamp(1, MAX_BATCH);
        let page = store.list(&query).await?;
        for doc in &page.docs {
            match doc.parse() {
                Ok(item) => items.push(item),
                Err(e) => log::warn!("passed over in a listing: {e}"),
            }
        }
        match page.next {
            Some(next) if items.len() < limit => query.after = Some(next),
            next => return Ok(Listing { items, next, total }),
        }
    }
}
