//! Backups: all that the embedded store keeps, as one file.

use actix_web::{HttpResponse, http::header::CONTENT_DISPOSITION, web::Data};
use futures_util::stream;

use crate::http::{HttpState, disposition::attachment, error::Problem};

/// Make a backup
///
/// All that the embedded store keeps at this moment, and the files of uploads, as one zip with a manifest and the
/// digest of every part; work goes on meanwhile. `productforge restore` reads it. A transfer that ends early has
/// failed: the file then has no end, and is refused. Where the state lives in Redis the answer is 409 and says what to
/// do instead. One backup is made at a time.
#[utoipa::path(
    post,
    path = "/system/backup",
    tag = "system",
    operation_id = "make_backup",
    responses((status = 200, description = "The file", content(
        (Vec<u8> = "application/zip"),
    ), headers(("Content-Disposition" = String, description = "`attachment`, with the name of the file"))))
)]
pub async fn make(state: Data<HttpState>) -> Result<HttpResponse, Problem> {
    let backup = state.services.backups.begin().await?;
    let chunks = stream::unfold(backup.chunks, |mut chunks| async move {
        let chunk = chunks.recv().await?;
        Some((chunk, chunks))
    });
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_DISPOSITION, attachment(&backup.file_name)))
        .content_type("application/zip")
        .streaming(chunks))
}
