//! Which names of entries are accepted.

use super::{
    collisions::fold,
    limits::Limits,
    refusal::{Refusal, shown},
};

/// Names that Windows gives to devices in every directory.
const DEVICES: &[&str] = &["con", "prn", "aux", "nul", "conin$", "conout$", "clock$"];
/// The same with a digit behind.
const NUMBERED_DEVICES: &[&str] = &["com", "lpt"];

/// A name as text, if it is a relative path with `/` that stays inside the archive on every system.
/// A directory keeps the `/` at its end.
pub(super) fn checked<'a>(raw: &'a [u8], limits: &Limits) -> Result<&'a str, Refusal> {
    let bad = |why: &str| Refusal::BadName { entry: shown(raw), why: why.to_owned() };
    let name = str::from_utf8(raw).map_err(|_| bad("is not UTF-8"))?;
    if name.is_empty() {
        return Err(bad("is empty"));
    }
    if name.len() > limits.path_bytes {
        return Err(bad(&format!("is longer than {} bytes", limits.path_bytes)));
    }
    if let Some(c) = name.chars().find(|c| deceives(*c)) {
        return Err(bad(&format!("has the control character U+{:04X}", u32::from(c))));
    }
    if name.contains(['\\', ':']) || name.starts_with("//") {
        return Err(Refusal::DrivePath { entry: shown(raw) });
    }
    if name.starts_with('/') {
        return Err(Refusal::AbsolutePath { entry: shown(raw) });
    }
    let components = name.strip_suffix('/').unwrap_or(name).split('/');
    if components.clone().count() > limits.depth {
        return Err(bad(&format!("is deeper than {} directories", limits.depth)));
    }
    for component in components {
        let folded = fold(component);
        // Windows drops dots and spaces at the end, after which `.. ` is `..`.
        if component == ".." || (folded.is_empty() && folds_to_parent(component)) {
            return Err(Refusal::Traversal { entry: shown(raw) });
        }
        if folded.is_empty() {
            return Err(bad("has an empty part or one of dots, spaces or invisible characters alone"));
        }
        if is_device(&folded) {
            return Err(bad("is that of a device on Windows"));
        }
    }
    Ok(name)
}

/// Control characters, and those that turn the direction of writing or break lines.
fn deceives(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Whether a part that is empty once folded has exactly two dots: `..`, `.. `, `‥` and the like.
fn folds_to_parent(component: &str) -> bool {
    use unicode_normalization::UnicodeNormalization;
    component.nfkc().filter(|c| *c == '.').take(3).count() == 2
}

fn is_device(folded: &str) -> bool {
    let numbered = |name: &&str| {
        folded.strip_prefix(*name).is_some_and(|rest| rest.len() == 1 && rest.as_bytes()[0].is_ascii_digit())
    };
    DEVICES.contains(&folded) || NUMBERED_DEVICES.iter().any(numbered)
}
