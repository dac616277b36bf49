//! The header `Content-Disposition`, for file names in any script.

use std::fmt::Write;

/// `attachment` with a name: in ASCII for old clients, and in full (RFC 6266, RFC 8187) for all others. Nothing in
/// a name can end the header or its parameter.
pub fn attachment(file_name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let ascii: String = file_name.chars().map(|c| if plain(c) { c } else { '_' }).collect();
    let mut header = format!("attachment; filename=\"{ascii}\"");
    if !file_name.chars().all(plain) {
        header.push_str("; filename*=UTF-8''");
        for byte in file_name.bytes() {
            match byte {
                b if plain(char::from(b)) => header.push(char::from(b)),
                b => _ = write!(header, "%{b:02X}"),
            }
        }
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_said_in_full_where_ascii_does_not_do() {
        assert_eq!(attachment("a_b.json"), "attachment; filename=\"a_b.json\"");
        assert_eq!(attachment("é.md"), "attachment; filename=\"_.md\"; filename*=UTF-8''%C3%A9.md");
        assert_eq!(
            attachment("a\"\r\nX: y"),
            "attachment; filename=\"a___X__y\"; filename*=UTF-8''a%22%0D%0AX%3A%20y"
        );
    }
}
