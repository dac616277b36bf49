//! What a store keeps, added up, so that two stores can be compared: how many of each, and a digest of every
//! single thing. Takes about a hundred bytes of memory for each.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::store::{Item, Put, UnixMs};

use std::time::Duration;

/// What ends so soon after the comparison may have ended in one store and not in the other.
const SOON: Duration = Duration::from_secs(60);

/// What is counted together: `documents: result`, `jobs: queue_high`, `jobs: due later`, `tallies`, `events`,
/// `paused queues`.
pub type Group = String;

/// How many of a group there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub group: Group,
    pub from: u64,
    pub to: u64,
}

/// Enough of SHA-256 to tell everything from everything else.
type Fingerprint = [u8; 16];

#[derive(Default)]
pub(super) struct Summary {
    groups: BTreeMap<Group, Things>,
    left_behind: BTreeSet<(String, String)>,
    items: u64,
}

#[derive(Default)]
struct Things {
    found: HashMap<Fingerprint, Found>,
    count: u64,
    /// Over all in the order in which they came, where they have one.
    in_order: Option<Sha256>,
}

struct Found {
    times: u64,
    ends_at: Option<Instant>,
}

impl Summary {
    /// Adds what was read at this moment.
    pub fn add(&mut self, item: &Item, now: Instant) {
        self.items += 1;
        let (group, fingerprint, ends_at, once, has_order) = match item {
            Item::Document(put) => {
                let ends_at = put.ttl_ms.and_then(|ttl| now.checked_add(Duration::from_millis(ttl)));
                (format!("documents: {}", put.key.kind.0), of_document(put), ends_at, true, false)
            }
            Item::Payload(payload) => {
                let (group, due_at) = match payload.due_at {
                    Some(due_at) => ("due later", due_at),
                    None => (payload.queue.name(), UnixMs::MIN),
                };
                let numbers = [due_at, payload.crashes.into(), payload.queue.rank().into()];
                let fingerprint =
                    fingerprint(numbers.map(i64::to_be_bytes).as_flattened(), &[&payload.payload]);
                (format!("jobs: {group}"), fingerprint, None, false, payload.due_at.is_none())
            }
            Item::Tally(tally) => {
                let ends_at = tally.ttl_ms.and_then(|ttl| now.checked_add(Duration::from_millis(ttl)));
                let fields = serde_json::to_vec(&tally.fields).unwrap_or_default();
                (
                    "tallies".to_owned(),
                    fingerprint(&[], &[tally.name.as_bytes(), &fields]),
                    ends_at,
                    true,
                    false,
                )
            }
            Item::Event { event, .. } => {
                let numbers = [event.id.to_be_bytes(), event.at.to_be_bytes()];
                let texts = [event.stream.as_bytes(), &event.body];
                ("events".to_owned(), fingerprint(numbers.as_flattened(), &texts), None, true, false)
            }
            Item::Paused(queue) => {
                ("paused queues".to_owned(), fingerprint(&[queue.rank()], &[]), None, true, false)
            }
        };
        let things = self.groups.entry(group).or_default();
        let found = things.found.entry(fingerprint).or_insert(Found { times: 0, ends_at });
        // What can come twice in a walk is there once.
        if !(once && found.times == 1) {
            found.times += 1;
            things.count += 1;
        }
        if has_order {
            things.in_order.get_or_insert_default().update(fingerprint);
        }
    }

    pub fn leave(&mut self, left_out: Vec<(String, String)>) {
        self.left_behind.extend(left_out);
    }

    /// How many items came.
    pub fn items(&self) -> u64 {
        self.items
    }

    pub fn left_behind(&self, most: usize) -> Vec<(String, String)> {
        self.left_behind.iter().take(most).cloned().collect()
    }

    /// All documents in one number that does not hang on their order.
    pub fn documents_digest(&self) -> String {
        let documents = self.groups.iter().filter(|(group, _)| group.starts_with("documents: "));
        let sum = documents
            .flat_map(|(_, things)| things.found.keys())
            .fold(0_u128, |sum, fingerprint| sum.wrapping_add(u128::from_be_bytes(*fingerprint)));
        format!("{sum:032x}")
    }

    pub fn counts(&self, target: &Summary) -> Vec<Counts> {
        let groups: BTreeSet<&Group> = self.groups.keys().chain(target.groups.keys()).collect();
        let count = |summary: &Summary, group| summary.groups.get(group).map_or(0, |things| things.count);
        groups
            .into_iter()
            .map(|group| Counts { group: group.clone(), from: count(self, group), to: count(target, group) })
            .collect()
    }

