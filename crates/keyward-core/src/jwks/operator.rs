use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::time::UnixTime;

/// What an operator has decided about an issuer's keys. It survives refreshes, outages and restarts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OperatorState {
    /// Denied `kid`s, and until when; `None` is for good.
    pub denied: BTreeMap<String, Option<UnixTime>>,
    /// How far the stale deadline is moved, if it is.
    pub extension: Option<StaleExtension>,
}

/// A stale deadline that lies further away for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaleExtension {
    /// Added to the stale ttl.
    pub by: Duration,
    /// When the extension ends.
    pub until: UnixTime,
}

impl OperatorState {
    /// The `kid`s that are denied at `now`.
    pub(super) fn denied_at(&self, now: UnixTime) -> BTreeSet<String> {
        self.denied
            .iter()
            .filter(|(_, until)| until.is_none_or(|until| now < until))
            .map(|(kid, _)| kid.clone())
            .collect()
    }

    /// What is added to the stale ttl at `now`, and for how long it still is.
    pub(super) fn extension_at(&self, now: UnixTime) -> (Duration, Duration) {
        let in_force = self.extension.filter(|extension| now < extension.until);
        in_force.map_or_else(Default::default, |extension| (extension.by, extension.until.since(now)))
    }

    /// Drops what has run out; whether anything had.
    pub(super) fn expire(&mut self, now: UnixTime) -> bool {
        let before = (self.denied.len(), self.extension.is_some());
        self.denied.retain(|_, until| until.is_none_or(|until| now < until));
        self.extension = self.extension.filter(|extension| now < extension.until);
        before != (self.denied.len(), self.extension.is_some())
    }

    /// How long until the next of its decisions runs out.
    pub(super) fn until_next_expiry(&self, now: UnixTime) -> Option<Duration> {
        let denials = self.denied.values().copied().flatten();
        denials.chain(self.extension.map(|extension| extension.until)).min().map(|until| until.since(now))
    }
}
