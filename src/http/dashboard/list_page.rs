//! One page of a list, as its template gets it.

use serde::Serialize;

use crate::{http::render::segment, service::Listing};

/// One page of a list.
#[derive(Debug, Serialize)]
pub struct ListPage<R> {
    rows: Vec<R>,
    shown: usize,
    total: u64,
    #[serde(flatten)]
    paging: Paging,
}

impl<R> ListPage<R> {
    pub fn new<T>(path: &str, after: Option<&str>, listing: &Listing<T>, row: impl Fn(&T) -> R) -> Self {
        Self {
            rows: listing.items.iter().map(row).collect(),
            shown: listing.items.len(),
            total: listing.total,
            paging: Paging::new(path, after, listing.next.as_ref().map(|c| c.0.as_str())),
        }
    }
}

/// Where a list goes on.
#[derive(Debug, Serialize)]
struct Paging {
    /// Set when this is not the first page.
    newest: Option<String>,
    older: Option<String>,
}

impl Paging {
    fn new(path: &str, after: Option<&str>, next: Option<&str>) -> Self {
        Self {
            newest: after.map(|_| path.to_owned()),
            older: next.map(|cursor| {
                let mark = if path.contains('?') { '&' } else { '?' };
                format!("{path}{mark}after={}", segment(cursor))
            }),
        }
    }
}
