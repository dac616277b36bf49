//! What the contract promises, in plain maps and lists. No cleverness: it must be right on sight.
//!
//! Where the contract leaves an engine free (which of several run-out leases it sweeps, in which
//! order they reach the front, what tokens and event ids it picks), the model checks that the answer
//! is one of the right ones and goes on from it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use productforge::store::{
    Change, Claim, Delivery, DocKey, IndexName, LeaseEnd, Queue, QueueDepth, Refusal, Reserve, Revision,
    Swept, Token,
};

use super::tally_model::Tallies;

#[derive(Default)]
pub struct Model {
    /// The model's time: milliseconds since the run began. Only ageing moves it.
    pub now: u64,
    pub documents: BTreeMap<DocKey, Document>,
    /// Per queue, the front first. The payloads of one group may come in any order.
    queues: BTreeMap<Queue, VecDeque<Vec<Job>>>,
    pub paused: BTreeSet<Queue>,
    names: BTreeMap<String, Name>,
    /// Waiting, by due time; no two have the same.
    due: BTreeMap<u64, (Queue, Job)>,
    pub leases: BTreeMap<Token, Lease>,
    /// Tokens whose leases have ended.
    pub ended: Vec<Token>,
    highest_token: Option<Token>,
    pub events: Vec<PastEvent>,
    pub tallies: Tallies,
}

#[derive(Debug, Clone)]
pub struct Document {
    pub body: Vec<u8>,
    /// `None`: never.
    dies_at: Option<u64>,
    indexes: BTreeMap<IndexName, i64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    pub payload: Vec<u8>,
    pub crashes: u32,
}

#[derive(Debug, Clone)]
pub struct Lease {
    pub job: Job,
    pub queue: Queue,
    pub worker: String,
    pub runs_out_at: u64,
}

/// What is claimed under one name.
#[derive(Debug, Clone, Default)]
struct Name {
    /// The last limit said.
    limit: u32,
    holders: BTreeSet<Token>,
    /// The first parked first.
    parked: VecDeque<(Queue, Job)>,
}

/// What goes to the fronts of the queues in one step; in which order among themselves is left open.
type Front = BTreeMap<Queue, Vec<Job>>;

#[derive(Debug, Clone)]
pub struct PastEvent {
    pub id: u64,
    pub stream: String,
    pub body: Vec<u8>,
}

impl Model {
    // --- documents ---

    pub fn living(&self, key: &DocKey) -> Option<&Document> {
        self.documents.get(key).filter(|document| document.dies_at.is_none_or(|end| end > self.now))
    }

    /// The keys in an index, newest first.
    pub fn listed(&self, index: &IndexName) -> Vec<DocKey> {
        let mut entries: Vec<(i64, &DocKey)> = self
            .documents
            .keys()
            .filter_map(|key| Some((*self.living(key)?.indexes.get(index)?, key)))
            .collect();
        entries.sort();
        entries.into_iter().rev().map(|(_, key)| key.clone()).collect()
    }

    // --- the one write ---

    /// Makes a change or says why not. `due_in` says when each delayed entry of `enqueue` falls due
    /// from now in the model's time.
    pub fn apply(&mut self, change: &Change, due_in: &[Option<u64>]) -> Result<(), Refusal> {
        if let Some(lease) = &change.lease
            && !self.leases.contains_key(&lease.token)
        {
            return Err(Refusal::LeaseLost);
        }
        for expectation in &change.expect {
            let found = self.living(&expectation.key).map(|document| Revision::of(&document.body));
            if found != expectation.revision {
                return Err(Refusal::Changed(expectation.key.clone()));
            }
        }
        if let Some(claim) = self.first_refused(change) {
            return Err(Refusal::Limited(claim));
        }
        if let Some(refusal) = self.tallies.first_refused(&change.add, self.now) {
            return Err(refusal);
        }
        for put in &change.put {
            let document = Document {
                body: put.body.clone(),
                dies_at: put.ttl_ms.map(|ttl_ms| self.now + ttl_ms),
                indexes: put.indexes.iter().cloned().collect(),
            };
            self.documents.insert(put.key.clone(), document);
        }
        for key in &change.delete {
            self.documents.remove(key);
        }
        for (enqueue, due_in) in change.enqueue.iter().zip(due_in) {
            let job = Job { payload: enqueue.payload.clone(), crashes: 0 };
            match due_in {
                None => self.queue(enqueue.queue).push_back(vec![job]),
                Some(due_in) => {
                    let other = self.due.insert(self.now + due_in, (enqueue.queue, job));
                    assert!(other.is_none(), "the run must choose different due times");
                }
            }
        }
        self.tallies.add(&change.add, self.now);
        let mut front = Front::new();
        for token in &change.revoke {
            self.end_lease(*token, &mut front);
        }
        if let Some(lease) = &change.lease
            && self.leases.contains_key(&lease.token)
        {
            for claim in &change.claim {
                self.name(claim).holders.insert(lease.token);
            }
            if lease.end != LeaseEnd::Keep
                && let Some(ended) = self.end_lease(lease.token, &mut front)
            {
                self.dispose(ended, &lease.end, &mut front);
            }
        }
        self.put_to_front(front);
        Ok(())
    }

