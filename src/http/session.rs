//! Dashboard sessions: signed, expiring cookie values and the CSRF tokens that belong to them.
//!
//! Pure functions. Nothing is stored of a session: it is valid because it is signed with a key that follows from the API
//! key and a stored secret (`service/sessions.rs`), so all sessions die when the API key changes, on every node at once.
//! That somebody logged out is stored under the session's [`id`] until it would have ended.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The cookie's name.
pub const COOKIE: &str = "pf_session";
/// How long a session lasts, in seconds.
pub const LIFETIME_SECONDS: i64 = 12 * 3600;

/// Of who showed the key of `API_KEY`, and of who showed a named key.
const VERSION: &str = "v1";
const VERSION_NAMED: &str = "v2";
const NONCE_BYTES: usize = 16;

/// Whose session it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder<'a> {
    /// Of who showed the key of `API_KEY`.
    Owner,
    /// Of who showed the named key with this id. Whether that still opens anything has to be looked up.
    Key(&'a str),
}

/// A fresh cookie value, `v1.<expiry>.<nonce>.<signature>`; `now` is in seconds since 1970.
///
/// `None` when the system has no randomness to give.
pub fn issue(signing_key: &str, now: i64) -> Option<String> {
    issue_to(Holder::Owner, signing_key, now)
}

/// The same for whoever it is; of a named key it is `v2.<expiry>.<nonce>.<id of the key>.<signature>`.
pub fn issue_to(holder: Holder<'_>, signing_key: &str, now: i64) -> Option<String> {
    let mut nonce = [0_u8; NONCE_BYTES];
    getrandom::fill(&mut nonce).ok()?;
    let (expiry, nonce) = (now.saturating_add(LIFETIME_SECONDS), URL_SAFE_NO_PAD.encode(nonce));
    let claim = match holder {
        Holder::Owner => format!("{VERSION}.{expiry}.{nonce}"),
        Holder::Key(id) => format!("{VERSION_NAMED}.{expiry}.{nonce}.{id}"),
    };
    let signature = sign(signing_key, "session", &claim)?;
    Some(format!("{claim}.{signature}"))
}

/// Whose session it is, if a cookie value was issued under this key and has not expired.
pub fn verify<'a>(signing_key: &str, cookie: &'a str, now: i64) -> Option<Holder<'a>> {
    let (claim, signature) = cookie.rsplit_once('.')?;
    if !equal(signature, &sign(signing_key, "session", claim)?) {
        return None;
    }
    let parts: Vec<&str> = claim.split('.').collect();
    let (expiry, holder) = match parts.as_slice() {
        [VERSION, expiry, _nonce] => (expiry, Holder::Owner),
        [VERSION_NAMED, expiry, _nonce, id] => (expiry, Holder::Key(id)),
        _ => return None,
    };
    // An expiry further away than a session lasts means that the clock was put back.
    let valid = expiry.parse::<i64>().is_ok_and(|expiry| now < expiry && expiry - now <= LIFETIME_SECONDS);
    valid.then_some(holder)
}

/// What a valid cookie names its session by, and how long that lasts still, in seconds.
pub fn id(cookie: &str, now: i64) -> Option<(&str, u64)> {
    let mut parts = cookie.split('.').skip(1);
    let (expiry, nonce) = (parts.next()?.parse::<i64>().ok()?, parts.next()?);
    Some((nonce, u64::try_from(expiry.checked_sub(now)?).ok()?))
}

/// The CSRF token of a session: what its forms carry and its POSTs must show.
pub fn csrf(signing_key: &str, cookie: &str) -> String {
    sign(signing_key, "csrf", cookie).unwrap_or_default()
}

/// Whether a POST shows the CSRF token of its session.
pub fn verify_csrf(signing_key: &str, cookie: &str, token: &str) -> bool {
    sign(signing_key, "csrf", cookie).is_some_and(|expected| equal(token, &expected))
}

/// Compares texts in a time that tells nothing about where they differ, nor how long they are.
pub fn equal(a: &str, b: &str) -> bool {
    Sha256::digest(a.as_bytes()).ct_eq(&Sha256::digest(b.as_bytes())).into()
}

/// Where to go after the login: a path of the dashboard on this host, and nothing else.
pub fn safe_next(next: &str) -> &str {
    const HOME: &str = "/dashboard/";
    let local = next == "/dashboard" || next.starts_with("/dashboard/") || next.starts_with("/dashboard?");
    let plain = next.bytes().all(|b| (0x21..0x7f).contains(&b) && b != b'\\');
    let path = next.split(['?', '#']).next().unwrap_or_default();
    let loops = path.starts_with("/dashboard/login") || path.starts_with("/dashboard/logout");
    // However a slash or a dot is written: what is in front may decode it.
    let climbs = path.contains("//") || path.to_ascii_lowercase().contains("%2e") || path.contains("..");
    if local && plain && !loops && !climbs && next.len() <= 1000 { next } else { HOME }
}

