//! Limits, and the error for input beyond them.

use std::{fmt, ops::RangeInclusive, str::FromStr};

use serde::{Deserialize, Serialize};

/// Longest `kind`, in bytes.
pub const MAX_KIND_BYTES: usize = 64;
/// Longest payload, in bytes of JSON as sent.
pub const MAX_PAYLOAD_BYTES: usize = 64 * 1024;
/// Longest result, in bytes of JSON as sent.
pub const MAX_RESULT_BYTES: usize = 64 * 1024;
/// Longest error that is kept, in bytes of UTF-8. Longer ones are cut: a worker must be able to report any failure.
pub const MAX_ERROR_BYTES: usize = 4 * 1024;
/// Longest request body worth reading: the longest payload and room for the other members.
pub const MAX_BODY_BYTES: usize = MAX_PAYLOAD_BYTES + 16 * 1024;
/// Attempts when a submission says nothing.
pub const DEFAULT_MAX_ATTEMPTS: u32 = 3;
/// Most attempts a submission may ask for.
pub const MAX_MAX_ATTEMPTS: u32 = 25;
/// Seconds of a lease when the worker says nothing.
pub const DEFAULT_LEASE_SECONDS: u32 = 60;
/// Longest lease, in seconds.
pub const MAX_LEASE_SECONDS: u32 = 3600;
/// Jobs on a page when the list says nothing.
pub const DEFAULT_LIST_LIMIT: u32 = 20;
/// Jobs leased at once when the worker says nothing.
pub const DEFAULT_LEASE_LIMIT: u32 = 1;
/// Most jobs on one page, and in one lease.
pub const MAX_LIMIT: u32 = 100;
/// Most kinds one lease may name.
pub const MAX_KINDS: usize = 32;
/// Most days one usage report covers.
pub const MAX_USAGE_DAYS: u16 = 366;

/// What a caller sent cannot be accepted. The text is for the caller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidInput {
    /// The body is not the JSON object it should be.
    #[error("{0}")]
    Body(String),
    /// A member or parameter has a value that is not accepted.
    #[error("{field}: expected {expected}")]
    Field {
        /// Its name in the API.
        field: &'static str,
        /// What is accepted.
        expected: String,
    },
    /// A member is longer than allowed: 413 (RFC 9110, section 15.5.14).
    #[error("{field}: longer than {max_bytes} bytes")]
    TooLarge {
        /// Its name in the API.
        field: &'static str,
        /// How long it may be.
        max_bytes: usize,
    },
}

impl InvalidInput {
    /// `field` was not `expected`.
    pub fn field(field: &'static str, expected: impl Into<String>) -> Self {
        Self::Field { field, expected: expected.into() }
    }
}

/// Which worker a job is for: 1 to 64 ASCII letters, digits, `.`, `_`, `-`, `:` and `/`. Case counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Kind(String);

impl Kind {
    /// The kind's name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Kind {
    type Error = InvalidInput;

    fn try_from(name: String) -> Result<Self, InvalidInput> {
        let accepted = |b: u8| b.is_ascii_alphanumeric() || b"._-:/".contains(&b);
        if (1..=MAX_KIND_BYTES).contains(&name.len()) && name.bytes().all(accepted) {
            Ok(Self(name))
        } else {
            Err(InvalidInput::field("kind", "1 to 64 letters, digits and . _ - : /"))
        }
    }
}

impl FromStr for Kind {
    type Err = InvalidInput;

    fn from_str(name: &str) -> Result<Self, InvalidInput> {
        name.to_owned().try_into()
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `value`, or `default` when absent, if `accepted` contains it.
pub(super) fn in_range(
    field: &'static str,
    value: Option<i64>,
    default: u32,
    accepted: RangeInclusive<u32>,
) -> Result<u32, InvalidInput> {
    let Some(value) = value else {
        return Ok(default);
    };
    u32::try_from(value).ok().filter(|value| accepted.contains(value)).ok_or_else(|| {
        InvalidInput::field(field, format!("a whole number from {} to {}", accepted.start(), accepted.end()))
    })
}

/// The error as it is kept: at most [`MAX_ERROR_BYTES`], cut between characters, without NUL, which PostgreSQL refuses.
pub(super) fn kept_error(mut error: String) -> String {
    if error.contains('\0') {
        error = error.replace('\0', "\u{fffd}");
    }
    if error.len() > MAX_ERROR_BYTES {
        error.truncate(error.floor_char_boundary(MAX_ERROR_BYTES));
    }
    error
}
