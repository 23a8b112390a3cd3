//! Identifiers of jobs and leases.

use std::{
    fmt,
    str::FromStr,
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};
use uuid::{ContextV7, Uuid};

use super::Timestamp;

/// Counts within a millisecond, so that jobs submitted in the same one keep their order.
static SEQUENCE: Mutex<ContextV7> = Mutex::new(ContextV7::new());

/// Identifies a job: a UUIDv7 (RFC 9562, section 5.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(Uuid);

impl JobId {
    /// A new identifier for a job submitted at `now`. Those that one process makes are ever greater.
    #[must_use]
    pub fn generate(now: Timestamp) -> Self {
        let millis = now.unix_millis().unsigned_abs();
        let sequence = SEQUENCE.lock().unwrap_or_else(PoisonError::into_inner);
        // Below 1000 million: fits in 32 bits.
        let nanos = (millis % 1000) as u32 * 1_000_000;
        Self(Uuid::new_v7(uuid::Timestamp::from_unix(&*sequence, millis / 1000, nanos)))
    }

    /// The identifier with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The 16 bytes of the identifier.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        *self.0.as_bytes()
    }
}

/// Identifies one lease of one job: the fencing token a worker shows with every call. Random, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LeaseId(Uuid);

impl LeaseId {
    /// A new identifier.
    #[must_use]
    pub fn generate() -> Self {
        Self(Uuid::new_v4())
    }
}

macro_rules! written_as_uuid {
    ($id:ident) => {
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $id {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse().map(Self)
            }
        }
    };
}

written_as_uuid!(JobId);
written_as_uuid!(LeaseId);