    /// Whether all of this is in the target, and unless it was added to something, nothing else; a sentence
    /// about the first group where it is not so.
    pub fn compare(&self, target: &Summary, now: Instant, added: bool) -> Result<(), String> {
        let nothing = Things::default();
        for (group, things) in &self.groups {
            // Events of a store that has later ones are not taken; it keeps its own history.
            if added && group == "events" {
                continue;
            }
            let there = target.groups.get(group).unwrap_or(&nothing);
            let missing = things.missing_in(there, now + SOON);
            if missing > 0 {
                return Err(format!("{missing} of {} ({group}) are missing or differ", things.count));
            }
            let order = |things: &Things| things.in_order.clone().map(Digest::finalize);
            if !added && order(things) != order(there) {
                return Err(format!("{group} have another order"));
            }
        }
        for (group, things) in target.groups.iter().filter(|_| !added) {
            let more = things.missing_in(self.groups.get(group).unwrap_or(&nothing), now + SOON);
            if more > 0 {
                return Err(format!("the target has {more} more ({group})"));
            }
        }
        Ok(())
    }
}

impl Things {
    /// How many of these are not among others, but for those that end before this moment.
    fn missing_in(&self, others: &Things, but_before: Instant) -> u64 {
        let ended = |found: &Found| found.ends_at.is_some_and(|end| end < but_before);
        let missing = self.found.iter().filter(|(_, found)| !ended(found)).map(|(fingerprint, found)| {
            found.times.saturating_sub(others.found.get(fingerprint).map_or(0, |other| other.times))
        });
        missing.sum()
    }
}

fn of_document(put: &Put) -> Fingerprint {
    let mut indexes: Vec<(&str, UnixMs)> =
        put.indexes.iter().map(|(index, at)| (index.as_str(), *at)).collect();
    indexes.sort_unstable();
    let indexes = serde_json::to_vec(&indexes).unwrap_or_default();
    let texts = [put.key.kind.0.as_bytes(), put.key.id.as_bytes(), &put.body, &indexes];
    fingerprint(&[u8::from(put.ttl_ms.is_some())], &texts)
}

fn fingerprint(numbers: &[u8], texts: &[&[u8]]) -> Fingerprint {
    let mut digest = Sha256::new();
    digest.update(numbers);
    for text in texts {
        digest.update((text.len() as u64).to_be_bytes());
        digest.update(text);
    }
    let mut first = Fingerprint::default();
    first.copy_from_slice(&digest.finalize()[..16]);
    first
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{DocKey, Kind, Payload, Queue};

    fn summary(items: &[Item]) -> Summary {
        let mut summary = Summary::default();
        items.iter().for_each(|item| summary.add(item, Instant::now()));
        summary
    }

    fn document(body: &str, ttl_ms: Option<u64>) -> Item {
        Item::Document(Put { ttl_ms, ..Put::raw(DocKey::new(Kind("note"), "a"), body) })
    }

    fn job(payload: &str) -> Item {
        Item::Payload(Payload { queue: Queue::Normal, payload: payload.into(), crashes: 0, due_at: None })
    }

    fn compare(from: &[Item], to: &[Item], added: bool) -> Result<(), String> {
        summary(from).compare(&summary(to), Instant::now(), added)
    }

    #[test]
    fn what_is_missing_too_much_or_out_of_order_is_noticed() {
        let (a, b) = (document("1", None), document("2", None));
        assert_eq!(compare(&[a.clone(), a.clone()], std::slice::from_ref(&a), false), Ok(()));
        assert!(compare(std::slice::from_ref(&a), std::slice::from_ref(&b), false).is_err());
        assert!(compare(std::slice::from_ref(&a), &[a.clone(), b.clone()], false).is_err());
        assert_eq!(compare(std::slice::from_ref(&a), &[a.clone(), b], true), Ok(()));
        let (x, y) = (job("x"), job("y"));
        assert_eq!(compare(&[x.clone(), y.clone()], &[x.clone(), y.clone()], false), Ok(()));
        assert!(
            compare(&[x.clone(), y.clone()], &[y.clone(), x.clone()], false).unwrap_err().contains("order")
        );
        assert!(compare(&[x.clone(), x.clone()], std::slice::from_ref(&x), false).is_err());
    }

    #[test]
    fn what_ends_soon_may_be_gone_and_a_life_may_not_be_lost() {
        assert_eq!(compare(&[document("1", Some(10))], &[], false), Ok(()));
        let (lives, for_ever) = (document("1", Some(3_600_000)), document("1", None));
        assert!(compare(std::slice::from_ref(&lives), &[], false).is_err());
        assert!(compare(&[lives], &[for_ever], false).is_err());
    }
}
