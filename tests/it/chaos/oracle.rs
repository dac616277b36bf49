//! The oracle: holds what is in the store, what the API says and what was seen during a run to the
//! promises.
//!
//! - **lost**: what was accepted and has no terminal result, or is not there; and everything that is there
//!   and not whole (a request whose answer was lost may exist or not, but not by half);
//! - **duplicates**: a job with two results, two ends or two jobs of one step; the end of an attempt that
//!   was written under a lease that had been swept before;
//! - **stuck**: what the watcher saw, and what is still queued, leased or due when nothing moves any more;
//! - **paid twice**: see [`super::paid`];
//! - **wrong**: anything else that does not fit together, such as a call whose usage is counted twice or not at
//!   all.

use std::collections::{BTreeMap, BTreeSet};

use productforge::model::{
    AttemptOutcome, Job, JobMode, JobState, ResultStatus, RunEventKind, StepStatus, Workflow, WorkflowStatus,
};

use super::{board::Accepted, contents::Contents, watch::Seen};

/// What the run was found guilty of.
#[derive(Debug, Default)]
pub struct Verdict {
    pub lost: Vec<String>,
    pub duplicates: Vec<String>,
    pub stuck: Vec<String>,
    pub paid_twice: Vec<String>,
    pub wrong: Vec<String>,
    /// Jobs that ended as failed because workers died under them three times.
    pub poisoned: usize,
    /// Answers that were paid for again because nobody could have known of the first.
    pub paid_again: usize,
}

impl Verdict {
    pub fn all(&self) -> impl Iterator<Item = &String> {
        let lists = [&self.lost, &self.duplicates, &self.stuck, &self.paid_twice, &self.wrong];
        lists.into_iter().flatten()
    }
}

/// What the oracle looks at.
pub struct Evidence<'a> {
    pub contents: &'a Contents,
    pub accepted: &'a Accepted,
    pub seen: &'a Seen,
    /// What every process said.
    pub outputs: &'a [String],
    /// Leases that the run itself took away.
    pub swept: &'a BTreeSet<u64>,
    /// Id → status of accepted jobs and workflows, as the API told it.
    pub told: &'a BTreeMap<String, String>,
}

pub fn judge(evidence: &Evidence) -> Verdict {
    let mut verdict = Verdict { stuck: evidence.seen.stuck.clone(), ..Verdict::default() };
    verdict.wrong.extend(evidence.contents.torn.iter().cloned());
    accepted(evidence, &mut verdict);
    let swept = &swept(evidence.outputs) | evidence.swept;
    for job in evidence.contents.jobs.values() {
        job_is_whole(evidence, job, &swept, &mut verdict);
    }
    for (id, result) in &evidence.contents.results {
        if !evidence.contents.jobs.contains_key(id) {
            verdict.wrong.push(format!("a result without a job: {id} ({:?})", result.status));
        }
    }
    created_once(evidence.contents, &mut verdict);
    let (counted, journaled) = (evidence.contents.counted_calls, evidence.contents.calls.len());
    if counted != journaled as i64 {
        verdict.wrong.push(format!("usage: {counted} calls are counted, {journaled} are in the journal"));
    }
    for workflow in evidence.contents.workflows.values() {
        workflow_is_whole(evidence.contents, workflow, &mut verdict);
        history_is_whole(evidence.contents, workflow, &mut verdict);
    }
    let contents = evidence.contents;
    if contents.depth.open() > 0 || !contents.leases.is_empty() {
        let (depth, leases) = (&contents.depth, &contents.leases);
        verdict.stuck.push(format!("stuck: nothing moves any more, and there is {depth:?} {leases:?}"));
    }
    for output in evidence.outputs.iter().filter(|o| o.contains("panicked")) {
        verdict.wrong.push(format!("a process panicked:\n{output}"));
    }
    verdict
}

fn accepted(evidence: &Evidence, verdict: &mut Verdict) {
    let Evidence { contents, accepted, told, .. } = evidence;
    for (id, text) in &accepted.jobs {
        match (contents.jobs.get(id), contents.results.get(id)) {
            (Some(job), Some(result)) => {
                if job.task != *text {
                    verdict.wrong.push(format!("job {id} is '{}' and was '{text}'", job.task));
                }
                let status = word(&result.status);
                if told.get(id) != Some(&status) {
                    verdict.wrong.push(format!("result {id} is {status}, the API says {:?}", told.get(id)));
                }
            }
            // Said where every job is looked at.
            (Some(_), None) => {}
            (None, _) => {
                verdict.lost.push(format!("lost: job {id} ('{text}') was accepted and is not there"))
            }
        }
    }
    for (id, brief) in &accepted.workflows {
        match contents.workflows.get(id) {
            Some(workflow) => {
                if workflow.original_task != *brief {
                    verdict.wrong.push(format!("workflow {id} is '{}'", workflow.original_task));
                }
                let status = word(&workflow.status);
                if told.get(id) != Some(&status) {
                    verdict.wrong.push(format!("workflow {id} is {status}, the API says {:?}", told.get(id)));
                }
            }
            None => {
                verdict.lost.push(format!("lost: workflow {id} ('{brief}') was accepted and is not there"))
            }
        }
    }
}