fn sign(signing_key: &str, purpose: &str, text: &str) -> Option<String> {
    let derived = mac(signing_key.as_bytes(), &["productforge dashboard v1"])?;
    mac(&derived, &[purpose, "\n", text]).map(|bytes| URL_SAFE_NO_PAD.encode(bytes))
}

fn mac(key: &[u8], parts: &[&str]) -> Option<Vec<u8>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    for part in parts {
        mac.update(part.as_bytes());
    }
    Some(mac.finalize().into_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "a-key-of-the-owner";
    const NOW: i64 = 1_800_000_000;

    #[test]
    fn a_session_is_valid_until_it_expires() {
        let cookie = issue(KEY, NOW).unwrap();
        assert_eq!(verify(KEY, &cookie, NOW), Some(Holder::Owner));
        assert!(verify(KEY, &cookie, NOW + LIFETIME_SECONDS - 1).is_some());
        assert!(verify(KEY, &cookie, NOW + LIFETIME_SECONDS).is_none());
        assert!(verify(KEY, &cookie, NOW - 1).is_none(), "the clock was put back");
    }

    #[test]
    fn a_session_dies_with_its_key() {
        let cookie = issue(KEY, NOW).unwrap();
        assert!(verify("another-key", &cookie, NOW).is_none());
    }

    #[test]
    fn no_part_of_a_session_can_be_changed() {
        let cookie = issue(KEY, NOW).unwrap();
        for at in 0..cookie.len() {
            let mut forged = cookie.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            assert!(verify(KEY, &String::from_utf8(forged).unwrap(), NOW).is_none(), "byte {at}");
        }
        for junk in ["", ".", "v1", "v1...", "....", "v1.9999999999.x.", &cookie[..cookie.len() - 1]] {
            assert!(verify(KEY, junk, NOW).is_none(), "{junk}");
        }
    }

    #[test]
    fn a_session_of_a_named_key_says_whose_it_is() {
        let cookie = issue_to(Holder::Key("pf_abcdEF12"), KEY, NOW).unwrap();
        assert_eq!(verify(KEY, &cookie, NOW), Some(Holder::Key("pf_abcdEF12")));
        assert!(verify(KEY, &cookie.replace("pf_abcdEF12", "pf_abcdEF13"), NOW).is_none());
        assert!(verify(KEY, &cookie.replace(".pf_abcdEF12", ""), NOW).is_none());
        assert!(verify("another-key", &cookie, NOW).is_none());
        assert!(verify(KEY, &cookie, NOW + LIFETIME_SECONDS).is_none());
        assert_eq!(id(&cookie, NOW).unwrap().1, LIFETIME_SECONDS as u64);
    }

    #[test]
    fn what_names_a_session_ends_at_no_time_beyond_time() {
        assert_eq!(id("v1.1800000007.n.s", NOW), Some(("n", 7)));
        for cookie in ["v1.-9223372036854775808.n.s", "v1.1799999999.n.s", "v1.x.n.s", "v1.1800000007", ""] {
            assert_eq!(id(cookie, NOW), None, "{cookie}");
        }
    }

    #[test]
    fn two_sessions_differ_and_so_do_their_tokens() {
        let (one, two) = (issue(KEY, NOW).unwrap(), issue(KEY, NOW).unwrap());
        assert_ne!(one, two);
        assert!(verify_csrf(KEY, &one, &csrf(KEY, &one)));
        assert!(!verify_csrf(KEY, &one, &csrf(KEY, &two)));
        assert!(!verify_csrf(KEY, &one, ""));
        assert!(!verify_csrf(KEY, &one, one.rsplit('.').next().unwrap()), "a signature is no CSRF token");
    }

    #[test]
    fn the_way_back_stays_on_this_host() {
        for good in ["/dashboard", "/dashboard/", "/dashboard/workflows/1?after=x", "/dashboard?x=1"] {
            assert_eq!(safe_next(good), good);
        }
        for bad in [
            "",
            "/",
            "//evil.example",
            "https://evil.example/dashboard/",
            "/dashboard/../agents",
            "/dashboard/%2e%2e/x",
            "/dashboard/..%2fagents",
            "/dashboard/..%5cagents",
            "/dashboard//evil",
            "/dashboard/\\evil",
            "/dashboard/a\r\nSet-Cookie: x",
            "/dashboardevil",
            "/dashboard/login",
            "/dashboard/login?next=/dashboard/",
            "/dashboard/logout",
            "javascript:alert(1)",
        ] {
            assert_eq!(safe_next(bad), "/dashboard/", "{bad}");
        }
    }
}
