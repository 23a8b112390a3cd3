//! The TOML file as a tree that remembers lines and which keys were read.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::suggest::closest;
use super::{ConfigError, Source};

/// A value with the place where it was written.
#[derive(Clone, Debug)]
pub(crate) struct Raw {
    pub(crate) value: Value,
    pub(crate) source: Source,
}

/// What was written. `Text` comes from the environment or a flag and may be anything; the others are TOML's types.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(String),
    String(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Datetime(String),
    Array(Vec<Raw>),
    Table(Table),
}

/// A table of the file. Reading a key marks it; what is never read is an unknown key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    key: String,
    raw: Raw,
    taken: Cell<bool>,
}

impl Table {
    /// Parses the text of a file.
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let reader = Reader { path: path.to_owned(), text };
        let document = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
            path: path.to_owned(),
            line: reader.line(error.span().map_or(0, |span| span.start)),
            message: error.message().trim().replace('\n', "; "),
        })?;
        reader.table(document.get_ref(), "")
    }

    /// The value of a key, marked as read.
    pub(crate) fn get(&self, key: &str) -> Option<&Raw> {
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        entry.taken.set(true);
        Some(&entry.raw)
    }

    /// The value behind a dotted path of at most two keys. A section that is not a table is an error.
    pub(crate) fn get_path(&self, path: &str) -> Result<Option<&Raw>, ConfigError> {
        let Some((section, key)) = path.split_once('.') else {
            return Ok(self.get(path));
        };
        match self.get(section) {
            None => Ok(None),
            Some(raw) => Ok(raw.table()?.get(key)),
        }
    }

    /// Every entry, marked as read.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, &Raw)> {
        self.entries.iter().map(|entry| {
            entry.taken.set(true);
            (entry.key.as_str(), &entry.raw)
        })
    }

    /// Fails on the first key that was not read. `known` are the full names that may stand here, for the suggestion.
    pub(crate) fn refuse_unknown(&self, known: &[&str]) -> Result<(), ConfigError> {
        match self.entries.iter().find(|entry| !entry.taken.get()) {
            None => Ok(()),
            Some(entry) => Err(ConfigError::UnknownKey {
                at: Box::new(entry.raw.source.clone()),
                meant: closest(&entry.key, known.iter().copied()).map(str::to_owned),
            }),
        }
    }
}

impl Raw {
    /// The table that this value must be.
    pub(crate) fn table(&self) -> Result<&Table, ConfigError> {
        match &self.value {
            Value::Table(table) => Ok(table),
            _ => Err(self.error("is not a table", "a table")),
        }
    }

    /// The array that this value must be.
    pub(crate) fn array(&self) -> Result<&[Self], ConfigError> {
        match &self.value {
            Value::Array(items) => Ok(items),
            _ => Err(self.error("is not an array", "an array")),
        }
    }

    /// An error that shows this value.
    pub(crate) fn error(&self, problem: impl Into<String>, accepted: impl Into<String>) -> ConfigError {
        ConfigError::invalid(&self.source, Some(self.shown()), problem, accepted)
    }

    /// An error that must not show this value.
    pub(crate) fn secret_error(&self, problem: impl Into<String>, accepted: impl Into<String>) -> ConfigError {
        ConfigError::invalid(&self.source, None, problem, accepted)
    }

    fn shown(&self) -> String {
        match &self.value {
            Value::Text(text) | Value::String(text) => format!("{text:?}"),
            Value::Integer(number) => number.to_string(),
            Value::Float(number) => format!("{number:?}"),
            Value::Boolean(value) => value.to_string(),
            Value::Datetime(text) => text.clone(),
            Value::Array(items) if items.is_empty() => "[]".to_owned(),
            Value::Array(_) => "an array".to_owned(),
            Value::Table(_) => "a table".to_owned(),
        }
    }
}

struct Reader<'a> {
    path: PathBuf,
    text: &'a str,
}

impl Reader<'_> {
    fn line(&self, offset: usize) -> usize {
        let offset = offset.min(self.text.len());
        self.text.as_bytes()[..offset].iter().filter(|byte| **byte == b'\n').count() + 1
    }

    fn table(&self, table: &DeTable<'_>, path: &str) -> Result<Table, ConfigError> {
        let mut entries = Vec::new();
        for (key, value) in table.iter() {
            let name = key.get_ref().as_ref();
            let full = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            let source = Source::File { path: self.path.clone(), line: self.line(key.span().start), key: full.clone() };
            let value = self.value(value.get_ref(), &full, &source)?;
            entries.push((
                key.span().start,
                Entry { key: name.to_owned(), raw: Raw { value, source }, taken: Cell::new(false) },
            ));
        }
        // The parser sorts by name; a person reads from top to bottom.
        entries.sort_by_key(|(start, _)| *start);
        Ok(Table { entries: entries.into_iter().map(|(_, entry)| entry).collect() })
    }

    fn value(&self, value: &DeValue<'_>, path: &str, source: &Source) -> Result<Value, ConfigError> {
        Ok(match value {
            DeValue::String(text) => Value::String(text.as_ref().to_owned()),
            DeValue::Boolean(value) => Value::Boolean(*value),
            DeValue::Datetime(value) => Value::Datetime(value.to_string()),
            DeValue::Table(table) => Value::Table(self.table(table, path)?),
            DeValue::Array(items) => Value::Array(self.items(items, path)?),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map(Value::Integer)
                .map_err(|_| out_of_range(source, number.to_string()))?,
            DeValue::Float(number) => {
                number.as_str().parse().map(Value::Float).map_err(|_| out_of_range(source, number.to_string()))?
            }
        })
    }

    fn items(&self, items: &toml::de::DeArray<'_>, path: &str) -> Result<Vec<Raw>, ConfigError> {
        let item = |(index, item): (usize, &toml::Spanned<DeValue<'_>>)| {
            let key = format!("{path}[{index}]");
            let source = Source::File { path: self.path.clone(), line: self.line(item.span().start), key: key.clone() };
            Ok(Raw { value: self.value(item.get_ref(), &key, &source)?, source })
        };
        items.iter().enumerate().map(item).collect()
    }
}

fn out_of_range(source: &Source, shown: String) -> ConfigError {
    ConfigError::invalid(source, Some(shown), "is out of range", "a 64-bit number")
}
