//! Giving all that is kept, piece by piece. For a store at rest: each piece is several commands.

mod documents;
mod events;
mod payloads;

use super::Shared;
use crate::store::{Cursor, Dump, Item, StoreError, limits};

/// Where a walk is: in which part of the store, at which step of it, and behind which name there.
struct Place {
    stage: Stage,
    step: String,
    name: String,
}

/// What is given, in this order.
#[derive(Clone, Copy, PartialEq)]
enum Stage {
    /// step: cursor of `SCAN`, name: the last key given of what that step shows, in order of names.
    Documents,
    /// step: how many were given.
    Leased,
    /// step: how many were given of the claim of this name.
    Parked,
    /// step: how many were given, name: rank of the queue.
    Ready,
    Due,
    Tallies,
    /// Events that are in their own streams only. step: `cursor.id`, name: stream.
    Streams,
    /// step: the last id.
    Events,
    Paused,
}

const STAGES: [(&str, Stage); 9] = [
    ("documents", Stage::Documents),
    ("leased", Stage::Leased),
    ("parked", Stage::Parked),
    ("ready", Stage::Ready),
    ("due", Stage::Due),
    ("tallies", Stage::Tallies),
    ("streams", Stage::Streams),
    ("events", Stage::Events),
    ("paused", Stage::Paused),
];

impl Place {
    fn parse(cursor: &Cursor) -> Result<Self, StoreError> {
        let mut parts = cursor.0.splitn(3, ':');
        let parsed = (|| {
            let word = parts.next()?;
            let (_, stage) = *STAGES.iter().find(|(name, _)| *name == word)?;
            Some(Self { stage, step: parts.next()?.to_owned(), name: parts.next()?.to_owned() })
        })();
        parsed.ok_or_else(|| StoreError::Invalid("the cursor is not one of this store".to_owned()))
    }

    fn beginning_of(stage: Stage) -> Self {
        Self { stage, step: "0".to_owned(), name: String::new() }
    }

    fn at(stage: Stage, step: impl ToString, name: impl Into<String>) -> Option<Self> {
        Some(Self { stage, step: step.to_string(), name: name.into() })
    }

    fn cursor(&self) -> Cursor {
        let word = STAGES.iter().find(|(_, stage)| *stage == self.stage).map_or("", |(word, _)| word);
        Cursor(format!("{word}:{}:{}", self.step, self.name))
    }

    /// The step as a number.
    fn number(&self) -> Result<usize, StoreError> {
        self.step.parse().map_err(|_| StoreError::Invalid("the cursor is not one of this store".to_owned()))
    }

    /// The stage behind this one.
    fn next_stage(&self) -> Option<Self> {
        let at = STAGES.iter().position(|(_, stage)| *stage == self.stage)?;
        STAGES.get(at + 1).map(|(_, stage)| Self::beginning_of(*stage))
    }
}

/// What a stage gives at once, and where it goes on; nothing at its end.
type Piece = (Vec<Item>, Option<Place>);

pub(super) async fn dump(store: &Shared, after: Option<&Cursor>, limit: usize) -> Result<Dump, StoreError> {
    limits::check_page("items of a dump", limit)?;
    let mut place = match after {
        Some(cursor) => Place::parse(cursor)?,
        None => Place::beginning_of(Stage::Documents),
    };
    let mut left_out = Vec::new();
    loop {
        let (items, next) = match place.stage {
            Stage::Documents => documents::documents(store, &place, &mut left_out).await?,
            Stage::Leased => payloads::leased(store, &place, limit).await?,
            Stage::Parked => payloads::parked(store, &place, limit).await?,
            Stage::Ready => payloads::ready(store, &place, limit, &mut left_out).await?,
            Stage::Due => payloads::due(store, &place, limit).await?,
            Stage::Tallies => documents::tallies(store, &place).await?,
            Stage::Streams => events::streams(store, &place, limit).await?,
            Stage::Events => events::events(store, &place, limit).await?,
            Stage::Paused => payloads::paused(store).await?,
        };
        let next = next.or_else(|| place.next_stage());
        match next {
            // A step that had nothing to give.
            Some(next) if items.is_empty() && left_out.is_empty() => place = next,
            next => return Ok(Dump { items, left_out, next: next.map(|next| next.cursor()) }),
        }
    }
}
