//! Uploads: received as they come, listed, shown, removed.

use std::{
    cell::RefCell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::{
    HttpRequest, HttpResponse,
    error::PayloadError,
    http::{
        StatusCode,
        header::{self, HeaderMap},
    },
    web::{Bytes, Data, Json, Path, Payload},
};
use futures_util::{Stream, StreamExt};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{Answer, Pong};
use crate::{
    http::{
        HttpState,
        caller::Caller,
        error::{FieldError, Problem},
        extract::{Paging, known_form, seal_cursor},
    },
    model::Upload,
    service::uploads::{Incoming, MAX_PROJECT_CHARS, UploadDetail},
};

const DEFAULT_LIMIT: usize = 20;
const MAX_LIMIT: usize = 500;
/// What a body may have around its file: boundaries, headers, other fields.
const AROUND_BYTES: u64 = 64 << 10;
/// The most parts of a body.
const MAX_PARTS: usize = 20;
/// How long a client may say nothing. Slow is fine.
const SILENCE: Duration = Duration::from_secs(60);
/// What is still read of a body that is refused already, so that the client hears the answer: most send the whole
/// body before they listen.
const DRAINED_BYTES: u64 = 8 << 20;

/// Ping of the uploads module
///
/// Tells that this part of the API answers.
#[utoipa::path(
    get,
    path = "/upload/ping",
    tag = "uploads",
    operation_id = "ping_uploads",
    responses((status = 200, description = "It answers", body = Pong,
        example = json!({"status": "ok", "module": "upload"})))
)]
pub async fn ping() -> Json<Pong> {
    Json(Pong { status: "ok", module: "upload" })
}

/// What is sent: a form with a file.
#[derive(ToSchema)]
#[schema(example = json!({"file": "(the bytes of shop.zip)", "project": "shop"}))]
#[allow(dead_code, reason = "describes the form for the OpenAPI document")]
pub struct UploadForm {
    /// A .zip file.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// What it belongs to; at most 200 characters.
    #[schema(example = "shop")]
    project: Option<String>,
}

/// The answer to an accepted upload.
#[derive(Serialize, ToSchema)]
pub struct UploadReceipt {
    #[schema(example = "uploaded")]
    status: &'static str,
    upload_id: String,
    /// Where the legacy system put it.
    path: String,
    /// The job that analyses it.
    job_id: Option<String>,
    filename: String,
    /// Bytes.
    size: u64,
}

/// Upload an archive
///
/// A .zip of code, as `multipart/form-data` with the field `file`. It is checked while it comes in, inspected by
/// its content (links, paths that lead out, bombs, encryption and the like are refused, each with a reason of its own in
/// `type`), and kept for `UPLOAD_TTL`. When this answers, file and job are durable; the job analyses it.
#[utoipa::path(
    post,
    path = "/upload/",
    tag = "uploads",
    operation_id = "upload_file",
    request_body(content = UploadForm, description = "The form", content_type = "multipart/form-data"),
    responses((status = 200, description = "Accepted", body = UploadReceipt, example = json!({
            "status": "uploaded", "upload_id": "1b60f9b1-6a43-4a3e-b9c6-3a3c4d0a8f10",
            "path": "workspace/uploads/1b60f9b1-6a43-4a3e-b9c6-3a3c4d0a8f10_shop.zip",
            "job_id": "7d0db146-5a4c-4f3e-8d54-6b7a1c1f2f11", "filename": "shop.zip", "size": 18231})))
)]
pub async fn receive(
    state: Data<HttpState>,
    req: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let upload = take(&state, &req, payload, &|_| Ok(())).await?;
    Ok(HttpResponse::Ok().json(UploadReceipt {
        status: "uploaded",
        upload_id: upload.upload_id,
        path: upload.file_path,
        job_id: upload.job_id,
        filename: upload.filename,
        size: upload.size,
    }))
}

/// Receives the form and keeps its file. `admit` sees the field `csrf` (empty when it has not come) before the first
/// byte of a file is taken.
pub async fn take(
    state: &HttpState,
    req: &HttpRequest,
    payload: Payload,
    admit: &dyn Fn(&str) -> Result<(), Problem>,
) -> Result<Upload, Problem> {
    let begun = Instant::now();
    let body = SharedBody(Rc::new(RefCell::new(payload)));
    let outcome = read(state, req, body.clone(), admit).await;
    state.services.uploads.count(begun.elapsed(), outcome.is_err());
    if outcome.is_err() {
        drain(body).await;
    }
    outcome
}

/// A body that can still be read when the form in it is given up.
#[derive(Clone)]
struct SharedBody(Rc<RefCell<Payload>>);

impl Stream for SharedBody {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.borrow_mut().poll_next_unpin(cx)
    }
}

