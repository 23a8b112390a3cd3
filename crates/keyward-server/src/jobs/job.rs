//! A job as users and workers see it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{JobId, JsonText, Kind, LeaseId, Timestamp};

/// A job. Serializes with exactly the field names of the API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Identifies the job.
    pub id: JobId,
    /// Which worker it is for.
    pub kind: Kind,
    /// What the worker needs to know: any JSON, kept byte for byte.
    pub payload: JsonText,
    /// Where the job is in its life.
    pub status: Status,
    /// Leases taken so far.
    pub attempts: u32,
    /// Leases that may be taken.
    pub max_attempts: u32,
    /// Not leased before this instant.
    pub run_at: Timestamp,
    /// What the worker answered, when it succeeded and answered something.
    pub result: Option<JsonText>,
    /// Why the last attempt failed; absent once the job has succeeded.
    pub error: Option<String>,
    /// When it was submitted.
    pub created_at: Timestamp,
    /// When anything above last changed.
    pub updated_at: Timestamp,
}

/// A job in a worker's hands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LeasedJob {
    /// The job.
    #[serde(flatten)]
    pub job: Job,
    /// Fences every call the worker makes for this job.
    pub lease_id: LeaseId,
    /// From this instant on the job may be given to somebody else.
    pub lease_expires_at: Timestamp,
}

/// Whose job it is: a subject means nothing without its issuer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// Configured name of the issuer.
    pub issuer: String,
    /// The token's `sub`.
    pub subject: String,
}

impl Owner {
    /// The owner known to the issuer named `issuer` as `subject`.
    pub fn new(issuer: impl Into<String>, subject: impl Into<String>) -> Self {
        Self { issuer: issuer.into(), subject: subject.into() }
    }
}

macro_rules! word_enum {
    (
        $(#[$meta:meta])* $name:ident: $expected:literal {
            $($(#[$variant_meta:meta])* $variant:ident = $word:literal,)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$variant_meta])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// Every value, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word the API, the store and the metrics use.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(word: &str) -> Result<Self, UnknownWord> {
                Self::ALL
                    .iter()
                    .copied()
                    .find(|value| value.as_str() == word)
                    .ok_or(UnknownWord($expected))
            }
        }
    };
}

/// The word is none of those accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {0}")]
pub struct UnknownWord(&'static str);

word_enum! {
    /// Where a job is in its life.
    Status: "queued, running, succeeded, failed or cancelled" {
        /// Waiting for a worker, or for `run_at`.
        Queued = "queued",
        /// Leased by a worker.
        Running = "running",
        /// Completed by a worker.
        Succeeded = "succeeded",
        /// Given up: attempts used up, or the worker said not to retry.
        Failed = "failed",
        /// Cancelled by its owner.
        Cancelled = "cancelled",
    }
}

word_enum! {
    /// How a job ended; the unit of billing.
    Outcome: "succeeded, failed or cancelled" {
        /// A worker completed it.
        Succeeded = "succeeded",
        /// Its attempts were used up, or a worker gave it up.
        Failed = "failed",
        /// Its owner cancelled it.
        Cancelled = "cancelled",
    }
}

impl Status {
    /// How a job with this status ended; `None` while it has not.
    #[must_use]
    pub const fn outcome(self) -> Option<Outcome> {
        match self {
            Self::Queued | Self::Running => None,
            Self::Succeeded => Some(Outcome::Succeeded),
            Self::Failed => Some(Outcome::Failed),
            Self::Cancelled => Some(Outcome::Cancelled),
        }
    }
}
