//! Single faults, each with a name: what happens when exactly this goes wrong between a worker and Redis.
//!
//! Where the lease is ten minutes long, nothing can be mended by waiting for its end.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use deadpool_redis::redis::{AsyncCommands, aio::MultiplexedConnection};
use productforge::{
    model::{Call, Job, JobResult, JobState},
    service::records,
    store::{
        DocKey, Store,
        redis::{RedisOptions, RedisStore},
    },
};
use serde_json::json;
use tempfile::TempDir;

use crate::support::{
    fault_proxy::{FaultProxy, Loss, Network, holds},
    process::{Process, folder},
    redis_server::RedisServer,
    wait::{until, until_within},
};

use super::{
    fleet::{is_finish, is_reserve},
    model::Model,
};

const LONG_LEASE: &str = "600";
const PATIENCE: Duration = Duration::from_secs(15);

/// Redis, and the means to start workers behind bad networks.
struct Scene {
    redis: RedisServer,
    folder: TempDir,
    store: Arc<dyn Store>,
    foreign: MultiplexedConnection,
}

impl Scene {
    async fn new() -> Self {
        let redis = RedisServer::start_durable();
        let store = RedisStore::open(RedisOptions { url: redis.url(), prefix: String::new() }).unwrap();
        let foreign = redis.connection().await;
        Self { redis, folder: folder(), store: Arc::new(store), foreign }
    }

    fn worker(&self, url: &str, lease: &str, slots: &str, more: &[(&str, &str)]) -> Process {
        let usual = [("REDIS_URL", url), ("LEASE_SECONDS", lease), ("WORKERS", slots)];
        Process::start(self.folder.path(), &["worker"], &[&usual[..], more].concat())
    }

    /// A foreign program's job.
    async fn push(&mut self, id: &str) {
        let payload = json!({"job_id": id, "job": format!("Do {id}.")}).to_string();
        let _: i64 = self.foreign.lpush("queue", payload).await.unwrap();
    }

    async fn body(&self, key: DocKey) -> Option<Vec<u8>> {
        self.store.get(&[key]).await.unwrap().pop().flatten().map(|doc| doc.body)
    }

    async fn job(&self, id: &str) -> Option<Job> {
        Some(serde_json::from_slice(&self.body(records::job_key(id)).await?).unwrap())
    }

    async fn result(&self, id: &str) -> Option<JobResult> {
        Some(serde_json::from_slice(&self.body(records::result_key(id)).await?).unwrap())
    }

    /// Waits for the job's end; it was completed by one attempt.
    async fn done_at_once(&self, id: &str) {
        until_within(PATIENCE, "the job has its result", || self.result(id)).await;
        let job = self.job(id).await.unwrap();
        assert_eq!((job.state, job.attempts.len()), (JobState::Completed, 1), "{job:?}");
    }

    async fn idle(&self) {
        until_within(PATIENCE, "nothing is in flight", || async {
            (self.store.depth().await.unwrap().open() == 0).then_some(())
        })
        .await;
        assert!(self.store.leases(10).await.unwrap().is_empty());
    }
}

/// A worker behind a network of its own that loses one answer; everything is run, and run once.
async fn loses_one_answer(to: fn(&[u8]) -> bool, loss: Loss) {
    let mut scene = Scene::new().await;
    let network = FaultProxy::start(scene.redis.port());
    let worker = scene.worker(&network.redis_url(), LONG_LEASE, "2", &[]);
    scene.push("before").await;
    scene.done_at_once("before").await;
    network.lose_answer_to(to, loss);
    for id in ["first", "second", "third"] {
        scene.push(id).await;
    }
    for id in ["first", "second", "third"] {
        scene.done_at_once(id).await;
    }
    // The answer may belong to a request that waits for work: it comes, and is lost, with the next job or when the wait
    // is over.
    let begun = Instant::now();
    for turn in 0.. {
        if network.lost() == 1 {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "no answer was lost");
        let id = format!("more-{turn}");
        scene.push(&id).await;
        scene.done_at_once(&id).await;
    }
    scene.idle().await;
    assert!(!worker.output().contains("panicked"), "{}", worker.output());
}

