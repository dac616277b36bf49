//! All results that fit a filter, newest first, in pieces of bounded size.

use std::sync::Arc;

use crate::{
    model::JobResult,
    service::{Foundation, ServiceError},
    store::{Doc, ListQuery, MAX_BATCH},
};

use super::ResultFilter;

/// The first piece is small, because nobody knows how large results are.
const FIRST_PIECE: usize = 8;
/// About how many bytes one piece is to have.
const PIECE_BYTES: usize = 1 << 20;

/// A walk through the results. What is written or removed meanwhile may or may not be seen.
pub struct Walk {
    base: Arc<Foundation>,
    filter: ResultFilter,
    /// Where to go on; `None` at the end.
    query: Option<ListQuery>,
}

impl Walk {
    pub(in crate::service) fn new(base: Arc<Foundation>, filter: ResultFilter) -> Self {
        let query = Some(filter.query(FIRST_PIECE));
        Self { base, filter, query }
    }

    /// The next piece, which may be empty; `None` after the last one.
    pub async fn next(&mut self) -> Result<Option<Vec<JobResult>>, ServiceError> {
        let Some(query) = self.query.take() else { return Ok(None) };
        let page = self.base.store.list(&query).await?;
        let bytes: usize = page.docs.iter().map(|doc| doc.body.len()).sum();
        let each = bytes.div_ceil(page.docs.len().max(1)).max(1);
        let (results, ended) = fitting(&page.docs, &self.filter);
        self.query = page.next.filter(|_| !ended).map(|next| ListQuery {
            limit: (PIECE_BYTES / each).clamp(1, MAX_BATCH),
            after: Some(next),
            ..query
        });
        Ok(Some(results))
    }
}

/// The results among these documents that fit, and whether nothing can follow them. One that cannot be read
/// is passed over with a line in the log: it must not hide the others.
pub(super) fn fitting(docs: &[Doc], filter: &ResultFilter) -> (Vec<JobResult>, bool) {
    let mut results = Vec::with_capacity(docs.len());
    for doc in docs {
        match doc.parse::<JobResult>() {
            Ok(result) if filter.ends_before(&result) => return (results, true),
            Ok(result) if filter.fits(&result) => results.push(result),
            Ok(_) => {}
            Err(e) => log::warn!("passed over in a listing: {e}"),
        }
    }
    (results, false)
}