async fn read(
    state: &HttpState,
    req: &HttpRequest,
    body: SharedBody,
    admit: &dyn Fn(&str) -> Result<(), Problem>,
) -> Result<Upload, Problem> {
    let uploads = &state.services.uploads;
    let announced = req.headers().get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > uploads.max_size().saturating_add(AROUND_BYTES)) {
        return Err(crate::service::ServiceError::TooLarge { limit: uploads.max_size() }.into());
    }
    let (incoming, name, project) =
        read_form(req.headers(), body, admit, async || Ok(uploads.begin().await?)).await?;
    Ok(uploads.accept(incoming, &name, &project, Caller::of_request(req).name()).await?)
}

/// Where the bytes of a form's file go.
pub(in crate::http) trait Sink {
    async fn take(&mut self, bytes: &[u8]) -> Result<(), Problem>;
}

impl Sink for Incoming {
    async fn take(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        Ok(self.write(bytes).await?)
    }
}

/// Reads the form: where its file has gone, the file's name, the project.
pub(in crate::http) async fn read_form<S: Sink>(
    headers: &HeaderMap,
    body: impl Stream<Item = Result<Bytes, PayloadError>> + 'static,
    admit: &dyn Fn(&str) -> Result<(), Problem>,
    begin: impl AsyncFn() -> Result<S, Problem>,
) -> Result<(S, String, String), Problem> {
    let mut form = Multipart::new(headers, body);
    let mut file: Option<(S, String)> = None;
    let (mut project, mut csrf) = (String::new(), String::new());
    let mut parts = 0;
    while let Some(part) = patient(form.next()).await? {
        let mut part = part.map_err(|e| bad_form(&e))?;
        parts += 1;
        if parts > MAX_PARTS {
            return Err(refused(format!("A form has at most {MAX_PARTS} fields")));
        }
        match part.name().unwrap_or_default() {
            "file" if file.is_some() => return Err(bad_field("file", "Send one file at a time")),
            "file" => {
                admit(&csrf)?;
                let name = part.content_disposition().and_then(|found| found.get_filename());
                let name = name.unwrap_or_default().to_owned();
                if !name.to_lowercase().ends_with(".zip") {
                    return Err(refused("Only ZIP files are allowed".to_owned()));
                }
                let mut incoming = begin().await?;
                while let Some(chunk) = patient(part.next()).await? {
                    incoming.take(&chunk.map_err(|e| bad_form(&e))?).await?;
                }
                file = Some((incoming, name));
            }
            "csrf" => csrf = text(&mut part, "csrf").await?,
            "project" => project = text(&mut part, "project").await?,
            // A field that nobody knows is passed over, as in the legacy system.
            _ => _ = text(&mut part, "form").await?,
        }
    }
    let Some((incoming, name)) = file else {
        let place = vec![json!("body"), json!("file")];
        return Err(Problem::field(FieldError::new("missing", place, "Field required")));
    };
    Ok((incoming, name, project))
}

/// A short text field.
async fn text(part: &mut Field, name: &str) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    while let Some(chunk) = patient(part.next()).await? {
        bytes.extend_from_slice(&chunk.map_err(|e| bad_form(&e))?);
        if bytes.len() > MAX_PROJECT_CHARS * 4 {
            return Err(bad_field(
                name,
                &format!("String should have at most {MAX_PROJECT_CHARS} characters"),
            ));
        }
    }
    let text = String::from_utf8(bytes).map_err(|_| bad_field(name, "Input should be UTF-8 text"))?;
    if text.chars().count() > MAX_PROJECT_CHARS {
        return Err(bad_field(name, &format!("String should have at most {MAX_PROJECT_CHARS} characters")));
    }
    Ok(text.chars().filter(|c| !c.is_control()).collect())
}

/// Waits for a client, but not for ever.
async fn patient<T>(next: impl Future<Output = T>) -> Result<T, Problem> {
    tokio::time::timeout(SILENCE, next).await.map_err(|_| {
        let detail = format!("The client said nothing for {} s", SILENCE.as_secs());
        Problem::new(StatusCode::REQUEST_TIMEOUT, "slow-body", detail)
    })
}

async fn drain(mut body: SharedBody) {
    let mut left = DRAINED_BYTES;
    while let Ok(Some(Ok(chunk))) = tokio::time::timeout(Duration::from_secs(5), body.next()).await {
        left = left.saturating_sub(chunk.len() as u64);
        if left == 0 {
            return;
        }
    }
}

fn refused(detail: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "upload", detail)
}

fn bad_form(error: &MultipartError) -> Problem {
    refused(format!("The body is no whole multipart/form-data form with a field 'file': {error}"))
}

fn bad_field(name: &str, message: &str) -> Problem {
    Problem::field(FieldError::new("value_error", vec![json!("body"), json!(name)], message))
}

/// Uploads, newest first.
#[derive(Serialize, ToSchema)]
pub struct UploadList {
    uploads: Vec<Upload>,
    /// How many there are in this answer.
    count: usize,
    /// The `cursor` of the next page, while there may be one.
    next_cursor: Option<String>,
}