/// A value's word in JSON.
fn word<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_value(value).unwrap().as_str().unwrap_or_default().to_owned()
}

/// The leases that sweepers said they took away.
fn swept(outputs: &[String]) -> BTreeSet<u64> {
    let lines = outputs.iter().flat_map(|output| output.lines());
    lines
        .filter_map(|line| {
            line.split_once("is delivered again: its lease ")?.1.split(' ').next()?.parse().ok()
        })
        .collect()
}

fn job_is_whole(evidence: &Evidence, job: &Job, swept: &BTreeSet<u64>, verdict: &mut Verdict) {
    let id = &job.job_id;
    let result = evidence.contents.results.get(id);
    let Some(result) = result.filter(|_| job.state.is_terminal()) else {
        let result = result.map_or("no result", |_| "a result");
        verdict.lost.push(format!(
            "lost: job {id} ('{}', {} attempts) is {} and has {result}",
            job.task,
            job.attempts.len(),
            job.state.as_str()
        ));
        return;
    };
    let fits = matches!(
        (job.state, result.status),
        (JobState::Completed, ResultStatus::Completed)
            | (JobState::Failed, ResultStatus::Failed)
            | (JobState::Cancelled, ResultStatus::Cancelled)
    );
    if !fits || result.attempts != job.attempts.len() as u32 || result.workflow_id != job.workflow_id {
        verdict.wrong.push(format!("job {id} and its result differ: {job:?} {result:?}"));
    }
    if job.state == JobState::Failed {
        match job.error.as_deref().unwrap_or_default() {
            error if error.starts_with("its lease ran out ") => verdict.poisoned += 1,
            error => verdict.wrong.push(format!("job {id} failed: {error}")),
        }
    }
    attempts_fit(job, swept, verdict);
    // QA writes its score onto the result of the work.
    let scored = job.step.as_deref() == Some("specialist_execution");
    let written = evidence.seen.results_written.get(id).copied().unwrap_or(0);
    if written > 1 + usize::from(scored) {
        verdict.duplicates.push(format!("duplicate: the result of job {id} was written {written} times"));
    }
}

fn attempts_fit(job: &Job, swept: &BTreeSet<u64>, verdict: &mut Verdict) {
    let id = &job.job_id;
    let ends = |outcome| job.attempts.iter().filter(|a| a.outcome == Some(outcome)).count();
    let completed = ends(AttemptOutcome::Completed);
    if completed > 1 {
        verdict.duplicates.push(format!("duplicate: {completed} attempts at job {id} completed"));
    }
    let numbers = job.attempts.iter().map(|a| a.number).eq(1..=job.attempts.len() as u32);
    let last_completed = job.attempts.last().is_some_and(|a| a.outcome == Some(AttemptOutcome::Completed));
    if !numbers
        || job.attempts.iter().any(|a| a.outcome.is_none())
        || (job.state == JobState::Completed) != last_completed
        || ends(AttemptOutcome::Failed) > 0
    {
        verdict.wrong.push(format!("the attempts at job {id} do not fit: {:?}", job.attempts));
    }
    for attempt in &job.attempts {
        let late = attempt.token.is_some_and(|token| swept.contains(&token));
        if late && attempt.outcome != Some(AttemptOutcome::Crashed) {
            verdict.duplicates.push(format!(
                "duplicate: job {id} was given back, and the attempt of before still wrote its end: {attempt:?}"
            ));
        }
    }
}