    /// What becomes of the payload of a lease that has ended.
    fn dispose(&mut self, ended: Lease, end: &LeaseEnd, front: &mut Front) {
        match end {
            LeaseEnd::Keep | LeaseEnd::Finish => {}
            LeaseEnd::Requeue => front.entry(ended.queue).or_default().push(ended.job),
            LeaseEnd::Park(claim) => {
                let name = self.name(claim);
                if name.holders.len() < claim.limit as usize {
                    front.entry(ended.queue).or_default().push(ended.job);
                } else {
                    name.parked.push_back((ended.queue, ended.job));
                }
            }
        }
    }

    fn first_refused(&self, change: &Change) -> Option<Claim> {
        let token = change.lease.as_ref()?.token;
        let mut holders: BTreeMap<&str, BTreeSet<Token>> =
            self.names.iter().map(|(name, held)| (name.as_str(), held.holders.clone())).collect();
        change
            .claim
            .iter()
            .find(|claim| {
                let holders = holders.entry(claim.name.as_str()).or_default();
                let granted = holders.contains(&token) || holders.len() < claim.limit as usize;
                holders.insert(token);
                !granted
            })
            .cloned()
    }

    /// A name under which something is claimed; the limit that is said now counts.
    fn name(&mut self, claim: &Claim) -> &mut Name {
        let name = self.names.entry(claim.name.clone()).or_default();
        name.limit = claim.limit;
        name
    }

    /// Notes the events of a change that was made, under the ids that the engine gave them.
    pub fn note_events(&mut self, change: &Change, ids: &[u64]) -> Result<(), String> {
        if ids.len() != change.events.len() {
            return Err(format!("{} events got {} ids", change.events.len(), ids.len()));
        }
        for (event, id) in change.events.iter().zip(ids) {
            if self.events.last().is_some_and(|last| last.id >= *id) {
                return Err(format!("event id {id} does not rise"));
            }
            let (stream, body) = (event.stream.clone(), event.body.clone());
            self.events.push(PastEvent { id: *id, stream, body });
        }
        Ok(())
    }

    // --- queues and leases ---

    /// Checks what was handed out, and leases it.
    pub fn reserve(&mut self, request: &Reserve, got: &[Delivery]) -> Result<(), String> {
        let depth = self.depth();
        let open = request.order.iter().filter(|queue| !self.paused.contains(queue));
        let expected = request.limit.min(open.map(|queue| depth.ready_in(*queue) as usize).sum());
        if got.len() != expected {
            return Err(format!("{} payloads were handed out, not {expected}", got.len()));
        }
        for delivery in got {
            if self.highest_token >= Some(delivery.token) {
                return Err(format!("token {} does not rise", delivery.token));
            }
            self.highest_token = Some(delivery.token);
            let job = self.take_from_front(&request.order, delivery)?;
            let lease = Lease {
                job,
                queue: delivery.queue,
                worker: request.worker.clone(),
                runs_out_at: self.now + request.lease_ms,
            };
            self.leases.insert(delivery.token, lease);
        }
        Ok(())
    }

    fn take_from_front(&mut self, order: &[Queue; 3], delivery: &Delivery) -> Result<Job, String> {
        let mut open = order.iter().copied().filter(|queue| !self.paused.contains(queue));
        let first = open.find(|queue| self.queues.get(queue).is_some_and(|groups| !groups.is_empty()));
        if first != Some(delivery.queue) {
            return Err(format!("{delivery:?} came from {:?}, not from {first:?}", delivery.queue));
        }
        let queue = self.queue(delivery.queue);
        let front = queue.front_mut().expect("a queue holds no empty group");
        let got = Job { payload: delivery.payload.clone(), crashes: delivery.crashes };
        let Some(place) = front.iter().position(|job| *job == got) else {
            return Err(format!("{got:?} was handed out, but at the front stand {front:?}"));
        };
        front.remove(place);
        if front.is_empty() {
            queue.pop_front();
        }
        Ok(got)
    }

    pub fn renew(&mut self, tokens: &[Token], lease_ms: u64) -> Vec<bool> {
        let runs_out_at = self.now + lease_ms;
        tokens
            .iter()
            .map(|token| {
                let held = self.leases.get_mut(token);
                held.map(|lease| lease.runs_out_at = runs_out_at).is_some()
            })
            .collect()
    }

