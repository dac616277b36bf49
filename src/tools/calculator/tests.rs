//! Known answers, refusals, and expressions of chance beside a second way of calculating them.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn answer(expression: &str) -> String {
    calculate(expression).unwrap_or_else(|error| panic!("{expression}: {error}"))
}

fn refusal(expression: &str) -> String {
    calculate(expression).expect_err(expression).to_string()
}

#[test]
fn numbers_come_out_plainly() {
    for (expression, expected) in [
        ("12", "12"),
        ("6*2.0", "12"),
        ("0.1+0.2", "0.3"),
        ("1/3", "0.333333333333"),
        ("4.35*100", "435"),
        ("-0", "0"),
        ("1e3", "1000"),
        ("1_000_000 * 3", "3000000"),
        ("2^53 - 1", "9007199254740991"),
        ("2^100", "1.26765060023e30"),
        ("1234567890123.5 + 0", "1234567890123.5"),
        ("1/8000000", "1.25e-7"),
        ("12345678 * 87654321", "1082152022374638"),
    ] {
        assert_eq!(answer(expression), expected, "{expression}");
    }
}

#[test]
fn operators_bind_as_in_mathematics() {
    for (expression, expected) in [
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("10 - 2 - 3", "5"),
        ("16 / 4 / 2", "2"),
        ("6 / 2 * 3", "9"),
        ("-2^2", "-4"),
        ("(-2)^2", "4"),
        ("3 * -2^2", "-12"),
        ("2^-1", "0.5"),
        ("2^3^2", "512"),
        ("2**10", "1024"),
        ("--5", "5"),
        ("2 - -3", "5"),
        ("6 × 7 ÷ 2 − 1", "20"),
        ("sqrt(16)^2", "16"),
        ("-sqrt(1 + 3) * 2", "-4"),
        ("= 2 + 2", "4"),
        ("2 + 2 =", "4"),
    ] {
        assert_eq!(answer(expression), expected, "{expression}");
    }
}

#[test]
fn functions_and_constants() {
    for (expression, expected) in [
        ("min(3, 1, 2)", "1"),
        ("max(3)", "3"),
        ("max(1, min(5, 4)) + 1", "5"),
        ("round(2.5)", "3"),
        ("round(-2.5)", "-3"),
        ("round(2.675, 2)", "2.68"),
        ("round(1234.5, -2)", "1200"),
        ("ceil((0.1 + 0.2) * 10)", "3"),
        ("floor(-1.5)", "-2"),
        ("mod(17, 5)", "2"),
        ("mod(-7, 3)", "2"),
        ("log(8, 2)", "3"),
        ("log10(1000)", "3"),
        ("LN(e)", "1"),
        ("round(pi, 4)", "3.1416"),
        ("cos(π)", "-1"),
        ("sign(-3) + abs(-3)", "2"),
        ("pow(2, 10)", "1024"),
        ("((((1))))", "1"),
    ] {
        assert_eq!(answer(expression), expected, "{expression}");
    }
}

#[test]
fn percent_divides_by_a_hundred() {
    assert_eq!(answer("200 * 15%"), "30");
    assert_eq!(answer("(100 + 10)% * 50"), "55");
    assert_eq!(answer("(5%) + (3%)"), "0.08");
    assert_eq!(answer("200 * 15% + 5"), "35");
    assert_eq!(answer("5% + 1"), "1.05");
    assert_eq!(answer("50%"), "0.5");
    assert_eq!(answer("2^50%"), answer("sqrt(2)"));
    assert!(refusal("17 % 5").contains("mod(a, b)"));
    assert!(refusal("17%5").contains("mod(a, b)"));
    assert!(refusal("17 % -5").contains("mod(a, b)"));
    assert!(refusal("100 + 10%").contains("100.1 or 110"));
    assert!(refusal("100 - 10% + 5").contains("100.1 or 110"));
}

#[test]
fn what_is_no_expression_is_refused_with_a_reason() {
    for (expression, reason) in [
        ("", "missing at the end"),
        ("1 +", "missing at the end"),
        ("x + 1", "no variables"),
        ("{x}", "number is missing"),
        ("2pi", "operator is missing"),
        ("2(3)", "operator is missing"),
        ("(1", "closing parenthesis is missing"),
        ("1)", "operator is missing"),
        ("()", "number is missing"),
        ("1,000,000", "separator"),
        ("max(1,000)", "separator"),
        ("1, 2", "comma"),
        ("1.2.3", "operator is missing"),
        (".", "no number"),
        ("1e999", "no number"),
        ("sqrt 4", "sqrt needs parentheses"),
        ("sqrt(1, 2)", "sqrt takes 1 numbers, not 2"),
        ("round(1, 2, 3)", "1 or 2"),
        ("log(100)", "ln(x), log10(x)"),
        ("open('/etc/passwd')", "open is no function"),
        ("5 * * 3", "number is missing"),
        ("10 € + 1", "operator is missing"),
    ] {
        let why = refusal(expression);
        assert!(why.contains(reason), "{expression}: '{reason}' is not in '{why}'");
    }
}

#[test]
fn what_is_not_finite_is_refused() {
    for expression in [
        "1/0",
        "0/0",
        "sqrt(-1)",
        "ln(0)",
        "10^400",
        "1/(1/0)",
        "min(1, 1/0)",
        "(0/0)^0",
        "1^(0/0)",
        "atan(1/0)",
        "mod(1, 0)",
        "round(1, 0.5)",
        "tanh(exp(1000))",
    ] {
        assert!(refusal(expression).contains("no such number"), "{expression}");
    }
}

