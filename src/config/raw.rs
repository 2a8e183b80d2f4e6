//! From file and environment to plain values: which keys exist, of which type, and where each value was written.
//!
//! A derived `Deserialize` would stop at its first error. Walking the parsed table against [`KEYS`] finds them all, and
//! gives each its line.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `true` or `false`.
    Bool,
    /// A section whose keys are the user's own, each with a text.
    Pairs,
    /// A text, or a whole number.
    Size,
    /// A text.
    Text,
    /// A text, or a section whose keys each have a text.
    TextOrPairs,
    /// A list of texts.
    Texts,
}

/// Every key there is. As an environment variable, `gateway.listen` is `CSG_GATEWAY__LISTEN`.
pub(super) const KEYS: &[(&str, Kind)] = &[
    ("audit.on_failure", Kind::Text),
    ("audit.retention", Kind::Text),
    ("console.listen", Kind::Text),
    ("console.tls", Kind::TextOrPairs),
    ("data_dir", Kind::Text),
    ("gateway.drain", Kind::Text),
    ("gateway.hostnames", Kind::Texts),
    ("gateway.listen", Kind::Texts),
    ("gateway.max_buffered_body", Kind::Size),
    ("gateway.max_spooled_body", Kind::Size),
    ("gateway.max_spooled_total", Kind::Size),
    ("gateway.passthrough", Kind::Texts),
    ("gateway.require_sni", Kind::Bool),
    ("gateway.spool_dir", Kind::Text),
    ("log.file", Kind::Text),
    ("log.format", Kind::Text),
    ("log.level", Kind::Text),
    ("secrets.key_file", Kind::Text),
    ("upstream.ca_file", Kind::Text),
    ("upstream.override", Kind::Pairs),
];

/// What the variables that stand for keys begin with.
const VARIABLE_PREFIX: &str = "CSG_";

/// One mistake in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it was written: `/etc/csg/csg.toml:3`, or a variable's name.
    pub origin: String,
    /// The path of the key, if it is about one.
    pub key: Option<String>,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// Everything that is wrong with the configuration; one line each.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Problems(pub Vec<Problem>);

/// A value as written, of the type its key takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Bool(bool),
    Pairs(Vec<(String, String)>),
    Text(String),
    Texts(Vec<String>),
}

/// The values that were given, each with where it was written; what is absent has its default.
#[derive(Debug, Default)]
pub(super) struct Raw {
    pub(super) values: BTreeMap<&'static str, (String, Value)>,
    pub(super) problems: Vec<Problem>,
}

impl Raw {
    /// Reads `text`, the content of `file`.
    pub(super) fn read_file(&mut self, file: &Path, text: &str) {
        let source = Source { file: file.to_path_buf(), text };
        match DeTable::parse(text) {
            Ok(table) => self.walk(&source, "", table.get_ref()),
            Err(error) => self.problems.push(Problem {
                origin: source.at(error.span().map_or(0, |span| span.start)),
                key: None,
                message: format!("not TOML: {}", error.message().replace('\n', ", ")),
            }),
        }
    }

    /// Reads the variables that stand for keys; they win over the file.
    pub(super) fn read_environment<'a>(&mut self, variables: impl IntoIterator<Item = (&'a str, &'a str)>) {
        for (name, text) in variables {
            let Some(rest) = name.strip_prefix(VARIABLE_PREFIX) else { continue };
            let path = rest.to_ascii_lowercase().replacen("__", ".", 1);
            if let Some(&(key, kind)) = KEYS.iter().find(|(key, _)| *key == path) {
                match from_variable(kind, text) {
                    Ok(value) => drop(self.values.insert(key, (name.to_owned(), value))),
                    Err(message) => self.problem(name.to_owned(), key, message),
                }
            } else if rest.contains("__") {
                let nearest = variable_of(nearest_key(&path));
                self.problems.push(Problem {
                    origin: name.to_owned(),
                    key: None,
                    message: format!("there is no such setting; the nearest is {nearest}"),
                });
            }
        }
    }

    fn walk(&mut self, source: &Source<'_>, section: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let path =
                if section.is_empty() { name.get_ref().to_string() } else { format!("{section}.{}", name.get_ref()) };
            let origin = source.at(name.span().start);
            if let Some(&(key, kind)) = KEYS.iter().find(|(key, _)| *key == path) {
                match from_toml(kind, value.get_ref()) {
                    Ok(value) => drop(self.values.insert(key, (origin, value))),
                    Err(message) => self.problem(origin, key, message),
                }
                continue;
            }
            let is_section =
                KEYS.iter().any(|(key, _)| key.strip_prefix(&path).is_some_and(|rest| rest.starts_with('.')));
            match value.get_ref() {
                DeValue::Table(inner) if is_section => self.walk(source, &path, inner),
                DeValue::Table(inner) if !inner.is_empty() => self.walk(source, &path, inner),
                other if is_section => {
                    let message = format!("must be a section, [{path}], not {}", name_of(other));
                    self.problem(origin, &path, message);
                }
                _ => {
                    let message = format!("unknown key; the nearest known one is {}", nearest_key(&path));
                    self.problem(origin, &path, message);
                }
            }
        }
    }

    fn problem(&mut self, origin: String, key: &str, message: String) {
        self.problems.push(Problem { origin, key: Some(key.to_owned()), message });
    }
}

struct Source<'a> {
    file: PathBuf,
    text: &'a str,
}

