//! What goes into the machine and what comes out of it.

use std::sync::Arc;
use std::time::Duration;

use super::budget::LONGEST_KID;
use super::{OperatorState, Snapshot, StaleExtension};
use crate::jwk::{KeySet, UnusableKey};
use crate::time::{Instant, UnixTime};

/// Names one fetch attempt. Later attempts have greater ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FetchId(pub(super) u64);

/// Why keys are fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// The process has just started.
    Startup,
    /// The ttl is running out, or the last refresh failed.
    Scheduled,
    /// A token named a key that is not known.
    UnknownKid,
    /// An operator asked for it, or the source is known to have changed.
    Operator,
}

impl Trigger {
    /// Every trigger; `trigger as usize` is its index.
    pub const ALL: [Self; 4] = [Self::Startup, Self::Scheduled, Self::UnknownKid, Self::Operator];

    /// The name in metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Startup => "startup",
            Self::Scheduled => "scheduled",
            Self::UnknownKid => "unknown_kid",
            Self::Operator => "operator",
        }
    }
}

/// What went wrong with a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The name does not resolve, or not in time.
    Dns,
    /// No connection, one that broke, or one whose other end does not speak HTTP.
    Connect,
    /// No trust: certificate or protocol, or a handshake that the other end broke off.
    Tls,
    /// Too slow.
    Timeout,
    /// An answer that is not a success; a redirect that is not followed is one.
    Status,
    /// The body could not be read to its end, or is too large.
    Body,
    /// The body is no JWK Set.
    Parse,
    /// A JWK Set without a usable key.
    Empty,
}

impl FailureKind {
    /// Every kind; `kind as usize` is its index.
    pub const ALL: [Self; 8] =
        [Self::Dns, Self::Connect, Self::Tls, Self::Timeout, Self::Status, Self::Body, Self::Parse, Self::Empty];

    /// The name in metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Status => "status",
            Self::Body => "body",
            Self::Parse => "parse",
            Self::Empty => "empty",
        }
    }
}

/// How a refresh ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefreshOutcome {
    /// A set was loaded.
    Success,
    /// The issuer confirmed that the set has not changed.
    NotModified,
    /// Every attempt failed.
    Failure,
}

impl RefreshOutcome {
    /// Every outcome; `outcome as usize` is its index.
    pub const ALL: [Self; 3] = [Self::Success, Self::NotModified, Self::Failure];

    /// The name in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::NotModified => "not_modified",
            Self::Failure => "failure",
        }
    }
}

/// A set as it was fetched.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The keys.
    pub set: KeySet,
    /// The `ETag`, to be sent back.
    pub etag: Option<String>,
    /// The `max-age` of its `Cache-Control`.
    pub max_age: Option<Duration>,
}

/// A set as it is kept for the next start.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The usable keys. Not all that the issuer published, which is why no `ETag` is kept with them: an answer of 304
    /// would say more than is there.
    pub set: Arc<KeySet>,
    /// When the issuer last vouched for them.
    pub succeeded_at: UnixTime,
}

/// What happened outside.
#[derive(Clone, Debug)]
pub enum Input {
    /// A fetch brought a set.
    Fetched(FetchId, Fetched),
    /// A fetch brought "not modified".
    NotModified(FetchId, Option<Duration>),
    /// A fetch failed.
    Failed {
        /// Which.
        id: FetchId,
        /// How.
        kind: FailureKind,
        /// In words, for the operator; no bytes of the answer.
        error: String,
        /// The `Retry-After` of the answer.
        retry_after: Option<Duration>,
    },
    /// A set kept by an earlier process was found. Its age is told by the calendar.
    Restored(Stored),
    /// What another cache of this process, with the same source and clock, last showed its readers. Its age is told by
    /// the clock that nobody sets.
    Inherited(Arc<Snapshot>),
    /// What the operator had decided before the restart. To be given before [`Input::Restored`] and
    /// [`Input::Inherited`], whose age an extension may excuse.
    RestoredOperator(OperatorState),
    /// Refresh now.
    Refresh,
    /// Deny a `kid`, until a time or for good.
    DenyKey(String, Option<UnixTime>),
    /// Take a denial back.
    AllowKey(String),
    /// Move the stale deadline for a while, or take that back.
    ExtendStale(Option<StaleExtension>),
}

