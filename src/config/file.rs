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

/// The name that is most like a wrong one, if no more than a third of the letters differ.
pub fn nearest<'k>(wrong: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let letters = wrong.chars().count();
    let near = |name: &'k str| {
        let others = name.chars().count();
        let most = letters.max(others) / 3;
        let changes = (letters.abs_diff(others) <= most).then(|| distance(wrong, name))?;
        (changes <= most).then_some((changes, name))
    };
    known.into_iter().filter_map(near).min_by_key(|(changes, _)| *changes).map(|(_, name)| name)
}

/// How many letters have to be put in, taken away, changed or swapped with their neighbour to make one of the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let changed = rows[i][j] + usize::from(x != y);
            let mut least = changed.min(row[j] + 1).min(rows[i][j + 1] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                least = least.min(rows[i - 1][j - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
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
        for far in ["admin_bot", "xy", "", "a_name_of_more_letters_than_any"] {
            assert_eq!(nearest(far, known), None, "{far}");
        }
        assert_eq!(
            (distance("", "abc"), distance("größe", "größe"), distance("kitten", "sitting")),
            (3, 0, 3)
        );
        assert_eq!((distance("prot", "port"), distance("ab", "ba"), distance("abc", "ca")), (1, 1, 3));
    }
}
