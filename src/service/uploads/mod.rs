//! Uploads: received, inspected, kept for a while, analysed.
//!
//! ```text
//! bytes ─▶ Incoming (a temporary file) ─▶ inspected ─▶ blob ─▶ one write: document + job ─▶ answer
//!              │ too large, cut off          │ refused    │          │ refused or failed: the blob goes
//!              └────────── nothing is left ──┴────────────┘          │
//!                                                                    └─ crash before it: the sweep finds the blob (`orphans`)
//! document ─▶ over (UPLOAD_TTL), or deleted: blob first, then document, contents and analysis in one write
//! ```

mod incoming;
mod orphans;
mod project;
mod report;
mod tools;

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    archive::{Contents, Limits, Refusal, inspect},
    blobs::{BlobError, Blobs},
    model::{Job, JobMode, JobPayload, JobState, Priority, Upload, iso, new_id, safe_filename},
    store::{Change, Cursor, IndexName, ListQuery, MAX_BATCH, Revision, StoreError},
    telemetry::counters,
};

use super::{Foundation, Jobs, Listing, ServiceError, dispatch, listing, records, told::Told};

pub use crate::analysis::{
    Analysis, DependencyKind, EntryKind, Language, Manifest, Severity, findings::Finding,
};
pub use incoming::Incoming;
pub(super) use incoming::failed as disk_failed;
pub(super) use orphans::foreign_files;
pub use orphans::{FOREIGN_REMEDY, MARK, Owner, foreign, installation, mark};
pub use project::{Project, UploadAnalysis};
pub(super) use tools::file_tools;

/// Who analyses uploads.
pub const ANALYST: &str = "analyzer_bot";
/// The longest name of a project, in characters.
pub const MAX_PROJECT_CHARS: usize = 200;
/// Documents are removed together with their blobs; the store forgets them by itself only long after.
const BACKSTOP: Duration = Duration::from_secs(3 * 86_400);
/// How many pages of uploads that cannot be removed are passed over at once.
const MAX_PAGES: usize = 10;
/// How many archives are inspected at once in one process: each takes a processor.
const INSPECTIONS: usize = 2;

/// How uploads are kept.
#[derive(Clone)]
pub struct UploadSettings {
    pub blobs: Arc<dyn Blobs>,
    /// The most bytes of one file.
    pub max_size: u64,
    /// How long one is kept.
    pub ttl: Duration,
}

/// How far the analysis of an upload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum UploadStatus {
    /// Its job waits.
    Queued,
    /// Its job runs.
    Analysing,
    Analysed,
    /// Its job failed or was cancelled; the job says why.
    Failed,
    /// Nothing is known of its job (any more).
    Unknown,
}

/// An upload with everything that is known of it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct UploadDetail {
    #[serde(flatten)]
    pub upload: Upload,
    pub status: UploadStatus,
    /// What was found; null until then.
    pub analysis: Option<UploadAnalysis>,
}

#[derive(Clone)]
pub struct Uploads {
    base: Arc<Foundation>,
    jobs: Jobs,
    inspections: Arc<tokio::sync::Semaphore>,
    /// Whether it has been said that the files belong to another installation.
    told: Arc<AtomicBool>,
    passed_over: Arc<Told>,
}

impl Uploads {
    pub(super) fn new(base: Arc<Foundation>, jobs: Jobs) -> Self {
        let inspections = Arc::new(tokio::sync::Semaphore::new(INSPECTIONS));
        Self { base, jobs, inspections, told: Arc::default(), passed_over: Arc::default() }
    }

    /// The most bytes of one file.
    pub fn max_size(&self) -> u64 {
        self.base.uploads.max_size
    }

    /// Begins to receive a file.
    pub async fn begin(&self) -> Result<Incoming, ServiceError> {
        Incoming::begin(self.blobs().staging(), self.max_size()).await
    }

