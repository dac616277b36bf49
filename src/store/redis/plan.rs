//! Changes as the scripts in `scripts/apply/` read them: what is asked of many keys side by side in front,
//! one string of bytes that says whose is what, and the texts behind.

use std::collections::HashMap;

use deadpool_redis::redis::Cmd;

use super::{keys::Keys, ms, standing};
use crate::store::{
    Change, DocKey, EVENT_RETENTION_MS, IndexName, LeaseEnd, LeaseUse, MAX_EVENTS_PER_STREAM, Token, tally,
};

/// More than this many documents cannot be put in one call: each names its standing in one byte.
pub(super) const MAX_PUTS: usize = 255;

/// Says of an expectation that a revision is expected, not absence.
const HAS_REVISION: u16 = 0x8000;
/// Says of a queue entry that it falls due.
const HAS_DUE_TIME: u8 = 4;
/// Says of a change that it is made under no lease.
const NO_LEASE: u8 = 4;

/// The arguments of one call.
#[derive(Default)]
pub(super) struct Plan<'a> {
    prefix: &'a str,
    /// What each change consists of.
    changes: Vec<u8>,
    tokens: Vec<Token>,
    absent: Vec<String>,
    put: Vec<String>,
    deleted: Vec<String>,
    standings: Vec<Vec<u8>>,
    texts: Vec<Text<'a>>,
    enqueues: usize,
    events: usize,
}

enum Text<'a> {
    Bytes(&'a [u8]),
    Own(String),
}

impl<'a> Plan<'a> {
    pub fn of(changes: &'a [Change], keys: &'a Keys) -> Self {
        let mut plan = Self { prefix: &keys.prefix, ..Self::default() };
        let mut standings = HashMap::new();
        // Where the keys of the documents put begin among all is known when all absent ones are.
        for change in changes {
            let puts = change.put.iter().map(|put| keys.document(&put.key));
            plan.put.extend(puts);
            let others = change.expect.iter().map(|expectation| &expectation.key);
            plan.absent
                .extend(others.filter(|key| position(change, key).is_none()).map(|key| keys.document(key)));
        }
        let (mut absent, mut put) = (0, plan.absent.len());
        for change in changes {
            plan.add(change, keys, &mut standings, &mut absent, put);
            put += change.put.len();
        }
        plan
    }

    /// `absent` counts the absent keys that have been named, `put` is where the change's own keys begin.
    fn add(
        &mut self,
        change: &'a Change,
        keys: &Keys,
        standings: &mut HashMap<Vec<u8>, u8>,
        absent: &mut usize,
        put: usize,
    ) {
        let end = change.lease.as_ref().map_or(NO_LEASE, |lease| {
            self.tokens.push(lease.token);
            match &lease.end {
                LeaseEnd::Keep => 0,
                LeaseEnd::Finish => 1,
                LeaseEnd::Requeue => 2,
                LeaseEnd::Park(_) => 3,
            }
        });
        self.tokens.extend(&change.revoke);
        let lengths = [
            change.expect.len(),
            change.put.len(),
            change.delete.len(),
            change.enqueue.len(),
            change.events.len(),
            change.revoke.len(),
            change.claim.len(),
            tally::by_tally(&change.add).count(),
        ];
        self.changes.push(end);
        // Each is at most MAX_BATCH: `limits` has looked.
        self.changes.extend(lengths.map(|length| length as u8));
        let texts_are_said_at = self.changes.len();
        self.changes.extend([0, 0]);
        let texts_before = self.texts.len();

        for expectation in &change.expect {
            let number = match position(change, &expectation.key) {
                Some(position) => put + position,
                None => {
                    *absent += 1;
                    *absent - 1
                }
            };
            let mut number = number as u16;
            if let Some(revision) = &expectation.revision {
                number |= HAS_REVISION;
                self.texts.push(Text::Bytes(revision.as_str().as_bytes()));
            }
            self.changes.extend(number.to_be_bytes());
        }
        for run in tally::by_tally(&change.add) {
            self.changes.push(run.len() as u8);
            self.texts.push(Text::Bytes(run[0].tally.as_bytes()));
            self.texts.push(or_nothing(tally::life(run).map(ms::span)));
            self.texts.extend(run.iter().map(|add| Text::Bytes(add.field.as_bytes())));
            self.texts.extend(run.iter().map(|add| Text::Own(add.by.to_string())));
            self.texts.extend(run.iter().map(|add| or_nothing(add.below)));
        }
        for put in &change.put {
            let next = standings.len() as u8;
            let packed = standing::pack(put, keys);
            let number = *standings.entry(packed).or_insert_with_key(|packed| {
                self.standings.push(packed.clone());
                next
            });
            self.changes.push(number);
            self.texts.push(Text::Bytes(&put.body));
        }
        for key in &change.delete {
            self.deleted.push(keys.document(key));
            self.texts.push(Text::Bytes(key.id.as_bytes()));
            self.texts.push(Text::Own(keys.index(&IndexName::all(key.kind))));
        }
        for entry in &change.enqueue {
            let due = entry.due_at.map(|at| ms::point(at).to_string());
            self.changes.push(entry.queue.rank() + if due.is_some() { HAS_DUE_TIME } else { 0 });
            self.texts.extend(due.map(Text::Own));
            self.texts.push(Text::Bytes(&entry.payload));
        }
        for event in &change.events {
            self.texts.push(Text::Bytes(event.stream.as_bytes()));
            self.texts.push(Text::Bytes(&event.body));
        }
        let parked = match &change.lease {
            Some(LeaseUse { end: LeaseEnd::Park(claim), .. }) => Some(claim),
            _ => None,
        };
        for claim in change.claim.iter().chain(parked) {
            self.texts.push(Text::Bytes(claim.name.as_bytes()));
            self.texts.push(Text::Own(claim.limit.to_string()));
        }

        let texts = (self.texts.len() - texts_before) as u16;
        self.changes[texts_are_said_at..texts_are_said_at + 2].copy_from_slice(&texts.to_be_bytes());
        self.enqueues += change.enqueue.len();
        self.events += change.events.len();
    }

    pub fn write(&self, command: &mut Cmd) {
        let lengths = [
            self.tokens.len(),
            self.absent.len(),
            self.put.len(),
            self.deleted.len(),
            self.standings.len(),
            self.enqueues,
            self.events,
        ];
        let mut plan = Vec::with_capacity(2 * lengths.len() + self.changes.len());
        for length in lengths {
            plan.extend((length as u16).to_be_bytes());
        }
        plan.extend(&self.changes);
        command.arg(self.prefix).arg(MAX_EVENTS_PER_STREAM).arg(EVENT_RETENTION_MS).arg(plan);
        for token in &self.tokens {
            command.arg(token.0);
        }
        for key in self.absent.iter().chain(&self.put).chain(&self.deleted) {
            command.arg(key);
        }
        for standing in &self.standings {
            command.arg(standing);
        }
        for text in &self.texts {
            match text {
                Text::Bytes(bytes) => command.arg(*bytes),
                Text::Own(text) => command.arg(text),
            };
        }
    }
}

/// A number that may not be said.
fn or_nothing(number: Option<i64>) -> Text<'static> {
    Text::Own(number.map_or(String::new(), |number| number.to_string()))
}

/// Which of the documents that a change puts this is.
fn position(change: &Change, key: &DocKey) -> Option<usize> {
    change.put.iter().position(|put| put.key == *key)
}
