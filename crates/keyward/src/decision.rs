use keyward_core::jwks::{Input, StaleExtension};
use keyward_core::time::UnixTime;

/// What an operator can decide about an issuer's keys. It survives refreshes, outages and restarts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Tokens that name this key are refused.
    Deny {
        /// The key's `kid`, whether or not there is such a key.
        kid: String,
        /// When the denial ends; `None` is never.
        until: Option<UnixTime>,
    },
    /// Takes a denial back.
    Allow {
        /// The key's `kid`.
        kid: String,
    },
    /// Moves the stale deadline for a while, or takes that back. Keys that are configured have no deadline to move.
    ExtendStale(Option<StaleExtension>),
}

impl From<Decision> for Input {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Deny { kid, until } => Self::DenyKey(kid, until),
            Decision::Allow { kid } => Self::AllowKey(kid),
            Decision::ExtendStale(extension) => Self::ExtendStale(extension),
        }
    }
}