    /// Accepts a file that has come in whole: when this answers, file, document and job are durable. `by` is the name
    /// of the API key that sent it.
    pub async fn accept(
        &self,
        incoming: Incoming,
        original_filename: &str,
        project: &str,
        by: Option<&str>,
    ) -> Result<Upload, ServiceError> {
        let received = incoming.end().await?;
        let contents = self.inspected(received.path.to_path_buf()).await?;
        let id = new_id();
        let filename = safe_filename(original_filename);
        let blob = blob_name(&id, &filename);
        let now = self.base.clock.now();
        let ttl = self.base.uploads.ttl;
        let mut job = dispatch::new_job(
            &new_id(),
            JobMode::Analyze,
            ANALYST,
            &format!("Analyze uploaded archive: {filename}"),
            Priority::Normal,
            now,
        );
        job.upload_id = Some(id.clone());
        job.api_key = by.map(str::to_owned);
        let upload = Upload {
            file_path: format!("workspace/uploads/{blob}"),
            upload_id: id,
            filename,
            original_filename: shown_name(original_filename),
            size: received.size,
            job_id: Some(job.job_id.clone()),
            project: Some(project.to_owned()),
            uploaded_at: now,
            blob: Some(blob.clone()),
            sha256: Some(received.sha256),
            files: Some(contents.members().len() as u64),
            expanded_size: Some(contents.total_bytes),
            expires_at: Some(now + ttl),
        };
        self.blobs().put(&blob, &received.path).await?;
        // The file has been moved away: nothing is left to be removed.
        let _ = received.path.keep();
        let change = Change::new()
            .expect(records::upload_key(&upload.upload_id), None)
            .put(records::put_upload(&upload, ttl + BACKSTOP))
            .put(records::put_contents(&upload.upload_id, &contents, ttl + BACKSTOP));
        let change = dispatch::add_job(change, &job, &payload(&job, &upload));
        if let Err(error) = dispatch::create(self.base.store.as_ref(), change).await {
            // Whether it was written is not known where the answer was lost: then the sweep decides.
            if !error.may_pass() {
                self.blobs().delete(&blob).await.ok();
            }
            return Err(error);
        }
        log::info!(upload_id = upload.upload_id.as_str(), bytes = upload.size, files = contents.members().len();
            "an upload was accepted");
        Ok(upload)
    }

