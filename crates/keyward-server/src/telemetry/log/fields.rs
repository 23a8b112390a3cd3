//! The fields of an event.

use serde_json::{Map, Value as Json};

/// A longer text is cut, in characters: a line must stay a line that can be read.
const TEXT_CHARS: usize = 2048;

/// Names that every line has; a field cannot take their place.
const RESERVED: [&str; 4] = ["timestamp", "level", "event", "message"];

/// The fields of an event, in the order in which they were added.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fields {
    fields: Vec<(&'static str, Json)>,
}

impl Fields {
    /// No fields.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field, or replaces the one of that name. Texts are cut after 2048 characters. The names `timestamp`,
    /// `level`, `event` and `message` are the line's own: such a field is left out.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Json>) -> Self {
        self.set(name, value.into());
        self
    }

    /// Adds a field when there is a value for it.
    #[must_use]
    pub fn with_some(self, name: &'static str, value: Option<impl Into<Json>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// The fields as a JSON object.
    #[must_use]
    pub fn to_json(&self) -> Json {
        Json::Object(self.fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect::<Map<_, _>>())
    }

    pub(super) fn set(&mut self, name: &'static str, value: Json) {
        if RESERVED.contains(&name) {
            return;
        }
        let value = cut(value);
        match self.fields.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.fields.push((name, value)),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &Json)> {
        self.fields.iter().map(|(name, value)| (*name, value))
    }
}

fn cut(value: Json) -> Json {
    match value {
        Json::String(mut text) => {
            if let Some((at, _)) = text.char_indices().nth(TEXT_CHARS) {
                text.truncate(at);
                text.push('…');
            }
            Json::String(text)
        }
        Json::Array(items) => Json::Array(items.into_iter().map(cut).collect()),
        other => other,
    }
}
