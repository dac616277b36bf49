//! Producers: foreign programs that know nothing but `LPUSH`.

use std::time::{Duration, Instant};

use deadpool_redis::redis::{self, Commands, Connection};

use productforge::store::{Change, Enqueue, MAX_BATCH, Queue, Store};

use crate::{job, redis_url, setting, store};

const CHUNK: usize = 500;

fn connect() -> Connection {
    let client = redis::Client::open(redis_url()).expect("REDIS_URL is a URL of a Redis");
    client.get_connection().expect("Redis answers")
}

fn list() -> String {
    setting("LIST", "queue".to_owned())
}

fn push(redis: &mut Connection, from: usize, to: usize) {
    let payloads: Vec<Vec<u8>> = (from..to).map(|number| job::payload(number, None)).collect();
    let _: usize = redis.lpush(list(), payloads).expect("the jobs are taken");
}

/// All of them, then how long it took.
pub fn all_at_once(jobs: usize) {
    let mut redis = connect();
    let begun = Instant::now();
    for from in (0..jobs).step_by(CHUNK) {
        push(&mut redis, from, jobs.min(from + CHUNK));
    }
    println!("{{\"enqueue_s\":{}}}", begun.elapsed().as_secs_f64());
}

/// All of them due in the same second, so many seconds from now; through the store, which knows due times.
pub async fn due_together(jobs: usize, seconds: usize) {
    let store = store();
    let due_at = store.now().await.expect("Redis answers") + 1_000 * seconds as i64;
    let entry = |number| Enqueue {
        queue: Queue::Low,
        payload: job::payload(number, None),
        due_at: Some(due_at + number as i64 % 1_000),
    };
    let changes = (0..jobs).step_by(MAX_BATCH).map(|from| Change {
        enqueue: (from..jobs.min(from + MAX_BATCH)).map(entry).collect(),
        ..Change::new()
    });
    for change in changes {
        let _ = store.apply(change).await.expect("the jobs are taken");
    }
    println!("{{\"due_at\":{due_at}}}");
}

/// In small portions at a steady rate, whatever becomes of them (open loop).
pub fn at_a_rate(jobs: usize, per_second: usize) {
    let mut redis = connect();
    let begun = Instant::now();
    let portion = (per_second / 200).clamp(1, CHUNK);
    for from in (0..jobs).step_by(portion) {
        let due = Duration::from_secs_f64(from as f64 / per_second as f64);
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
        push(&mut redis, from, jobs.min(from + portion));
    }
    println!("{{\"enqueue_s\":{}}}", begun.elapsed().as_secs_f64());
}

/// One at a time with a random pause, each carrying the time just before its `LPUSH`.
pub fn one_by_one(jobs: usize) {
    let mut redis = connect();
    let (shortest, longest) = (setting("LAT_MIN_MS", 10u64), setting("LAT_MAX_MS", 60u64));
    for number in 0..jobs {
        // Numbers of their own: a second call must not meet the results of the first.
        let number = number + (job::monotonic_ns() / 1_000) as usize;
        let _: usize =
            redis.lpush(list(), job::payload(number, Some(job::monotonic_ns()))).expect("the job is taken");
        std::thread::sleep(Duration::from_millis(rand::random_range(shortest..=longest)));
    }
}