#[tokio::test]
async fn jobs_whose_reservation_was_never_heard_of_are_given_back_at_once() {
    // Asking for work on empty lists loses nothing when its answer is lost; only one with work does.
    for loss in [Loss::Reset, Loss::Silence, Loss::Cut] {
        loses_one_answer(is_reserve, loss).await;
    }
}

#[tokio::test]
async fn a_finish_whose_answer_was_lost_is_a_finish() {
    for loss in [Loss::Reset, Loss::Silence, Loss::Cut] {
        loses_one_answer(is_finish, loss).await;
    }
}

#[tokio::test]
async fn connections_that_are_half_open_are_given_up_soon() {
    let mut scene = Scene::new().await;
    let network = FaultProxy::start(scene.redis.port());
    let _worker = scene.worker(&network.redis_url(), LONG_LEASE, "2", &[]);
    scene.push("before").await;
    scene.done_at_once("before").await;
    for id in ["first", "second"] {
        network.set(Network::Silent);
        scene.push(id).await;
        let store = scene.store.clone();
        let key = DocKey::new(records::RESULT, id);
        // As long as it takes to notice: nothing comes through meanwhile. The worker's connections still wait
        // on the server and may have the job leased to it; it must not take the lease to get it back.
        let until_noticed = tokio::time::timeout(
            Duration::from_secs(1),
            until("it is done", || async {
                let found = store.get(std::slice::from_ref(&key)).await.unwrap();
                found[0].is_some().then_some(())
            }),
        );
        assert!(until_noticed.await.is_err(), "a network that is silent let something through");
        network.set(Network::Fine);
        scene.done_at_once(id).await;
    }
    scene.idle().await;
}

#[tokio::test]
async fn slow_answers_cost_no_lease() {
    let mut scene = Scene::new().await;
    let network = FaultProxy::start(scene.redis.port());
    network.set(Network::Slow(Duration::from_millis(150)));
    let more = [("SIMULATED_LATENCY_MS", "1500")];
    let _worker = scene.worker(&network.redis_url(), "1", "4", &more);
    let _rival = scene.worker(&scene.redis.url(), "1", "1", &more);
    for n in 0..8 {
        scene.push(&format!("job-{n}")).await;
    }
    for n in 0..8 {
        scene.done_at_once(&format!("job-{n}")).await;
    }
}

/// The library that gives a process a clock of its own.
fn fake_time() -> String {
    let found = std::fs::read_dir("/usr/lib").unwrap().flatten();
    let found =
        found.map(|folder| folder.path().join("faketime/libfaketime.so.1")).find(|file| file.exists());
    found.expect("libfaketime is missing: ./dev setup installs it").display().to_string()
}

