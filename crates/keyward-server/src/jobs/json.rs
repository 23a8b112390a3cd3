//! JSON that passes through untouched.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::InvalidInput;

/// Containers within containers that a payload or result may have.
const MAX_DEPTH: usize = 64;

/// One JSON value, kept as it was written: no number is rounded and no member reordered.
///
/// `Debug` shows its length alone, as payloads belong to users and not into logs.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JsonText(Box<RawValue>);

impl JsonText {
    /// Accepts `raw` as a job's `field`.
    ///
    /// # Errors
    ///
    /// [`InvalidInput::TooLarge`] over `max_bytes`. [`InvalidInput::Field`] for JSON that ordinary parsers refuse
    /// (nested over 64 levels, numbers beyond a double's range, unpaired surrogates): it would break every worker
    /// whose lease answer it stands in.
    pub fn checked(raw: Box<RawValue>, field: &'static str, max_bytes: usize) -> Result<Self, InvalidInput> {
        if raw.get().len() > max_bytes {
            return Err(InvalidInput::TooLarge { field, max_bytes });
        }
        if depth(raw.get()) > MAX_DEPTH {
            return Err(InvalidInput::field(field, format!("JSON nested at most {MAX_DEPTH} levels deep")));
        }
        if let Err(error) = serde_json::from_str::<serde_json::Value>(raw.get()) {
            return Err(InvalidInput::field(field, format!("JSON that parsers accept ({error})")));
        }
        Ok(Self(raw))
    }

    /// Takes back what a store kept.
    ///
    /// # Errors
    ///
    /// When `text` is not one JSON value.
    pub fn from_stored(text: String) -> Result<Self, serde_json::Error> {
        RawValue::from_string(text).map(Self)
    }

    /// The JSON, as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// The JSON without the white space between its tokens.
    pub(super) fn without_whitespace(&self) -> String {
        let mut out = String::with_capacity(self.as_str().len());
        for (c, inside) in outside_and_inside_strings(self.as_str()) {
            if inside || !c.is_ascii_whitespace() {
                out.push(c);
            }
        }
        out
    }
}

impl PartialEq for JsonText {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl fmt::Debug for JsonText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JsonText({} bytes)", self.as_str().len())
    }
}

fn depth(json: &str) -> usize {
    let mut depth = 0_usize;
    let mut deepest = 0;
    for (c, inside) in outside_and_inside_strings(json) {
        match c {
            '[' | '{' if !inside => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            ']' | '}' if !inside => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Every character with whether it belongs to a string. The opening quote counts as outside, the closing one as inside.
fn outside_and_inside_strings(json: &str) -> impl Iterator<Item = (char, bool)> {
    let mut inside = false;
    let mut escaped = false;
    json.chars().map(move |c| {
        let was_inside = inside;
        if !inside {
            inside = c == '"';
        } else if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == '"' {
            inside = false;
        }
        (c, was_inside)
    })
}
