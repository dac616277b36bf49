//! Looking at documents, many at once, whatever is stored under their keys.

use std::sync::LazyLock;

use super::Adoption;
use crate::store::{
    DocKey, IndexName, MAX_DOCUMENT_BYTES, StoreError,
    redis::{Lua, Reply},
};

/// How many keys one script looks at.
pub(super) const PIECE: usize = 100;
/// After so many bytes of bodies a script gives no more of them.
const ENOUGH_BYTES: usize = 4 << 20;

pub(super) static SCAN: LazyLock<Lua> =
    LazyLock::new(|| Lua::reading(include_str!("../../../migrations-redis/0001_adopt_legacy/scan.lua")));
static LOOK: LazyLock<Lua> =
    LazyLock::new(|| Lua::reading(include_str!("../../../migrations-redis/0001_adopt_legacy/look.lua")));

/// What is stored under the key of a document.
pub(super) struct Found {
    pub key: DocKey,
    /// Redis' word for its type.
    pub kind: String,
    /// How long it lives on; `None`: for ever.
    pub ttl_ms: Option<u64>,
    pub bytes: usize,
    /// Where it stands in its main index, in seconds.
    pub score: Option<f64>,
    /// Whether narrower indexes are noted for it.
    pub narrower: bool,
    /// `None` where it is no string, or too long.
    pub body: Option<Vec<u8>>,
}

impl Adoption<'_> {
    /// What is stored under these keys, at most [`PIECE`] of them; nothing for one that is gone.
    pub(super) async fn look(&self, keys: &[DocKey]) -> Result<Vec<Found>, StoreError> {
        let mut all = Vec::with_capacity(keys.len());
        let mut rest = keys.to_vec();
        while !rest.is_empty() {
            let found = self.look_once(&rest).await?;
            rest.clear();
            for found in found {
                let cut_off =
                    found.kind == "string" && found.body.is_none() && found.bytes <= MAX_DOCUMENT_BYTES;
                match cut_off {
                    true => rest.push(found.key),
                    false if found.kind == "none" => {}
                    false => all.push(found),
                }
            }
        }
        Ok(all)
    }

    async fn look_once(&self, keys: &[DocKey]) -> Result<Vec<Found>, StoreError> {
        let names: Vec<String> = std::iter::once(self.raw.indexed().to_owned())
            .chain(keys.iter().map(|key| self.raw.key(&key.to_string())))
            .collect();
        let value = self
            .raw
            .run(&LOOK, &names, |command| {
                command.arg(MAX_DOCUMENT_BYTES).arg(ENOUGH_BYTES);
                for key in keys {
                    command.arg(self.raw.index(&IndexName::all(key.kind))).arg(&key.id);
                }
            })
            .await?;
        let mut reply = Reply::of("a look at documents", value)?;
        let mut found = Vec::with_capacity(keys.len());
        for key in keys {
            let kind = reply.text()?;
            let life: i64 = reply.number()?;
            let bytes = reply.number()?;
            let score = reply.optional_bytes()?;
            found.push(Found {
                key: key.clone(),
                kind,
                ttl_ms: u64::try_from(life).ok(),
                bytes,
                score: score.and_then(|score| std::str::from_utf8(&score).ok()?.parse().ok()),
                narrower: reply.number::<i64>()? == 1,
                body: reply.optional_bytes()?,
            });
        }
        Ok(found)
    }
}