/// One worker's clock is ten minutes fast, the other one's ten minutes slow: the store's decides.
#[tokio::test]
async fn workers_with_wrong_clocks_lose_and_repeat_nothing() {
    let mut scene = Scene::new().await;
    let (library, url) = (fake_time(), scene.redis.url());
    let worker = |scene: &Scene, by: &str| {
        let clock = [("LD_PRELOAD", library.as_str()), ("FAKETIME", by), ("DONT_FAKE_MONOTONIC", "1")];
        scene.worker(&url, "1", "4", &[&clock[..], &[("SIMULATED_LATENCY_MS", "3000")]].concat())
    };
    let mut workers = [worker(&scene, "+10m"), worker(&scene, "-10m")];
    for n in 0..8 {
        scene.push(&format!("job-{n}")).await;
    }
    let now = scene.store.now().await.unwrap();
    let mut wrong = [0, 0];
    for n in 0..8 {
        // Three leases long, and neither of the two takes the other one's jobs for abandoned.
        scene.done_at_once(&format!("job-{n}")).await;
        let begun = scene.job(&format!("job-{n}")).await.unwrap().attempts[0].started_at.timestamp_millis();
        wrong[usize::from(begun < now)] += usize::from((begun - now).abs() > 9 * 60_000);
    }
    assert!(wrong[0] > 0 && wrong[1] > 0 && wrong[0] + wrong[1] == 8, "whose clock was wrong: {wrong:?}");

    // Nor for alive: whoever dies, the other one has its job soon.
    for (n, by) in ["+10m", "-10m"].into_iter().enumerate() {
        let rest = 1 - n;
        // On a machine that is busy otherwise the victim may have ended its job before it is killed: then another one.
        let mut orphaned = false;
        for turn in 0..5 {
            let id = format!("orphan-{n}-{turn}");
            workers[rest].signal("STOP");
            scene.push(&id).await;
            until("its victim runs it", || async {
                scene.job(&id).await.filter(|job| job.state != JobState::Queued)
            })
            .await;
            workers[n].kill();
            workers[rest].signal("CONT");
            until_within(PATIENCE, "the other one ends it", || scene.result(&id)).await;
            let attempts = scene.job(&id).await.unwrap().attempts.len();
            workers[n] = worker(&scene, by);
            orphaned = attempts == 2;
            if orphaned {
                break;
            }
            assert_eq!(attempts, 1, "{id}, whose first worker was {by}");
        }
        assert!(orphaned, "no worker with {by} was killed in time");
    }
    scene.idle().await;
}

#[tokio::test]
async fn a_job_of_ten_leases_is_run_exactly_once() {
    let mut scene = Scene::new().await;
    let more = [("SIMULATED_LATENCY_MS", "10000")];
    let _workers = [
        scene.worker(&scene.redis.url(), "1", "2", &more),
        scene.worker(&scene.redis.url(), "1", "2", &more),
    ];
    scene.push("long").await;
    scene.done_at_once("long").await;
    scene.idle().await;
}

#[tokio::test]
async fn a_worker_that_froze_for_three_leases_changes_nothing_when_it_wakes_up() {
    let mut scene = Scene::new().await;
    let model = Model::start(1);
    let (first_url, second_url) = (model.url(0), model.url(1));
    model.hold(true);
    let frozen = scene.worker(&scene.redis.url(), "1", "4", &[("OPENAI_BASE_URL", &first_url)]);
    let ids: Vec<String> = (0..4).map(|n| format!("job-{n}")).collect();
    for id in &ids {
        scene.push(id).await;
    }
    // In the middle of their calls: their answers come while it is frozen.
    until("all four ask the model", || async { (model.asked().len() == 4).then_some(()) }).await;
    frozen.signal("STOP");
    let stopped = Instant::now();
    model.hold(false);
    let _other = scene.worker(&scene.redis.url(), "1", "4", &[("OPENAI_BASE_URL", &second_url)]);
    for id in &ids {
        until_within(PATIENCE, "another worker ends the job", || scene.result(id)).await;
    }
    until("three leases have gone by", || async {
        (stopped.elapsed() > Duration::from_secs(3)).then_some(())
    })
    .await;
    let before = everything(&scene, &ids).await;
    frozen.signal("CONT");
    until("the frozen worker finds out", || async {
        (frozen.output().matches("lease was lost").count() >= ids.len()).then_some(())
    })
    .await;
    // It works on: what it had to write late, it has tried to write by now.
    scene.push("after").await;
    until_within(PATIENCE, "the job has its result", || scene.result("after")).await;
    scene.idle().await;
    assert_eq!(everything(&scene, &ids).await, before);
    for id in &ids {
        let job = scene.job(id).await.unwrap();
        let call: Call =
            serde_json::from_slice(&scene.body(records::call_key(id, 1)).await.unwrap()).unwrap();
        let result = scene.result(id).await.unwrap();
        assert_eq!((result.output, result.attempts as usize), (call.answer, job.attempts.len()));
    }
}

