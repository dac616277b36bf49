//! Reads one setting after the other, remembers its source and gathers the problems.

use std::{borrow::Cow, collections::BTreeMap, path::PathBuf};

use toml::de::DeValue;

use super::{
    Secret,
    file::{ConfigFile, nearest, scalar},
    secret::{read_secret, twin},
    section::{NamedTable, Section, named},
    values::without_password,
};

/// Values given on the command line, by the name of the variable they override.
pub type Flags = BTreeMap<&'static str, String>;

/// The keys of the file that hold tables.
pub(super) const SECTIONS: [&str; 2] = ["providers", "mcp"];

/// Other names that settings have in the file.
const ALIASES: [(&str, &str); 1] = [("OPENAI_MODEL", "default_model")];

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    Flag,
    Environment,
    File,
    /// The file that `NAME_FILE` names, for secrets.
    #[serde(rename = "secret_file")]
    SecretFile,
    Default,
    /// An optional value that nobody gave.
    Unset,
}

/// One effective value, with secrets masked.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Setting {
    /// The name of the variable; `providers.groq` for a section of the file.
    pub name: Cow<'static, str>,
    pub value: String,
    pub source: Source,
    /// What it is when nobody says anything; empty where it is not set then.
    #[serde(skip)]
    pub default: String,
    /// Whether it is a secret, which a file may hold that `NAME_FILE` names.
    #[serde(skip)]
    pub secret: bool,
    /// The file that held the secret.
    #[serde(skip)]
    pub secret_file: Option<PathBuf>,
}

/// Everything that is wrong with the configuration.
#[derive(Debug, thiserror::Error)]
#[error("the configuration has {} problem{}:\n{}", .problems.len(), if .problems.len() == 1 { "" } else { "s" },
    .problems.iter().map(|p| format!("  - {p}")).collect::<Vec<_>>().join("\n"))]
pub struct ConfigError {
    pub problems: Vec<String>,
}

/// A value as it was found.
struct Found {
    text: String,
    source: Source,
    /// What problems call it: `PORT`, or `productforge.toml:3: port`.
    called: String,
}

