//! `productforge.toml`: what stands in it and in which line. What its keys mean is said elsewhere.

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// The file as it was read.
pub(super) struct ConfigFile<'t> {
    name: &'t str,
    text: &'t str,
    table: DeTable<'t>,
}

impl<'t> ConfigFile<'t> {
    /// Parses a text; all that is no TOML is named. What is left of such a text is not used: it would
    /// only add complaints about what the faults have hidden.
    pub(super) fn parse(name: &'t str, text: &'t str) -> (Self, Vec<String>) {
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut file = Self { name, text, table: table.into_inner() };
        let problems = errors
            .iter()
            .map(|error| {
                let what = error.message().split('\n').next().unwrap_or_default();
                format!("{}: this is no TOML: {what}", file.place(&error.span().unwrap_or(0..0)))
            })
            .collect::<Vec<_>>();
        if !problems.is_empty() {
            file.table = DeTable::new();
        }
        (file, problems)
    }

    pub(super) fn name(&self) -> &str {
        self.name
    }

    pub(super) fn table(&self) -> &DeTable<'t> {
        &self.table
    }

    /// `productforge.toml:3`.
    pub(super) fn place(&self, span: &Range<usize>) -> String {
        let before = &self.text.as_bytes()[..span.start.min(self.text.len())];
        format!("{}:{}", self.name, 1 + before.iter().filter(|b| **b == b'\n').count())
    }
}

/// A single value as text, the way an environment variable would have it. `None` for lists and tables.
pub(super) fn scalar(value: &Spanned<DeValue<'_>>) -> Option<String> {
    match value.get_ref() {
        DeValue::String(text) => Some(text.trim().to_owned()),
        DeValue::Integer(number) => {
            // Of another base than ten: as the number that it is.
            let parsed = i64::from_str_radix(number.as_str(), number.radix());
            Some(parsed.map_or_else(|_| number.to_string(), |n| n.to_string()))
        }
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(truth) => Some(truth.to_string()),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

/// The name that is most like a wrong one.
pub fn nearest<'k>(wrong: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    known.into_iter().min_by_key(|name| distance(wrong, name))
}

/// How many letters have to be put in, taken away or changed to make one of the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_as_an_environment_would_have_them() {
        let text = "a = ' x '\nb = 8_000\nc = 0x10\nd = 1.5\ne = true\nf = [1]\ng = { h = 1 }\ni = -3";
        let (file, problems) = ConfigFile::parse("f", text);
        assert_eq!(problems, Vec::<String>::new());
        let get = |key: &str| scalar(file.table().get(key).unwrap());
        let expected = ["x", "8000", "16", "1.5", "true"];
        for (key, value) in ["a", "b", "c", "d", "e"].into_iter().zip(expected) {
            assert_eq!(get(key).as_deref(), Some(value));
        }
        assert_eq!((get("f"), get("g"), get("i").as_deref()), (None, None, Some("-3")));
    }

    #[test]
    fn every_fault_of_the_form_is_named_with_its_line() {
        let (file, problems) = ConfigFile::parse("x.toml", "port = 1\nhost = \n\nb = 'open\n");
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].starts_with("x.toml:2: this is no TOML"), "{problems:?}");
        assert!(problems[1].starts_with("x.toml:4: this is no TOML"), "{problems:?}");
        assert!(file.table().is_empty());
    }

    #[test]
    fn the_nearest_name_is_found() {
        let known = ["port", "host", "workers", "workspace_dir"];
        for (wrong, name) in [("prot", "port"), ("worker", "workers"), ("workspacedir", "workspace_dir")] {
            assert_eq!(nearest(wrong, known), Some(name));
        }
        assert_eq!(
            (distance("", "abc"), distance("größe", "größe"), distance("kitten", "sitting")),
            (3, 0, 3)
        );
    }
}