#[tokio::test]
async fn a_worker_that_froze_before_its_call_does_not_make_it_when_it_wakes_up() {
    let mut scene = Scene::new().await;
    let model = Model::start(1);
    let network = FaultProxy::start(scene.redis.port());
    let (first_url, second_url) = (model.url(0), model.url(1));
    let frozen = scene.worker(&network.redis_url(), "1", "4", &[("OPENAI_BASE_URL", &first_url)]);
    // The attempt has begun and the journal is being looked at: the call would be next.
    network.hold_from(|request| holds(request, "call:first:1"));
    scene.push("first").await;
    until("the worker looks into the journal", || async { network.holds().then_some(()) }).await;
    frozen.signal("STOP");
    network.set(Network::Fine);
    let _other = scene.worker(&scene.redis.url(), "1", "4", &[("OPENAI_BASE_URL", &second_url)]);
    until_within(PATIENCE, "another worker ends the job", || scene.result("first")).await;
    frozen.signal("CONT");
    until("the frozen worker finds out", || async {
        frozen.output().contains("lease was lost").then_some(())
    })
    .await;
    let asked: Vec<usize> = model.asked().iter().map(|ask| ask.process).collect();
    assert_eq!(asked, [1], "the frozen worker asked, too");
}

/// The bodies of all documents of these jobs.
async fn everything(scene: &Scene, ids: &[String]) -> Vec<Option<Vec<u8>>> {
    let mut all = Vec::new();
    for id in ids {
        for key in [records::job_key(id), records::result_key(id), records::call_key(id, 1)] {
            all.push(scene.body(key).await);
        }
    }
    all
}

/// How many jobs have ended.
async fn done(mut connection: MultiplexedConnection) -> Option<usize> {
    connection.zcard("results_index").await.ok()
}

async fn more_than(before: usize, connection: MultiplexedConnection) -> Option<usize> {
    done(connection).await.filter(|now| *now > before)
}

#[tokio::test]
async fn redis_restarts_under_load_and_work_goes_on_within_two_seconds() {
    const RESUMED: Duration = Duration::from_secs(2);
    /// As many wait at every kill: enough to last through the outage.
    const BACKLOG: usize = 60;
    let restarts: usize = std::env::var("CHAOS_RESTARTS").map_or(5, |n| n.parse().unwrap());
    let mut scene = Scene::new().await;
    let more = [("SIMULATED_LATENCY_MS", "50")];
    let mut workers = [0, 1].map(|_| scene.worker(&scene.redis.url(), "2", "3", &more));
    let mut worst = Duration::ZERO;
    let mut jobs = 0;
    for round in 0..restarts {
        for _ in scene.store.depth().await.unwrap().open() as usize..BACKLOG {
            scene.push(&format!("job-{jobs}")).await;
            jobs += 1;
        }
        let before = done(scene.foreign.clone()).await.unwrap();
        until("work is under way", || more_than(before, scene.foreign.clone())).await;
        scene.redis.kill();
        scene.redis.start_again();
        let back = Instant::now();
        scene.foreign = scene.redis.connection().await;
        let before = done(scene.foreign.clone()).await.unwrap();
        until("work goes on", || more_than(before, scene.foreign.clone())).await;
        worst = worst.max(back.elapsed());
        assert!(back.elapsed() <= RESUMED, "restart {round}: work went on after {:?}", back.elapsed());
    }
    println!("{restarts} restarts, work went on after {worst:?} at the latest");
    scene.idle().await;
    for worker in &mut workers {
        assert!(worker.ended().is_none(), "{}", worker.output());
    }
    for n in 0..jobs {
        let id = format!("job-{n}");
        let job = scene.job(&id).await.unwrap_or_else(|| panic!("{id} is lost"));
        assert!(job.state == JobState::Completed && scene.result(&id).await.is_some(), "{job:?}");
    }
}
