//! The operators, as the calculating crate wants them. What is not finite becomes "not a number" at once
//! and stays so: 1 / (1 / 0) is not 0.

use exmex::{BinOp, MakeOperators, Operator};

/// The operators and functions that [`super::grammar`] writes.
#[derive(Debug, Clone)]
pub(super) struct Operators;

impl MakeOperators<f64> for Operators {
    fn make<'a>() -> Vec<Operator<'a, f64>> {
        // None is called commutative: the crate would take that for leave to change the order.
        let binary =
            |name, prio, apply| Operator::make_bin(name, BinOp { apply, prio, is_commutative: false });
        vec![
            binary("+", 1, |a, b| finite(a + b)),
            binary("-", 1, |a, b| finite(a - b)),
            binary("*", 2, |a, b| finite(a * b)),
            binary("/", 2, |a, b| finite(a / b)),
            binary("^", 3, power),
            binary("mod", 0, modulo),
            binary("min", 0, |a, b| if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }),
            binary("max", 0, |a, b| if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }),
            binary("atan2", 0, |a, b| finite(a.atan2(b))),
            binary("logb", 0, |a, b| finite(a.ln() / b.ln())),
            binary("roundto", 0, round_to),
            Operator::make_unary("abs", f64::abs),
            Operator::make_unary("acos", |a| finite(a.acos())),
            Operator::make_unary("asin", |a| finite(a.asin())),
            Operator::make_unary("atan", |a| finite(a.atan())),
            Operator::make_unary("cbrt", |a| finite(a.cbrt())),
            Operator::make_unary("ceil", |a| significant(a, 15).ceil()),
            Operator::make_unary("cos", |a| finite(a.cos())),
            Operator::make_unary("cosh", |a| finite(a.cosh())),
            Operator::make_unary("exp", |a| finite(a.exp())),
            Operator::make_unary("floor", |a| significant(a, 15).floor()),
            Operator::make_unary("ln", |a| finite(a.ln())),
            Operator::make_unary("log10", |a| finite(a.log10())),
            Operator::make_unary("log2", |a| finite(a.log2())),
            Operator::make_unary("round", |a| significant(a, 15).round()),
            Operator::make_unary("sign", |a| if a == 0.0 { 0.0 } else { a.signum() }),
            Operator::make_unary("sin", |a| finite(a.sin())),
            Operator::make_unary("sinh", |a| finite(a.sinh())),
            Operator::make_unary("sqrt", |a| finite(a.sqrt())),
            Operator::make_unary("tan", |a| finite(a.tan())),
            Operator::make_unary("tanh", |a| finite(a.tanh())),
            Operator::make_unary("trunc", |a| significant(a, 15).trunc()),
        ]
    }
}

fn finite(number: f64) -> f64 {
    if number.is_finite() { number } else { f64::NAN }
}

fn power(base: f64, exponent: f64) -> f64 {
    // Of itself NaN to the power of 0 would be 1, and so would 1 to the power of NaN.
    if base.is_nan() || exponent.is_nan() { f64::NAN } else { finite(base.powf(exponent)) }
}

/// The remainder with the sign of the divisor, as in Python and in spreadsheets.
fn modulo(a: f64, b: f64) -> f64 {
    let remainder = a % b;
    finite(if remainder != 0.0 && (remainder < 0.0) != (b < 0.0) { remainder + b } else { remainder })
}

/// Rounds to so many digits behind the point; halves go away from zero.
fn round_to(number: f64, digits: f64) -> f64 {
    if digits.fract() != 0.0 || digits.abs() > 15.0 {
        return f64::NAN;
    }
    let scale = 10_f64.powf(digits);
    finite(significant(number * scale, 15).round() / scale)
}

/// A number with so many significant digits. What lies beyond the 15th is mostly noise of binary
/// fractions, and would otherwise decide whether 2.675 is rounded up.
///
/// A whole number is what it is.
pub(super) fn significant(number: f64, digits: usize) -> f64 {
    if !number.is_finite() || number.fract() == 0.0 {
        return number;
    }
    format!("{number:.*e}", digits - 1).parse().unwrap_or(number)
}