#[test]
fn length_and_depth_are_bounded() {
    assert!(refusal(&"1+".repeat(600)).contains("1000 characters"));
    assert!(refusal(&format!("{}1{}", "(".repeat(51), ")".repeat(51))).contains("levels"));
    assert!(refusal(&"2^".repeat(60)).contains("levels"));
    assert!(refusal(&format!("{}1{}", "sqrt(".repeat(51), ")".repeat(51))).contains("levels"));
    assert_eq!(answer(&format!("{}1{}", "(".repeat(50), ")".repeat(50))), "1");
    assert_eq!(answer(&format!("{}1", "-".repeat(998))), "1");
    assert_eq!(answer(&format!("1{}", "+1".repeat(499))), "500");
}

/// An expression of chance, as a tree.
#[derive(Debug, Clone)]
enum Tree {
    Number(u32),
    Negative(Box<Tree>),
    Binary(char, Box<Tree>, Box<Tree>),
    Square(Box<Tree>),
    Function(&'static str, Box<Tree>),
}

fn trees() -> impl Strategy<Value = Tree> {
    let leaf = (0_u32..10_000).prop_map(Tree::Number);
    leaf.prop_recursive(6, 40, 2, |inner| {
        let boxed = inner.prop_map(Box::new);
        prop_oneof![
            4 => (prop::sample::select(vec!['+', '-', '*', '/']), boxed.clone(), boxed.clone())
                .prop_map(|(operator, a, b)| Tree::Binary(operator, a, b)),
            1 => boxed.clone().prop_map(Tree::Negative),
            1 => boxed.clone().prop_map(Tree::Square),
            1 => (prop::sample::select(vec!["sqrt", "abs", "cos"]), boxed)
                .prop_map(|(name, a)| Tree::Function(name, a)),
        ]
    })
}

impl Tree {
    fn value(&self) -> f64 {
        match self {
            Tree::Number(n) => f64::from(*n) / 100.0,
            Tree::Negative(a) => -a.value(),
            Tree::Binary('+', a, b) => a.value() + b.value(),
            Tree::Binary('-', a, b) => a.value() - b.value(),
            Tree::Binary('*', a, b) => a.value() * b.value(),
            Tree::Binary(_, a, b) => a.value() / b.value(),
            Tree::Square(a) => a.value().powf(2.0),
            Tree::Function("sqrt", a) => a.value().sqrt(),
            Tree::Function("abs", a) => a.value().abs(),
            Tree::Function(_, a) => a.value().cos(),
        }
    }

    /// How close it holds together.
    fn strength(&self) -> u8 {
        match self {
            Tree::Binary('+' | '-', ..) => 1,
            Tree::Binary(..) => 2,
            Tree::Negative(_) => 3,
            Tree::Square(_) => 4,
            Tree::Number(_) | Tree::Function(..) => 5,
        }
    }

    /// With no more parentheses than it needs.
    fn text(&self) -> String {
        let of = |tree: &Tree, least: u8| {
            if tree.strength() < least { format!("({})", tree.text()) } else { tree.text() }
        };
        match self {
            Tree::Number(n) => format!("{}", f64::from(*n) / 100.0),
            Tree::Negative(a) => format!("-{}", of(a, 3)),
            Tree::Binary(operator, a, b) => {
                format!("{} {operator} {}", of(a, self.strength()), of(b, self.strength() + 1))
            }
            Tree::Square(a) => format!("{}^2", of(a, 5)),
            Tree::Function(name, a) => format!("{name}({})", a.text()),
        }
    }
}

proptest! {
    #[test]
    fn it_agrees_with_another_way_to_calculate(tree in trees()) {
        let (text, expected) = (tree.text(), tree.value());
        prop_assume!(text.len() <= MAX_LENGTH);
        match calculate(&text) {
            Ok(answer) => {
                let answer: f64 = answer.parse().unwrap();
                prop_assert!(
                    (answer - expected).abs() <= expected.abs() * 1e-11,
                    "{} is {}, not {}", text, expected, answer
                );
            }
            // Where it is not finite on the way, the second way may still come to an end: 1 / (1 / 0).
            Err(error) => {
                prop_assert!(!expected.is_finite() || text.contains('/'), "{}: {}", text, error);
            }
        }
    }

    #[test]
    fn sums_and_products_of_whole_numbers_are_exact(
        first in -1_000_i64..1_000,
        rest in prop::collection::vec((prop::sample::select(vec!['+', '-', '*']), 0_i64..1_000), 0..5),
    ) {
        let mut text = first.to_string();
        // The value of the sum before the current product, and that product.
        let (mut sum, mut product) = (0_i64, first);
        for (operator, number) in rest {
            text.push_str(&format!(" {operator} {number}"));
            match operator {
                '*' => product *= number,
                '+' => (sum, product) = (sum + product, number),
                _ => (sum, product) = (sum + product, -number),
            }
        }
        prop_assume!((sum + product).unsigned_abs() < 1 << 53);
        prop_assert_eq!(calculate(&text).unwrap(), (sum + product).to_string(), "{}", text);
    }

    #[test]
    fn nothing_makes_it_panic(text in "[-+*/^%()., 0-9a-zA-Zπ×{}e_]{0,60}|\\PC{0,40}") {
        let _ = calculate(&text);
    }
}