/// A request is one job; a step in a round is one job.
fn created_once(contents: &Contents, verdict: &mut Verdict) {
    let mut texts = BTreeMap::new();
    for job in contents.jobs.values() {
        let place = (job.task.as_str(), job.workflow_id.as_deref(), job.step.as_deref(), job.round);
        if let Some(other) = texts.insert(place, job.job_id.as_str()) {
            verdict.duplicates.push(format!("duplicate: {other} and {} are both {place:?}", job.job_id));
        }
        let belongs = match &job.workflow_id {
            None => job.mode == JobMode::Task,
            Some(workflow) => contents.workflows.get(workflow).is_some_and(|w| w.step(&job.job_id).is_some()),
        };
        if !belongs {
            verdict.wrong.push(format!("job {} belongs to no step: {place:?}", job.job_id));
        }
    }
    let mut briefs = BTreeMap::new();
    for workflow in contents.workflows.values() {
        if let Some(other) = briefs.insert(&workflow.original_task, &workflow.workflow_id) {
            verdict.duplicates.push(format!("duplicate: workflows {other} and {}", workflow.workflow_id));
        }
    }
}

fn workflow_is_whole(contents: &Contents, workflow: &Workflow, verdict: &mut Verdict) {
    let id = &workflow.workflow_id;
    if !workflow.is_over() {
        let steps: Vec<_> = workflow.steps.iter().map(|s| (&s.step, s.round, s.status)).collect();
        verdict.lost.push(format!("lost: workflow {id} still runs: {steps:?}"));
        return;
    }
    let mut with_results = BTreeSet::new();
    for step in &workflow.steps {
        let job = contents.jobs.get(&step.job_id).map(|job| job.state);
        let fits = matches!(
            (step.status, job),
            (StepStatus::Completed, Some(JobState::Completed))
                | (StepStatus::Failed, Some(JobState::Failed))
                | (StepStatus::Cancelled, Some(JobState::Cancelled))
                | (StepStatus::Skipped, None | Some(JobState::Cancelled))
        );
        if !fits {
            verdict.wrong.push(format!("workflow {id}: step {step:?} has a job that is {job:?}"));
        }
        with_results.extend(job.map(|_| step.job_id.clone()));
    }
    let failed = workflow.steps.iter().any(|s| s.status == StepStatus::Failed);
    if (workflow.status == WorkflowStatus::Failed) != failed {
        verdict.wrong.push(format!("workflow {id} is {:?}, a step failed: {failed}", workflow.status));
    }
    if contents.results_of.get(id) != Some(&with_results) {
        let listed = contents.results_of.get(id);
        verdict.wrong.push(format!("workflow {id} has results of {with_results:?}, listed are {listed:?}"));
    }
}

fn history_is_whole(contents: &Contents, workflow: &Workflow, verdict: &mut Verdict) {
    let id = &workflow.workflow_id;
    let events = &contents.events[id];
    let at = |kind: RunEventKind, job: Option<&str>| -> Vec<usize> {
        let fitting =
            events.iter().enumerate().filter(|(_, (_, e))| e.kind == kind && e.job_id.as_deref() == job);
        fitting.map(|(n, _)| n).collect()
    };
    let end = match workflow.status {
        WorkflowStatus::Completed => RunEventKind::WorkflowCompleted,
        WorkflowStatus::Failed => RunEventKind::WorkflowFailed,
        WorkflowStatus::Cancelled => RunEventKind::WorkflowCancelled,
        WorkflowStatus::Running | WorkflowStatus::Paused => return,
    };
    let ends = events
        .iter()
        .filter(|(_, e)| matches!(e.kind, RunEventKind::WorkflowCompleted | RunEventKind::WorkflowFailed));
    let mut fits = events.windows(2).all(|two| two[0].0 < two[1].0)
        && at(RunEventKind::WorkflowCreated, None) == [0]
        && at(end, None) == [events.len() - 1]
        && ends.count() == 1;
    for step in &workflow.steps {
        let at = |kind| at(kind, Some(&step.job_id));
        let attempts = contents.jobs.get(&step.job_id).map(|job| job.attempts.len());
        let (queued, started) = (at(RunEventKind::StepQueued), at(RunEventKind::StepStarted));
        let completed = at(RunEventKind::StepCompleted);
        fits &= queued.len() == usize::from(attempts.is_some())
            && started.len() == attempts.unwrap_or(0)
            && completed.len() == usize::from(step.status == StepStatus::Completed)
            && at(RunEventKind::StepFailed).len() == usize::from(step.status == StepStatus::Failed)
            && queued.first().is_none_or(|q| started.iter().all(|s| q < s))
            && completed.first().is_none_or(|c| started.iter().all(|s| s < c));
    }
    if !fits {
        let told: Vec<_> = events.iter().map(|(n, e)| format!("{n} {:?} {:?}", e.kind, e.step)).collect();
        verdict.wrong.push(format!("the history of workflow {id} does not fit it: {told:#?} {workflow:?}"));
    }
}
