//! The archive of an upload as agents see it: its files, and what was found in them without a model.

use std::{io, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    analysis::{
        self, Analysis, FileEntry, Files,
        findings::{Finding, Findings, Rejected},
        report,
    },
    archive::{Archive, Contents, Limits, ReadError, Refusal, inspect},
    blobs::LocalFile,
    model::{Call, Timestamp, Upload, iso, iso_option},
    service::{Foundation, ServiceError, records},
    store::Change,
};

use super::{BACKSTOP, report::written};

/// The most characters of the analysis that a prompt has.
const SUMMARY_CHARS: usize = 12_000;

/// What was found in an upload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UploadAnalysis {
    pub upload_id: String,
    /// When the files were looked at.
    #[serde(with = "iso")]
    #[schema(value_type = String, format = DateTime)]
    pub looked_at: Timestamp,
    /// What can be said without a model. Always real, also where answers are simulated.
    #[serde(rename = "static")]
    pub stated: Analysis,
    /// When the analyst's answer was there; null until then.
    #[serde(default, with = "iso_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub completed_at: Option<Timestamp>,
    /// Who answered, as `provider/model`.
    #[serde(default)]
    pub model: Option<String>,
    /// True when the findings were made up by the built-in simulation.
    #[serde(default)]
    pub simulated: bool,
    /// What the analyst found. Every file and line exists.
    #[serde(default)]
    pub findings: Vec<Finding>,
    /// Findings of the analyst whose file or line does not exist, and others that are of no use.
    #[serde(default)]
    pub rejected: Vec<Rejected>,
    /// When it is removed, with its upload.
    #[serde(default, with = "iso_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
}

impl UploadAnalysis {
    /// How long from now on it is kept: as long as its upload.
    pub(in crate::service) fn kept_for(&self, now: Timestamp) -> Duration {
        BACKSTOP + self.expires_at.and_then(|end| (end - now).to_std().ok()).unwrap_or_default()
    }
}

/// An upload, opened.
pub struct Project {
    pub upload: Upload,
    files: ArchiveFiles,
    analysis: UploadAnalysis,
}

/// An archive and the file that it is read from.
struct ArchiveFiles {
    archive: Archive,
    entries: Vec<FileEntry>,
    /// Keeps the file in its cache.
    _file: LocalFile,
}

impl Files for ArchiveFiles {
    fn list(&self) -> &[FileEntry] {
        &self.entries
    }

    fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>> {
        self.archive.read_start(path, limit).map_err(|error| match error {
            ReadError::NotFound { .. } => io::ErrorKind::NotFound.into(),
            ReadError::Io(error) => error,
            other => io::Error::other(other),
        })
    }
}

/// Fetches the file and opens it; looks through it unless somebody has done that before.
pub(super) async fn open(base: &Foundation, upload: Upload) -> Result<Project, ServiceError> {
    let store = base.store.as_ref();
    let id = upload.upload_id.as_str();
    let file = base.uploads.blobs.fetch(upload.blob_name()).await?;
    let contents = records::load::<Contents>(store, records::contents_key(id)).await?;
    let known = records::load::<UploadAnalysis>(store, records::analysis_key(id)).await?;
    let (contents, known) = (contents.map(|(found, _)| found), known.map(|(found, _)| found));
    let was_known = known.is_some();
    let now = base.clock.now();
    let work = move || look(upload, file, contents, known, now);
    let project = tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| ServiceError::Conflict("the look at the upload was given up".to_owned()))??;
    if !was_known {
        let key = records::analysis_key(&project.upload.upload_id);
        let put = records::put_analysis(&project.analysis, project.analysis.kept_for(now));
        // Somebody else may have been quicker, with the same outcome.
        let _ = store.apply(Change::new().expect(key, None).put(put)).await?;
    }
    Ok(project)
}

fn look(
    upload: Upload,
    file: LocalFile,
    contents: Option<Contents>,
    known: Option<UploadAnalysis>,
    now: Timestamp,
) -> Result<Project, ServiceError> {
    let contents = match contents {
        Some(contents) => contents,
        // An upload of the legacy system: nobody has looked at its content.
        None => inspect(file.path(), &Limits::default()).map_err(refused)?,
    };
    let archive = Archive::open(file.path(), contents).map_err(changed)?;
    let entry = |member: &crate::archive::Member| FileEntry { path: member.path.clone(), size: member.size };
    let entries = archive.members().iter().map(entry).collect();
    let files = ArchiveFiles { archive, entries, _file: file };
    let analysis = known.unwrap_or_else(|| UploadAnalysis {
        upload_id: upload.upload_id.clone(),
        looked_at: now,
        stated: analysis::analyse(&files, &analysis::Limits::default()),
        completed_at: None,
        model: None,
        simulated: false,
        findings: Vec::new(),
        rejected: Vec::new(),
        expires_at: upload.expires_at,
    });
    Ok(Project { upload, files, analysis })
}

fn refused(refusal: Refusal) -> ServiceError {
    ServiceError::field("file", refusal.reason(), refusal.to_string())
}

fn changed(error: ReadError) -> ServiceError {
    ServiceError::Damaged(error.to_string())
}

impl Project {
    pub fn files(&self) -> &dyn Files {
        &self.files
    }

    /// What a prompt says of the archive.
    pub fn summary(&self) -> String {
        let text = report::markdown(&self.analysis.stated);
        match text.char_indices().nth(SUMMARY_CHARS) {
            None => text,
            Some((end, _)) => format!("{}\n\n[Cut here; the tools show the rest.]", &text[..end]),
        }
    }

    /// The analysis as it is once the analyst has answered, and the report for people. Holds every finding
    /// against the files, so it belongs on a thread that may wait.
    pub fn concluded(&self, call: &Call, now: Timestamp) -> (UploadAnalysis, String) {
        let (found, prose) = match analysis::findings::parse(&call.answer, self.files()) {
            Ok(found) => (found, None),
            // Whatever it says, nothing in it is taken for a finding.
            Err(_) => (Findings::default(), Some(call.answer.as_str())),
        };
        let mut document = self.analysis.clone();
        document.completed_at = Some(now);
        document.model = Some(format!("{}/{}", call.provider, call.model));
        document.simulated = call.simulated;
        document.findings = found.findings;
        document.rejected = found.rejected;
        let report = written(&self.upload, &document, prose);
        (document, report)
    }
}

/// Lets a project be shared by tools.
pub(super) type Shared = Arc<Project>;
