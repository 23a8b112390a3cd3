//! Where the next page of a list begins.

use std::{fmt, str::FromStr};

use base64_simd::URL_SAFE_NO_PAD;

use super::{InvalidInput, Job, JobId, Timestamp};

const VERSION: u8 = 1;

/// The last job of a page; the next page has what is older. Jobs submitted meanwhile move nothing.
///
/// Written as base64url, opaque to clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// When that job was submitted.
    pub created_at: Timestamp,
    /// Its identifier, which orders those submitted in the same millisecond.
    pub id: JobId,
}

impl Cursor {
    /// The cursor of the page after `job`.
    #[must_use]
    pub const fn after(job: &Job) -> Self {
        Self { created_at: job.created_at, id: job.id }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [VERSION; 25];
        bytes[1..9].copy_from_slice(&self.created_at.unix_millis().to_be_bytes());
        bytes[9..].copy_from_slice(&self.id.to_bytes());
        f.write_str(&URL_SAFE_NO_PAD.encode_to_string(bytes))
    }
}

impl FromStr for Cursor {
    type Err = InvalidInput;

    fn from_str(text: &str) -> Result<Self, InvalidInput> {
        let invalid = || InvalidInput::field("cursor", "the next_cursor of an earlier page");
        let bytes = URL_SAFE_NO_PAD.decode_to_vec(text).map_err(|_| invalid())?;
        let [VERSION, rest @ ..] = bytes.as_slice() else {
            return Err(invalid());
        };
        let (millis, id) = rest.split_first_chunk::<8>().ok_or_else(invalid)?;
        Ok(Self {
            created_at: Timestamp::from_unix_millis(i64::from_be_bytes(*millis)),
            id: JobId::from_bytes(id.try_into().map_err(|_| invalid())?),
        })
    }
}
