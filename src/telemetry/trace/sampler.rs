//! Which traces are recorded.

use super::TraceParent;

/// What `OTEL_TRACES_SAMPLER` and its argument say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampler {
    /// The share of new traces, 0 to 1.
    pub ratio: f64,
    /// Whether a trace that was begun elsewhere is recorded as was decided there.
    pub by_parent: bool,
}

impl Default for Sampler {
    /// Everything, unless whoever began the trace says otherwise.
    fn default() -> Self {
        Self { ratio: 1.0, by_parent: true }
    }
}

impl Sampler {
    /// Whether the span with this place is recorded.
    pub(super) fn samples(&self, parent: Option<TraceParent>, trace: u128) -> bool {
        match parent {
            Some(parent) if self.by_parent => parent.sampled,
            // By the trace's id, so that all processes decide alike: its last eight bytes, as elsewhere.
            _ => self.ratio >= 1.0 || (((trace as u64) >> 1) as f64) < self.ratio * ((u64::MAX >> 1) as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_new_traces_and_all_that_others_began() {
        let half = Sampler { ratio: 0.5, by_parent: true };
        let taken = (0..2_000).filter(|_| half.samples(None, TraceParent::root(true).trace)).count();
        assert!((800..1_200).contains(&taken), "{taken}");
        let (recorded, not) = (TraceParent::root(true), TraceParent::root(false));
        assert!(half.samples(Some(recorded), recorded.trace) && !half.samples(Some(not), not.trace));
        let always = Sampler { ratio: 1.0, by_parent: false };
        assert!(always.samples(Some(not), not.trace) && always.samples(None, u128::MAX));
        assert!(!Sampler { ratio: 0.0, by_parent: true }.samples(None, 1 << 64));
    }
}
