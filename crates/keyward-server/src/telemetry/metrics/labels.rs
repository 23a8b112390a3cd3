//! Closed sets of label values. Those of jobs and of the key-set cache are their own.

pub use crate::jobs::{Outcome as JobOutcome, Status as JobStatus};
pub use keyward::jwks::{CacheState, FailureKind, RefreshOutcome, Suppressed, Trigger};

macro_rules! labels {
    ($($(#[doc = $doc:literal])+ $set:ident { $($(#[doc = $value_doc:literal])+ $value:ident = $name:literal,)+ })+) => {
        $(
            $(#[doc = $doc])+
            #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
            pub enum $set { $($(#[doc = $value_doc])+ $value,)+ }

            impl $set {
                /// Every value, in order; `value as usize` is its index.
                pub const ALL: &'static [Self] = &[$(Self::$value,)+];

                /// The label's value.
                #[must_use]
                pub const fn as_str(self) -> &'static str {
                    match self { $(Self::$value => $name,)+ }
                }
            }
        )+
    };
}

labels! {
    /// The outcome of verifying a token.
    Outcome {
        /// Accepted.
        Valid = "valid",
        /// Refused.
        Invalid = "invalid",
        /// Neither: the keys were not there.
        Unavailable = "unavailable",
    }
    /// What can be done with a key.
    KeyState {
        /// It verifies.
        Usable = "usable",
        /// It cannot be used.
        Unusable = "unusable",
        /// An operator has denied it.
        Denied = "denied",
    }
}

/// A count as a gauge takes it.
pub(super) fn to_i64(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

/// A status code as text, without allocating.
pub(super) fn status(code: u16) -> StatusText {
    let digit = |value: u16| b'0' + u8::try_from(value % 10).unwrap_or(0);
    StatusText([digit(code / 100), digit(code / 10), digit(code)])
}

pub(super) struct StatusText([u8; 3]);

impl StatusText {
    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("000")
    }
}