impl Source<'_> {
    fn at(&self, offset: usize) -> String {
        let line = 1 + self.text.bytes().take(offset).filter(|&byte| byte == b'\n').count();
        format!("{}:{line}", self.file.display())
    }
}

fn nearest_key(path: &str) -> &'static str {
    KEYS.iter().map(|(key, _)| *key).min_by_key(|key| strsim::damerau_levenshtein(key, path)).unwrap_or_default()
}

fn variable_of(key: &str) -> String {
    format!("{VARIABLE_PREFIX}{}", key.replace('.', "__").to_ascii_uppercase())
}

fn from_toml(kind: Kind, value: &DeValue<'_>) -> Result<Value, String> {
    let text = |value: &DeValue<'_>| match value {
        DeValue::String(text) => Some(text.to_string()),
        _ => None,
    };
    match (kind, value) {
        (Kind::Bool, DeValue::Boolean(value)) => Ok(Value::Bool(*value)),
        (Kind::Size, DeValue::Integer(number)) if number.radix() == 10 => Ok(Value::Text(number.as_str().to_owned())),
        (Kind::Text | Kind::TextOrPairs | Kind::Size, DeValue::String(value)) => Ok(Value::Text(value.to_string())),
        (Kind::Texts, DeValue::Array(items)) => items
            .iter()
            .map(|item| {
                text(item.get_ref())
                    .ok_or_else(|| format!("holds {}, where only texts may be", name_of(item.get_ref())))
            })
            .collect::<Result<_, _>>()
            .map(Value::Texts),
        (Kind::Pairs | Kind::TextOrPairs, DeValue::Table(table)) => table
            .iter()
            .map(|(name, value): (&Spanned<_>, &Spanned<_>)| match text(value.get_ref()) {
                Some(text) => Ok((name.get_ref().to_string(), text)),
                None if matches!(value.get_ref(), DeValue::Table(_)) => {
                    Err(format!("put quotes around the name that begins with \"{}\"", name.get_ref()))
                }
                None => Err(format!("\"{}\" must have a text, not {}", name.get_ref(), name_of(value.get_ref()))),
            })
            .collect::<Result<_, _>>()
            .map(Value::Pairs),
        (kind, value) => Err(format!("must be {}, not {}", kind.described(), name_of(value))),
    }
}

/// Lists are separated by commas, pairs are `name=value`.
fn from_variable(kind: Kind, text: &str) -> Result<Value, String> {
    let items = || text.split(',').map(str::trim).filter(|item| !item.is_empty());
    match kind {
        Kind::Bool => text.parse().map(Value::Bool).map_err(|_| "must be true or false".to_owned()),
        Kind::TextOrPairs if text.contains('=') => from_variable(Kind::Pairs, text),
        Kind::Size | Kind::Text | Kind::TextOrPairs => Ok(Value::Text(text.to_owned())),
        Kind::Texts => Ok(Value::Texts(items().map(str::to_owned).collect())),
        Kind::Pairs => items()
            .map(|item| match item.split_once('=') {
                Some((name, value)) => Ok((name.trim().to_owned(), value.trim().to_owned())),
                None => Err(format!("must be NAME=VALUE, separated by commas; \"{item}\" has no =")),
            })
            .collect::<Result<_, _>>()
            .map(Value::Pairs),
    }
}

impl Kind {
    const fn described(self) -> &'static str {
        match self {
            Self::Bool => "true or false",
            Self::Pairs => "a section",
            Self::Size => "a size such as \"16MiB\"",
            Self::Text => "a text in quotes",
            Self::TextOrPairs => "a text in quotes or a section",
            Self::Texts => "a list of texts",
        }
    }
}

fn name_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::Array(_) => "a list",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Float(_) | DeValue::Integer(_) => "a number",
        DeValue::String(_) => "a text",
        DeValue::Table(_) => "a section",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sorted_and_have_one_variable_each() {
        assert!(KEYS.is_sorted_by_key(|(key, _)| *key));
        assert_eq!(variable_of("gateway.max_buffered_body"), "CSG_GATEWAY__MAX_BUFFERED_BODY");
        assert_eq!(variable_of("data_dir"), "CSG_DATA_DIR");
    }

    #[test]
    fn the_page_of_the_configuration_has_every_key_and_no_other() {
        let page = include_str!("../../docs/configuration.md");
        let listed = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
        let mut listed: Vec<_> = listed.collect();
        listed.sort_unstable();
        assert_eq!(listed, KEYS.iter().map(|(key, _)| *key).collect::<Vec<_>>());
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let mut raw = Raw::default();
        raw.read_file(Path::new("f"), "data_dir = \"/a\"\n[upstream.override]\n\"*.b\" = \"c:1\"");
        raw.read_environment([
            ("CSG_DATA_DIR", "/b"),
            ("CSG_UPSTREAM__OVERRIDE", "*.x=y:1, z=w:2"),
            ("CSG_GATEWAY__LISTEN", ""),
            ("CSG_ADMIN_PASSWORD", "not ours"),
        ]);
        assert_eq!(raw.problems, []);
        assert_eq!(raw.values["data_dir"], ("CSG_DATA_DIR".into(), Value::Text("/b".into())));
        assert_eq!(raw.values["gateway.listen"].1, Value::Texts(vec![]));
        let pairs = vec![("*.x".into(), "y:1".into()), ("z".into(), "w:2".into())];
        assert_eq!(raw.values["upstream.override"].1, Value::Pairs(pairs));
    }
}