pub(super) struct Reader<'a> {
    flags: &'a Flags,
    env: &'a dyn Fn(&str) -> Option<String>,
    file: Option<&'a ConfigFile<'a>>,
    problems: Vec<String>,
    settings: Vec<Setting>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        flags: &'a Flags,
        env: &'a dyn Fn(&str) -> Option<String>,
        file: Option<&'a ConfigFile<'a>>,
    ) -> Self {
        Self { flags, env, file, problems: Vec::new(), settings: Vec::new() }
    }

    fn find(&mut self, name: &str) -> Option<Found> {
        if let Some(value) = self.flags.get(name) {
            return Some(Found { text: value.clone(), source: Source::Flag, called: name.to_owned() });
        }
        let text = (self.env)(name).map(|value| value.trim().to_owned()).unwrap_or_default();
        if !text.is_empty() {
            return Some(Found { text, source: Source::Environment, called: name.to_owned() });
        }
        self.find_in_file(name)
    }

    /// A secret: the value itself, or the text of the file that its twin `NAME_FILE` names, and which file that was.
    /// An error is a problem of the twin.
    fn find_secret(&mut self, name: &str) -> Option<(Found, Option<PathBuf>)> {
        let own = self.find(name);
        let Some(twin) = self.find(&twin(name)) else { return own.map(|own| (own, None)) };
        if let Some(own) = own {
            let both = format!("{} and {} are both given; one is enough", own.called, twin.called);
            self.problems.push(both);
            return Some((own, None));
        }
        let called = format!("{} names {}:", twin.called, twin.text);
        match read_secret(&twin.text) {
            Ok(text) => {
                Some((Found { text, source: Source::SecretFile, called }, Some(PathBuf::from(twin.text))))
            }
            Err(why) => {
                self.problems.push(format!("{called} it {why}"));
                None
            }
        }
    }

    fn find_in_file(&mut self, name: &str) -> Option<Found> {
        let file = self.file?;
        let mut given = keys_of(name).filter_map(|key| file.table().get(key.as_ref()).map(|v| (key, v)));
        let (key, value) = given.next()?;
        let called = format!("{}: {key}", file.place(&value.span()));
        if let Some((other, _)) = given.next() {
            self.problems.push(format!("{called} and {other} are the same setting; one is enough"));
        }
        let Some(text) = scalar(value) else {
            self.problems.push(format!("{called} must be a text, a number, true or false"));
            return None;
        };
        (!text.is_empty()).then_some(Found { text, source: Source::File, called })
    }

    /// Shows which file is read, if one is.
    pub(super) fn note_file(&mut self) {
        let named = self.flags.contains_key(FILE).then_some(Source::Flag);
        let in_env = || (self.env)(FILE).filter(|name| !name.trim().is_empty()).map(|_| Source::Environment);
        match self.file {
            Some(file) => {
                let source = named.or_else(in_env).unwrap_or(Source::Default);
                self.note(FILE, file.name(), source);
            }
            None => self.note(FILE, "", Source::Unset),
        }
    }

    /// Adds an effective value that is shown beside the settings.
    pub(super) fn note(&mut self, name: impl Into<Cow<'static, str>>, value: &str, source: Source) {
        let (name, value) = (name.into(), value.to_owned());
        self.settings.push(Setting {
            name,
            value,
            source,
            default: String::new(),
            secret: false,
            secret_file: None,
        });
    }

    /// Where in the file a table stands, such as `[providers.groq]`.
    pub(super) fn place_of(&self, tables: &str, name: &str) -> Option<String> {
        let file = self.file?;
        let DeValue::Table(tables) = file.table().get(tables)?.get_ref() else { return None };
        let (key, _) = tables.iter().find(|(key, _)| key.get_ref().as_ref() == name)?;
        Some(file.place(&key.span()))
    }

    /// Adds a problem.
    pub(super) fn complain(&mut self, problem: impl Into<String>) {
        self.problems.push(problem.into());
    }

    /// Where a setting that was read came from.
    pub(super) fn source(&self, name: &str) -> Source {
        self.settings.iter().find(|setting| setting.name == name).map_or(Source::Unset, |s| s.source)
    }

    /// A value with a default.
    pub(super) fn value<T>(
        &mut self,
        name: &'static str,
        default: &str,
        parse: impl Fn(String) -> Result<T, String>,
    ) -> T {
        let Found { text, source, called } = self.find(name).unwrap_or_else(|| Found {
            text: default.to_owned(),
            source: Source::Default,
            called: name.to_owned(),
        });
        self.note(name, &text, source);
        if let Some(setting) = self.settings.last_mut() {
            setting.default = default.to_owned();
        }
        match parse(text.clone()) {
            Ok(value) => value,
            Err(why) => {
                self.problems.push(format!("{called} {why} (it is '{text}')"));
                parse(default.to_owned()).unwrap_or_else(|e| panic!("the default of {name} {e}"))
            }
        }
    }

    /// A value that may be missing.
    pub(super) fn optional<T>(
        &mut self,
        name: &'static str,
        parse: impl Fn(String) -> Result<T, String>,
    ) -> Option<T> {
        let Some(Found { text, source, called }) = self.find(name) else {
            self.note(name, "", Source::Unset);
            return None;
        };
        let shown = without_password(&text);
        self.note(name, &shown, source);
        parse(text).map_err(|why| self.problems.push(format!("{called} {why} (it is '{shown}')"))).ok()
    }

    /// A secret that may be missing. Neither settings nor problems show it.
    pub(super) fn secret(
        &mut self,
        name: &'static str,
        parse: impl Fn(String) -> Result<String, String>,
    ) -> Option<Secret> {
        let (found, file) = self.find_secret(name).unzip();
        let (shown, source) = found.as_ref().map_or(("", Source::Unset), |found| ("***", found.source));
        self.note(name, shown, source);
        if let Some(setting) = self.settings.last_mut() {
            (setting.secret, setting.secret_file) = (true, file.flatten());
        }
        let Found { text, called, .. } = found?;
        parse(text).map(Secret::new).map_err(|why| self.problems.push(format!("{called} {why}"))).ok()
    }

    /// The tables below a key of the file, such as `[providers.*]`, each read by `read`.
    pub(super) fn sections<T>(
        &mut self,
        key: &str,
        mut read: impl FnMut(&str, &mut Section<'_>) -> Option<T>,
    ) -> Vec<(String, T)> {
        let Some(file) = self.file else { return Vec::new() };
        let mut found = Vec::new();
        for NamedTable { name, place, table } in named(file, key, &mut self.problems) {
            let path = format!("{key}.{name}");
            let mut section = Section::new(path, place, table, file, self.env, &mut self.problems);
            found.extend(read(name, &mut section).map(|read| (name.to_owned(), read)));
            section.finish();
        }
        found
    }

    /// The settings, if nothing is wrong. To be called when all have been read: keys of the file that
    /// are none of them are problems.
    pub(super) fn finish(mut self) -> Result<Vec<Setting>, ConfigError> {
        self.name_unknown_keys();
        if self.problems.is_empty() {
            Ok(self.settings)
        } else {
            Err(ConfigError { problems: self.problems })
        }
    }

    fn name_unknown_keys(&mut self) {
        let Some(file) = self.file else { return };
        let settings = self.settings.iter().filter_map(|setting| match &setting.name {
            Cow::Borrowed(name) => Some((*name, setting.secret)),
            Cow::Owned(_) => None,
        });
        let keys = |(name, secret): (&'static str, bool)| {
            keys_of(name).chain(secret.then(|| Cow::Owned(twin(name).to_lowercase())))
        };
        let mut known: Vec<Cow<'static, str>> =
            settings.filter(|(name, _)| *name != FILE).flat_map(keys).collect();
        known.extend(SECTIONS.map(Cow::Borrowed));
        for (key, _) in file.table() {
            let name = key.get_ref().as_ref();
            if known.iter().all(|known| known != name) {
                let near = nearest(name, known.iter().map(Cow::as_ref));
                let hint = near.map_or_else(
                    || "`productforge config --table` has them all".to_owned(),
                    |near| format!("the nearest known one is {near}"),
                );
                let place = file.place(&key.span());
                self.problems.push(format!("{place}: {name} is no setting; {hint}"));
            }
        }
    }
}

/// The setting that names the file, and cannot stand in it.
pub(super) const FILE: &str = "CONFIG_FILE";

/// The names that a setting has in the file.
fn keys_of(name: &str) -> impl Iterator<Item = Cow<'static, str>> {
    let aliases = ALIASES.iter().filter(move |(of, _)| *of == name).map(|(_, alias)| Cow::Borrowed(*alias));
    std::iter::once(Cow::Owned(name.to_lowercase())).chain(aliases)
}
