//! Who sends a request, as the middleware `auth` has found out; it stands in the request's extensions.

/// Whose right a request uses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caller {
    /// The name of the key that was shown: `default` for that of `API_KEY`. `None` where nobody had to
    /// show one.
    pub key: Option<String>,
    /// How many requests a minute this key may send, where it has a limit of its own.
    pub requests_per_minute: Option<u32>,
}

impl Caller {
    /// Who shows the key of `API_KEY`.
    pub const DEFAULT: &str = "default";
}
