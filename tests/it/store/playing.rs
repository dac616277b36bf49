//! Plays operations on a store and on the model, and compares them after every step.

use std::collections::BTreeSet;

use productforge::store::{
    ALL_EVENTS, Add, Change, DocKey, Enqueue, Event, IndexName, ListQuery, MAX_BATCH, NewEvent, Put, Queue,
    Reserve, Revision, Store, StoreError, Token,
};

use super::{
    fixtures::{NOTE, note},
    harness::Harness,
    model::{Model, PastEvent},
    operations::{DOCUMENTS, Expect, Operation, Pick, Plan, TALLIES, UNIT_MS, indexes},
};

/// How far two readings of one moment may lie apart on an engine whose clock runs by itself.
const TOLERANCE_MS: i64 = UNIT_MS as i64 / 4;

/// Plays all operations; the number of the first one after which store and model differ, and how.
pub async fn play(harness: &mut dyn Harness, operations: &[Operation]) -> Result<(), (usize, String)> {
    let mut player = Player { harness, model: Model::default(), serial: 0 };
    for (number, operation) in operations.iter().enumerate() {
        let compared = match player.step(operation).await {
            Ok(()) => player.compare().await,
            failed => failed,
        };
        compared.map_err(|difference| (number, difference))?;
    }
    Ok(())
}

struct Player<'h> {
    harness: &'h mut dyn Harness,
    model: Model,
    /// Makes payloads, event bodies and due times different from each other.
    serial: u64,
}

