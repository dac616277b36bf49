//! What a job asks its model next: the prompt with all that the job has to see, cut where it must be.

use std::sync::{Arc, LazyLock, PoisonError};

use tokio::sync::OnceCell;

use crate::{
    analysis::{MemoryFiles, findings},
    engine::{
        conversation::{self, Next},
        prompt::{self, Prompt},
        templates,
        verdict::schema,
    },
    llm::{ChatRequest, ModelError, ModelErrorKind, OutputSchema, Route, Scene},
    model::{Call, CallPurpose, JobMode, JobResult, TemplateRole},
    store::MAX_BATCH,
    tools::Toolbox,
};

use super::{Execution, Running};
use crate::service::{
    ServiceError, agents, records, tools,
    uploads::{self, Project},
};

/// How often a prompt is cut further because it is still too long.
const MOST_CUTS: u32 = 3;

/// Characters of a token, when a limit of tokens is to be kept: rather too few than too many.
const CHARS_PER_TOKEN: u64 = 3;

/// The share of what a model can read that is left to its answer, in parts of a hundred.
const ANSWER_PERCENT: u64 = 25;

/// A job's conversation with its model.
pub struct Conversation {
    /// The calls of earlier attempts and of this one, all journaled.
    pub(super) calls: Vec<Call>,
    /// Calls of the job that belong to an earlier life of it (somebody retried it since).
    pub(super) earlier: Vec<Call>,
    pub(super) toolbox: Toolbox,
    /// The upload whose files may be read.
    pub(super) project: Option<Arc<Project>>,
    /// The job's own prompt, once it was needed.
    prompt: OnceCell<Prompt>,
    /// How many characters the next prompt may have, because the last one was too long.
    room: Option<usize>,
    cuts: u32,
}

/// One question, ready to be asked.
pub struct Question {
    pub(super) request: ChatRequest,
    pub(super) number: u32,
    pub(super) purpose: CallPurpose,
    pub(super) trimmed: bool,
}

impl Conversation {
    pub(super) fn new(
        mut calls: Vec<Call>,
        attempts_before: u32,
        toolbox: Toolbox,
        project: Option<Arc<Project>>,
    ) -> Self {
        let ended = calls.last().is_some_and(|call| call.tool_calls.is_empty());
        // A conversation that somebody wants tried again and that has no answer yet begins anew.
        let first = match ended {
            true => 0,
            false => calls.iter().position(|call| call.attempt > attempts_before).unwrap_or(calls.len()),
        };
        let current = calls.split_off(first);
        Self {
            calls: current,
            earlier: calls,
            toolbox,
            project,
            prompt: OnceCell::new(),
            room: None,
            cuts: 0,
        }
    }

    /// What a journaled call adds to it.
    pub fn add(&mut self, call: Call) {
        self.room = None;
        match self.calls.last_mut().filter(|last| last.number == call.number) {
            Some(last) => *last = call,
            None => self.calls.push(call),
        }
    }

    /// All calls of the job.
    pub fn all(&self) -> impl Iterator<Item = &Call> {
        self.earlier.iter().chain(&self.calls)
    }

    fn next_number(&self) -> u32 {
        self.all().map(|call| call.number).max().unwrap_or(0) + 1
    }
}

impl Question {
    /// Keeps its answer within what was reserved for it.
    pub fn limit(&mut self, longest_answer: Option<u32>) {
        if let Some(longest) = longest_answer {
            let asked = self.request.max_tokens.get_or_insert(longest);
            *asked = longest.min(*asked);
        }
    }
}

impl Execution {
    /// What is to be done next.
    pub fn next(&self, running: &Running, conversation: &Conversation) -> Next {
        let form = form_of(running);
        conversation::next(&conversation.calls, |text| match form {
            Form::Verdict => schema::unreadable(text),
            Form::Findings => findings::parse(text, &MemoryFiles::default()).err().map(|e| e.to_string()),
            Form::Text => None,
        })
    }

