//! Which price a call has: what the operator says of a provider first, then a table. A price that
//! nobody knows stays unknown; it is never guessed from a similar name.

use std::collections::BTreeMap;

use crate::model::Price;

/// The provider whose answers are made up, and free.
const SIMULATED: &str = "simulated";

/// Stands for every model of a provider.
const EVERY_MODEL: &str = "*";

/// Prices by provider and model.
#[derive(Debug, Clone, Default)]
pub struct PriceTable {
    /// By `provider/model`.
    models: BTreeMap<String, Price>,
    providers: BTreeMap<String, ProviderPrices>,
}

/// What is known of one provider's prices.
#[derive(Debug, Clone, Default)]
pub struct ProviderPrices {
    /// By model, before the table; `*` is every model that is not named.
    pub own: BTreeMap<String, Price>,
    /// Under which names the table lists its models. A provider of any name that asks OpenAI is listed as
    /// `openai`; one that is called `openai` and asks somebody else is not.
    pub listed_as: Vec<String>,
}

impl PriceTable {
    /// A table by `provider/model`.
    pub fn new(models: impl IntoIterator<Item = (String, Price)>) -> Self {
        Self { models: models.into_iter().collect(), providers: BTreeMap::new() }
    }

    /// The same with what is known of a provider. One that nothing is said of is listed under its name.
    #[must_use]
    pub fn with_provider(mut self, name: impl Into<String>, prices: ProviderPrices) -> Self {
        self.providers.insert(name.into(), prices);
        self
    }

    /// The price of a model as its provider names it.
    pub fn of(&self, provider: &str, model: &str) -> Option<Price> {
        if provider == SIMULATED {
            return Some(Price::FREE);
        }
        let names = || [Some(model), undated(model)].into_iter().flatten();
        let known = self.providers.get(provider);
        if let Some(ProviderPrices { own, .. }) = known
            && let Some(price) = names().chain([EVERY_MODEL]).find_map(|name| own.get(name))
        {
            return Some(*price);
        }
        let own_name = [provider.to_owned()];
        let listed_as = known.map_or(own_name.as_slice(), |known| &known.listed_as);
        names()
            .find_map(|name| listed_as.iter().find_map(|listed| self.models.get(&format!("{listed}/{name}"))))
            .copied()
    }
}

/// A name without the date at its end: `gpt-4o-mini-2024-07-18` or `claude-x-20250929`. Four digits may be
/// a version, and versions differ in price.
fn undated(model: &str) -> Option<&str> {
    let digits = |text: &str, length| text.len() == length && text.bytes().all(|b| b.is_ascii_digit());
    let (rest, last) = model.rsplit_once('-')?;
    if digits(last, 8) && last.starts_with("20") {
        return Some(rest).filter(|rest| !rest.is_empty());
    }
    let (rest, month) = rest.rsplit_once('-')?;
    let (rest, year) = rest.rsplit_once('-')?;
    let is_date = digits(last, 2) && digits(month, 2) && digits(year, 4) && year.starts_with("20");
    (is_date && !rest.is_empty()).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(input: f64) -> Price {
        Price { input, cached_input: None, output: input * 4.0 }
    }

    fn table() -> PriceTable {
        let models = [
            ("openai/gpt-4o", 2.5),
            ("openai/gpt-4o-2024-05-13", 5.0),
            ("openai/gpt-4o-mini", 0.15),
            ("groq/openai/gpt-oss-120b", 0.2),
        ];
        let own = |list: &[(&str, f64)]| list.iter().map(|(m, p)| (m.to_string(), price(*p))).collect();
        PriceTable::new(models.map(|(name, input)| (name.to_owned(), price(input))))
            .with_provider(
                "azure",
                ProviderPrices {
                    own: own(&[("gpt-4o", 9.0)]),
                    listed_as: vec!["azure".to_owned(), "openai".to_owned()],
                },
            )
            .with_provider(
                "local",
                ProviderPrices { own: own(&[("*", 0.0), ("big", 1.0)]), ..Default::default() },
            )
            .with_provider("openai-like", ProviderPrices::default())
    }

    #[test]
    fn prices_are_found_by_provider_then_table_then_without_the_date() {
        let table = table();
        for (provider, model, input) in [
            ("openai", "gpt-4o", Some(2.5)),
            ("openai", "gpt-4o-2024-05-13", Some(5.0)),
            ("openai", "gpt-4o-2024-08-06", Some(2.5)),
            ("openai", "gpt-4o-mini-2024-07-18", Some(0.15)),
            ("openai", "gpt-4o-mini-20240718", Some(0.15)),
            ("groq", "openai/gpt-oss-120b", Some(0.2)),
            ("azure", "gpt-4o", Some(9.0)),
            ("azure", "gpt-4o-2024-05-13", Some(9.0)),
            ("azure", "gpt-4o-mini", Some(0.15)),
            ("local", "anything", Some(0.0)),
            ("local", "big", Some(1.0)),
            ("simulated", "simulated", Some(0.0)),
            // Never a guess.
            ("openai", "gpt-4o-audio", None),
            ("openai", "gpt-4", None),
            ("openai", "gpt-4o-0513", None),
            ("openai", "gpt-4o-mini-2024-07", None),
            ("openai", "GPT-4o", None),
            ("openai", "", None),
            ("groq", "gpt-4o", None),
            ("openai-like", "gpt-4o", None),
            ("", "gpt-4o", None),
        ] {
            assert_eq!(table.of(provider, model).map(|p| p.input), input, "{provider}/{model}");
        }
    }

    #[test]
    fn a_date_is_a_date() {
        for (model, rest) in [
            ("gpt-4o-2024-08-06", Some("gpt-4o")),
            ("o3-2025-04-16", Some("o3")),
            ("claude-x-20250929", Some("claude-x")),
            ("mistral-large-2411", None),
            ("llama-3.3-70b", None),
            ("a-1999-01-01", None),
            ("-2024-01-01", None),
            ("2024-01-01", None),
            ("größe-2024-01-01", Some("größe")),
        ] {
            assert_eq!(undated(model), rest, "{model}");
        }
    }
}
