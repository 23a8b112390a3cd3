//! A key in words.

use keyward::jwk::{Key, KeySet, UnusableKey};
use serde::Serialize;
use serde_json::Value;

use crate::commands::output::{quoted, redact};

/// A usable key as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(in crate::commands) struct KeyRow {
    pub(super) kid: Option<String>,
    /// `kty`, RFC 7517 section 4.1.
    #[serde(rename = "type")]
    pub(super) kty: String,
    pub(super) curve: Option<String>,
    /// Length of an RSA modulus.
    pub(super) bits: Option<usize>,
    /// What it is pinned to.
    pub(super) algorithms: Vec<&'static str>,
    /// RFC 7638, SHA-256.
    pub(super) thumbprint: String,
}

impl KeyRow {
    /// Every usable key, in the order of [`KeySet::keys`].
    pub(in crate::commands) fn all(set: &KeySet) -> Vec<Self> {
        // The set writes its usable keys in their order, reduced to public members.
        let document: Value = serde_json::from_str(&set.to_json()).unwrap_or_default();
        let describe = |(index, key): (usize, &std::sync::Arc<Key>)| Self::new(key, &document["keys"][index]);
        set.keys().iter().enumerate().map(describe).collect()
    }

    fn new(key: &Key, jwk: &Value) -> Self {
        let text = |name: &str| jwk[name].as_str().map(str::to_owned);
        let bits = text("n").and_then(|n| base64_simd::URL_SAFE_NO_PAD.decode_to_vec(n).ok()).map(|n| {
            let first = n.iter().position(|byte| *byte != 0).unwrap_or(n.len());
            (n.len() - first) * 8 - n.get(first).map_or(0, |byte| byte.leading_zeros() as usize)
        });
        Self {
            kid: key.kid().map(redact),
            kty: text("kty").unwrap_or_default(),
            curve: text("crv"),
            bits,
            algorithms: key.algorithms().iter().map(keyward::alg::Algorithm::name).collect(),
            thumbprint: key.thumbprint().to_string(),
        }
    }

    /// `EC P-256`, `RSA 2048`.
    pub(in crate::commands) fn kind(&self) -> String {
        let bits = self.bits.map(|bits| bits.to_string());
        match self.curve.as_ref().or(bits.as_ref()) {
            Some(more) => format!("{} {more}", self.kty),
            None => self.kty.clone(),
        }
    }

    /// Its `kid` in quotes, or that it has none.
    pub(super) fn name(&self) -> String {
        named(self.kid.as_deref())
    }

    /// Its algorithms, joined.
    pub(super) fn algorithms(&self) -> String {
        self.algorithms.join(" ")
    }
}

/// An unusable key as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct UnusableRow {
    /// Its place in the set, from 0.
    pub(super) index: usize,
    pub(super) kid: Option<String>,
    pub(super) why: String,
}

impl UnusableRow {
    pub(super) fn new(key: &UnusableKey) -> Self {
        Self { index: key.index, kid: key.kid.as_deref().map(redact), why: redact(&key.why) }
    }

    pub(super) fn name(&self) -> String {
        named(self.kid.as_deref())
    }
}

fn named(kid: Option<&str>) -> String {
    kid.map_or_else(|| "(no kid)".to_owned(), quoted)
}
