//! Where key sets come from.

mod discovery;
mod file;
mod http;

use std::time::Duration;

use keyward_core::jwk::KeySet;
use keyward_core::jwks::{FailureKind, Fetched};

use crate::config::KeySource;

use self::discovery::DiscoverySource;
use self::file::FileSource;
use self::http::HttpSource;
pub use self::http::{FetchOptions, UrlError, check_url};

/// What a fetch brought.
#[derive(Debug)]
pub(crate) enum Fetch {
    Set(Fetched),
    NotModified { max_age: Option<Duration> },
}

/// A fetch that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchError {
    /// How.
    pub kind: FailureKind,
    /// In words, for the operator; no bytes of the answer.
    pub message: String,
    /// The `Retry-After` of the answer.
    pub retry_after: Option<Duration>,
}

impl FetchError {
    pub(crate) fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), retry_after: None }
    }
}

impl std::fmt::Display for FetchError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for FetchError {}

/// Why [`fetch_key_set`] has no key set to give.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeySetError {
    /// The address cannot be fetched from: a mistake of whoever wrote it.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The fetch failed: trying again later may help.
    #[error(transparent)]
    Fetch(#[from] FetchError),
}

/// Fetches a key set once, for tools that look at one: as hardened as the engine's own fetches, without cache, retries
/// or last known good. `timeout` bounds the whole of it. A set without usable keys is no error here; nor is
/// [`KeySource::None`], which has the empty set.
///
/// # Errors
///
/// When the address cannot be fetched from, or the fetch fails. Must be called within a tokio runtime.
pub async fn fetch_key_set(
    source: &KeySource,
    options: &FetchOptions,
    timeout: Duration,
) -> Result<KeySet, KeySetError> {
    let Some(place) = Source::new(source, options)? else {
        return Ok(if let KeySource::Static(set) = source { set.clone() } else { KeySet::default() });
    };
    match place.fetch(None, timeout).await? {
        Fetch::Set(fetched) => Ok(fetched.set),
        // Nothing was said to be held already, so this answer makes no sense.
        Fetch::NotModified { .. } => {
            Err(FetchError::new(FailureKind::Status, "an answer of 304 that nothing asked for").into())
        }
    }
}

/// A place that key sets are fetched from.
#[derive(Debug)]
pub(crate) enum Source {
    Http(HttpSource),
    Discovery(Box<DiscoverySource>),
    File(FileSource),
}

impl Source {
    /// The place that `keys` names; `None` for keys that are not fetched.
    pub(crate) fn new(keys: &KeySource, options: &FetchOptions) -> Result<Option<Self>, UrlError> {
        Ok(Some(match keys {
            KeySource::Url(url) => Self::Http(HttpSource::new(url, options)?),
            KeySource::Discovery(issuer) => Self::Discovery(Box::new(DiscoverySource::new(issuer, options.clone())?)),
            KeySource::File(path) => Self::File(FileSource::new(path.clone())),
            KeySource::Static(_) | KeySource::None => return Ok(None),
        }))
    }

    pub(crate) async fn fetch(&self, etag: Option<&str>, timeout: Duration) -> Result<Fetch, FetchError> {
        let fetching = async {
            match self {
                Self::Http(source) => source.fetch(etag).await,
                Self::Discovery(source) => source.fetch(etag, timeout).await,
                Self::File(source) => source.fetch(etag).await,
            }
        };
        match tokio::time::timeout(timeout, fetching).await {
            Ok(outcome) => outcome,
            Err(_) => Err(self.gave_up(timeout)),
        }
    }

    fn gave_up(&self, patience: Duration) -> FetchError {
        match self {
            Self::Http(source) => source.gave_up(patience),
            Self::Discovery(source) => source.gave_up(patience),
            Self::File(_) => {
                let secs = patience.as_secs_f64();
                FetchError::new(FailureKind::Timeout, format!("the file could not be read within {secs} s"))
            }
        }
    }

    /// What is wrong with the way to the keys although a fetch went on without it; told once.
    pub(crate) fn trouble(&self) -> Option<FetchError> {
        match self {
            Self::Discovery(source) => source.trouble(),
            Self::Http(_) | Self::File(_) => None,
        }
    }

    /// Whether the source tells by itself that it has changed since it was last asked.
    pub(crate) async fn has_changed(&self) -> bool {
        match self {
            Self::File(source) => source.has_changed().await,
            Self::Http(_) | Self::Discovery(_) => false,
        }
    }

    /// Whether [`Source::has_changed`] can ever say yes.
    pub(crate) const fn is_watchable(&self) -> bool {
        matches!(self, Self::File(_))
    }
}