    /// Checks which leases were swept, and puts their payloads back.
    pub fn sweep(&mut self, limit: usize, got: &[Swept]) -> Result<(), String> {
        let run_out: BTreeSet<Token> = self
            .leases
            .iter()
            .filter(|(_, lease)| lease.runs_out_at <= self.now)
            .map(|(token, _)| *token)
            .collect();
        let expected = limit.min(run_out.len());
        if got.len() != expected {
            return Err(format!("{} leases were swept, not {expected}", got.len()));
        }
        let mut front = Front::new();
        for swept in got {
            let lease = self.end_lease(swept.token, &mut front);
            let Some(mut lease) = lease.filter(|_| run_out.contains(&swept.token)) else {
                return Err(format!("{swept:?} had not run out or was swept before"));
            };
            lease.job.crashes += 1;
            if (&lease.worker, lease.job.crashes) != (&swept.worker, swept.crashes) {
                return Err(format!("{swept:?} was swept, but the lease was {lease:?}"));
            }
            front.entry(lease.queue).or_default().push(lease.job);
        }
        self.put_to_front(front);
        Ok(())
    }

    /// Gives back what is parked for nothing. What the engine gave back is told by what is `ready` now:
    /// it is free to choose among the names when not all can go.
    pub fn give_back(&mut self, limit: usize, ready: &BTreeSet<Vec<u8>>) -> Result<(), String> {
        let (mut front, mut could, mut back) = (Front::new(), 0, 0);
        for (text, name) in &mut self.names {
            let free = (name.limit as usize).saturating_sub(name.holders.len());
            could += free.min(name.parked.len());
            let mut of_this = 0;
            while name.parked.front().is_some_and(|(_, job)| ready.contains(&job.payload)) {
                let (queue, job) = name.parked.pop_front().expect("it is there");
                front.entry(queue).or_default().push(job);
                of_this += 1;
            }
            if of_this > free {
                return Err(format!("{of_this} parked for `{text}` were given back, {free} could have it"));
            }
            back += of_this;
        }
        self.put_to_front(front);
        let expected = could.min(limit);
        if back != expected {
            return Err(format!("{back} parked payloads were given back, not {expected}"));
        }
        Ok(())
    }

    /// How many were moved, and when the next one falls due in the model's time.
    pub fn promote(&mut self, limit: usize) -> (usize, Option<u64>) {
        let mut moved = 0;
        while let Some(first) = self.due.first_entry() {
            if moved == limit || *first.key() > self.now {
                break;
            }
            let (queue, job) = first.remove();
            self.queue(queue).push_back(vec![job]);
            moved += 1;
        }
        (moved, self.due.keys().next().copied())
    }

    pub fn depth(&self) -> QueueDepth {
        let ready = |queue| -> u64 {
            self.queues.get(&queue).map_or(0, |groups| groups.iter().map(|group| group.len() as u64).sum())
        };
        QueueDepth {
            high: ready(Queue::High),
            normal: ready(Queue::Normal),
            low: ready(Queue::Low),
            due: self.due.len() as u64,
            parked: self.names.values().map(|name| name.parked.len() as u64).sum(),
            leased: self.leases.len() as u64,
            paused: Queue::ALL.map(|queue| self.paused.contains(&queue)),
        }
    }

    /// Checks what was seen waiting in a queue. Once an order was seen, it stays.
    pub fn see(&mut self, queue: Queue, limit: usize, got: &[Vec<u8>]) -> Result<(), String> {
        let expected = limit.min(self.depth().ready_in(queue) as usize);
        if got.len() != expected {
            return Err(format!("{} payloads are shown in {queue:?}, not {expected}", got.len()));
        }
        let mut seen = VecDeque::new();
        for payload in got {
            let groups = self.queue(queue);
            let front = groups.front_mut().expect("there are as many as are shown");
            let Some(place) = front.iter().position(|job| job.payload == *payload) else {
                return Err(format!("{payload:?} is shown in {queue:?}, but next come {front:?}"));
            };
            seen.push_back(vec![front.remove(place)]);
            if front.is_empty() {
                groups.pop_front();
            }
        }
        let groups = self.queue(queue);
        seen.append(groups);
        *groups = seen;
        Ok(())
    }

    fn queue(&mut self, queue: Queue) -> &mut VecDeque<Vec<Job>> {
        self.queues.entry(queue).or_default()
    }

    /// Ends a lease, if it is held; of each name it held, the first one parked goes to the front.
    fn end_lease(&mut self, token: Token, front: &mut Front) -> Option<Lease> {
        let lease = self.leases.remove(&token)?;
        self.ended.push(token);
        for name in self.names.values_mut() {
            if name.holders.remove(&token)
                && let Some((queue, job)) = name.parked.pop_front()
            {
                front.entry(queue).or_default().push(job);
            }
        }
        Some(lease)
    }

    fn put_to_front(&mut self, front: Front) {
        for (queue, group) in front {
            self.queue(queue).push_front(group);
        }
    }
}
