//! Whoever paces is asked before every request and told after it.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use productforge::{
    config::{ProviderConfig, Secret},
    llm::{
        Deaf, ModelError, ModelErrorKind, ModelProvider,
        openai::OpenAiProvider,
        pacing::{Lane, Outcome, Pacer, Unpaced},
    },
};

use super::{QUICK, configured, provider, request};
use crate::support::fake_model::{FakeModel, Reply};

/// Writes down what it is asked and told; lets so many requests go.
struct Scribe {
    admits: usize,
    seen: Mutex<Vec<Option<Outcome>>>,
}

impl Scribe {
    fn new(admits: usize) -> Arc<Self> {
        Arc::new(Self { admits, seen: Mutex::default() })
    }

    fn seen(&self) -> Vec<Option<Outcome>> {
        self.seen.lock().unwrap().clone()
    }
}

#[async_trait]
impl Pacer for Scribe {
    async fn admit(&self, lane: &Lane, longest: Duration) -> Result<(), ModelError> {
        assert_eq!((lane.provider.as_str(), longest), ("groq", QUICK.longest_wait));
        let mut seen = self.seen.lock().unwrap();
        seen.push(None);
        if seen.iter().filter(|outcome| outcome.is_none()).count() <= self.admits {
            return Ok(());
        }
        let retry_after = Some(Duration::from_secs(90));
        let error = ModelError::new(ModelErrorKind::Billing, "the lane is closed");
        Err(ModelError { retry_after, requests: 0, ..error })
    }

    async fn tell(&self, _: &Lane, outcome: Outcome) {
        self.seen.lock().unwrap().push(Some(outcome));
    }
}

fn paced(config: ProviderConfig, pacer: &Arc<Scribe>) -> OpenAiProvider {
    OpenAiProvider::from_config(config, pacer.clone()).unwrap().with_retry(QUICK)
}

#[tokio::test]
async fn every_request_is_asked_for_and_told_of() {
    let fake = FakeModel::scripted([
        Reply::rate_limited().header("retry-after-ms", "30"),
        Reply::answer("Fine.")
            .header("x-ratelimit-remaining-requests", "59")
            .header("x-ratelimit-reset-requests", "2s"),
    ]);
    let pacer = Scribe::new(9);
    paced(fake.provider("groq"), &pacer).complete(&request("hi"), &Deaf).await.unwrap();
    let [None, Some(Outcome::Failed { kind, retry_after, why }), None, Some(answered)] = &pacer.seen()[..]
    else {
        panic!("{:?}", pacer.seen());
    };
    assert_eq!((*kind, *retry_after), (ModelErrorKind::RateLimited, Some(Duration::from_millis(30))));
    assert!(why.starts_with("provider 'groq' limits how much may be asked"), "{why}");
    assert_eq!(*answered, Outcome::Answered { remaining: Some((59, Duration::from_secs(2))) });
}

#[tokio::test]
async fn a_request_that_may_not_go_is_not_made() {
    for (admits, requests) in [(0, 0), (2, 2)] {
        let fake = FakeModel::by(|_, _| Reply::raw(503, "text/plain", "busy"));
        let pacer = Scribe::new(admits);
        let error = paced(fake.provider("groq"), &pacer).complete(&request("hi"), &Deaf).await.unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (ModelErrorKind::Billing, "the lane is closed"));
        assert_eq!((error.requests, error.retry_after), (requests, Some(Duration::from_secs(90))));
        assert_eq!(fake.calls(), admits);
    }
}

#[tokio::test]
async fn what_cannot_be_sent_is_told_of_too() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let base_url = format!("http://{address}/v1");
    let pacer = Scribe::new(9);
    let config = ProviderConfig { base_url, ..FakeModel::start().provider("groq") };
    paced(config, &pacer).complete(&request("hi"), &Deaf).await.unwrap_err();
    assert_eq!(pacer.seen().len(), 8);
    assert!(matches!(
        &pacer.seen()[7],
        Some(Outcome::Failed { kind: ModelErrorKind::Connection, retry_after: None, .. })
    ));
}

#[test]
fn a_lane_is_one_address_with_one_key() {
    let lane = |base_url: &str, key: Option<&str>| {
        let key = key.map(Secret::new);
        let limit = Some(60);
        let fake = FakeModel::start();
        let base_url = base_url.to_owned();
        let config = ProviderConfig { base_url, key, requests_per_minute: limit, ..fake.provider("groq") };
        let provider = OpenAiProvider::from_config(config, Arc::new(Unpaced)).unwrap();
        provider.lane().clone()
    };
    let one = lane("http://localhost/v1", Some("gsk_one"));
    assert_eq!((one.provider.as_str(), one.requests_per_minute), ("groq", Some(60)));
    assert!(one.fingerprint.len() == 8 && one.fingerprint.bytes().all(|b| b.is_ascii_hexdigit()), "{one:?}");
    assert_eq!(one, lane("http://localhost/v1", Some("gsk_one")));
    let others = [
        lane("http://localhost/v1", Some("gsk_two")),
        lane("http://localhost/v2", Some("gsk_one")),
        lane("http://localhost/v1", None),
    ];
    assert!(others.iter().all(|other| other.fingerprint != one.fingerprint));
}

#[tokio::test]
async fn the_fake_keeps_its_limit() {
    let fake = FakeModel::start().limited(3, Duration::from_millis(300));
    let (client, question) = (provider(&fake.config()), request("hi"));
    let answers = (0..6).map(|_| client.complete(&question, &Deaf));
    let answers = futures_util::future::join_all(answers).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert!(fake.refused() >= 3);
    assert_eq!(fake.calls(), 6 + fake.refused());
}

#[tokio::test]
async fn errors_say_whose_settings_to_check() {
    let fake = FakeModel::by(|_, _| Reply::error(401, "invalid_api_key", "invalid_request_error", "no"));
    let message = |name: &'static str| {
        let client = configured(fake.provider(name));
        async move { client.complete(&request("hi"), &Deaf).await.unwrap_err().message }
    };
    assert!(message("openai").await.contains("(check OPENAI_API_KEY)"));
    assert!(message("groq").await.contains("(check the key of provider 'groq')"));
}
