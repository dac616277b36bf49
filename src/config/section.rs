//! One table of the configuration file, read key by key. What is wrong is gathered with its line; keys
//! that nobody asked for are named with the nearest one that is known.

use std::collections::BTreeSet;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    Secret,
    file::{ConfigFile, nearest, scalar},
    secret::{read_secret, twin},
    values,
};

pub(super) struct Section<'r> {
    /// `providers.groq`.
    path: String,
    /// Where its name stands.
    place: String,
    table: &'r DeTable<'r>,
    file: &'r ConfigFile<'r>,
    env: &'r dyn Fn(&str) -> Option<String>,
    problems: &'r mut Vec<String>,
    /// The keys that were asked for.
    known: BTreeSet<&'static str>,
}

impl<'r> Section<'r> {
    pub(super) fn new(
        path: String,
        place: String,
        table: &'r DeTable<'r>,
        file: &'r ConfigFile<'r>,
        env: &'r dyn Fn(&str) -> Option<String>,
        problems: &'r mut Vec<String>,
    ) -> Self {
        Self { path, place, table, file, env, problems, known: BTreeSet::new() }
    }

    /// Whether there is such a key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// A problem of the section as a whole.
    pub(super) fn complain(&mut self, why: &str) {
        self.problems.push(format!("{}: {} {why}", self.place, self.path));
    }

    /// A problem of one value.
    fn complain_of(&mut self, key: &str, value: &Spanned<DeValue<'_>>, why: &str) {
        let place = self.file.place(&value.span());
        self.problems.push(format!("{place}: {}.{key} {why}", self.path));
    }

    fn find(&mut self, key: &'static str) -> Option<&'r Spanned<DeValue<'r>>> {
        self.known.insert(key);
        self.table.get(key)
    }

    /// A single value that may be missing.
    pub(super) fn value<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(String) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.find(key)?;
        let parsed = match scalar(value) {
            Some(text) => parse(text.clone())
                .map_err(|why| format!("{why} (it is '{}')", values::without_password(&text))),
            None => Err("must be a text, a number, true or false".to_owned()),
        };
        parsed.map_err(|why| self.complain_of(key, value, &why)).ok()
    }

    /// A secret that may be missing: problems do not show it.
    pub(super) fn secret(
        &mut self,
        key: &'static str,
        parse: impl Fn(String) -> Result<String, String>,
    ) -> Option<Secret> {
        let value = self.find(key)?;
        let text = scalar(value).ok_or_else(|| "must be a text".to_owned());
        text.and_then(parse).map(Secret::new).map_err(|why| self.complain_of(key, value, &why)).ok()
    }

    /// The secret in the environment variable that this key names.
    pub(super) fn secret_of_env(
        &mut self,
        key: &'static str,
        parse: impl Fn(String) -> Result<String, String>,
    ) -> Option<Secret> {
        let name = self.value(key, Ok)?;
        let value = self.table.get(key)?;
        let secret = variable(self.env, &name)
            .and_then(|text| parse(text).map_err(|why| format!("names {name}, which {why}")));
        secret.map(Secret::new).map_err(|why| self.complain_of(key, value, &why)).ok()
    }

    /// A list of texts that may be missing.
    pub(super) fn texts(&mut self, key: &'static str) -> Option<Vec<String>> {
        let value = self.find(key)?;
        let items = value.get_ref().as_array().and_then(|items| {
            items.iter().map(|item| item.get_ref().as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        });
        if items.is_none() {
            self.complain_of(key, value, "must be a list of texts");
        }
        items
    }

    /// Named secrets, each a text or `{ env = "NAME" }`.
    pub(super) fn secrets(
        &mut self,
        key: &'static str,
        check: impl Fn(&str, &str) -> Result<(), String>,
    ) -> Vec<(String, Secret)> {
        let Some(value) = self.find(key) else { return Vec::new() };
        let Some(table) = value.get_ref().as_table() else {
            self.complain_of(key, value, "must be a table of texts");
            return Vec::new();
        };
        let mut found = Vec::new();
        for (name, value) in table {
            let name = name.get_ref().as_ref();
            let text = match value.get_ref() {
                DeValue::Table(of_env) => match of_env.get("env").and_then(|v| v.get_ref().as_str()) {
                    Some(variable_name) if of_env.len() == 1 => variable(self.env, variable_name),
                    _ => Err("must be a text or { env = \"NAME\" }".to_owned()),
                },
                _ => scalar(value).ok_or_else(|| "must be a text or { env = \"NAME\" }".to_owned()),
            };
            match text.and_then(|text| check(name, &text).map(|()| text)) {
                Ok(text) => found.push((name.to_owned(), Secret::new(text))),
                Err(why) => self.complain_of(&format!("{key}.{name}"), value, &why),
            }
        }
        found
    }

    /// The tables below a key, each read by `read`.
    pub(super) fn tables<T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(&str, &mut Section<'_>) -> Option<T>,
    ) -> Vec<(String, T)> {
        let Some(value) = self.find(key) else { return Vec::new() };
        let Some(tables) = value.get_ref().as_table() else {
            self.complain_of(key, value, "must be a table");
            return Vec::new();
        };
        let mut found = Vec::new();
        for (name, value) in tables {
            let (place, name) = (self.file.place(&name.span()), name.get_ref().as_ref());
            let Some(table) = value.get_ref().as_table() else {
                self.complain_of(&format!("{key}.{name}"), value, "must be a table");
                continue;
            };
            let path = format!("{}.{key}.{name}", self.path);
            let mut section = Section::new(path, place, table, self.file, self.env, self.problems);
            found.extend(read(name, &mut section).map(|read| (name.to_owned(), read)));
            section.finish();
        }
        found
    }

    /// Names the keys that nobody asked for.
    pub(super) fn finish(self) {
        for (key, _) in self.table {
            let name = key.get_ref().as_ref();
            if !self.known.contains(name) {
                let place = self.file.place(&key.span());
                let nearest = nearest(name, self.known.iter().copied());
                let hint =
                    nearest.map(|near| format!("; the nearest known key is {near}")).unwrap_or_default();
                self.problems.push(format!("{place}: {}.{name} is not known{hint}", self.path));
            }
        }
    }
}

