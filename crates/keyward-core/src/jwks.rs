//! The key-set cache as a state machine: it owns no socket and reads no clock.
//!
//! Time comes in as an argument, work goes out as [`Action`]s, what happened goes out as [`Event`]s. One driver owns a
//! [`Cache`], carries out its actions and publishes its [`Snapshot`]s; whoever verifies reads snapshots only.
//!
//! Ages count from the last success. Up to the ttl a set is fresh; from there to the stale ttl it still serves; beyond
//! it nothing is served, and tokens are answered with "we cannot tell" rather than "no".

mod budget;
mod changes;
mod config;
mod machine;
mod operator;
mod protocol;
mod schedule;
mod snapshot;
mod waiting;

pub use config::CacheConfig;
pub use machine::Cache;
pub use operator::{OperatorState, StaleExtension};
pub use protocol::{
    Action, Event, FailureKind, FetchId, Fetched, Input, KeyChanges, KeyQuery, Miss, RefreshOutcome, Settled, Stored,
    Suppressed, Trigger,
};
pub use schedule::Jitter;
pub use snapshot::{CacheState, Snapshot};
