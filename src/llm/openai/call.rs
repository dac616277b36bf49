//! One call: requests until there is an answer, or nothing more to be hoped for.

use std::time::{Duration, Instant};

use super::{
    OpenAiProvider,
    hear::{Ear, Failure, Heard, hear},
    manners::{Complaint, Manners},
    wire::{self, Question},
};
use crate::llm::{ChatAnswer, ChatRequest, Listener, ModelError, pacing::Outcome};

/// Makes the requests of one call.
pub(super) async fn complete(
    provider: &OpenAiProvider,
    request: &ChatRequest,
    listener: &dyn Listener,
) -> Result<ChatAnswer, ModelError> {
    let started = Instant::now();
    let question = Question {
        model: request.models.first().filter(|model| !model.is_empty()).unwrap_or(&provider.default_model),
        messages: &request.messages,
        tools: &request.tools,
        schema: request.schema.as_deref(),
        // What a budget has reserved and what the configuration says hold both.
        max_tokens: [request.max_tokens, provider.max_tokens].into_iter().flatten().min(),
    };
    let ear = Ear::new(listener);
    let known = provider.memory.recall(&question).unwrap_or(provider.usual);
    let mut shapes = vec![Shape { now: known, lasting: known }];
    let mut requests = 0;
    loop {
        let shape = shapes[shapes.len() - 1];
        let admitted = provider.pacer.admit(&provider.lane, provider.retry.longest_wait).await;
        admitted.map_err(|error| ModelError { requests, ..error })?;
        ear.restart();
        let Failure { mut error, should_retry, complaint } =
            match ask(provider, &question, &shape.now, &ear).await {
                Ok((Heard { completion, first_token }, remaining)) => {
                    if shape.lasting != known {
                        provider.memory.learn(&question, shape.lasting);
                    }
                    provider.pacer.tell(&provider.lane, Outcome::Answered { remaining }).await;
                    return Ok(ChatAnswer {
                        text: completion.text,
                        tool_calls: completion.tool_calls,
                        provider: provider.name.clone(),
                        model: completion.model,
                        simulated: false,
                        usage: completion.usage,
                        cost_usd: completion.cost,
                        finish_reason: completion.finish_reason,
                        requests: requests + 1,
                        duration_ms: millis(started.elapsed()),
                        first_token_ms: first_token.map(millis),
                    });
                }
                Err(failure) => failure,
            };
        requests += error.requests;
        error.requests = requests;
        error.message = provider.wording.hide(&error.message);
        error.code = error.code.map(|code| provider.wording.hide(&code));
        let outcome =
            Outcome::Failed { kind: error.kind, retry_after: error.retry_after, why: error.message.clone() };
        provider.pacer.tell(&provider.lane, outcome).await;
        if let Some(shape) = complaint.and_then(|complaint| adapt(&question, &shapes, complaint)) {
            log::info!("model call: {} asks for another request: {error}", provider.wording.who);
            shapes.push(shape);
            continue;
        }
        // A request in another shape is no repetition of the one before.
        let repeated = requests.saturating_sub(u32::try_from(shapes.len() - 1).unwrap_or(u32::MAX)).max(1);
        let Some(wait) = provider.retry.wait(&error, should_retry, repeated, rand::random()) else {
            return Err(error);
        };
        log::warn!(
            "model call: request {requests} failed ({}), the next follows in {} ms: {error}",
            error.kind.as_str(),
            wait.as_millis()
        );
        tokio::time::sleep(wait).await;
    }
}

/// How the requests of a call look, and what of it holds for other calls once it has led to an answer.
#[derive(Debug, Clone, Copy)]
struct Shape {
    now: Manners,
    lasting: Manners,
}

type Remaining = Option<(u64, Duration)>;

/// One request.
async fn ask(
    provider: &OpenAiProvider,
    question: &Question<'_>,
    manners: &Manners,
    ear: &Ear<'_>,
) -> Result<(Heard, Remaining), Failure> {
    let body = wire::body(provider.api, question, manners);
    let exchange = provider.transport.send(&body, manners.stream).await?;
    let remaining = exchange.hints.remaining;
    Ok((hear(exchange, provider.api, question, &provider.wording, ear).await?, remaining))
}

/// The shape of the next request after a complaint, unless it was sent before in this call.
fn adapt(question: &Question<'_>, shapes: &[Shape], complaint: Complaint) -> Option<Shape> {
    let last = shapes.last()?;
    let (now, holds) = last.now.after(complaint, question)?;
    let lasting = match last.lasting.after(complaint, question) {
        Some((lasting, _)) if holds => lasting,
        _ => last.lasting,
    };
    (!shapes.iter().any(|shape| shape.now == now)).then_some(Shape { now, lasting })
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