/// One table below a key of the whole file.
pub(super) struct NamedTable<'r> {
    pub name: &'r str,
    /// Where its name stands.
    pub place: String,
    pub table: &'r DeTable<'r>,
}

/// The tables below a key of the whole file, such as `[providers.*]`.
pub(super) fn named<'r>(
    file: &'r ConfigFile<'r>,
    key: &str,
    problems: &mut Vec<String>,
) -> Vec<NamedTable<'r>> {
    let Some(value) = file.table().get(key) else { return Vec::new() };
    let Some(tables) = value.get_ref().as_table() else {
        problems.push(format!("{}: {key} must hold tables such as [{key}.name]", file.place(&value.span())));
        return Vec::new();
    };
    let mut found = Vec::new();
    for (name, value) in tables {
        let (place, name) = (file.place(&name.span()), name.get_ref().as_ref());
        match (values::section_name(name), value.get_ref().as_table()) {
            (Err(why), _) => problems.push(format!("{place}: {key}.{name} {why}")),
            (_, None) => problems.push(format!("{place}: {key}.{name} must be a table, [{key}.{name}]")),
            (Ok(()), Some(table)) => found.push(NamedTable { name, place, table }),
        }
    }
    found
}

/// A secret in a variable of the environment, or in the file that its twin `NAME_FILE` names; an empty variable counts
/// as not set.
fn variable(env: &dyn Fn(&str) -> Option<String>, name: &str) -> Result<String, String> {
    let given = |name: &str| env(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    let twin = twin(name);
    match (given(name), given(&twin)) {
        (Some(_), Some(_)) => Err(format!("names {name}, but both {name} and {twin} are set; one is enough")),
        (Some(value), None) => Ok(value),
        (None, Some(path)) => {
            read_secret(&path).map_err(|why| format!("names {name}, and {twin} names {path}: it {why}"))
        }
        (None, None) => Err(format!("names the environment variable {name}, which is not set")),
    }
}
