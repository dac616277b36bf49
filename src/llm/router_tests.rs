//! Tests of the router, with providers that say what they are told to.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;

use super::{
    ChatAnswer, ChatRequest, Deaf, Listener, ModelError, ModelErrorKind, ModelProvider, router::Router,
    simulated,
};

use ModelErrorKind::{
    Auth, BadAnswer, BadRequest, Billing, Connection, ContextTooLong, RateLimited, Refused, Timeout,
    Unavailable, UnknownModel,
};

/// Answers with its own name and the model it was asked for, unless it has a failure for that model.
struct Fake {
    name: &'static str,
    failures: Vec<(&'static str, ModelError)>,
    asked: Mutex<Vec<Vec<String>>>,
}

impl Fake {
    fn new(name: &'static str, failures: &[(&'static str, ModelError)]) -> Arc<Self> {
        Arc::new(Self { name, failures: failures.to_vec(), asked: Mutex::default() })
    }

    fn asked(&self) -> Vec<Vec<String>> {
        self.asked.lock().unwrap().clone()
    }
}

#[async_trait]
impl ModelProvider for Fake {
    fn name(&self) -> &str {
        self.name
    }

    fn default_model(&self) -> &str {
        "default"
    }

    fn is_simulated(&self) -> bool {
        false
    }

    async fn complete(
        &self,
        request: &ChatRequest,
        listener: &dyn Listener,
    ) -> Result<ChatAnswer, ModelError> {
        self.asked.lock().unwrap().push(request.models.clone());
        let model = request.models.first().map_or("default", String::as_str);
        if let Some((_, error)) = self.failures.iter().find(|(name, _)| *name == model) {
            if error.kind == Timeout {
                listener.delta("half an ans");
            }
            return Err(error.clone());
        }
        listener.delta("whole");
        Ok(ChatAnswer {
            text: format!("{} {model}", self.name),
            provider: self.name.to_owned(),
            model: model.to_owned(),
            requests: 1,
            ..ChatAnswer::default()
        })
    }
}

fn error(kind: ModelErrorKind, retry_after: Option<u64>, requests: u32) -> ModelError {
    let retry_after = retry_after.map(Duration::from_secs);
    ModelError { retry_after, requests, ..ModelError::new(kind, format!("no: {}", kind.as_str())) }
}

fn request(models: &[&str]) -> ChatRequest {
    ChatRequest { models: models.iter().map(|m| m.to_string()).collect(), ..ChatRequest::default() }
}

#[tokio::test]
async fn the_first_segment_selects_a_provider_whatever_slashes_follow() {
    let (openai, openrouter) = (Fake::new("openai", &[]), Fake::new("openrouter", &[]));
    let router = Router::new(openai.clone(), vec![openrouter.clone()]);
    for (models, said) in [
        (vec![], "openai default"),
        (vec!["gpt-4o"], "openai gpt-4o"),
        (vec!["openai/gpt-4o"], "openai gpt-4o"),
        (vec!["openai/openai/gpt-oss"], "openai openai/gpt-oss"),
        (vec!["openrouter/meta-llama/llama-3"], "openrouter meta-llama/llama-3"),
        (vec!["openrouter/"], "openrouter default"),
        (vec!["meta-llama/llama-3"], "openai meta-llama/llama-3"),
        (vec!["openrouter"], "openai openrouter"),
        (vec![""], "openai default"),
    ] {
        let answer = router.complete(&request(&models), &Deaf).await.unwrap();
        assert_eq!((answer.text.as_str(), answer.requests), (said, 1), "{models:?}");
        let route = router.route(models.first().copied());
        assert_eq!(format!("{} {}", route.provider, route.model), said);
    }
    assert_eq!((router.name(), router.default_model(), router.is_simulated()), ("openai", "default", false));
}

#[tokio::test]
async fn the_simulated_model_stands_beside_real_ones() {
    let simulated = Arc::new(simulated::SimulatedProvider::new(Duration::ZERO));
    let router = Router::new(Fake::new("openai", &[]), vec![simulated.clone()]);
    let answer = router.complete(&request(&["simulated/any"]), &Deaf).await.unwrap();
    assert!(answer.simulated && answer.provider == "simulated", "{answer:?}");
    assert!(!router.is_simulated());
    assert!(Router::new(simulated, Vec::new()).is_simulated());
}

