//! Chaos: the real executable under load, killed, frozen and cut off by a seeded plan, and an oracle that
//! holds what is left to the promises.
//!
//! | file | holds |
//! |---|---|
//! | `plan` | the run as data: load and faults, from a seed |
//! | `fleet` | the processes under test and what is done to them |
//! | `load` | the clients |
//! | `model` | the model server, which remembers who was answered |
//! | `watch`, `place` | what must be seen while it happens, and where |
//! | `contents`, `oracle`, `paid` | what is left, and whether it is right |
//! | `scenarios` | single faults with a name each |
//!
//! The tests below are short. `./dev chaos` plays as long as one likes; CONTRIBUTING.md says how.

mod board;
mod contents;
mod fleet;
mod load;
mod model;
mod oracle;
mod paid;
mod place;
mod plan;
mod report;
mod scenarios;
mod watch;

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};
use productforge::{
    clock::SystemClock,
    store::sqlite::{Location, SqliteStore},
};
use serde_json::Value;

use board::{Accepted, Board};
use contents::Contents;
use fleet::Fleet;
use oracle::Evidence;
use plan::{Engine, Plan, Settings};
use report::Report;
use watch::Watcher;

/// When nothing has ended for so long, nothing will.
const GIVE_UP: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_keeps_every_promise_under_chaos() {
    play(Settings::from_environment(Engine::Redis, 1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_keeps_every_promise_under_chaos() {
    play(Settings::from_environment(Engine::Sqlite, 1)).await;
}

async fn play(settings: Settings) {
    let begun = Instant::now();
    let plan = Plan::new(settings);
    println!("{settings:?}\n{plan}");
    let board = Arc::new(Board::default());
    let mut fleet = Fleet::start(settings, board.clone()).await;
    let url = fleet.redis.as_ref().map(|redis| redis.url());
    let watcher = match (&fleet.store, &url) {
        (Some(store), Some(url)) => Watcher::of_redis(store.clone(), url.clone(), board.clone()).await,
        _ => Watcher::of_sqlite(fleet.database(), board.clone()),
    };

    tokio::join!(load::run(&plan, &board, url.as_deref()), fleet.suffer(&plan));
    settle(&fleet, &board).await;
    let accepted = board.accepted().clone();
    let told = through_the_api(&board.url(), &accepted).await;
    let leftovers = match &fleet.redis {
        Some(redis) => leftovers(redis).await,
        None => Vec::new(),
    };
    let ends = fleet.stop().await;

    let store = fleet.store.clone().unwrap_or_else(|| {
        Arc::new(SqliteStore::open(Location::File(fleet.database()), Arc::new(SystemClock)).unwrap())
    });
    let contents = Contents::read(store.as_ref()).await;
    let (seen, outputs) = (watcher.seen(), fleet.outputs());
    let swept = board.swept().clone();
    let evidence = Evidence {
        contents: &contents,
        accepted: &accepted,
        seen: &seen,
        outputs: &outputs,
        swept: &swept,
        told: &told,
    };
    let mut verdict = oracle::judge(&evidence);
    paid::judge(&contents, &seen, &fleet.model.asked(), &board.starts(), &mut verdict);
    verdict.wrong.extend(ends.into_iter().chain(leftovers));
    let blows = board.blows().clone();
    let wall = begun.elapsed();
    let report = Report {
        settings,
        accepted: &accepted,
        blows,
        contents: &contents,
        seen: &seen,
        verdict: &verdict,
        wall,
    };
    println!("{report}");
    drop(seen);
    let charges: Vec<&String> = verdict.all().take(20).collect();
    assert!(charges.is_empty(), "{} charges, among them:\n{charges:#?}", verdict.all().count());
}

/// Waits until nothing is under way, or until nothing has moved for long.
async fn settle(fleet: &Fleet, board: &Board) {
    let (mut last, mut since, mut empty) = ((0, 0), Instant::now(), 0);
    // The watcher's number may be of before the last request.
    while empty < 20 && since.elapsed() < GIVE_UP {
        let open = board.open.load(Ordering::Acquire);
        empty = if open == 0 { empty + 1 } else { 0 };
        let now = (open, fleet.model.answers());
        if now != last {
            (last, since) = (now, Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What the API says of everything that was accepted.
async fn through_the_api(url: &str, accepted: &Accepted) -> BTreeMap<String, String> {
    let http = reqwest::Client::builder().timeout(Duration::from_secs(20)).build().unwrap();
    let jobs = accepted.jobs.keys().map(|id| (id, format!("{url}/results/{id}"), "/status"));
    let workflows =
        accepted.workflows.keys().map(|id| (id, format!("{url}/workflows/{id}"), "/workflow/status"));
    let asked = stream::iter(jobs.chain(workflows)).map(|(id, url, field)| {
        let http = http.clone();
        async move {
            let answer: Value = http.get(url).send().await.ok()?.json().await.ok()?;
            Some((id.clone(), answer.pointer(field)?.as_str()?.to_owned()))
        }
    });
    asked.buffer_unordered(8).filter_map(std::future::ready).collect().await
}

/// What is left in Redis beside documents, although nothing is under way.
async fn leftovers(redis: &crate::support::redis_server::RedisServer) -> Vec<String> {
    let mut connection = redis.connection().await;
    let mut left = Vec::new();
    // Crash marks go with the next look at empty lists, which comes every two seconds.
    let end = Instant::now() + Duration::from_secs(5);
    for (command, key) in [("HLEN", "pf:crashes"), ("HLEN", "pf:inflight"), ("ZCARD", "pf:leases")] {
        loop {
            let number: u64 =
                deadpool_redis::redis::cmd(command).arg(key).query_async(&mut connection).await.unwrap();
            if number == 0 {
                break;
            }
            if Instant::now() > end {
                left.push(format!("stuck: {number} entries are left in {key}"));
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    left
}
