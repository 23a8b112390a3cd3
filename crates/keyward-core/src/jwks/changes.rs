//! How a set of keys differs from the one before.

use super::KeyChanges;
use crate::jwk::{Key, KeySet, UnusableKey};

/// The keys that cannot be used, without those that were known for it.
pub(super) fn newly_unusable(old: &KeySet, new: &KeySet) -> Vec<UnusableKey> {
    let known = |key: &UnusableKey| old.unusable().iter().any(|one| one.kid == key.kid && one.why == key.why);
    new.unusable().iter().filter(|key| !known(key)).cloned().collect()
}

/// How the sets differ; `None` if they do not, or if there was none before.
pub(super) fn changes(old: &KeySet, new: &KeySet) -> Option<KeyChanges> {
    if old.keys().is_empty() {
        return None;
    }
    let name = |key: &Key| key.kid().map_or_else(|| key.thumbprint().to_string(), str::to_owned);
    let missing_from = |set: &KeySet, other: &KeySet| -> Vec<String> {
        set.keys().iter().filter(|key| !other.keys().iter().any(|one| one.is_same(key))).map(|key| name(key)).collect()
    };
    let (mut added, mut removed) = (missing_from(new, old), missing_from(old, new));
    if added.is_empty() && removed.is_empty() {
        return None;
    }
    let disjoint = removed.len() == old.keys().len();
    let replaced: Vec<String> = added.iter().filter(|kid| removed.contains(kid)).cloned().collect();
    added.retain(|kid| !replaced.contains(kid));
    removed.retain(|kid| !replaced.contains(kid));
    Some(KeyChanges { added, removed, replaced, disjoint })
}