impl Player<'_> {
    async fn step(&mut self, operation: &Operation) -> Result<(), String> {
        let store = self.harness.store();
        match operation {
            Operation::Apply(plan) => self.apply(&*store, plan).await,
            Operation::Reserve { limit, units, order } => {
                let worker = format!("worker-{}", self.next_serial());
                let request =
                    Reserve { worker, limit: *limit, lease_ms: between_units(*units), order: *order };
                let got = store.reserve(&request).await.map_err(error)?;
                self.model.reserve(&request, &got)
            }
            Operation::Renew { leases, units } => {
                let tokens: Vec<Token> = leases.iter().map(|pick| self.token(*pick)).collect();
                let got = store.renew(&tokens, between_units(*units)).await.map_err(error)?;
                same("renewed", got, self.model.renew(&tokens, between_units(*units)))
            }
            Operation::Sweep { limit } => {
                let got = store.sweep(*limit).await.map_err(error)?;
                self.model.sweep(*limit, &got)
            }
            Operation::Promote { limit } => self.promote(&*store, *limit).await,
            Operation::Pause { queue, paused } => {
                store.pause(*queue, *paused).await.map_err(error)?;
                if *paused {
                    self.model.paused.insert(*queue);
                } else {
                    self.model.paused.remove(queue);
                }
                Ok(())
            }
            Operation::Waiting { queue, limit } => {
                let got = store.waiting(*queue, *limit).await.map_err(error)?;
                self.model.see(*queue, *limit, &got)
            }
            Operation::Expire { limit } => {
                store.expire(*limit).await.map_err(error)?;
                Ok(())
            }
            Operation::Age { units } => {
                self.harness.age(units * UNIT_MS).await;
                self.model.now += units * UNIT_MS;
                Ok(())
            }
            Operation::List { index, page } => self.walk(&*store, &indexes()[*index], *page).await,
            Operation::Events { stream, part } => {
                let stream = stream.map_or(ALL_EVENTS.into(), stream_name);
                self.read_events(&*store, &stream, 0, *part).await
            }
            Operation::Reopen => {
                self.harness.reopen().await;
                Ok(())
            }
        }
    }

    async fn apply(&mut self, store: &dyn Store, plan: &Plan) -> Result<(), String> {
        let (change, due_in) = self.change(store, plan).await?;
        let got = store.apply(change.clone()).await.map_err(error)?;
        let expected = self.model.apply(&change, &due_in);
        match (got, expected) {
            (Ok(applied), Ok(())) => self.model.note_events(&change, &applied.event_ids),
            (Err(got), Err(expected)) => same("the refusal", got, expected),
            (got, expected) => Err(format!("the change: {got:?}, not {expected:?}")),
        }
    }

    /// The change that a plan means now, and how long its queue entries have to wait.
    async fn change(&mut self, store: &dyn Store, plan: &Plan) -> Result<(Change, Vec<Option<u64>>), String> {
        let now = store.now().await.map_err(error)?;
        let mut change = Change::new();
        if let Some((pick, end)) = plan.lease.clone() {
            change = change.under(self.token(pick), end);
        }
        change.claim = plan.claim.clone();
        change.revoke = plan.revoke.iter().map(|pick| self.token(*pick)).collect();
        for (document, expect) in &plan.expect {
            let key = key(*document);
            let revision = match expect {
                Expect::AsItIs => self.model.living(&key).map(|document| Revision::of(&document.body)),
                Expect::Absent => None,
                Expect::Body(number) => Some(Revision::of(&body(*number))),
            };
            change = change.expect(key, revision);
        }
        for planned in &plan.put {
            let mut put = Put::raw(key(planned.document), body(planned.body));
            put.ttl_ms = planned.life.map(between_units);
            for (index, at) in &planned.indexes {
                put = put.index(indexes()[*index].clone(), *at);
            }
            change = change.put(put);
        }
        change.delete = plan.delete.iter().map(|document| key(*document)).collect();
        let mut due_in = Vec::new();
        for (queue, units) in &plan.enqueue {
            let serial = self.next_serial();
            let wait = units.map(|units| between_units(units) + serial);
            let due_at = wait.map(|wait| now + wait as i64);
            let payload = format!("job {serial}").into_bytes();
            change = change.enqueue(Enqueue { queue: *queue, payload, due_at });
            due_in.push(wait);
        }
        for stream in &plan.events {
            let body = format!("event {}", self.next_serial()).into_bytes();
            change.events.push(NewEvent { stream: stream_name(*stream), body });
        }
        for planned in &plan.add {
            let mut add = Add::new(tally_name(planned.tally), planned.field.to_string(), planned.by);
            (add.below, add.keep_ms) = (planned.below, planned.life.map(between_units));
            change = change.add(add);
        }
        Ok((change, due_in))
    }

    async fn promote(&mut self, store: &dyn Store, limit: usize) -> Result<(), String> {
        let got = store.promote(limit).await.map_err(error)?;
        let now = store.now().await.map_err(error)?;
        let mut ready = BTreeSet::new();
        for queue in Queue::ALL {
            ready.extend(store.waiting(queue, MAX_BATCH).await.map_err(error)?);
        }
        let (moved, next_due) = self.model.promote(limit);
        same("promoted", got.moved, moved)?;
        self.model.give_back(limit, &ready)?;
        let got = got.next_due.map(|due| due - now);
        let expected = next_due.map(|due| due as i64 - self.model.now as i64);
        let alike = match (got, expected) {
            (Some(got), Some(expected)) => (got - expected).abs() <= TOLERANCE_MS,
            (got, expected) => got == expected,
        };
        check(alike, || format!("the next is due in {got:?} ms, not in {expected:?}"))
    }

    /// Everything that can be seen, compared with the model.
    async fn compare(&mut self) -> Result<(), String> {
        let store = self.harness.store();
        let keys: Vec<DocKey> = (0..DOCUMENTS).map(key).collect();
        let got = store.get(&keys).await.map_err(error)?;
        let got: Vec<_> = got.into_iter().map(|doc| doc.map(|doc| (doc.key, doc.body))).collect();
        let expected =
            keys.iter().map(|key| Some((key.clone(), self.model.living(key)?.body.clone()))).collect();
        same("documents", got, expected)?;
        let names: Vec<String> = (0..TALLIES).map(tally_name).collect();
        let got = store.tallies(&names).await.map_err(error)?;
        let expected = names.iter().map(|name| self.model.tallies.fields(name, self.model.now)).collect();
        same("tallies", got, expected)?;
        for index in indexes() {
            let got = store.count(&index).await.map_err(error)?;
            same(&format!("the count of {}", index.as_str()), got, self.model.listed(&index).len() as u64)?;
            self.walk(&*store, &index, 100).await?;
        }
        same("the depth", store.depth().await.map_err(error)?, self.model.depth())?;
        for queue in Queue::ALL {
            let got = store.waiting(queue, MAX_BATCH).await.map_err(error)?;
            self.model.see(queue, MAX_BATCH, &got)?;
        }
        self.compare_leases(&*store).await?;
        let recent = self.model.events.iter().rev().nth(20).map_or(0, |event| event.id);
        self.read_events(&*store, ALL_EVENTS, recent, 100).await
    }

    async fn walk(&self, store: &dyn Store, index: &IndexName, page: usize) -> Result<(), String> {
        let mut got = Vec::new();
        let mut after = None;
        let mut pages = 0;
        loop {
            let query = ListQuery::newest(NOTE, page).index(index.clone()).after(after);
            let found = store.list(&query).await.map_err(error)?;
            check(found.docs.len() <= page, || {
                format!("a page of {} is no page of {page}", found.docs.len())
            })?;
            got.extend(found.docs.into_iter().map(|doc| doc.key));
            after = found.next;
            if after.is_none() {
                break;
            }
            // Every page but the last one stands on at least one entry, and a document has only one.
            pages += 1;
            check(pages <= DOCUMENTS, || format!("{} goes on and on: {got:?}", index.as_str()))?;
        }
        same(index.as_str(), got, self.model.listed(index))
    }

    async fn compare_leases(&self, store: &dyn Store) -> Result<(), String> {
        let got = store.leases(100).await.map_err(error)?;
        let now = store.now().await.map_err(error)?;
        same("the number of leases", got.len(), self.model.leases.len().min(100))?;
        check(got.is_sorted_by_key(|lease| lease.expires_at), || "leases are out of order".into())?;
        for got in got {
            let Some(lease) = self.model.leases.get(&got.token) else {
                return Err(format!("{got:?} is not held"));
            };
            let alike = got.worker == lease.worker
                && got.queue == lease.queue
                && got.payload == lease.job.payload
                && got.crashes == lease.job.crashes;
            check(alike, || format!("{got:?}, not {lease:?}"))?;
            let (left, expected) = (got.expires_at - now, lease.runs_out_at as i64 - self.model.now as i64);
            check((left - expected).abs() <= TOLERANCE_MS, || format!("{left} ms left, not {expected}"))?;
        }
        Ok(())
    }

    async fn read_events(
        &self,
        store: &dyn Store,
        stream: &str,
        after: u64,
        part: usize,
    ) -> Result<(), String> {
        let mut got: Vec<Event> = Vec::new();
        loop {
            let after = got.last().map_or(after, |event| event.id);
            let found = store.events(stream, after, part).await.map_err(error)?;
            check(found.len() <= part, || format!("{} events, {part} were asked for", found.len()))?;
            if found.is_empty() {
                break;
            }
            got.extend(found);
            check(got.len() <= self.model.events.len(), || {
                format!("more events in {stream} than there were")
            })?;
        }
        let of_stream =
            |event: &&PastEvent| event.id > after && (stream == ALL_EVENTS || event.stream == stream);
        let expected = self.model.events.iter().filter(of_stream);
        let expected = expected.map(|event| (event.id, event.stream.clone(), event.body.clone())).collect();
        let got: Vec<_> = got.into_iter().map(|event| (event.id, event.stream, event.body)).collect();
        same(&format!("the events of {stream}"), got, expected)
    }

    fn token(&self, pick: Pick) -> Token {
        let nth = |tokens: Vec<Token>, n: usize| tokens.get(n % tokens.len().max(1)).copied();
        let found = match pick {
            Pick::Held(n) => nth(self.model.leases.keys().copied().collect(), n),
            Pick::Ended(n) => nth(self.model.ended.clone(), n),
            Pick::NeverWas => None,
        };
        found.unwrap_or(Token(1 << 50))
    }

    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }
}

/// So many units and a half.
fn between_units(units: u64) -> u64 {
    units * UNIT_MS + UNIT_MS / 2
}

fn key(document: usize) -> DocKey {
    note(&format!("doc-{document}"))
}

fn body(number: usize) -> Vec<u8> {
    format!(r#"{{"body":{number}}}"#).into_bytes()
}

fn tally_name(tally: usize) -> String {
    format!("tally-{tally}")
}

fn stream_name(stream: usize) -> String {
    format!("run-{stream}")
}

fn error(error: StoreError) -> String {
    format!("an error: {error}")
}

fn check(holds: bool, difference: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(difference()) }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, got: T, expected: T) -> Result<(), String> {
    check(got == expected, || format!("{what}: {got:?}, not {expected:?}"))
}
