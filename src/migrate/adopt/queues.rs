//! Lists of jobs: which jobs wait, and those that nobody would ever take.
//!
//! The earlier API put a job of priority `p` into the list `queue_p`, whatever `p` was, and its worker took
//! from `queue` alone. The three lists of the schema are consumed; what waits in any other one moves
//! behind what waits in one of them. A list may be somebody else's: only what is a job of the earlier API moves.

use std::{collections::HashSet, sync::LazyLock};

use deadpool_redis::redis::{Value, cmd};

use super::{Adoption, LISTS};
use crate::{
    migrate::{MigrateError, report::Change as Word},
    service::adoption,
    store::{
        MAX_PAYLOAD_BYTES, Queue, StoreError,
        redis::{Lua, Reply},
    },
};

static MOVE: LazyLock<Lua> =
    LazyLock::new(|| Lua::writing(include_str!("../../../migrations-redis/0001_adopt_legacy/move_jobs.lua")));

/// How many payloads are read at once.
const PIECE: usize = 50;
/// The most bytes of payloads that one script moves, beyond the first.
const PIECE_BYTES: usize = 1 << 20;

impl Adoption<'_> {
    /// The ids of all jobs that wait in a list, consumed or not.
    pub(super) async fn waiting_jobs(&mut self) -> Result<HashSet<String>, MigrateError> {
        let consumed = Queue::ALL.iter().map(|queue| queue.name().to_owned());
        let lists: Vec<String> = consumed.chain(self.lists.iter().cloned()).collect();
        let mut waiting = HashSet::new();
        for list in lists {
            let mut from_tail = 0;
            loop {
                self.may_go_on()?;
                let piece = self.piece(&list, from_tail).await?;
                from_tail += piece.len();
                waiting.extend(piece.iter().filter_map(|payload| adoption::job_id(payload)));
                if piece.len() < PIECE {
                    break;
                }
            }
        }
        Ok(waiting)
    }

    pub(super) async fn move_jobs(&mut self) -> Result<(), MigrateError> {
        for list in std::mem::take(&mut self.lists) {
            let to = destination(&list);
            let mut kept = 0;
            loop {
                self.may_go_on()?;
                let piece = self.piece(&list, kept).await?;
                let read = piece.len();
                let (jobs, others): (Vec<_>, Vec<_>) =
                    piece.into_iter().partition(|payload| adoption::is_legacy_job(payload));
                // What is not moved stays at the tail, in front of what is read next; so does all in a check.
                kept += others.len();
                if !others.is_empty() {
                    self.work
                        .leave(&list, format!("{} entries are no jobs of the earlier API", others.len()));
                }
                kept += self.move_piece(&list, to, jobs).await?;
                if read < PIECE {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Moves these, in parts; how many of them are still in the list.
    async fn move_piece(&mut self, list: &str, to: Queue, jobs: Vec<Vec<u8>>) -> Result<usize, MigrateError> {
        let keys = [self.raw.key(list), self.raw.key(to.name())];
        let mut rest = jobs.as_slice();
        let mut kept = 0;
        while !rest.is_empty() {
            let (part, behind) = rest.split_at(part_of(rest));
            rest = behind;
            let moved = if self.applies() {
                let value = self.raw.run(&MOVE, &keys, |command| {
                    for payload in part {
                        command.arg(payload);
                    }
                });
                let moved = match value.await? {
                    Value::Int(moved) => usize::try_from(moved).unwrap_or(0),
                    _ => 0,
                };
                if moved == 0 {
                    kept += part.len();
                    self.work.leave(list, format!("{} jobs cannot be moved to {}", part.len(), to.name()));
                }
                moved
            } else {
                kept += part.len();
                part.len()
            };
            for payload in part.iter().take(moved) {
                self.work.change(Word::JobMoved, || {
                    let id = adoption::job_id(payload).unwrap_or_else(|| "without an id".to_owned());
                    format!("job {id} from {list} to {}", to.name())
                });
            }
        }
        Ok(kept)
    }

    /// The payloads of a list behind so many at its tail, the first one to be taken first. Nothing if it is no list.
    async fn piece(&self, list: &str, from_tail: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        let (first, last) = (-((from_tail + PIECE) as i64), -(from_tail as i64) - 1);
        let mut command = cmd("LRANGE");
        command.arg(self.raw.key(list)).arg(first).arg(last);
        let value = match self.raw.read(&command).await {
            Err(StoreError::Corrupt { .. }) => return Ok(Vec::new()),
            value => value?,
        };
        let mut reply = Reply::of("a list", value)?;
        let mut payloads = Vec::with_capacity(reply.len());
        while !reply.is_empty() {
            payloads.push(reply.bytes()?);
        }
        payloads.reverse();
        Ok(payloads)
    }
}

/// How many of these one script moves.
fn part_of(payloads: &[Vec<u8>]) -> usize {
    let mut bytes = 0;
    let fitting = payloads.iter().take_while(|payload| {
        bytes += payload.len();
        bytes <= PIECE_BYTES
    });
    fitting.count().max(1)
}

/// The queue that the jobs of a list go to: the one that its name means, else the normal one.
fn destination(list: &str) -> Queue {
    match list.strip_prefix(LISTS).unwrap_or(list).trim().to_lowercase().as_str() {
        "high" => Queue::High,
        "low" => Queue::Low,
        _ => Queue::Normal,
    }
}

const _: () = assert!(MAX_PAYLOAD_BYTES <= PIECE_BYTES);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_goes_where_its_name_says() {
        for (list, queue) in [
            ("queue_wild", Queue::Normal),
            ("queue_None", Queue::Normal),
            ("queue_normal", Queue::Normal),
            ("queue_HIGH", Queue::High),
            ("queue_Low", Queue::Low),
        ] {
            assert_eq!(destination(list), queue, "{list}");
        }
    }
}
