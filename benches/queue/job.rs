//! The job that does nothing: what it is asked with, and the worker's side of it.

use std::{fs::File, io::Write, sync::Arc};

use async_trait::async_trait;
use productforge::{
    service::records,
    store::{Change, Delivery, DocKey, LeaseEnd, Put, Store},
    worker::{Handler, Shared},
};
use tokio_util::sync::CancellationToken;

use crate::setting;

/// The same clock in every process of this machine, in nanoseconds.
pub fn monotonic_ns() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

/// Text that differs from job to job, as texts do: equal ones would be a special case for every hash table
/// on the way.
fn filler(seed: u64, length: usize) -> String {
    const WORDS: [&str; 16] = [
        "the ", "queue ", "holds ", "a ", "brief ", "of ", "agents ", "and ", "their ", "review ", "is ",
        "not ", "lost ", "when ", "one ", "dies ",
    ];
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut text = String::with_capacity(length + 8);
    while text.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.push_str(WORDS[(state >> 60) as usize]);
    }
    text.truncate(length);
    text
}

/// The owner's job JSON with as many bytes as asked for; `begun_ns` says that it is to be timed.
pub fn payload(number: usize, begun_ns: Option<i64>) -> Vec<u8> {
    let begun = begun_ns.map_or(String::new(), |ns| format!(r#","t0":{ns}"#));
    // The ids of the limit and of the rivals this is compared with rise, too.
    let head = format!(r#"{{"job_id":"{number:016x}"{begun},"job":""#);
    let length = setting("JOB_BYTES", 200usize).saturating_sub(head.len() + 2);
    format!(r#"{head}{}"}}"#, filler(number as u64, length)).into_bytes()
}

/// Ends every job with a result: lease, one result per job, time index, life limit.
pub struct Noop {
    store: Arc<dyn Store>,
    /// Texts to choose the output from.
    outputs: Vec<String>,
    ttl_ms: u64,
    latencies: Option<File>,
}

impl Noop {
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            outputs: {
                let length = setting("RESULT_BYTES", 1_000usize).saturating_sub(130);
                (0..1_000).map(|seed| filler(seed, length)).collect()
            },
            ttl_ms: setting("RESULT_TTL", 3_600u64) * 1_000,
            latencies: std::env::var("LAT_FILE")
                .ok()
                .and_then(|path| File::options().create(true).append(true).open(path).ok()),
        }
    }

    fn note_latency(&self, begun_ns: i64) {
        let waited = monotonic_ns() - begun_ns;
        if let Some(mut file) = self.latencies.as_ref() {
            file.write_all(format!("{waited}\n").as_bytes()).ok();
        }
    }
}

#[derive(serde::Deserialize)]
struct Asked<'a> {
    job_id: &'a str,
    t0: Option<i64>,
}

#[async_trait]
impl Handler for Noop {
    async fn run(&self, shared: &Shared, delivery: Delivery, _lost: CancellationToken) {
        let asked: Asked = serde_json::from_slice(&delivery.payload).expect("a payload of this harness");
        if let Some(begun_ns) = asked.t0 {
            self.note_latency(begun_ns);
        }
        let now = shared.clock.now_ms();
        let key = DocKey::new(records::RESULT, asked.job_id);
        let body = format!(
            r#"{{"job_id":"{}","status":"completed","completed_at":{now},"output":"{}"}}"#,
            asked.job_id,
            self.outputs[delivery.token.0 as usize % self.outputs.len()]
        );
        let change = Change::new()
            .under(delivery.token, LeaseEnd::Finish)
            .expect(key.clone(), None)
            .put(Put::raw(key, body).ttl_ms(self.ttl_ms).indexed(now));
        if let Err(error) = self.store.apply(change).await {
            eprintln!("a job could not be finished: {error}");
        }
    }
}
