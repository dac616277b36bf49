//! The fields that a form of the dashboard sends.

use actix_web::{http::StatusCode, web::Form};

use super::page::PageError;

/// The fields of a form as they came, repeated ones in order.
pub type Fields = Vec<(String, String)>;

/// The last value of a field; empty when it did not come.
pub fn field<'a>(fields: &'a Fields, name: &str) -> &'a str {
    fields.iter().rev().find(|(n, _)| n == name).map_or("", |(_, v)| v.as_str())
}

/// A text with line ends as they are kept: browsers send CR LF.
pub fn lines_of(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// Reads the pairs of a form body.
pub fn fields(form: Form<Fields>) -> Result<Fields, PageError> {
    let fields = form.into_inner();
    if fields.len() > 200 {
        return Err(PageError::BadRequest(
            StatusCode::BAD_REQUEST,
            "It has more than 200 fields.".to_owned(),
        ));
    }
    Ok(fields)
}