#[tokio::test]
async fn the_next_model_is_asked_where_another_may_help() {
    for (kind, helps) in [
        (UnknownModel, true),
        (Auth, true),
        (Billing, true),
        (RateLimited, true),
        (Unavailable, true),
        (Connection, true),
        (Timeout, true),
        (ContextTooLong, true),
        (Refused, false),
        (BadRequest, false),
        (BadAnswer, false),
    ] {
        let first = Fake::new("openai", &[("m", error(kind, None, 3))]);
        let second = Fake::new("groq", &[]);
        let router = Router::new(first.clone(), vec![second.clone()]);
        let outcome = router.complete(&request(&["m", "groq/n"]), &Deaf).await;
        assert_eq!(first.asked(), [["m"]], "one model at a time");
        match outcome {
            Ok(answer) => {
                assert!(helps, "{kind:?}");
                assert_eq!((answer.text.as_str(), answer.requests), ("groq n", 4));
            }
            Err(e) => {
                assert!(!helps, "{kind:?}");
                assert_eq!((e.kind, e.requests, second.asked().len()), (kind, 3, 0));
            }
        }
    }
}

#[tokio::test]
async fn a_pacer_that_lets_nothing_go_is_passed_over_whatever_its_reason() {
    let first = Fake::new("openai", &[("m", error(BadAnswer, Some(9), 0))]);
    let router = Router::new(first, vec![Fake::new("groq", &[])]);
    let answer = router.complete(&request(&["m", "groq/n"]), &Deaf).await.unwrap();
    assert_eq!((answer.text.as_str(), answer.requests), ("groq n", 1));
}

#[tokio::test]
async fn of_several_failures_the_one_that_passes_soonest_is_told() {
    let failures = [
        ("auth", error(Auth, None, 1)),
        ("down", error(Connection, None, 4)),
        ("busy", error(RateLimited, Some(60), 2)),
        ("soon", error(RateLimited, Some(5), 2)),
        ("gone", error(UnknownModel, None, 1)),
        ("open", error(Auth, Some(1), 0)),
        ("bad", error(BadRequest, None, 1)),
    ];
    let router = Router::new(Fake::new("openai", &failures), Vec::new());
    for (models, kind, wait, requests) in [
        (["auth", "gone"].as_slice(), Auth, None, 2),
        (&["gone", "auth"], UnknownModel, None, 2),
        (&["auth", "down", "gone"], Connection, None, 6),
        (&["auth", "busy", "soon", "down"], RateLimited, Some(5), 9),
        (&["soon", "busy"], RateLimited, Some(5), 4),
        (&["busy", "bad", "soon"], BadRequest, None, 3),
        (&["gone"], UnknownModel, None, 1),
        (&["gone", "open"], Auth, Some(1), 1),
        (&["open", "busy"], RateLimited, Some(60), 2),
    ] {
        let e = router.complete(&request(models), &Deaf).await.unwrap_err();
        assert_eq!(
            (e.kind, e.retry_after.map(|w| w.as_secs()), e.requests),
            (kind, wait, requests),
            "{models:?}"
        );
        let told = if models.len() == 1 || kind == BadRequest { "no: " } else { "openai/" };
        assert!(e.message.starts_with(told), "{}", e.message);
    }
}

#[tokio::test]
async fn a_listener_is_told_that_what_it_heard_is_void() {
    #[derive(Default)]
    struct Notes(Mutex<Vec<String>>);
    impl Listener for Notes {
        fn delta(&self, text: &str) {
            self.0.lock().unwrap().push(text.to_owned());
        }
        fn restart(&self) {
            self.0.lock().unwrap().push("-".to_owned());
        }
    }
    let failures = [("half", error(Timeout, None, 1)), ("mute", error(Auth, None, 1))];
    let router = Router::new(Fake::new("openai", &failures), Vec::new());
    let notes = Notes::default();
    router.complete(&request(&["half", "mute", "m"]), &notes).await.unwrap();
    assert_eq!(*notes.0.lock().unwrap(), ["half an ans", "-", "whole"]);
    let notes = Notes::default();
    router.complete(&request(&["half"]), &notes).await.unwrap_err();
    assert_eq!(*notes.0.lock().unwrap(), ["half an ans"], "nothing begins anew");
}
