//! A value that is never shown.

use std::fmt;

use serde::{Serialize, Serializer};

/// What stands for a secret wherever one would be shown.
pub const REDACTED: &str = "<redacted>";

/// A secret from the configuration. `Debug`, `Display` and `Serialize` show [`REDACTED`]; [`Secret::reveal`] is the
/// only way to its content.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(content: impl Into<String>) -> Self {
        Self(content.into())
    }

    /// The content itself. What is done with it must not end in a log, an answer or an error.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}
