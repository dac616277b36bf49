//! Names that are one and the same on some system: by case, by Unicode form, by dots at the end.

use unicode_normalization::UnicodeNormalization;

use super::{
    limits::Tally,
    refusal::{Refusal, shown},
};

/// Between the parts of a folded path. Less than any character of a name, so that in sorted order a
/// directory is followed at once by what lies in it.
const BETWEEN: char = '\0';

/// A part of a path as the most forgiving system compares it: compatibility form, no case, nothing
/// invisible, no dots or spaces at the end. Empty if nothing is left.
pub(super) fn fold(component: &str) -> String {
    let mut folded: String = component
        .nfkc()
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .nfkc()
        .filter(|c| !invisible(*c))
        .collect();
    folded.truncate(folded.trim_end_matches(['.', ' ']).len());
    folded
}

/// Characters that systems may ignore and people do not see.
fn invisible(c: char) -> bool {
    matches!(c,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}'
        | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{2060}'..='\u{206F}' | '\u{3164}'
        | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFF8}'
        | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

/// Refuses names that are there twice, names that some system cannot tell apart, and a file that is also
/// a directory. Names of directories end with `/`.
pub(super) fn check<'a>(names: impl Iterator<Item = &'a str>, tally: &mut Tally<'_>) -> Result<(), Refusal> {
    let mut folded = Vec::new();
    for name in names {
        let mut key = String::with_capacity(name.len());
        for (index, component) in parts(name).enumerate() {
            if index > 0 {
                key.push(BETWEEN);
            }
            key.push_str(&fold(component));
        }
        tally.name(key.len())?;
        folded.push((key.into_boxed_str(), name));
    }
    folded.sort_unstable();
    folded.windows(2).try_for_each(|pair| match pair {
        [(a_key, a), (b_key, b)] => differ(a_key, a, b_key, b),
        _ => Ok(()),
    })
}

fn parts(name: &str) -> std::str::Split<'_, char> {
    name.strip_suffix('/').unwrap_or(name).split('/')
}

/// Compares two neighbours in sorted order, part by part as far as they fold to the same.
fn differ(a_key: &str, a: &str, b_key: &str, b: &str) -> Result<(), Refusal> {
    let colliding = || Refusal::CollidingNames { entry: shown(a.as_bytes()), other: shown(b.as_bytes()) };
    let (mut a_keys, mut b_keys) = (a_key.split(BETWEEN), b_key.split(BETWEEN));
    let (mut a_parts, mut b_parts) = (parts(a), parts(b));
    loop {
        match (a_keys.next(), b_keys.next()) {
            (Some(a_part), Some(b_part)) if a_part == b_part => {
                if a_parts.next() != b_parts.next() {
                    return Err(colliding());
                }
            }
            (None, None) if a == b => return Err(Refusal::DuplicateName { entry: shown(a.as_bytes()) }),
            (None, None) => return Err(colliding()),
            // One lies below the other: that one has to be a directory.
            (None, Some(_)) if !a.ends_with('/') => return Err(colliding()),
            (Some(_), None) if !b.ends_with('/') => return Err(colliding()),
            _ => return Ok(()),
        }
    }
}
