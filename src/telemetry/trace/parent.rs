//! The place of a span in a trace, as `traceparent` of W3C Trace Context carries it.

use std::{fmt, str::FromStr};

/// `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    /// Never 0.
    pub trace: u128,
    /// Never 0.
    pub span: u64,
    /// Whether the trace is recorded.
    pub sampled: bool,
}

impl TraceParent {
    /// A trace of its own.
    pub fn root(sampled: bool) -> Self {
        Self { trace: rand::random::<u128>().max(1), span: new_span(), sampled }
    }

    /// A span below this one.
    pub fn child(self) -> Self {
        Self { span: new_span(), ..self }
    }

    /// The trace, in 32 hexadecimal digits.
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace)
    }
}

fn new_span() -> u64 {
    rand::random::<u64>().max(1)
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, u8::from(self.sampled))
    }
}

/// Not in the form that the standard demands: it is as if there were none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

impl FromStr for TraceParent {
    type Err = Malformed;

    /// What later versions append is passed over, as the standard asks.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let mut parts = text.splitn(5, '-');
        let mut next = |digits: usize| {
            let part = parts.next().filter(|part| part.len() == digits).ok_or(Malformed)?;
            let lower = part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            if lower { u128::from_str_radix(part, 16).map_err(|_| Malformed) } else { Err(Malformed) }
        };
        let (version, trace, span, flags) = (next(2)?, next(32)?, next(16)?, next(2)?);
        let more = parts.next().is_some();
        if version == 0xff || (version == 0 && more) || trace == 0 || span == 0 {
            return Err(Malformed);
        }
        let span = u64::try_from(span).map_err(|_| Malformed)?;
        Ok(Self { trace, span, sampled: flags & 1 == 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_what_the_standard_allows_and_writes_it_back() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let parent: TraceParent = text.parse().unwrap();
        assert!(parent.sampled && parent.to_string() == text);
        assert_eq!(parent.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        let later = text.replacen("00-", "cc-", 1) + "-what-the-future-will-be-like";
        assert_eq!(later.parse::<TraceParent>().unwrap(), parent);
        assert!(!text.replace("-01", "-02").parse::<TraceParent>().unwrap().sampled);
        let child = parent.child();
        assert!(child.trace == parent.trace && child.span != parent.span && child.sampled);
    }

    #[test]
    fn anything_else_is_none() {
        for text in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e473-000f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e47é6-00f067aa0ba902b7-01",
        ] {
            assert_eq!(text.parse::<TraceParent>(), Err(Malformed), "{text}");
        }
    }
}
