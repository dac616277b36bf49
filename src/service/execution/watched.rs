//! What metrics and traces are told of attempts and model calls.
//!
//! Spans follow the semantic conventions of OpenTelemetry for generative models
//! (<https://opentelemetry.io/docs/specs/semconv/gen-ai/>). What models read and say is in them only where
//! `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT` asks for it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    llm::{ChatAnswer, ModelError, Route},
    model::{AttemptOutcome, FailureClass, JobMode, Timestamp, Usd},
    store::Delivery,
    telemetry::{
        context::{AttemptOf, Context},
        counters,
        trace::{self, Span, SpanKind, Value},
    },
};

use super::{Execution, Fault, Question, Running};

/// An attempt at a job while it runs. What becomes of it is told at its end; one that is dropped without a
/// word has panicked.
pub struct Attempt {
    mode: JobMode,
    begun: Instant,
    span: Span,
    context: Context,
    told: bool,
}

impl Attempt {
    /// It has begun.
    pub fn begin(running: &Running, delivery: &Delivery, now: Timestamp) -> Self {
        let job = &running.job;
        let waited = (now - running.ready_since).to_std().unwrap_or_default();
        let rank = usize::from(delivery.queue.rank());
        counters::QUEUE_WAIT.at(rank).observe(waited);
        counters::STARTED.at(job.mode as usize).add(1);

        // A step that was queued by a foreign program knows its workflow and no more.
        let workflow = running.workflow.as_ref();
        let origin = |own: &Option<String>, of: fn(&crate::model::Workflow) -> &Option<String>| {
            own.clone().or_else(|| workflow.and_then(|workflow| of(workflow).clone()))
        };
        let parent = origin(&job.traceparent, |w| &w.traceparent).and_then(|text| text.parse().ok());
        let mut span = trace::span(SpanKind::Consumer, parent, || format!("job {}", job.mode.as_str()));
        if span.is_recorded() {
            span.set("messaging.system", "productforge");
            span.set("messaging.operation.type", "process");
            span.set("messaging.destination.name", delivery.queue.name());
            span.set("messaging.message.id", &*job.job_id);
            span.set("gen_ai.agent.name", &*job.agent);
            span.set("productforge.attempt", job.attempts.len() as u64);
            span.set("productforge.queue_wait_ms", u64::try_from(waited.as_millis()).unwrap_or(u64::MAX));
            for (name, value) in
                [("productforge.workflow_id", &job.workflow_id), ("productforge.step", &job.step)]
            {
                if let Some(value) = value {
                    span.set(name, &**value);
                }
            }
            let since_1970 =
                |at: Timestamp| Duration::from_millis(at.timestamp_millis().max(0).unsigned_abs());
            let wait = trace::span(SpanKind::Internal, parent.or(span.place()), || "queue wait".to_owned());
            wait.lasted(since_1970(now - waited), since_1970(now));
        }
        let attempt = AttemptOf {
            job_id: job.job_id.clone(),
            workflow_id: job.workflow_id.clone(),
            attempt: job.attempts.len(),
        };
        let request_id = origin(&job.request_id, |w| &w.request_id);
        let context = Context {
            request_id: request_id.filter(|id| is_sane(id)).map(Arc::from),
            attempt: Some(Arc::new(attempt)),
            trace: span.place(),
        };
        Self { mode: job.mode, begun: Instant::now(), span, context, told: false }
    }

    /// What is done within it is done for this.
    pub fn context(&self) -> Context {
        self.context.clone()
    }

    /// It has its answer, and the job its result.
    pub fn completed(self) {
        self.end("completed");
    }

    /// It failed; `retried`: another one follows.
    pub fn failed(mut self, fault: &Fault, retried: bool) {
        let class = fault.failure.class;
        counters::ATTEMPT_FAILURES.of(class.as_str()).add(1);
        let kind = if fault.outcome == AttemptOutcome::TimedOut { "timeout" } else { class.as_str() };
        self.span.fail(kind, &fault.error);
        self.end(if retried { "retried" } else { "failed" });
    }

    /// It ended in another way: `postponed`, `released`, `lost`.
    pub fn ended(mut self, outcome: &'static str) {
        if outcome == "lost" {
            self.span.fail("lease_lost", "another worker has the job, or somebody cancelled it");
        }
        self.end(outcome);
    }

    fn end(mut self, outcome: &'static str) {
        self.told = true;
        self.span.set("productforge.outcome", outcome);
        counters::ATTEMPTS.of(outcome).add(1);
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        counters::ATTEMPT_SECONDS.at(self.mode as usize).observe(self.begun.elapsed());
        if !self.told {
            counters::ATTEMPT_FAILURES.of(FailureClass::Other.as_str()).add(1);
            counters::ATTEMPTS.of("lost").add(1);
            self.span.fail("panic", "the attempt ended in the middle");
        }
    }
}

/// Ids come from documents, which foreign hands can write.
fn is_sane(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|b| (0x21..0x7f).contains(&b))
}

/// A model call while it is under way. One that is dropped without a word was given up.
pub(super) struct WatchedCall {
    route: Route,
    span: Span,
    told: bool,
}