/// Work for the driver.
#[derive(Clone, Debug)]
pub enum Action {
    /// Fetch the set and answer with [`Input::Fetched`], [`Input::NotModified`] or [`Input::Failed`].
    Fetch {
        /// To be given back.
        id: FetchId,
        /// To be sent as `If-None-Match`.
        etag: Option<String>,
        /// How long it may take.
        timeout: Duration,
    },
    /// Make this snapshot the one that readers see.
    Publish(Arc<Snapshot>),
    /// Keep this set for the next start.
    Persist(Stored),
    /// Keep the operator's decisions for the next start.
    PersistOperator(OperatorState),
    /// Answer those who wait for a `kid`.
    Settle(Settled),
}

/// The end of waiting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// What was waited for; `None` for any key at all.
    pub kid: Option<String>,
    /// Only those who began to wait by then.
    pub arrived_until: Instant,
    /// What they are told.
    pub answer: Miss,
}

/// A question about a key that is not in the snapshot.
#[derive(Clone, Debug)]
pub struct KeyQuery {
    /// The token's `kid`; `None` asks for any key at all.
    pub kid: Option<String>,
    /// Whether the token could be one of this issuer's if its key existed: algorithm, issuer, audience and expiry are
    /// what they should be.
    pub plausible: bool,
}

impl KeyQuery {
    /// Whether the question may cost the issuer anything: one that is not is [`Suppressed::Screened`].
    #[must_use]
    pub fn is_worth_asking(&self) -> bool {
        self.plausible && self.kid.as_ref().is_none_or(|kid| kid.len() <= LONGEST_KID)
    }
}

/// What can be said about a key that is not in the snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// It is there by now.
    Present,
    /// A fetch is under way or will be soon; a [`Settled`] follows, not later than the configured wait.
    Wait,
    /// The issuer does not have it.
    Absent,
    /// It cannot be said right now.
    Unavailable,
}

/// Why an unknown `kid` did not cause a fetch of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Suppressed {
    /// The token could not have been accepted anyway.
    Screened,
    /// A fetch has just not brought this `kid`.
    NegativeCache,
    /// Refreshes are failing, and the next permitted fetch is too far away.
    Cooldown,
    /// Too many different unknown `kid`s.
    Budget,
}

impl Suppressed {
    /// Every cause; `why as usize` is its index.
    pub const ALL: [Self; 4] = [Self::Screened, Self::NegativeCache, Self::Cooldown, Self::Budget];

    /// The name in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Screened => "screened",
            Self::NegativeCache => "negative_cache",
            Self::Cooldown => "cooldown",
            Self::Budget => "budget",
        }
    }
}

/// How a set differs from the one before, in `kid`s.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyChanges {
    /// Only in the new set.
    pub added: Vec<String>,
    /// Only in the old set.
    pub removed: Vec<String>,
    /// In both, with other material: two keys were given the same name.
    pub replaced: Vec<String>,
    /// Whether the sets share no key.
    pub disjoint: bool,
}

/// What happened, for logs and metrics.
#[derive(Clone, Debug)]
pub enum Event {
    /// A refresh succeeded.
    Refreshed {
        /// Why it was made.
        trigger: Trigger,
        /// [`RefreshOutcome::Success`] or [`RefreshOutcome::NotModified`].
        outcome: RefreshOutcome,
        /// The usable keys.
        keys: Arc<KeySet>,
        /// The keys that cannot be used, when they are others than before.
        newly_unusable: Vec<UnusableKey>,
        /// From the start of the attempt.
        duration: Duration,
    },
    /// An attempt failed.
    AttemptFailed {
        /// Why the refresh is made.
        trigger: Trigger,
        /// How it failed.
        kind: FailureKind,
        /// In words.
        error: String,
        /// Which attempt of the refresh, from 1.
        attempt: u32,
        /// Until the next attempt.
        retry_in: Duration,
        /// How many keys are cached and usable.
        keys_cached: usize,
        /// Their age.
        age: Option<Duration>,
        /// From the start of the attempt.
        duration: Duration,
    },
    /// A refresh failed with all its attempts.
    RefreshFailed {
        /// Why it was made.
        trigger: Trigger,
    },
    /// Cached keys serve although refreshes fail.
    Fallback {
        /// How many.
        keys_cached: usize,
        /// Their age.
        age: Duration,
        /// Until nothing is served.
        fails_closed_in: Duration,
    },
    /// A set kept by an earlier process serves.
    Restored {
        /// How many keys.
        keys: Arc<KeySet>,
        /// Their age.
        age: Duration,
    },
    /// A set kept by an earlier process was found and not used.
    RestoreIgnored {
        /// Why.
        why: &'static str,
    },
    /// Nothing is served any more.
    Expired {
        /// The age of the keys.
        age: Duration,
    },
    /// The set differs from the one before.
    KeysChanged(KeyChanges),
    /// An unknown `kid` did not cause a fetch.
    Suppressed(Suppressed),
}