    /// The next question, where `next` says to ask.
    pub async fn question(
        &self,
        running: &Running,
        conversation: &Conversation,
        next: &Next,
    ) -> Result<Question, ServiceError> {
        let room = conversation.room.or_else(|| self.known_room(running));
        let (purpose, messages, whole, with_tools) = match next {
            Next::AskAgain { purpose, messages, with_tools } => {
                let whole: usize = messages.iter().map(|m| m.content.chars().count()).sum();
                let fitted = match room {
                    Some(room) if whole > room => prompt::fit(messages, room),
                    _ => messages.clone(),
                };
                (*purpose, fitted, whole, *with_tools)
            }
            _ => {
                let project = conversation.project.as_deref();
                let prompt = conversation.prompt.get_or_try_init(|| self.prompt(running, project)).await?;
                (CallPurpose::Work, prompt.messages(room), prompt.chars(), true)
            }
        };
        let tools = if with_tools { conversation.toolbox.specs() } else { Vec::new() };
        let request = ChatRequest {
            models: agents::models(&running.agent, self.base.provider.as_ref()),
            messages,
            max_tokens: self.base.max_tokens,
            tools,
            schema: match form_of(running) {
                Form::Verdict => Some(VERDICT.clone()),
                Form::Findings => Some(FINDINGS.clone()),
                Form::Text => None,
            },
            scene: scene(running),
        };
        let trimmed = room.is_some_and(|room| whole > room);
        Ok(Question { request, number: conversation.next_number(), purpose, trimmed })
    }

    /// Makes the next question shorter where that is what is wrong; false where it is not, or does not help.
    pub fn shorten(
        &self,
        running: &Running,
        conversation: &mut Conversation,
        question: &Question,
        error: &ModelError,
    ) -> bool {
        if error.kind != ModelErrorKind::ContextTooLong || conversation.cuts >= MOST_CUTS {
            return false;
        }
        let asked: usize = question.request.messages.iter().map(|m| m.content.chars().count()).sum();
        let half = asked / 2;
        let told = error.context_limit.map(|tokens| room_of(tokens, question.request.max_tokens));
        if let Some(tokens) = error.context_limit {
            self.learn_limit(running, tokens);
        }
        conversation.cuts += 1;
        // What the provider says may still be too much: its tokens may be shorter than ours.
        conversation.room = Some(told.filter(|told| *told < asked).unwrap_or(half).min(asked * 9 / 10));
        true
    }

    /// The tools that an agent may use in this job. One that is not there is missed and said in the log: the
    /// model works without it.
    pub(super) async fn toolbox(&self, running: &Running, project: Option<&Arc<Project>>) -> Toolbox {
        let (job, agent) = (running.job.job_id.as_str(), running.agent.name.as_str());
        let registry = &self.base.tools;
        let (own, others): (Vec<&String>, Vec<&String>) =
            running.agent.tools.iter().partition(|name| *name == tools::EARLIER_RESULTS);
        let (known, unknown): (Vec<String>, Vec<String>) =
            others.into_iter().cloned().partition(|name| registry.check(std::slice::from_ref(name)).is_ok());
        if !unknown.is_empty() {
            log::warn!(job_id = job, agent = agent; "these tools of the agent do not exist: {}", unknown.join(", "));
        }
        let mut toolbox = registry.toolbox(&known).await.unwrap_or_default();
        for away in toolbox.unavailable() {
            log::warn!(job_id = job, agent = agent; "tools of the agent cannot be had now: {}: {}", away.name, away.reason);
        }
        if !own.is_empty() {
            let workflow = running.workflow.as_ref();
            toolbox = toolbox.with(tools::earlier_results(self.base.store.clone(), workflow, &running.job));
        }
        let of_files = project.into_iter().flat_map(uploads::file_tools);
        of_files.fold(toolbox, Toolbox::with)
    }

    async fn prompt(&self, running: &Running, project: Option<&Project>) -> Result<Prompt, ServiceError> {
        let prompt = self.own_prompt(running).await?;
        Ok(match project {
            Some(project) => prompt.with_upload(&project.upload.filename, &project.summary()),
            None => prompt,
        })
    }

