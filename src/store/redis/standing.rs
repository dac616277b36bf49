//! Where a document is to stand and for how long, in the form that many documents of one call share.

use super::{keys::Keys, ms};
use crate::store::{IndexName, Put};

/// Where the id begins, life, main index and narrower ones as a msgpack list of texts; `scripts/apply/look.lua` says in which order.
pub(super) fn pack(put: &Put, keys: &Keys) -> Vec<u8> {
    let all = IndexName::all(put.key.kind);
    let main = put.indexes.iter().rfind(|(index, _)| *index == all);
    let narrower = put.indexes.iter().filter(|(index, _)| *index != all);
    let mut texts = Vec::with_capacity(2 + 2 * put.indexes.len().max(1));
    // As Lua counts: from 1, behind the prefix, the kind and its colon.
    texts.push((keys.prefix.len() + put.key.kind.0.len() + 2).to_string());
    texts.push(put.ttl_ms.map_or(String::new(), |ttl| ms::span(ttl).to_string()));
    texts.push(keys.index(&all));
    texts.push(main.map_or(String::new(), |(_, at)| ms::seconds(*at)));
    for (index, at) in narrower {
        texts.push(keys.index(index));
        texts.push(ms::seconds(*at));
    }
    let mut packed = Vec::with_capacity(8 + texts.iter().map(|text| text.len() + 5).sum::<usize>());
    // array 16: a document stands in at most a hundred indexes.
    packed.push(0xdc);
    packed.extend_from_slice(&(texts.len() as u16).to_be_bytes());
    for text in &texts {
        // str 32
        packed.push(0xdb);
        packed.extend_from_slice(&(text.len() as u32).to_be_bytes());
        packed.extend_from_slice(text.as_bytes());
    }
    packed
}
