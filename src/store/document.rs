//! Documents: JSON bodies with a key, a revision, an optional life limit and time-ordered indexes.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::StoreError;

/// Milliseconds since the Unix epoch, on the store's own clock.
pub type UnixMs = i64;

/// The noun of a document. Its key is `{kind}:{id}`, its main index `{kind}s_index`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Kind(pub &'static str);

/// The most kinds that are known by name alone, and the longest such name.
const MAX_NAMED: usize = 1_000;
const MAX_KIND_BYTES: usize = 64;

impl Kind {
    /// The kind of this name, which somebody stored: a small letter, then small letters and `_`, at most 64
    /// of them. What it takes to know it is kept as long as the process lives, for at most 1,000 names.
    pub fn named(name: &str) -> Result<Self, StoreError> {
        static NAMED: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
        let letters = name.bytes().all(|c| c.is_ascii_lowercase() || c == b'_');
        if !letters || name.starts_with('_') || name.is_empty() || name.len() > MAX_KIND_BYTES {
            return Err(StoreError::Invalid(format!("`{name}` cannot be the name of a kind of documents")));
        }
        let mut named = NAMED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = named.get(name) {
            return Ok(Self(known));
        }
        if named.len() == MAX_NAMED {
            return Err(StoreError::Invalid(format!("there are more than {MAX_NAMED} kinds of documents")));
        }
        let name: &'static str = Box::leak(name.to_owned().into_boxed_str());
        named.insert(name);
        Ok(Self(name))
    }
}

/// The name of one document: `result:5f…`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DocKey {
    pub kind: Kind,
    pub id: String,
}

impl DocKey {
    pub fn new(kind: Kind, id: impl Into<String>) -> Self {
        Self { kind, id: id.into() }
    }
}

impl std::fmt::Display for DocKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.kind.0, self.id)
    }
}

/// What a document's body was when it was read: the SHA-1 of its bytes.
///
/// A content hash needs no counter beside the owner's plain JSON documents and works on documents
/// that a foreign program wrote. A body that went away and came back unchanged counts as unchanged,
/// which is right here: every decision is made from the body alone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Revision(String);

impl Revision {
    /// The revision of a body.
    pub fn of(body: &[u8]) -> Self {
        Self(sha1_smol::Sha1::from(body).digest().to_string())
    }

    /// 40 lower-case hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A document as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doc {
    pub key: DocKey,
    pub body: Vec<u8>,
}

impl Doc {
    pub fn revision(&self) -> Revision {
        Revision::of(&self.body)
    }

    /// Parses the body; a body that is not what the caller expects is [`StoreError::Corrupt`].
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, StoreError> {
        serde_json::from_slice(&self.body)
            .map_err(|e| StoreError::Corrupt { what: self.key.to_string(), why: e.to_string() })
    }
}

/// The name of a time-ordered set of document ids of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IndexName(String);

impl IndexName {
    /// The main index of a kind: `results_index`.
    pub fn all(kind: Kind) -> Self {
        Self(format!("{}s_index", kind.0))
    }

    /// A narrower index: `results_by_agent:qa_bot`.
    pub fn by(kind: Kind, field: &str, value: &str) -> Self {
        Self(format!("{}s_by_{field}:{value}", kind.0))
    }

    /// The index of this name, which an engine has stored.
    pub(crate) fn named(name: String) -> Self {
        Self(name)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A document to be written, with *all* that is to be true of it afterwards: its body, its life
/// limit and the indexes it stands in. What it stood in before and is not named here, it leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    pub key: DocKey,
    pub body: Vec<u8>,
    /// Milliseconds from the commit until the document is gone; `None` keeps it for ever.
    pub ttl_ms: Option<u64>,
    pub indexes: Vec<(IndexName, UnixMs)>,
}

impl Put {
    /// A document that lives for ever and stands in no index.
    pub fn raw(key: DocKey, body: impl Into<Vec<u8>>) -> Self {
        Self { key, body: body.into(), ttl_ms: None, indexes: Vec::new() }
    }

    /// The same from a serialisable value.
    pub fn json<T: Serialize>(key: DocKey, value: &T) -> Self {
        let body = serde_json::to_vec(value).expect("documents have string keys and no failing Serialize");
        Self::raw(key, body)
    }

    pub fn ttl_ms(mut self, ttl_ms: u64) -> Self {
        self.ttl_ms = Some(ttl_ms);
        self
    }

    /// Stand in the kind's main index at this time.
    pub fn indexed(self, at: UnixMs) -> Self {
        let index = IndexName::all(self.key.kind);
        self.index(index, at)
    }

    /// Stand in one more index at this time.
    pub fn index(mut self, index: IndexName, at: UnixMs) -> Self {
        self.indexes.push((index, at));
        self
    }
}

/// Where a page ended. Opaque: only the engine that made it can read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub String);

/// One page of an index, newest first; documents of the same time come in descending order of id.
#[derive(Debug, Clone)]
pub struct ListQuery {
    pub kind: Kind,
    pub index: IndexName,
    /// Where the page before ended.
    pub after: Option<Cursor>,
    /// Only what stands at this time or before it. Without meaning where `after` is given: a cursor goes on
    /// from its own place.
    pub until: Option<UnixMs>,
    /// From the other end: the oldest first, and those of the same time in ascending order of id. `until` has no
    /// meaning then, and a cursor leads on in the order in which it was made.
    pub oldest_first: bool,
    /// 1 to [`super::MAX_BATCH`].
    pub limit: usize,
}

impl ListQuery {
    /// The newest documents of a kind.
    pub fn newest(kind: Kind, limit: usize) -> Self {
        Self { kind, index: IndexName::all(kind), after: None, until: None, oldest_first: false, limit }
    }

    pub fn index(mut self, index: IndexName) -> Self {
        self.index = index;
        self
    }

    pub fn after(mut self, cursor: Option<Cursor>) -> Self {
        self.after = cursor;
        self
    }

    pub fn oldest_first(mut self) -> Self {
        self.oldest_first = true;
        self
    }

    pub fn until(mut self, at: Option<UnixMs>) -> Self {
        self.until = at;
        self
    }
}

/// A page of live documents. `next` is there when more may follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocPage {
    pub docs: Vec<Doc>,
    pub next: Option<Cursor>,
}
