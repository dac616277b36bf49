//! The tool `calculator`: arithmetic, which models are bad at.

mod grammar;
mod operators;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use exmex::{Express as _, FlatEx};
use serde_json::{Value, json};

use super::{Tool, ToolError};
use crate::model::ToolSpec;
use operators::{Operators, significant};

/// The longest expression, in characters.
const MAX_LENGTH: usize = 1_000;

/// From here on a whole number may be none: binary fractions have 53 bits.
const EXACT: f64 = (1_u64 << 53) as f64;

/// The tool.
pub struct Calculator {
    spec: ToolSpec,
}

impl Calculator {
    pub fn new() -> Self {
        let description = "Calculates an expression and gives back a number. Operators: + - * / ^ (power) and \
             parentheses; 15% is 0.15. Functions: sqrt, cbrt, abs, sign, floor, ceil, trunc, round(x), \
             round(x, digits), min, max, mod(a, b) (remainder), pow(a, b), exp, ln, log10, log2, log(x, base), \
             sin, cos, tan, asin, acos, atan, atan2, sinh, cosh, tanh (angles in radians). Constants: pi, tau, \
             e. Numbers like 1234.5 or 1.2e6, without thousands separators. No variables, no units.";
        let parameters = json!({
            "type": "object",
            "properties": {
                "expression": {
                    "type": "string",
                    "description": "What to calculate, such as (12.5 + 7) * 3 or round(200 * 19%, 2)",
                    "minLength": 1,
                    "maxLength": MAX_LENGTH,
                },
            },
            "required": ["expression"],
            "additionalProperties": false,
        });
        let spec =
            ToolSpec { name: "calculator".to_owned(), description: description.to_owned(), parameters };
        Self { spec }
    }
}

impl Default for Calculator {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Tool for Calculator {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    async fn run(&self, arguments: &Value) -> Result<String, ToolError> {
        calculate(arguments["expression"].as_str().unwrap_or_default())
    }
}

/// The value of an expression, as a plain number.
fn calculate(expression: &str) -> Result<String, ToolError> {
    if expression.chars().count() > MAX_LENGTH {
        return Err(ToolError::BadArguments(format!(
            "the expression has more than {MAX_LENGTH} characters: calculate it in parts"
        )));
    }
    let canonical = grammar::canonical(expression)
        .map_err(|why| ToolError::BadArguments(format!("the expression cannot be read: {why}")))?;
    // What the crate refuses now would be a fault of the grammar, not of the model.
    let failed = |error: exmex::ExError| ToolError::Failed(format!("it could not be calculated: {error}"));
    let value = FlatEx::<f64, Operators>::parse_wo_compile(&canonical)
        .and_then(|expression| expression.eval(&[]))
        .map_err(failed)?;
    if !value.is_finite() {
        return Err(ToolError::Failed(
            "there is no such number: somewhere in it is a division by zero, a root or logarithm of what has \
             none, or a number beyond 1.7e308"
                .to_owned(),
        ));
    }
    Ok(plain(value))
}

/// A number as people write it: `12`, not `12.0`; `0.3`, not `0.30000000000000004`. Where that would take
/// many zeros or feign digits, with an exponent.
fn plain(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    if value.fract() == 0.0 && value.abs() < EXACT {
        return value.to_string();
    }
    // 12 digits hide the noise of a calculation. A large number with a fraction needs more to keep that.
    let digits = if value.abs() >= 1e9 { 15 } else { 12 };
    if value.abs() >= EXACT {
        // Whole, but only nearly known.
        let mantissa: f64 = format!("{value:.11e}").parse().unwrap_or(value);
        return format!("{mantissa:e}");
    }
    let rounded = significant(value, digits);
    if rounded.abs() < 1e-6 { format!("{rounded:e}") } else { rounded.to_string() }
}
