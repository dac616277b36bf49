//! Sends ended spans to the collector, in batches, from a task of its own.
//!
//! Nothing waits for it: a span that finds the queue full is dropped and counted, and so is a batch that the
//! collector does not take after [`TRIES`] tries. A collector that is away is named once in the log, and once
//! more with what was lost when it answers again.

use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use reqwest::{
    Client, StatusCode, Url,
    header::{self, HeaderMap, HeaderName, HeaderValue},
};
use tokio::sync::{mpsc, oneshot};

use super::{Sampler, otlp, otlp::Batch, span::Record};
use crate::{
    config::{OtlpProtocol, TraceConfig},
    telemetry::counters,
};

/// Spans that wait to be sent, at most: OpenTelemetry's own number.
const MOST_WAITING: usize = 2_048;
/// Spans that are sent at once, at most: the same.
const BATCH: usize = 512;
/// How long the first span of a batch waits for others.
const GATHER: Duration = Duration::from_secs(1);
/// How often a batch is offered.
const TRIES: u32 = 3;
/// How long before the second try; twice as long before the third.
const RETRY_WAIT: Duration = Duration::from_millis(500);
/// The longest wait that a collector may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// What begins spans needs to know.
pub(super) struct Tracer {
    pub sampler: Sampler,
    pub content: bool,
    queue: mpsc::Sender<Item>,
}

enum Item {
    Span(Box<Record>),
    /// Send what is there, then say so.
    Flush(oneshot::Sender<()>),
}

static TRACER: OnceLock<Tracer> = OnceLock::new();

pub(super) fn tracer() -> Option<&'static Tracer> {
    TRACER.get()
}

/// Begins to record, if a collector is configured. To be called once, within a Tokio runtime.
pub fn init(config: &TraceConfig) -> anyhow::Result<()> {
    let Some(url) = config.endpoint.clone() else { return Ok(()) };
    let exporter = Exporter::new(url, config).context("traces cannot be sent")?;
    let (queue, items) = mpsc::channel(MOST_WAITING);
    let sampler = Sampler { ratio: config.ratio, by_parent: config.by_parent };
    let host = exporter.url.host_str().unwrap_or_default().to_owned();
    if TRACER.set(Tracer { sampler, content: config.content, queue }).is_ok() {
        tokio::spawn(exporter.run(items));
        log::info!("traces go to {host}");
    }
    Ok(())
}

/// Hands a span over; never waits.
pub(super) fn send(record: Box<Record>) {
    if let Some(tracer) = tracer()
        && tracer.queue.try_send(Item::Span(record)).is_err()
    {
        counters::SPANS_LOST.add(1);
    }
}

/// Waits until what was recorded so far has been sent or given up, at most so long.
pub async fn flush(longest: Duration) {
    let Some(tracer) = tracer() else { return };
    let (done, sent) = oneshot::channel();
    let flushed = async {
        if tracer.queue.send(Item::Flush(done)).await.is_ok() {
            let _ = sent.await;
        }
    };
    let _ = tokio::time::timeout(longest, flushed).await;
}

struct Exporter {
    client: Client,
    url: Url,
    headers: HeaderMap,
    protocol: OtlpProtocol,
    resource: Vec<(String, String)>,
    /// Spans lost since the collector was last heard of.
    lost: Option<u64>,
}

/// Why a batch was not taken.
struct Refused {
    why: String,
    /// Whether it may be taken later, and when.
    again: Option<Duration>,
}

