//! Tokens that were verified before.
//!
//! An entry is found by the whole token and the policy it was checked against, under a hash that no outsider can
//! predict, and counts only as long as a fresh verification would come to the same end: while its times allow it, and
//! while the key that verified it is in the snapshot that readers see now.

use std::hash::{Hash, Hasher};

use foldhash::quality::RandomState;
use keyward_core::jwks::Snapshot;
use keyward_core::time::Now;
use keyward_core::token::VerifiedToken;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{Equivalent, OptionsBuilder, Weighter};

use crate::clock::GLANCE_LAG;

/// How many verified tokens are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenCacheConfig {
    /// At most this many. Default 100 000.
    pub max_entries: u64,
    /// Of at most about this many bytes in all. Default 192 MiB.
    pub max_bytes: u64,
}

impl Default for TokenCacheConfig {
    fn default() -> Self {
        Self { max_entries: 100_000, max_bytes: 192 * 1024 * 1024 }
    }
}

#[derive(Debug)]
pub(crate) struct TokenCache {
    entries: Cache<Key, Entry, Weight, RandomState>,
}

#[derive(Clone, Debug)]
struct Key {
    token: VerifiedToken,
    policy: u32,
}

/// A key as it is looked up: nothing is copied.
struct Lookup<'a> {
    token: &'a str,
    policy: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    token: VerifiedToken,
    /// Which of the configured issuers.
    pub(crate) issuer: usize,
    /// The generation of the issuer's snapshot against which it was verified.
    generation: u64,
}

impl TokenCache {
    pub(crate) fn new(config: TokenCacheConfig) -> Self {
        let entries = config.max_entries.max(1);
        let least = (config.max_bytes / entries).max(1);
        let capacity = least.saturating_mul(entries);
        let options = OptionsBuilder::new()
            .estimated_items_capacity(usize::try_from(entries).unwrap_or(usize::MAX).min(100_000))
            .weight_capacity(capacity)
            .build()
            .unwrap_or_else(|_| unreachable!("both capacities are set"));
        Self {
            entries: Cache::with_options(
                options,
                Weight { least },
                RandomState::default(),
                DefaultLifecycle::default(),
            ),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn get(&self, token: &str, policy: u32) -> Option<Entry> {
        self.entries.get(&Lookup { token, policy })
    }

    pub(crate) fn insert(&self, token: &VerifiedToken, policy: u32, issuer: usize, generation: u64) {
        self.entries.insert(Key { token: token.clone(), policy }, Entry { token: token.clone(), issuer, generation });
    }

    pub(crate) fn remove(&self, token: &str, policy: u32) {
        self.entries.remove(&Lookup { token, policy });
    }
}

impl Entry {
    /// The token, if a verification against `snapshot` would accept it again; `now` is a glance at the clock.
    pub(crate) fn still_valid(self, snapshot: &Snapshot, now: Now) -> Option<VerifiedToken> {
        // What may have expired since is verified anew, by the exact time.
        if !self.token.is_timely(now.unix + GLANCE_LAG) {
            return None;
        }
        let same_snapshot = self.generation == snapshot.generation();
        let Some(key) = self.token.key() else {
            // Under a secret: a denial, or a key of the same kid, may have come with another snapshot.
            return same_snapshot.then_some(self.token);
        };
        let keys = snapshot.usable_keys(now.instant)?;
        if !same_snapshot && !keys.holds(key) {
            return None;
        }
        key.mark_used(now.unix);
        Some(self.token)
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.policy == other.policy && self.token.expose_token() == other.token.expose_token()
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Lookup { token: self.token.expose_token(), policy: self.policy }.hash(state);
    }
}

impl Hash for Lookup<'_> {
    /// Of the end of the token, where its signature is: as different from token to token as all of it, for a fraction
    /// of the time. Only verified tokens are kept, so that an outsider cannot fill the cache with tokens that end
    /// alike. Which one is meant is decided by the whole token.
    fn hash<H: Hasher>(&self, state: &mut H) {
        const END: usize = 64;
        let token = self.token.as_bytes();
        state.write(&token[token.len().saturating_sub(END)..]);
        state.write_u32(self.policy);
    }
}

impl Equivalent<Key> for Lookup<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.policy == key.policy && self.token == key.token.expose_token()
    }
}

/// An entry weighs what it holds, and at least its share, so that the number of entries is bounded too.
#[derive(Clone, Debug)]
struct Weight {
    least: u64,
}

impl Weighter<Key, Entry> for Weight {
    fn weight(&self, key: &Key, _: &Entry) -> u64 {
        /// The entry, its key and its place in the table.
        const OVERHEAD: usize = 160;
        ((key.token.memory() + OVERHEAD) as u64).max(self.least)
    }
}

#[cfg(test)]
mod tests;
