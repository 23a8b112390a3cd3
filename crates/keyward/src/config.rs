//! What an [`Authenticator`](crate::Authenticator) is told about an issuer.

use std::path::PathBuf;

use keyward_core::jwk::KeySet;
use keyward_core::jwks::CacheConfig;
use keyward_core::verifier::Verifier;

use crate::source::FetchOptions;

/// An issuer: how its tokens are verified, where its keys come from, how they are kept.
#[derive(Debug)]
pub struct IssuerConfig {
    /// What is accepted; its name is the issuer's.
    pub verifier: Verifier,
    /// Where the keys come from.
    pub keys: KeySource,
    /// How they are cached.
    pub cache: CacheConfig,
    /// How they are fetched.
    pub fetch: FetchOptions,
}

impl IssuerConfig {
    /// An issuer with the default cache and fetch options.
    #[must_use]
    pub fn new(verifier: Verifier, keys: KeySource) -> Self {
        Self { verifier, keys, cache: CacheConfig::default(), fetch: FetchOptions::default() }
    }
}

/// Where an issuer's keys come from.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// A JWK Set at this URL.
    Url(String),
    /// The metadata of this issuer (OpenID Connect Discovery), which must name exactly this issuer.
    Discovery(String),
    /// A JWK Set in this file, read again when it changes.
    File(PathBuf),
    /// Keys that are configured and never change.
    Static(KeySet),
    /// No keys: only tokens under the verifier's secret are accepted.
    None,
}

impl KeySource {
    /// What identifies the source: keys kept from another one are not used.
    pub(crate) fn identity(&self) -> Option<String> {
        match self {
            Self::Url(url) => Some(url.clone()),
            Self::Discovery(issuer) => Some(format!("discovery of {issuer}")),
            Self::File(path) => Some(path.display().to_string()),
            Self::Static(_) | Self::None => None,
        }
    }
}
