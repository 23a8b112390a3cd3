use std::sync::Arc;
use std::time::Duration;

use crate::jwk::KeySet;
use crate::time::{Instant, UnixTime};

/// What a set of keys is good for at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CacheState {
    /// No set was ever loaded.
    Empty,
    /// Within the ttl.
    Fresh,
    /// Past the ttl, within the stale ttl: still serving.
    Stale,
    /// Past the stale ttl: nothing is served.
    Expired,
}

impl CacheState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Empty, Self::Fresh, Self::Stale, Self::Expired];

    /// The name in metrics and status answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Fresh => "fresh",
            Self::Stale => "stale",
            Self::Expired => "expired",
        }
    }
}

/// What whoever verifies needs to know of an issuer's keys: immutable, cheap to share, judged by the reader's clock.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub(super) generation: u64,
    pub(super) keys: Arc<KeySet>,
    pub(super) succeeded: Option<Instant>,
    pub(super) succeeded_at: Option<UnixTime>,
    pub(super) fresh_until: Instant,
    pub(super) usable_until: Instant,
    pub(super) trustworthy: bool,
    pub(super) next_try: Instant,
}

impl Snapshot {
    /// Before anything was loaded.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            generation: 0,
            keys: Arc::default(),
            succeeded: None,
            succeeded_at: None,
            fresh_until: Instant::ORIGIN,
            usable_until: Instant::ORIGIN,
            trustworthy: false,
            next_try: Instant::ORIGIN,
        }
    }

    /// Grows with every published snapshot of an issuer.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// The keys to verify with, or `None` when none may be used at `now`.
    #[must_use]
    pub fn usable_keys(&self, now: Instant) -> Option<&KeySet> {
        (now <= self.usable_until && self.generation > 0 && !self.keys.keys().is_empty()).then_some(&*self.keys)
    }

    /// The keys last loaded, whether or not they may still be used: for display.
    #[must_use]
    pub fn keys(&self) -> &Arc<KeySet> {
        &self.keys
    }

    /// Fresh, stale, expired or empty at `now`.
    #[must_use]
    pub fn state(&self, now: Instant) -> CacheState {
        if self.keys.keys().is_empty() {
            CacheState::Empty
        } else if now <= self.fresh_until {
            CacheState::Fresh
        } else if now <= self.usable_until {
            CacheState::Stale
        } else {
            CacheState::Expired
        }
    }

    /// Whether the last refresh succeeded, so that a `kid` which is not here does not exist.
    #[must_use]
    pub const fn is_trustworthy(&self) -> bool {
        self.trustworthy
    }

    /// Since the last success; `None` for keys that never age, and before the first success.
    #[must_use]
    pub fn age(&self, now: Instant) -> Option<Duration> {
        self.succeeded.map(|succeeded| now.since(succeeded))
    }

    /// The calendar time of the last success.
    #[must_use]
    pub const fn succeeded_at(&self) -> Option<UnixTime> {
        self.succeeded_at
    }

    /// From the last success to the moment at which nothing is served any more; `None` for keys that never age.
    #[must_use]
    pub fn usable_for(&self) -> Option<Duration> {
        self.succeeded.map(|succeeded| self.usable_until.since(succeeded))
    }

    /// Until nothing is served any more; zero once that is so, `None` for keys that never age.
    #[must_use]
    pub fn fails_closed_in(&self, now: Instant) -> Option<Duration> {
        (self.usable_until != Instant::NEVER).then(|| self.usable_until.since(now))
    }

    /// In how many whole seconds, from 1 to 60, another answer can be hoped for.
    #[must_use]
    pub fn retry_after_secs(&self, now: Instant) -> u32 {
        let secs = self.next_try.since(now).as_millis().div_ceil(1000).clamp(1, 60);
        u32::try_from(secs).unwrap_or(60)
    }
}
