//! JSON as models write it: inside prose, with trailing commas, single quotes, raw line breaks in
//! strings and bare words for values.

use std::{iter::Peekable, str::CharIndices};

use serde_json::{Map, Value};

/// Deeper nesting is no verdict.
const MAX_DEPTH: u32 = 32;

/// How much work is done for each byte of a text, at the most. Every `{` may begin an object, so parts of
/// a text that breaks off are read again and again; this bounds the whole, whatever the text.
const FUEL_PER_BYTE: usize = 8;

/// The longest bare word.
const MAX_BARE: usize = 64;

/// Every object that stands in a text by itself, in order. Objects inside others are part of those.
pub(super) fn objects(text: &str) -> Vec<Map<String, Value>> {
    let mut found = Vec::new();
    let mut fuel = text.len().saturating_mul(FUEL_PER_BYTE);
    let mut from = 0;
    while let Some(start) = text[from..].find('{').map(|n| from + n) {
        let mut parser = Parser { text, chars: text[start..].char_indices().peekable(), start, fuel };
        let value = parser.value(0);
        let end = parser.position();
        fuel = parser.fuel;
        from = match value {
            Some(Value::Object(object)) => {
                found.push(object);
                end
            }
            _ => start + 1,
        };
        if fuel == 0 {
            break;
        }
    }
    found
}

struct Parser<'a> {
    text: &'a str,
    chars: Peekable<CharIndices<'a>>,
    /// Where in the text `chars` began.
    start: usize,
    fuel: usize,
}

impl Parser<'_> {
    fn peek(&mut self) -> Option<char> {
        self.chars.peek().map(|(_, c)| *c)
    }

    /// The next character; `None` at the end and when too much has been read.
    fn next(&mut self) -> Option<char> {
        self.fuel = self.fuel.checked_sub(1)?;
        self.chars.next().map(|(_, c)| c)
    }

    fn position(&mut self) -> usize {
        self.chars.peek().map_or(self.text.len(), |(at, _)| self.start + at)
    }

    /// Skips white space, then says what comes.
    fn peek_token(&mut self) -> Option<char> {
        while self.peek()?.is_whitespace() {
            self.next()?;
        }
        self.peek()
    }

    fn value(&mut self, depth: u32) -> Option<Value> {
        if depth > MAX_DEPTH {
            return None;
        }
        match self.peek_token()? {
            '{' => self.object(depth),
            '[' => self.list(depth),
            quote @ ('"' | '\'') => self.string(quote).map(Value::String),
            _ => self.bare(),
        }
    }

    fn object(&mut self, depth: u32) -> Option<Value> {
        self.next()?;
        let mut object = Map::new();
        loop {
            match self.peek_token()? {
                '}' => {
                    self.next()?;
                    return Some(Value::Object(object));
                }
                ',' => {
                    self.next()?;
                }
                quote @ ('"' | '\'') => {
                    let key = self.string(quote)?;
                    if self.peek_token()? != ':' {
                        return None;
                    }
                    self.next()?;
                    let value = self.value(depth + 1)?;
                    object.insert(key, value);
                }
                _ => return None,
            }
        }
    }

    fn list(&mut self, depth: u32) -> Option<Value> {
        self.next()?;
        let mut list = Vec::new();
        loop {
            match self.peek_token()? {
                ']' => {
                    self.next()?;
                    return Some(Value::Array(list));
                }
                ',' => {
                    self.next()?;
                }
                _ => list.push(self.value(depth + 1)?),
            }
        }
    }

    fn string(&mut self, quote: char) -> Option<String> {
        self.next()?;
        let mut string = String::new();
        loop {
            match self.next()? {
                c if c == quote => return Some(string),
                '\\' => match self.next()? {
                    'n' => string.push('\n'),
                    't' => string.push('\t'),
                    'r' | 'b' | 'f' => string.push(' '),
                    'u' => string.push(self.escape()?),
                    c => string.push(c),
                },
                c => string.push(c),
            }
        }
    }

    /// The character of an escape by number (`\u00e9`), or of two of them for one beyond the first 65,536.
    fn escape(&mut self) -> Option<char> {
        let first = self.four_digits()?;
        if !(0xd800..0xdc00).contains(&first) {
            return Some(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        if self.peek()? != '\\' {
            return Some(char::REPLACEMENT_CHARACTER);
        }
        self.next()?;
        if self.next()? != 'u' {
            return None;
        }
        let second = self.four_digits()?;
        let low = second.checked_sub(0xdc00).filter(|n| *n < 0x400);
        let joined = low.and_then(|low| char::from_u32(0x10000 + ((first - 0xd800) << 10) + low));
        Some(joined.unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn four_digits(&mut self) -> Option<u32> {
        (0..4).try_fold(0, |number, _| Some(number * 16 + self.next()?.to_digit(16)?))
    }

    /// A number, `true`, `None` and the like; anything else short is taken as a text (`8/10`, `85%`).
    fn bare(&mut self) -> Option<Value> {
        let mut word = String::new();
        while let Some(c) =
            self.peek().filter(|c| !matches!(c, ',' | '}' | ']' | '\n' | '{' | '[' | '"' | ':'))
        {
            self.next()?;
            word.push(c);
            if word.len() > MAX_BARE {
                return None;
            }
        }
        match word.trim() {
            "" => None,
            "null" | "None" => Some(Value::Null),
            "true" | "True" => Some(Value::Bool(true)),
            "false" | "False" => Some(Value::Bool(false)),
            word => Some(serde_json::from_str(word).unwrap_or_else(|_| Value::String(word.to_owned()))),
        }
    }
}
