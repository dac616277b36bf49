//! What may be written for the calculator, and what it means.
//!
//! ```text
//! sum     = product { ("+" | "-") product }
//! product = factor { ("*" | "/") factor }
//! factor  = { "+" | "-" } power
//! power   = operand [ "^" factor ]           so -2^2 is -4 and 2^3^2 is 2^9, as in mathematics
//! operand = ( number | constant | name "(" sum { "," sum } ")" | "(" sum ")" ) [ "%" ]
//! ```
//!
//! The crate that calculates binds signs closer than powers, knows variables and reads numbers without
//! exponents. So a text is read here first and handed on in a form that leaves it nothing to decide.

use std::{iter::Peekable, str::CharIndices};

/// The most levels of parentheses, functions and powers.
const MAX_DEPTH: usize = 50;

/// Functions of one number.
const UNARY: &[&str] = &[
    "abs", "acos", "asin", "atan", "cbrt", "ceil", "cos", "cosh", "exp", "floor", "ln", "log10", "log2",
    "round", "sign", "sin", "sinh", "sqrt", "tan", "tanh", "trunc",
];

/// Functions of two numbers, with the operator they become.
const BINARY: &[(&str, &str)] =
    &[("atan2", "atan2"), ("log", "logb"), ("mod", "mod"), ("pow", "^"), ("round", "roundto")];

/// Functions of any number of numbers, which are operators between each two of them.
const MANY: &[&str] = &["max", "min"];

/// The text as the calculating crate has to see it, or what is wrong with it.
pub(super) fn canonical(text: &str) -> Result<String, String> {
    let text = text.trim();
    let text = text.strip_prefix('=').or_else(|| text.strip_suffix('=')).unwrap_or(text);
    let mut parser = Parser { text, chars: text.char_indices().peekable(), out: String::new() };
    parser.sum(0)?;
    match parser.next() {
        None => Ok(parser.out),
        Some((at, ',')) => Err(format!(
            "a comma at {}: it stands between the arguments of a function only; write 1234567.8, not 1,234,567.8",
            parser.shown(at)
        )),
        Some((at, _)) => Err(format!("an operator is missing or not known before {}", parser.shown(at))),
    }
}

struct Parser<'a> {
    text: &'a str,
    chars: Peekable<CharIndices<'a>>,
    out: String,
}

type Parsed = Result<(), String>;

/// Whether what was read is a percentage and nothing else.
type Percentage = Result<bool, String>;

impl<'a> Parser<'a> {
    fn sum(&mut self, depth: usize) -> Parsed {
        self.product(depth)?;
        while let Some((at, sign)) = self.next_if(|c| matches!(c, '+' | '-' | '−' | '–')) {
            self.out.push_str(if sign == '+' { " + " } else { " - " });
            if self.product(depth)? {
                return Err(format!(
                    "what is meant at {}? 100 + 10% may be 100.1 or 110: write 100 + (10%) or 100 * 1.1",
                    self.shown(at)
                ));
            }
        }
        Ok(())
    }

    fn product(&mut self, depth: usize) -> Percentage {
        let mut percentage = self.factor(depth)?;
        while let Some((_, sign)) = self.next_if(|c| matches!(c, '*' | '/' | '×' | '·' | '÷')) {
            self.out.push_str(if matches!(sign, '/' | '÷') { " / " } else { " * " });
            self.factor(depth)?;
            percentage = false;
        }
        Ok(percentage)
    }

    fn factor(&mut self, depth: usize) -> Percentage {
        let mut negative = false;
        while let Some((_, sign)) = self.next_if(|c| matches!(c, '+' | '-' | '−' | '–')) {
            negative ^= sign != '+';
        }
        // "0 - x" and not "-x": a sign of the crate's own would bind closer than the power behind it.
        self.out.push_str(if negative { "(0 - " } else { "(" });
        let percentage = self.power(depth)?;
        self.out.push(')');
        Ok(percentage)
    }

    fn power(&mut self, depth: usize) -> Percentage {
        let percentage = self.operand(depth)?;
        if !self.next_is_power() {
            return Ok(percentage);
        }
        self.out.push_str(" ^ ");
        self.factor(deeper(depth)?)?;
        Ok(false)
    }

    /// `^` or `**`.
    fn next_is_power(&mut self) -> bool {
        if self.next_if(|c| c == '^').is_some() {
            return true;
        }
        let mut ahead = self.chars.clone();
        let is_double = ahead.next().is_some_and(|c| c.1 == '*') && ahead.next().is_some_and(|c| c.1 == '*');
        if is_double {
            self.chars = ahead;
        }
        is_double
    }

    fn operand(&mut self, depth: usize) -> Percentage {
        let begun = self.out.len();
        match self.peek() {
            Some((at, c)) if c.is_ascii_digit() || c == '.' => self.number(at)?,
            Some((at, c)) if c.is_alphabetic() => self.name(at, depth)?,
            Some((_, '(')) => {
                self.next();
                self.out.push('(');
                self.sum(deeper(depth)?)?;
                self.close()?;
            }
            Some((at, _)) => return Err(format!("a number is missing before {}", self.shown(at))),
            None => return Err("a number is missing at the end".to_owned()),
        }
        let behind = self.chars.peek().map(|(at, _)| *at);
        let Some((at, _)) = self.next_if(|c| c == '%') else { return Ok(false) };
        let is_operand = |c: char| c.is_alphanumeric() || matches!(c, '(' | '.');
        if behind != Some(at) || self.peek().is_some_and(|(_, c)| is_operand(c)) {
            return Err(format!(
                "what is meant at {}? 5% is 0.05; the remainder of a division is mod(a, b)",
                self.shown(at)
            ));
        }
        self.out.insert(begun, '(');
        self.out.push_str(" / 100)");
        Ok(true)
    }