impl Exporter {
    fn new(url: Url, config: &TraceConfig) -> anyhow::Result<Self> {
        // Fails only when there is one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            Client::builder()
                .timeout(config.timeout)
                .redirect(reqwest::redirect::Policy::none())
                .user_agent(concat!("productforge/", env!("CARGO_PKG_VERSION")))
        };
        let client = match builder().build() {
            Ok(client) => client,
            // Without a CA bundle no TLS client can be built, and a plain address does not need one.
            Err(_) if url.scheme() == "http" => builder().tls_certs_only([]).build()?,
            Err(e) => return Err(e.into()),
        };
        let mut headers = HeaderMap::new();
        let kind = match config.protocol {
            OtlpProtocol::Protobuf => "application/x-protobuf",
            OtlpProtocol::Json => "application/json",
        };
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        for (name, value) in &config.headers {
            let mut value = HeaderValue::from_str(value.expose())?;
            value.set_sensitive(true);
            headers.insert(HeaderName::try_from(name.as_str())?, value);
        }
        let (protocol, resource) = (config.protocol, config.resource.clone());
        Ok(Self { client, url, headers, protocol, resource, lost: None })
    }

    /// Until nobody can record any more.
    async fn run(mut self, mut items: mpsc::Receiver<Item>) {
        let mut spans = Vec::with_capacity(BATCH);
        while let Some(first) = items.recv().await {
            let mut flushes = Vec::new();
            sort(first, &mut spans, &mut flushes);
            let until = tokio::time::Instant::now() + GATHER;
            while flushes.is_empty() && spans.len() < BATCH {
                match tokio::time::timeout_at(until, items.recv()).await {
                    Ok(Some(item)) => sort(item, &mut spans, &mut flushes),
                    _ => break,
                }
            }
            if !spans.is_empty() {
                self.deliver(&spans).await;
                spans.clear();
            }
            for flush in flushes {
                // Who has stopped to wait does not mind.
                let _ = flush.send(());
            }
        }
    }

    /// Offers a batch until it is taken or given up.
    async fn deliver(&mut self, spans: &[Record]) {
        let batch = Batch { resource: &self.resource, spans };
        let body = match self.protocol {
            OtlpProtocol::Protobuf => otlp::protobuf(&batch),
            OtlpProtocol::Json => otlp::json(&batch),
        };
        let number = spans.len() as u64;
        for attempt in 1..=TRIES {
            let refused = match self.post(body.clone()).await {
                Ok(()) => {
                    counters::SPANS_SENT.add(number);
                    if let Some(lost) = self.lost.take() {
                        log::info!("the collector of traces answers again; {lost} spans were lost");
                    }
                    return;
                }
                Err(refused) => refused,
            };
            match refused.again.filter(|_| attempt < TRIES) {
                Some(wait) => tokio::time::sleep(wait.max(RETRY_WAIT * attempt)).await,
                None => {
                    counters::SPANS_LOST.add(number);
                    if self.lost.is_none() {
                        log::warn!("traces cannot be sent: {}; work goes on without them", refused.why);
                    }
                    self.lost = Some(self.lost.unwrap_or(0) + number);
                    return;
                }
            }
        }
    }

    async fn post(&self, body: Vec<u8>) -> Result<(), Refused> {
        let request = self.client.post(self.url.clone()).headers(self.headers.clone()).body(body);
        let begun = Instant::now();
        let answer = request.send().await.map_err(|error| {
            let why = if error.is_timeout() {
                format!("no answer within {:.1} s", begun.elapsed().as_secs_f64())
            } else {
                // The address may hold a password.
                error.without_url().to_string()
            };
            Refused { why, again: Some(Duration::ZERO) }
        })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let asked = answer.headers().get(header::RETRY_AFTER).and_then(|v| v.to_str().ok()?.parse().ok());
        let wait = asked.map_or(Duration::ZERO, Duration::from_secs).min(LONGEST_WAIT);
        // The ones that the protocol calls retryable.
        let passes = matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT
        );
        Err(Refused { why: format!("the collector answers {status}"), again: passes.then_some(wait) })
    }
}

fn sort(item: Item, spans: &mut Vec<Record>, flushes: &mut Vec<oneshot::Sender<()>>) {
    match item {
        Item::Span(record) => spans.push(*record),
        Item::Flush(done) => flushes.push(done),
    }
}