/// The uploads
///
/// Newest first.
#[utoipa::path(
    get,
    path = "/upload/list",
    tag = "uploads",
    operation_id = "list_uploads",
    params(
        ("limit" = Option<usize>, Query, description = "How many, 1 to 500", minimum = 1, maximum = 500, example = 20),
        ("cursor" = Option<String>, Query, description = "Where the page before ended"),
    ),
    responses((status = 200, description = "The uploads", body = UploadList, example = json!({"uploads": [{
        "upload_id": "1b60f9b1-6a43-4a3e-b9c6-3a3c4d0a8f10", "filename": "shop.zip", "original_filename": "shop.zip",
        "size": 18231, "file_path": "workspace/uploads/1b60f9b1-6a43-4a3e-b9c6-3a3c4d0a8f10_shop.zip",
        "job_id": "7d0db146-5a4c-4f3e-8d54-6b7a1c1f2f11", "project": "shop",
        "uploaded_at": "2026-11-22T10:18:03.863641+00:00"}], "count": 1, "next_cursor": null})))
)]
pub async fn list(state: Data<HttpState>, req: HttpRequest) -> Answer<UploadList> {
    let Paging { limit, cursor } = Paging::of(&req, DEFAULT_LIMIT, MAX_LIMIT)?;
    let failed = Paging::failed(&cursor);
    let listing = state.services.uploads.list(limit, cursor).await.map_err(failed)?;
    let next_cursor = listing.next.as_ref().map(seal_cursor);
    Ok(Json(UploadList { count: listing.items.len(), uploads: listing.items, next_cursor }))
}

/// An upload and what was found in it
///
/// `analysis.static` was found without a model and is always real; `analysis.findings` are the analyst's, and every
/// `file` and `line` in them exists.
#[utoipa::path(
    get,
    path = "/upload/{upload_id}",
    tag = "uploads",
    operation_id = "get_upload",
    params(("upload_id" = String, Path, description = "The upload's id",
        example = "1b60f9b1-6a43-4a3e-b9c6-3a3c4d0a8f10")),
    responses((status = 200, description = "The upload", body = UploadDetail, example = json!({
        "upload_id": "1b60f9b1-6a43-4a3e-b9c6-3a3c4d0a8f10", "filename": "shop.zip", "original_filename": "shop.zip",
        "size": 18231, "file_path": "workspace/uploads/1b60f9b1-6a43-4a3e-b9c6-3a3c4d0a8f10_shop.zip",
        "job_id": "7d0db146-5a4c-4f3e-8d54-6b7a1c1f2f11", "project": "shop",
        "uploaded_at": "2026-11-22T10:18:03.863641+00:00", "status": "queued", "analysis": null})))
)]
pub async fn get(state: Data<HttpState>, id: Path<String>) -> Answer<UploadDetail> {
    known_form(&id, || format!("Upload '{id}' not found"))?;
    Ok(Json(state.services.uploads.detail(&id).await?))
}

/// The report on an upload
///
/// As Markdown: what was found without a model, and the analyst's findings once they are there.
#[utoipa::path(
    get,
    path = "/upload/{upload_id}/report",
    tag = "uploads",
    operation_id = "get_upload_report",
    params(("upload_id" = String, Path, description = "The upload's id",
        example = "1b60f9b1-6a43-4a3e-b9c6-3a3c4d0a8f10")),
    responses((status = 200, description = "The report", body = String, content_type = "text/markdown",
        example = "# Review of shop.zip\n"))
)]
pub async fn report(state: Data<HttpState>, id: Path<String>) -> Result<HttpResponse, Problem> {
    known_form(&id, || format!("Upload '{id}' not found"))?;
    let text = state.services.uploads.report(&id).await?;
    Ok(HttpResponse::Ok().content_type("text/markdown; charset=utf-8").body(text))
}

/// The answer to a removed upload.
#[derive(Serialize, ToSchema)]
pub struct DeletedUpload {
    #[schema(example = "deleted")]
    status: &'static str,
    upload_id: String,
}

/// Remove an upload
///
/// With its file and its analysis; its job is cancelled if it has not ended.
#[utoipa::path(
    delete,
    path = "/upload/{upload_id}",
    tag = "uploads",
    operation_id = "delete_upload",
    params(("upload_id" = String, Path, description = "The upload's id",
        example = "1b60f9b1-6a43-4a3e-b9c6-3a3c4d0a8f10")),
    responses((status = 200, description = "It is gone", body = DeletedUpload,
        example = json!({"status": "deleted", "upload_id": "1b60f9b1-6a43-4a3e-b9c6-3a3c4d0a8f10"})))
)]
pub async fn delete(state: Data<HttpState>, id: Path<String>) -> Answer<DeletedUpload> {
    known_form(&id, || format!("Upload '{id}' not found"))?;
    let upload = state.services.uploads.delete(&id).await?;
    Ok(Json(DeletedUpload { status: "deleted", upload_id: upload.upload_id }))
}
