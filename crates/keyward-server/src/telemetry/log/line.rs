//! One event as one line, as JSON or for people.

use std::fmt::Write as _;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value as Json;
use time::OffsetDateTime;
use time::macros::format_description;
use tracing::Level;

use super::Fields;

pub(super) struct Line<'a> {
    pub(super) timestamp: OffsetDateTime,
    pub(super) level: Level,
    pub(super) event: &'a str,
    pub(super) message: &'a str,
    pub(super) fields: &'a Fields,
}

impl Line<'_> {
    /// One JSON object and a line feed. serde_json escapes control characters, so it is one line whatever is in it.
    pub(super) fn json(&self) -> Vec<u8> {
        let mut line = Vec::with_capacity(256);
        // Texts, numbers and arrays of them always serialize.
        if serde_json::to_writer(&mut line, self).is_err() {
            line.clear();
        }
        line.push(b'\n');
        line
    }

    /// `2026-11-24T18:00:00.000Z INFO  jwks_refreshed: message issuer=supabase kids=["a"]` and a line feed.
    pub(super) fn pretty(&self) -> Vec<u8> {
        let mut line = format!("{} {:<5} {}: ", self.timestamp(), self.level, self.event);
        escape(&mut line, self.message);
        for (name, value) in self.fields.iter() {
            line.push(' ');
            line.push_str(name);
            line.push('=');
            match value {
                Json::String(text) if is_bare(text) => line.push_str(text),
                value => escape(&mut line, &value.to_string()),
            }
        }
        line.push('\n');
        line.into_bytes()
    }

    /// RFC 3339, UTC, milliseconds.
    fn timestamp(&self) -> String {
        let utc = self.timestamp.to_offset(time::UtcOffset::UTC);
        let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
        utc.format(format).unwrap_or_default()
    }
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("timestamp", &self.timestamp())?;
        map.serialize_entry("level", self.level.as_str().to_ascii_lowercase().as_str())?;
        map.serialize_entry("event", self.event)?;
        map.serialize_entry("message", self.message)?;
        for (name, value) in self.fields.iter() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// Whether a text needs no quotes to be told from what follows it.
fn is_bare(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|character| character.is_alphanumeric() || "-_.:/@+".contains(character))
}

/// Writes a text so that it can neither begin a line, nor move a terminal's cursor, nor turn the direction of reading.
fn escape(out: &mut String, text: &str) {
    for character in text.chars() {
        let turns = matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        let breaks = matches!(character, '\u{2028}' | '\u{2029}');
        if character.is_control() || turns || breaks {
            // Writing to a String cannot fail.
            let _ = write!(out, "{}", character.escape_default());
        } else {
            out.push(character);
        }
    }
}