impl WatchedCall {
    pub fn begin(execution: &Execution, question: &Question) -> Self {
        let request = &question.request;
        let route = execution.base.provider.route(request.models.first().map(String::as_str));
        let parent = crate::telemetry::context::current().trace;
        let mut span = trace::span(SpanKind::Client, parent, || format!("chat {}", route.model));
        if span.is_recorded() {
            span.set("gen_ai.operation.name", "chat");
            span.set("gen_ai.provider.name", &*route.provider);
            span.set("gen_ai.request.model", &*route.model);
            if let Some(most) = request.max_tokens.or(route.max_tokens) {
                span.set("gen_ai.request.max_tokens", i64::from(most));
            }
            if let Some(schema) = &request.schema {
                span.set("gen_ai.output.type", "json");
                span.set("productforge.schema", &*schema.name);
            }
            span.set("productforge.call", i64::from(question.number));
            if trace::captures_content() {
                let said = request
                    .messages
                    .iter()
                    .map(|m| json!({"role": m.role, "parts": [{"type": "text", "content": m.content}]}));
                let said = serde_json::Value::from_iter(said).to_string();
                span.set_content("gen_ai.input.messages", &said);
            }
        }
        Self { route, span, told: false }
    }

    /// What the requests of it are made for.
    pub fn context(&self) -> Context {
        Context { trace: self.span.place(), ..crate::telemetry::context::current() }
    }

    /// It was answered; `cost`: `None` where the price is not known.
    pub fn answered(mut self, answer: &ChatAnswer, took: Duration, cost: Option<Usd>) {
        let (provider, model) = (answer.provider.as_str(), counters::MODELS.admit(&answer.model));
        let usage = &answer.usage;
        counters::MODEL_REQUESTS.with([provider, model], |c| c.add(u64::from(answer.requests)));
        counters::MODEL_SECONDS.with([provider, model], |times| times.observe(took));
        if let Some(ms) = answer.first_token_ms {
            let first = Duration::from_millis(ms);
            counters::FIRST_TOKEN_SECONDS.with([provider, model], |times| times.observe(first));
        }
        for (kind, tokens) in [
            ("input", usage.prompt_tokens),
            ("cached", usage.cached_tokens),
            ("output", usage.completion_tokens),
            ("reasoning", usage.reasoning_tokens),
        ] {
            counters::TOKENS.with([provider, model, kind], |c| c.add(tokens));
        }
        match cost {
            Some(cost) => counters::COST.with([provider, model], |c| c.add(cost.nanos())),
            None => counters::UNPRICED_CALLS.with([provider, model], |c| c.add(1)),
        }
        let span = &mut self.span;
        if span.is_recorded() {
            span.set("gen_ai.response.model", &*answer.model);
            if let Some(reason) = &answer.finish_reason {
                span.set("gen_ai.response.finish_reasons", Value::Texts(vec![reason.clone()]));
            }
            span.set("gen_ai.usage.input_tokens", usage.prompt_tokens);
            span.set("gen_ai.usage.output_tokens", usage.completion_tokens);
            span.set("gen_ai.usage.cache_read.input_tokens", usage.cached_tokens);
            span.set("productforge.requests", i64::from(answer.requests));
            span.set("productforge.simulated", answer.simulated);
            if let Some(ms) = answer.first_token_ms {
                span.set("gen_ai.response.time_to_first_chunk", ms as f64 / 1_000.0);
            }
            if let Some(cost) = cost {
                span.set("productforge.cost_usd", cost.dollars());
            }
            if trace::captures_content() {
                let reason = answer.finish_reason.as_deref().unwrap_or("stop");
                let parts = json!([{"type": "text", "content": answer.text}]);
                let said = json!([{"role": "assistant", "parts": parts, "finish_reason": reason}]);
                span.set_content("gen_ai.output.messages", &said.to_string());
            }
        }
        let provider = answer.provider.clone();
        self.end(&provider, model, "ok");
    }

    /// It was not.
    pub fn failed(mut self, error: &ModelError) {
        let model = self.route.model.clone();
        let (provider, model) = (self.route.provider.clone(), counters::MODELS.admit(&model));
        counters::MODEL_REQUESTS.with([&provider, model], |c| c.add(u64::from(error.requests)));
        self.span.fail(error.kind.as_str(), &error.message);
        if let Some(status) = error.status {
            self.span.set("http.response.status_code", i64::from(status));
        }
        self.end(&provider, model, error.kind.as_str());
    }

    fn end(&mut self, provider: &str, model: &str, outcome: &str) {
        self.told = true;
        counters::MODEL_CALLS.with([provider, model, outcome], |count| count.add(1));
    }
}

impl Drop for WatchedCall {
    fn drop(&mut self) {
        if !self.told {
            let (provider, model) = (self.route.provider.clone(), self.route.model.clone());
            self.span.fail("abandoned", "nobody waited for the answer any more");
            self.end(&provider, counters::MODELS.admit(&model), "abandoned");
        }
    }
}
