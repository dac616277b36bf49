//! The table of prices: the one that is built in, or the file that an operator names.

use std::{collections::BTreeMap, path::PathBuf};

use serde::Deserialize;

use super::PriceConfig;

/// Prices by `provider/model`.
#[derive(Debug, Clone)]
pub struct PricesConfig {
    /// The day the prices were looked up, as the table says.
    pub as_of: String,
    /// Where they were looked up.
    pub source: String,
    pub models: BTreeMap<String, PriceConfig>,
    /// The operator's file; `None`: the built-in table.
    pub file: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    as_of: String,
    #[serde(default)]
    source: String,
    models: BTreeMap<String, Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    input: f64,
    #[serde(default)]
    cached_input: Option<f64>,
    output: f64,
}

impl PricesConfig {
    /// The table that comes with the program.
    pub fn built_in() -> Self {
        let text = include_str!("../../assets/prices.json");
        parse(text).expect("the built-in table is valid; a test reads it")
    }

    /// The operator's table. The first thing that is wrong with it is told.
    pub(super) fn read(file: String) -> Result<Self, String> {
        let text = std::fs::read_to_string(&file).map_err(|e| format!("cannot be read: {e}"))?;
        Ok(Self { file: Some(PathBuf::from(file)), ..parse(&text)? })
    }
}

fn parse(text: &str) -> Result<PricesConfig, String> {
    let table: Table = serde_json::from_str(text).map_err(|e| format!("holds no table of prices: {e}"))?;
    let mut models = BTreeMap::new();
    for (name, Row { input, cached_input, output }) in table.models {
        if name.split_once('/').is_none_or(|(provider, model)| provider.is_empty() || model.is_empty()) {
            return Err(format!("has a row '{name}': it must be called provider/model"));
        }
        let good = |price: f64| (0.0..=100_000.0).contains(&price);
        if !good(input) || !good(output) || !cached_input.is_none_or(good) {
            return Err(format!(
                "has bad prices for {name}: they must be US dollars for a million tokens, from 0 to 100000"
            ));
        }
        models.insert(name, PriceConfig { input, cached_input, output });
    }
    Ok(PricesConfig { as_of: table.as_of, source: table.source, models, file: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_table_is_dated_and_plausible() {
        let table = PricesConfig::built_in();
        assert!(chrono::NaiveDate::parse_from_str(&table.as_of, "%Y-%m-%d").is_ok(), "{}", table.as_of);
        assert!(!table.source.is_empty() && table.models.len() > 20);
        for (name, price) in &table.models {
            assert!(price.output >= price.input, "{name}: answers cost more than prompts everywhere");
            assert!(price.cached_input.is_none_or(|cached| cached < price.input), "{name}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_table_is_named() {
        for (text, why) in [
            ("", "no table of prices"),
            (r#"{"as_of": "x"}"#, "missing field `models`"),
            (
                r#"{"as_of": "x", "models": {"gpt-4o": {"input": 1, "output": 1}}}"#,
                "must be called provider/model",
            ),
            (r#"{"as_of": "x", "models": {"a/b": {"input": -1, "output": 1}}}"#, "bad prices for a/b"),
            (
                r#"{"as_of": "x", "models": {"a/b": {"input": 1, "output": 1, "cached": 1}}}"#,
                "unknown field `cached`",
            ),
            (r#"{"as_of": "x", "models": {"a/b": {"input": 1}}}"#, "missing field `output`"),
        ] {
            let problem = parse(text).unwrap_err();
            assert!(problem.contains(why), "{text}: {problem}");
        }
    }
}