    async fn own_prompt(&self, running: &Running) -> Result<Prompt, ServiceError> {
        let (job, agent) = (&running.job, &running.agent);
        match (job.mode, &running.workflow) {
            (JobMode::Step, Some(workflow)) => {
                let Some(step) = workflow.step(&job.job_id) else {
                    return Ok(prompt::task(&job.task, agent));
                };
                let inputs = prompt::inputs(workflow, step);
                let mut materials = Vec::with_capacity(inputs.len());
                for chunk in inputs.chunks(MAX_BATCH) {
                    let last_call = |id: &String| workflow.step(id).map_or(1, |step| step.calls);
                    let keys: Vec<_> =
                        chunk.iter().map(|i| records::call_key(&i.job_id, last_call(&i.job_id))).collect();
                    let docs = self.base.store.get(&keys).await?;
                    for (input, doc) in chunk.iter().zip(docs) {
                        let text = match doc {
                            Some(doc) => doc.parse::<Call>()?.answer,
                            None => {
                                let name = workflow.step(&input.job_id).map_or("?", |step| &step.step);
                                self.output_without_call(&input.job_id, name).await?
                            }
                        };
                        materials.push((input.clone(), text));
                    }
                }
                let instructions = templates::find(&workflow.template)
                    .and_then(|t| t.step(&step.step))
                    .map_or("Do what the brief asks for.", |s| s.instructions.as_str());
                Ok(prompt::step(workflow, step, agent, instructions, &materials))
            }
            (JobMode::Analyze, _) => Ok(prompt::analysis(&job.task, agent)),
            (JobMode::Review, _) => {
                let original = match &job.parent_job_id {
                    Some(id) => {
                        records::load::<JobResult>(self.base.store.as_ref(), records::result_key(id)).await?
                    }
                    None => None,
                };
                let work = original
                    .as_ref()
                    .map(|(r, _)| (r.task.as_deref().unwrap_or("(not stored)"), r.output.as_str()));
                Ok(prompt::review(&job.task, work, agent))
            }
            _ => Ok(prompt::task(&job.task, agent)),
        }
    }

    /// The output of a step that has no call in the journal: its result's, if a legacy worker wrote one. Where it is gone
    /// (with the workflow that the step was taken over from, say), nothing sensible can be asked.
    async fn output_without_call(&self, job_id: &str, step: &str) -> Result<String, ServiceError> {
        let found = records::load::<JobResult>(self.base.store.as_ref(), records::result_key(job_id)).await?;
        found.map(|(result, _)| result.output).ok_or_else(|| {
            ServiceError::NotFound(format!(
                "what step {step} said is not stored any more, and this step needs it"
            ))
        })
    }

    /// How many characters a prompt for the job's model may have, where a provider has told.
    fn known_room(&self, running: &Running) -> Option<usize> {
        let limits = self.context_limits.lock().unwrap_or_else(PoisonError::into_inner);
        let tokens = limits.get(&self.route_of(running)).copied()?;
        Some(room_of(tokens, self.base.max_tokens))
    }

    fn learn_limit(&self, running: &Running, tokens: u64) {
        let mut limits = self.context_limits.lock().unwrap_or_else(PoisonError::into_inner);
        // Names come from whoever registers agents; there is no need to know more than these.
        if limits.len() < 1_000 {
            limits.insert(self.route_of(running), tokens);
        }
    }
}

static FINDINGS: LazyLock<Arc<OutputSchema>> =
    LazyLock::new(|| Arc::new(OutputSchema { name: "findings".to_owned(), schema: findings::schema() }));

static VERDICT: LazyLock<Arc<OutputSchema>> = LazyLock::new(|| {
    Arc::new(OutputSchema { name: schema::NAME.to_owned(), schema: schema::SCHEMA.clone() })
});

fn room_of(tokens: u64, max_tokens: Option<u32>) -> usize {
    let answer = max_tokens.map_or(tokens * ANSWER_PERCENT / 100, u64::from).min(tokens / 2);
    usize::try_from((tokens - answer) * CHARS_PER_TOKEN).unwrap_or(usize::MAX)
}

impl Execution {
    /// The provider that a job's model is asked of first.
    pub fn provider_of(&self, running: &Running) -> String {
        self.route_of(running).provider
    }

    /// Who is asked first, and for which model.
    fn route_of(&self, running: &Running) -> Route {
        let models = agents::models(&running.agent, self.base.provider.as_ref());
        self.base.provider.route(models.first().map(String::as_str))
    }
}

/// What an answer has to look like.
enum Form {
    Text,
    Verdict,
    Findings,
}

fn form_of(running: &Running) -> Form {
    let step = running.workflow.as_ref().and_then(|w| w.step(&running.job.job_id));
    match running.job.mode {
        JobMode::Analyze => Form::Findings,
        _ if step.is_some_and(|step| step.role == TemplateRole::Qa) => Form::Verdict,
        _ => Form::Text,
    }
}

/// What the call is for; the simulated model plays by it.
fn scene(running: &Running) -> Scene {
    let step = running.workflow.as_ref().and_then(|w| w.step(&running.job.job_id));
    Scene {
        role: step.map(|s| s.role),
        round: step.map_or(1, |s| s.round),
        agent: running.agent.name.clone(),
        brief: running.job.task.clone(),
    }
}
