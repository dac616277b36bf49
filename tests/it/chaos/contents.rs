//! Everything that is in a store after a run, read through the store itself.

use std::collections::{BTreeMap, BTreeSet};

use productforge::{
    model::{Call, Job, JobResult, RunEvent, Workflow},
    service::records,
    store::{Doc, IndexName, Kind, LeaseInfo, ListQuery, MAX_BATCH, QueueDepth, Store},
};
use serde::de::DeserializeOwned;

pub struct Contents {
    pub jobs: BTreeMap<String, Job>,
    pub results: BTreeMap<String, JobResult>,
    pub workflows: BTreeMap<String, Workflow>,
    /// The journal, by job.
    pub calls: BTreeMap<String, Call>,
    /// How many calls the figures of yesterday and today count.
    pub counted_calls: i64,
    /// The history of every workflow, with the ids.
    pub events: BTreeMap<String, Vec<(u64, RunEvent)>>,
    /// `results_by_workflow`
    pub results_of: BTreeMap<String, BTreeSet<String>>,
    pub depth: QueueDepth,
    pub leases: Vec<LeaseInfo>,
    /// Where an index and the documents differ.
    pub torn: Vec<String>,
}

impl Contents {
    pub async fn read(store: &dyn Store) -> Self {
        let mut torn = Vec::new();
        let jobs = all::<Job>(store, records::JOB, &mut torn).await;
        let results = all::<JobResult>(store, records::RESULT, &mut torn).await;
        let workflows = all::<Workflow>(store, records::WORKFLOW, &mut torn).await;
        let mut calls = BTreeMap::new();
        for ids in jobs.keys().collect::<Vec<_>>().chunks(MAX_BATCH) {
            let keys: Vec<_> = ids.iter().map(|id| records::call_key(id, 1)).collect();
            for (id, doc) in ids.iter().zip(store.get(&keys).await.unwrap()) {
                calls.extend(doc.map(|doc| ((*id).clone(), doc.parse().unwrap())));
            }
        }
        let (mut events, mut results_of) = (BTreeMap::new(), BTreeMap::new());
        for id in workflows.keys() {
            let page = store.events(id, 0, MAX_BATCH).await.unwrap();
            let parse = |body: &[u8]| serde_json::from_slice(body).unwrap();
            events.insert(id.clone(), page.iter().map(|e| (e.id, parse(&e.body))).collect());
            let found = listed(store, records::RESULT, records::results_by_workflow(id)).await;
            results_of.insert(id.clone(), found.into_iter().map(|doc| doc.key.id).collect());
        }
        let days = [0, 1].map(|n| (chrono::Utc::now() - chrono::TimeDelta::days(n)).date_naive());
        let tallies = store.tallies(&days.map(|day| format!("usage:{day}"))).await.unwrap();
        let counted_calls = tallies.iter().filter_map(|tally| tally.get("all|calls")).sum();
        let (depth, leases) = (store.depth().await.unwrap(), store.leases(MAX_BATCH).await.unwrap());
        Self { jobs, results, workflows, calls, counted_calls, events, results_of, depth, leases, torn }
    }
}

/// All documents of a kind; the index lists each once and counts them right.
async fn all<T: DeserializeOwned>(
    store: &dyn Store,
    kind: Kind,
    torn: &mut Vec<String>,
) -> BTreeMap<String, T> {
    let index = IndexName::all(kind);
    let docs = listed(store, kind, index.clone()).await;
    let (listed, counted) = (docs.len(), store.count(&index).await.unwrap());
    if counted != listed as u64 {
        torn.push(format!("index: {} counts {counted} and lists {listed}", index.as_str()));
    }
    let found: BTreeMap<String, T> =
        docs.iter().map(|doc| (doc.key.id.clone(), doc.parse().unwrap())).collect();
    if found.len() != listed {
        torn.push(format!("index: {} lists {listed} and has {} documents", index.as_str(), found.len()));
    }
    found
}

async fn listed(store: &dyn Store, kind: Kind, index: IndexName) -> Vec<Doc> {
    let (mut docs, mut after) = (Vec::new(), None);
    loop {
        let query = ListQuery::newest(kind, MAX_BATCH).index(index.clone()).after(after);
        let page = store.list(&query).await.unwrap();
        docs.extend(page.docs);
        if page.next.is_none() {
            return docs;
        }
        after = page.next;
    }
}
