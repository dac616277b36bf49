//! What a model's tokens cost.

use super::{Usage, Usd};

/// Prices of one model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Price {
    /// US dollars for a million tokens of the prompt.
    pub input: f64,
    /// The same for tokens that the provider had read before; `None`: they cost as much as others.
    pub cached_input: Option<f64>,
    /// US dollars for a million tokens of the answer, thoughts included.
    pub output: f64,
}

impl Price {
    /// What is free, such as a model of one's own machine.
    pub const FREE: Self = Self { input: 0.0, cached_input: None, output: 0.0 };

    /// What a call with this usage costs.
    pub fn cost(&self, usage: &Usage) -> Usd {
        let cached = usage.cached_tokens.min(usage.prompt_tokens);
        let fresh = usage.prompt_tokens - cached;
        // A dollar for a million tokens is a thousand billionths of a dollar for one.
        let nanos = (fresh as f64 * self.input
            + cached as f64 * self.cached_input.unwrap_or(self.input)
            + usage.completion_tokens as f64 * self.output)
            * 1_000.0;
        // A cast of a float saturates; negative prices do not pass the configuration.
        Usd::from_nanos(nanos.round() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cached_tokens_cost_less_and_thoughts_are_part_of_the_answer() {
        let price = Price { input: 0.15, cached_input: Some(0.075), output: 0.6 };
        let usage = Usage {
            prompt_tokens: 1_000,
            cached_tokens: 400,
            completion_tokens: 100,
            reasoning_tokens: 60,
            total_tokens: 1_100,
            estimated: false,
        };
        assert_eq!(price.cost(&usage).nanos(), 600 * 150 + 400 * 75 + 100 * 600);
        let without = Price { cached_input: None, ..price };
        assert_eq!(without.cost(&usage).nanos(), 1_000 * 150 + 100 * 600);
        assert_eq!(Price::FREE.cost(&usage), Usd::ZERO);
    }

    #[test]
    fn more_cached_tokens_than_there_are_do_not_pay_anybody() {
        let usage = Usage { prompt_tokens: 10, cached_tokens: 99, ..Usage::default() };
        let price = Price { input: 1.0, cached_input: Some(0.5), output: 1.0 };
        assert_eq!(price.cost(&usage).nanos(), 10 * 500);
    }
}