    /// Proves that a file is a harmless zip.
    async fn inspected(&self, path: std::path::PathBuf) -> Result<Contents, ServiceError> {
        let turn = self.inspections.clone().acquire_owned().await;
        let limits = Limits { file_bytes: self.max_size().max(1), ..Limits::default() };
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            inspect(&path, &limits)
        });
        match done.await {
            Ok(Ok(contents)) => Ok(contents),
            Ok(Err(Refusal::Unreadable(error))) => Err(incoming::failed(&error, self.blobs().staging())),
            Ok(Err(refusal)) => {
                Err(ServiceError::field("file", refusal.reason(), sentence(&refusal.to_string())))
            }
            Err(_) => Err(ServiceError::Conflict("the inspection was given up; try again".to_owned())),
        }
    }

    /// Newest first.
    pub async fn list(&self, limit: usize, after: Option<Cursor>) -> Result<Listing<Upload>, ServiceError> {
        let index = IndexName::all(records::UPLOAD);
        let store = self.base.store.as_ref();
        let mut listing: Listing<Upload> = listing::page(store, records::UPLOAD, index, limit, after).await?;
        let now = self.base.clock.now();
        listing.items.retain(|upload| !upload.is_over(now));
        Ok(listing)
    }

    /// One upload.
    pub async fn get(&self, id: &str) -> Result<Upload, ServiceError> {
        Ok(self.load(id).await?.0)
    }

    /// One upload with its analysis.
    pub async fn detail(&self, id: &str) -> Result<UploadDetail, ServiceError> {
        let store = self.base.store.as_ref();
        let (upload, _) = self.load(id).await?;
        // The job first: one change ends it and writes what was found, so that what is read after an ended job
        // is whole.
        let job: Option<Job> = match &upload.job_id {
            Some(job_id) => records::load(store, records::job_key(job_id)).await?.map(|(job, _)| job),
            None => None,
        };
        let analysis = records::load(store, records::analysis_key(id)).await?.map(|(found, _)| found);
        let finished = |analysis: &UploadAnalysis| analysis.completed_at.is_some();
        let status = match job.map(|job| job.state) {
            _ if analysis.as_ref().is_some_and(finished) => UploadStatus::Analysed,
            Some(JobState::Queued | JobState::Scheduled) => UploadStatus::Queued,
            Some(JobState::Running) => UploadStatus::Analysing,
            Some(JobState::Completed) => UploadStatus::Analysed,
            Some(JobState::Failed | JobState::Cancelled) => UploadStatus::Failed,
            None => UploadStatus::Unknown,
        };
        Ok(UploadDetail { upload, status, analysis })
    }

    /// The report on an upload, in Markdown; 404 until somebody has looked into it.
    pub async fn report(&self, id: &str) -> Result<String, ServiceError> {
        let (upload, _) = self.load(id).await?;
        let found = records::load(self.base.store.as_ref(), records::analysis_key(id)).await?;
        let Some((document, _)) = found else {
            return Err(ServiceError::NotFound(format!("Upload '{id}' has not been looked into yet")));
        };
        Ok(report::written(&upload, &document, None))
    }

    /// Removes an upload, its file and its analysis; its job is cancelled if it has not ended.
    pub async fn delete(&self, id: &str) -> Result<Upload, ServiceError> {
        let (upload, before) = self.load(id).await?;
        match self.cancel_analysis(&upload).await {
            // The store's disk is full, too: nothing can be written before there is room, and this makes some.
            Err(ServiceError::Store(StoreError::Full(_))) => {
                self.remove_file(&upload).await?;
                self.cancel_analysis(&upload).await?;
            }
            other => other?,
        }
        self.remove(&upload, before).await?;
        Ok(upload)
    }

    async fn cancel_analysis(&self, upload: &Upload) -> Result<(), ServiceError> {
        let Some(job_id) = &upload.job_id else { return Ok(()) };
        match self.jobs.cancel(job_id, Some("The upload was deleted.")).await {
            Ok(_) | Err(ServiceError::NotFound(_) | ServiceError::Conflict(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The archive of an upload, ready for agents, with its analysis.
    pub(super) async fn project(&self, id: &str) -> Result<Arc<Project>, ServiceError> {
        let (upload, _) = self.load(id).await?;
        project::open(&self.base, upload).await.map(Arc::new)
    }

    /// One portion of what is over; whether more is left.
    pub async fn expire(&self) -> Result<bool, ServiceError> {
        let store = self.base.store.as_ref();
        let now = self.base.clock.now();
        let mut after = None;
        for _ in 0..MAX_PAGES {
            // The index has its times turned round: what ends first comes first.
            let query = ListQuery::newest(records::UPLOAD, MAX_BATCH).index(records::uploads_by_end());
            let page = store.list(&query.after(after)).await?;
            let mut removed = 0;
            for doc in &page.docs {
                let done = match doc.parse::<Upload>() {
                    Ok(upload) if !upload.is_over(now) => return Ok(false),
                    Ok(upload) => self.remove(&upload, doc.revision()).await,
                    Err(error) => Err(error.into()),
                };
                match done {
                    Ok(()) => {
                        log::info!(upload_id = doc.key.id.as_str(); "an upload is over and was removed");
                        removed += 1;
                    }
                    Err(error) => self.passed_over.passed_over(&doc.key.to_string(), error)?,
                }
            }
            after = page.next;
            // Behind those that cannot be removed there may be others that can.
            if after.is_none() || removed > 0 {
                return Ok(after.is_some());
            }
        }
        Ok(false)
    }

    /// The file first: a crash in between leaves a document that is removed the next time.
    async fn remove(&self, upload: &Upload, before: Revision) -> Result<(), ServiceError> {
        self.remove_file(upload).await?;
        let id = &upload.upload_id;
        let change = Change::new()
            .expect(records::upload_key(id), Some(before))
            .delete(records::upload_key(id))
            .delete(records::contents_key(id))
            .delete(records::analysis_key(id));
        // Whoever changed it meanwhile removed it as well: nothing else changes an upload.
        let _ = self.base.store.apply(change).await?;
        Ok(())
    }

    async fn remove_file(&self, upload: &Upload) -> Result<(), ServiceError> {
        match self.blobs().delete(upload.blob_name()).await {
            // A name that no blob can have has no blob.
            Ok(()) | Err(BlobError::BadName { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn load(&self, id: &str) -> Result<(Upload, Revision), ServiceError> {
        let now = self.base.clock.now();
        records::load::<Upload>(self.base.store.as_ref(), records::upload_key(id))
            .await?
            .filter(|(upload, _)| !upload.is_over(now))
            .ok_or_else(|| ServiceError::NotFound(format!("Upload '{id}' not found")))
    }

    fn blobs(&self) -> &dyn Blobs {
        self.base.uploads.blobs.as_ref()
    }

    /// Says what an upload came to, for the metrics.
    pub fn count(&self, took: Duration, failed: bool) {
        counters::UPLOADS.add(1);
        counters::UPLOAD_MS.add(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        counters::UPLOAD_FAILURES.add(u64::from(failed));
    }
}

/// The owner's job JSON of an upload, with the field that says which.
pub(super) fn payload(job: &Job, upload: &Upload) -> JobPayload {
    JobPayload {
        job_id: Some(job.job_id.clone()),
        job: Some(job.task.clone()),
        task: Some(job.task.clone()),
        agent_name: Some(job.agent.clone()),
        file_path: Some(upload.file_path.clone()),
        upload_id: Some(upload.upload_id.clone()),
        project: upload.project.clone(),
        mode: Some("analyze".to_owned()),
        created_at: Some(iso::format(&job.created_at)),
        ..JobPayload::default()
    }
}

/// `{id}_{name}` in characters that every store of blobs takes.
fn blob_name(id: &str, filename: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' };
    format!("{id}_{}", filename.chars().map(plain).collect::<String>())
}

/// A name as it is shown: bounded, without control characters.
fn shown_name(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(255).collect()
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