    fn number(&mut self, at: usize) -> Parsed {
        let bytes = self.text.as_bytes();
        let digits = |mut end: usize| {
            while bytes.get(end).is_some_and(|b| b.is_ascii_digit() || *b == b'_') {
                end += 1;
            }
            end
        };
        let mut end = digits(at);
        if bytes.get(end) == Some(&b'.') {
            end = digits(end + 1);
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            let exponent = digits(end + 1 + sign);
            if exponent > end + 1 + sign {
                end = exponent;
            }
        }
        let has_separators = bytes.get(end) == Some(&b',')
            && end - at <= 3
            && digits(end + 1) == end + 4
            && bytes.get(end + 4).is_none_or(|b| !b.is_ascii_alphanumeric());
        if has_separators {
            return Err(format!(
                "{} is two numbers or one: write it without a separator, or a space behind the comma",
                &self.text[at..end + 4]
            ));
        }
        let number: f64 = self.text[at..end]
            .replace('_', "")
            .parse()
            .ok()
            .filter(|number: &f64| number.is_finite())
            .ok_or_else(|| format!("no number can be read at {}", self.shown(at)))?;
        // Written out, for the crate knows no exponents.
        self.out.push_str(&number.to_string());
        self.skip_to(end);
        Ok(())
    }

    fn name(&mut self, at: usize, depth: usize) -> Parsed {
        let rest = &self.text[at..];
        let len = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let name = rest[..len].to_lowercase();
        self.skip_to(at + len);
        let constant = match name.as_str() {
            "pi" | "π" => Some(std::f64::consts::PI),
            "tau" | "τ" => Some(std::f64::consts::TAU),
            "e" => Some(std::f64::consts::E),
            _ => None,
        };
        if let Some(constant) = constant {
            self.out.push_str(&constant.to_string());
            return Ok(());
        }
        let known = UNARY.contains(&name.as_str())
            || MANY.contains(&name.as_str())
            || BINARY.iter().any(|(known, _)| *known == name);
        if !known {
            // No known one is longer; the model need not read all of what it wrote again.
            let name: String = name.chars().take(20).collect();
            return Err(format!("{name} is no function here, and there are no variables. {}", known_names()));
        }
        if self.next_if(|c| c == '(').is_none() {
            return Err(format!("{name} needs parentheses: {name}(…)"));
        }
        self.arguments(&name, deeper(depth)?)
    }

    /// The arguments of a function and its closing parenthesis.
    fn arguments(&mut self, name: &str, depth: usize) -> Parsed {
        let before = std::mem::take(&mut self.out);
        let mut arguments = Vec::new();
        loop {
            self.sum(depth)?;
            arguments.push(std::mem::take(&mut self.out));
            if self.next_if(|c| c == ',').is_none() {
                break;
            }
        }
        self.out = before;
        let between = match (arguments.len(), BINARY.iter().find(|(binary, _)| *binary == name)) {
            _ if MANY.contains(&name) => name,
            (1, _) if UNARY.contains(&name) => {
                self.out.push_str(name);
                ""
            }
            (2, Some((_, operator))) => operator,
            (1, _) if name == "log" => {
                return Err("log(x) may mean ln(x), log10(x) or log(x, base): write which".to_owned());
            }
            (n, binary) => {
                let takes = match binary {
                    Some(_) if UNARY.contains(&name) => "1 or 2",
                    Some(_) => "2",
                    None => "1",
                };
                return Err(format!("{name} takes {takes} numbers, not {n}"));
            }
        };
        self.out.push('(');
        for (n, argument) in arguments.iter().enumerate() {
            if n > 0 {
                self.out.push_str(&format!(" {between} "));
            }
            self.out.push_str(&format!("({argument})"));
        }
        self.close()
    }

    fn close(&mut self) -> Parsed {
        self.out.push(')');
        match self.peek() {
            Some((_, ')')) => {
                self.next();
                Ok(())
            }
            Some((at, _)) => {
                Err(format!("a closing parenthesis or an operator is missing before {}", self.shown(at)))
            }
            None => Err("a closing parenthesis is missing at the end".to_owned()),
        }
    }

    fn peek(&mut self) -> Option<(usize, char)> {
        while self.chars.next_if(|(_, c)| c.is_whitespace()).is_some() {}
        self.chars.peek().copied()
    }

    fn next(&mut self) -> Option<(usize, char)> {
        self.peek()?;
        self.chars.next()
    }

    fn next_if(&mut self, wanted: impl Fn(char) -> bool) -> Option<(usize, char)> {
        self.peek()?;
        self.chars.next_if(|(_, c)| wanted(*c))
    }

    fn skip_to(&mut self, end: usize) {
        while self.chars.next_if(|(at, _)| *at < end).is_some() {}
    }

    /// Where something is wrong, as much of it as helps.
    fn shown(&self, at: usize) -> String {
        format!("'{}'", self.text[at..].chars().take(20).collect::<String>())
    }
}

fn deeper(depth: usize) -> Result<usize, String> {
    if depth >= MAX_DEPTH { Err(format!("more than {MAX_DEPTH} levels deep")) } else { Ok(depth + 1) }
}

fn known_names() -> String {
    let two = BINARY.iter().map(|(name, _)| *name).filter(|name| !UNARY.contains(name));
    let names: Vec<&str> = UNARY.iter().chain(MANY).copied().chain(two).collect();
    format!("There are {}, and the constants pi, tau and e", names.join(", "))
}
