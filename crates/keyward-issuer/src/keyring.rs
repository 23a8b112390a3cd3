//! The issuer's keys, which of them signs, and which are listed in the key set.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::{
    algorithm::{Family, SigningAlgorithm},
    error::KeyError,
    keys::SigningKey,
};

/// A key rotation, for [`Issuer::rotate`](crate::Issuer::rotate).
#[derive(Clone, Debug)]
pub struct Rotate {
    /// Algorithm of the new key. Default that of the key that signs now.
    pub alg: Option<SigningAlgorithm>,
    /// Keeps the earlier keys in the set. Default `true`; `false` withdraws every one of them.
    pub keep_previous: bool,
    /// When the new key appears in the set. It signs at once in any case. Default [`Publish::Now`].
    pub publish: Publish,
}

impl Default for Rotate {
    fn default() -> Self {
        Self { alg: None, keep_previous: true, publish: Publish::Now }
    }
}

/// When a new key appears in the key set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Publish {
    /// At once.
    #[default]
    Now,
    /// Not before [`Issuer::publish`](crate::Issuer::publish) is called.
    Withheld,
    /// After this delay, as behind an edge cache.
    After(std::time::Duration),
}

/// Whether a key is in the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Listing {
    Listed,
    /// Listed from this moment on, in milliseconds since the epoch.
    ListedFrom(i64),
    /// Signs, and waits to be published.
    Withheld,
    /// Taken out of the set: tokens under it are no longer honoured by the issuer either.
    Withdrawn,
}

pub(crate) struct Entry {
    pub(crate) key: Arc<SigningKey>,
    pub(crate) listing: Listing,
}

/// Never empty: the last entry made is the one that signs.
pub(crate) struct KeyRing {
    pub(crate) entries: Vec<Entry>,
    /// The last algorithm rotated to, with the secret of a symmetric one.
    pub(crate) algorithm: SigningAlgorithm,
}

impl KeyRing {
    pub(crate) fn new(algorithm: SigningAlgorithm) -> Result<Self, KeyError> {
        let mut ring = Self { entries: Vec::new(), algorithm };
        ring.rotate(Rotate::default(), OffsetDateTime::UNIX_EPOCH)?;
        Ok(ring)
    }

    /// Makes a new key that signs from now on; returns its kid.
    pub(crate) fn rotate(&mut self, rotate: Rotate, now: OffsetDateTime) -> Result<String, KeyError> {
        let algorithm = rotate.alg.unwrap_or_else(|| self.algorithm.clone());
        let key = SigningKey::generate(Uuid::new_v4().to_string(), &algorithm)?;
        let kid = key.kid.clone();
        if !rotate.keep_previous {
            for entry in &mut self.entries {
                entry.listing = Listing::Withdrawn;
            }
        }
        let listing = match rotate.publish {
            Publish::Now => Listing::Listed,
            Publish::Withheld => Listing::Withheld,
            Publish::After(delay) => {
                let delay = Duration::try_from(delay).unwrap_or(Duration::MAX);
                Listing::ListedFrom(milliseconds(now.saturating_add(delay)))
            }
        };
        self.algorithm = algorithm;
        self.entries.push(Entry { key: Arc::new(key), listing });
        Ok(kid)
    }

    /// Puts a key into the set, or takes it out; `false` when there is no such key.
    pub(crate) fn list(&mut self, kid: &str, listing: Listing) -> bool {
        let entry = self.entries.iter_mut().find(|entry| entry.key.kid == kid);
        entry.map(|entry| entry.listing = listing).is_some()
    }

    /// The key that signs new tokens.
    pub(crate) fn signing(&self) -> Arc<SigningKey> {
        match self.entries.last() {
            Some(entry) => Arc::clone(&entry.key),
            None => unreachable!("a key ring is made with a key and never loses one"),
        }
    }

    /// Any key, withdrawn ones too.
    pub(crate) fn find(&self, kid: &str) -> Option<Arc<SigningKey>> {
        self.entries.iter().find(|entry| entry.key.kid == kid).map(|entry| Arc::clone(&entry.key))
    }

    /// The newest key of a family.
    pub(crate) fn newest(&self, family: Family) -> Option<Arc<SigningKey>> {
        self.entries.iter().rev().find(|entry| entry.key.alg.family() == family).map(|entry| Arc::clone(&entry.key))
    }

    /// The key under which the issuer itself still honours tokens.
    pub(crate) fn honoured(&self, kid: &str) -> Option<Arc<SigningKey>> {
        self.entries
            .iter()
            .find(|entry| entry.key.kid == kid && entry.listing != Listing::Withdrawn)
            .map(|entry| Arc::clone(&entry.key))
    }

    /// Public keys in the set at `now`, oldest first.
    pub(crate) fn jwks(&self, now: OffsetDateTime) -> Vec<Value> {
        self.listed(now).filter_map(|key| key.to_jwk()).collect()
    }

    /// Kids in the set at `now`, oldest first. Symmetric keys are never in it.
    pub(crate) fn kids(&self, now: OffsetDateTime) -> Vec<String> {
        self.listed(now).filter(|key| key.alg.family() != Family::Hmac).map(|key| key.kid.clone()).collect()
    }

    fn listed(&self, now: OffsetDateTime) -> impl Iterator<Item = &SigningKey> {
        let now = milliseconds(now);
        self.entries
            .iter()
            .filter(move |entry| match entry.listing {
                Listing::Listed => true,
                Listing::ListedFrom(from) => now >= from,
                Listing::Withheld | Listing::Withdrawn => false,
            })
            .map(|entry| &*entry.key)
    }
}

fn milliseconds(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}
