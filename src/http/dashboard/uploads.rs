//! Uploads: the list with its form, and one with what was found in it.

use actix_web::{HttpRequest, HttpResponse, ResponseError, http::StatusCode, web};
use serde::Serialize;

use super::{
    access::{Posted, Visitor, require_same_origin},
    list_page::ListPage,
    notice::see_other_saying,
    page::{IDLE, LIVE, PageError, Shell, answer},
    upload_view::{FindingsView, StatedView, size},
    workflows::{Listed, PAGE},
};
use crate::{
    http::{HttpState, api, error::Problem, render::segment},
    model::{Upload, iso},
    service::{ServiceError, uploads::UploadStatus},
    store::Cursor,
};

/// The header in which a script may show the token of the session.
const CSRF_HEADER: &str = "x-csrf-token";

#[derive(Serialize)]
struct UploadRow {
    upload_id: String,
    filename: String,
    project: String,
    size: String,
    files: Option<u64>,
    uploaded_at: String,
    expires_at: Option<String>,
}

impl UploadRow {
    fn new(upload: &Upload) -> Self {
        let name =
            if upload.original_filename.is_empty() { &upload.filename } else { &upload.original_filename };
        Self {
            upload_id: upload.upload_id.clone(),
            filename: name.clone(),
            project: upload.project.clone().unwrap_or_default(),
            size: size(upload.size),
            files: upload.files,
            uploaded_at: iso::format(&upload.uploaded_at),
            expires_at: upload.expires_at.map(|t| iso::format(&t)),
        }
    }
}

#[derive(Serialize)]
struct UploadsPage {
    list: ListPage<UploadRow>,
    most: String,
    most_bytes: u64,
    /// Why the last one was refused: the name of the reason, and sentences.
    refused: Option<Refused>,
    project: String,
}

#[derive(Serialize)]
struct Refused {
    reason: String,
    sentences: Vec<String>,
}

pub async fn list(
    visitor: Visitor,
    state: web::Data<HttpState>,
    query: web::Query<Listed>,
) -> Result<HttpResponse, PageError> {
    page(&state, &visitor, query.after.as_deref(), None).await
}

async fn page(
    state: &HttpState,
    visitor: &Visitor,
    after: Option<&str>,
    problem: Option<&Problem>,
) -> Result<HttpResponse, PageError> {
    let uploads = &state.services.uploads;
    let listing = uploads.list(PAGE, after.map(|after| Cursor(after.to_owned()))).await?;
    let refused = problem.map(|problem| {
        let (reason, sentences) = problem.told();
        Refused { reason: reason.to_owned(), sentences }
    });
    let page = UploadsPage {
        list: ListPage::new("/dashboard/uploads", after, &listing, UploadRow::new),
        most: size(uploads.max_size()),
        most_bytes: uploads.max_size(),
        refused,
        project: String::new(),
    };
    let shell = Shell::new(state, visitor, "Uploads", "Uploads").live(IDLE);
    answer(problem.map_or(StatusCode::OK, ResponseError::status_code), "uploads.html", &shell, &page)
}

/// Receives an archive: of the form, whose first field is the token, or of a script, which may show it in a header.
pub async fn receive(
    visitor: Visitor,
    request: HttpRequest,
    state: web::Data<HttpState>,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    require_same_origin(&request)?;
    let header = request.headers().get(CSRF_HEADER).and_then(|shown| shown.to_str().ok()).unwrap_or_default();
    let admit = |field: &str| {
        let shown = if field.is_empty() { header } else { field };
        let refused = |error: PageError| Problem::new(StatusCode::FORBIDDEN, "csrf", error.to_string());
        visitor.require_token(shown).map_err(refused)
    };
    match api::uploads::take(&state, &request, payload, &admit).await {
        Ok(upload) => {
            let to = format!("/dashboard/uploads/{}", segment(&upload.upload_id));
            Ok(see_other_saying(&to, "upload-received", None))
        }
        Err(problem) if problem.status_code() == StatusCode::FORBIDDEN => {
            Err(PageError::Forbidden(problem.told().1.join(" ")))
        }
        Err(problem) if problem.status_code().is_client_error() => {
            page(&state, &visitor, None, Some(&problem)).await
        }
        Err(problem) => Err(super::exports::refused(&problem)),
    }
}

#[derive(Serialize)]
struct UploadPage {
    row: UploadRow,
    status: &'static str,
    /// The class of its badge.
    kind: &'static str,
    sha256: Option<String>,
    expanded: Option<String>,
    job_id: Option<String>,
    /// Why it is as it is, where that needs a word.
    why: Option<String>,
    stated: Option<StatedView>,
    findings: Option<FindingsView>,
    /// Whether the result of its job can be read.
    has_result: bool,
}

pub async fn show(
    visitor: Visitor,
    state: web::Data<HttpState>,
    id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let services = &state.services;
    let detail = services.uploads.detail(&id).await?;
    let story = match &detail.upload.job_id {
        Some(job_id) => match services.jobs.get(job_id).await {
            Ok(story) => Some(story),
            Err(ServiceError::NotFound(_)) => None,
            Err(error) => return Err(error.into()),
        },
        None => None,
    };
    let (status, kind) = match detail.status {
        UploadStatus::Queued => ("analysis queued", "queued"),
        UploadStatus::Analysing => ("being analysed", "running"),
        UploadStatus::Analysed => ("analysed", "completed"),
        UploadStatus::Failed => ("analysis failed", "failed"),
        UploadStatus::Unknown => ("not analysed", "skipped"),
    };
    let why = story.as_ref().and_then(|story| match detail.status {
        UploadStatus::Queued | UploadStatus::Analysing => story.waits_because.clone(),
        UploadStatus::Failed => story.job.error.clone(),
        _ => None,
    });
    let live = matches!(detail.status, UploadStatus::Queued | UploadStatus::Analysing);
    let page = UploadPage {
        row: UploadRow::new(&detail.upload),
        status,
        kind,
        why,
        has_result: story.as_ref().is_some_and(|story| story.result.is_some()),
        job_id: detail.upload.job_id.clone(),
        sha256: detail.upload.sha256.clone(),
        expanded: detail.upload.expanded_size.map(size),
        stated: detail.analysis.as_ref().map(|analysis| StatedView::new(&analysis.stated)),
        findings: detail.analysis.as_ref().map(FindingsView::new),
    };
    let shell = Shell::new(&state, &visitor, "Uploads", page.row.filename.clone());
    let shell = if live { shell.live(LIVE) } else { shell };
    answer(StatusCode::OK, "upload.html", &shell, &page)
}

pub async fn delete(
    state: web::Data<HttpState>,
    id: web::Path<String>,
    _posted: Posted,
) -> Result<HttpResponse, PageError> {
    match state.services.uploads.delete(&id).await {
        // Twice is once.
        Ok(_) | Err(ServiceError::NotFound(_)) => {
            Ok(see_other_saying("/dashboard/uploads", "upload-deleted", None))
        }
        Err(error) => Err(error.into()),
    }
}
