//! The text of a key: how one is made, taken apart and compared.
//!
//! `pf_k3Xw9aQz_` and 40 letters and digits: the first part names the key and is no secret, so that it is found
//! without a search; the second has 238 bits of chance, so that its SHA-256 can be stored and nobody finds it by
//! trying.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What every id begins with.
pub(super) const PREFIX: &str = "pf_";
const ID_CHARS: usize = 8;
const SECRET_CHARS: usize = 40;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// The largest multiple of 62 that a byte holds: bytes from here on would make some letters likelier.
const FAIR: u8 = 248;

/// A fresh id; `None` when the system has no randomness to give.
pub(super) fn new_id() -> Option<String> {
    random(ID_CHARS).map(|tail| format!("{PREFIX}{tail}"))
}

/// The id of what a request with an `Idempotency-Key` makes: always the same.
pub(super) fn derived_id(root: &str) -> String {
    let digest = Sha256::digest(root.as_bytes());
    let letter = |byte: &u8| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]);
    format!("{PREFIX}{}", digest.iter().take(ID_CHARS).map(letter).collect::<String>())
}

/// The whole text of a new key with this id.
pub(super) fn new_text(id: &str) -> Option<String> {
    random(SECRET_CHARS).map(|tail| format!("{id}_{tail}"))
}

/// The id in the text of a key; `None` for what cannot be one.
pub(super) fn id_of(text: &str) -> Option<&str> {
    let rest = text.strip_prefix(PREFIX)?;
    let (id, secret) = rest.split_at_checked(ID_CHARS)?;
    let secret = secret.strip_prefix('_')?;
    let plain = |part: &str| part.bytes().all(|b| b.is_ascii_alphanumeric());
    (plain(id) && plain(secret) && secret.len() == SECRET_CHARS).then(|| &text[..PREFIX.len() + ID_CHARS])
}

/// Whether a text has the form of a named key, right or not. So much chance is in one that nobody guesses it.
pub fn has_form(text: &str) -> bool {
    id_of(text).is_some()
}

/// Whether something has the form of an id.
pub(super) fn is_id(text: &str) -> bool {
    text.strip_prefix(PREFIX)
        .is_some_and(|tail| tail.len() == ID_CHARS && tail.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// What is stored of a key's text.
pub(super) fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a text has this digest, in a time that does not depend on where they differ.
pub(super) fn has_digest(text: &str, expected: &str) -> bool {
    digest(text).as_bytes().ct_eq(expected.as_bytes()).into()
}

fn random(chars: usize) -> Option<String> {
    let mut text = String::with_capacity(chars);
    let mut bytes = [0_u8; 64];
    while text.len() < chars {
        getrandom::fill(&mut bytes).ok()?;
        let fair = bytes.iter().filter(|byte| **byte < FAIR).take(chars - text.len());
        text.extend(fair.map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()])));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_new_text_names_its_key_and_is_never_the_same() {
        let id = new_id().unwrap();
        assert!(is_id(&id) && id.len() == 11, "{id}");
        let texts: BTreeSet<_> = (0..100).map(|_| new_text(&id).unwrap()).collect();
        assert_eq!(texts.len(), 100);
        for text in &texts {
            assert_eq!((id_of(text), text.len()), (Some(id.as_str()), 52), "{text}");
            assert!(has_digest(text, &digest(text)));
        }
        let letters: BTreeSet<char> = texts.iter().flat_map(|text| text[12..].chars()).collect();
        assert_eq!(letters.len(), 62, "4,000 letters have all of them");
    }

    #[test]
    fn what_is_no_key_is_told_without_asking_anybody() {
        let good = format!("pf_abcdEF12_{}", "x".repeat(40));
        assert_eq!(id_of(&good), Some("pf_abcdEF12"));
        for bad in [
            "",
            "pf_",
            "pf_abcdEF12",
            "pf_abcdEF12_",
            &good[1..],
            &good[..good.len() - 1],
            &format!("{good}x"),
            &good.replace("cd", "c_"),
            &good.replace("xx", "x:"),
            &good.replace("pf_", "PF_"),
            &good.replace("ab", "ä"),
            &format!(" {good}"),
        ] {
            assert_eq!(id_of(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_the_whole_text_has_its_digest() {
        let text = new_text("pf_abcdEF12").unwrap();
        assert_eq!(digest(&text).len(), 64);
        for other in ["", &text[..text.len() - 1], &text.to_uppercase(), &format!("{text} ")] {
            assert!(!has_digest(other, &digest(&text)), "{other}");
        }
        assert!(!has_digest(&text, ""), "a document without a digest opens nothing");
    }

    #[test]
    fn a_derived_id_is_the_same_again_and_an_id() {
        assert_eq!(derived_id("a"), derived_id("a"));
        assert_ne!(derived_id("a"), derived_id("b"));
        assert!(is_id(&derived_id("a")));
    }
}
