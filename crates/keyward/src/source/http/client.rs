use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use keyward_core::jwks::FailureKind;
use reqwest::dns::Resolve;
use reqwest::{RequestBuilder, Response, Url};

use super::resolver::{Noting, SystemResolver};
use super::{FetchError, FetchOptions, UrlError, classify, in_words, is_loopback};

const MAX_REDIRECTS: usize = 5;

/// A client for one origin, which makes one request at a time.
#[derive(Clone, Debug)]
pub(in crate::source) struct HttpClient {
    client: reqwest::Client,
    resolving: Arc<AtomicBool>,
}

impl HttpClient {
    pub(in crate::source) fn new(url: &Url, options: &FetchOptions) -> Result<Self, UrlError> {
        Self::with_resolver(SystemResolver, url, options)
    }

    pub(super) fn with_resolver(
        resolver: impl Resolve + 'static,
        url: &Url,
        options: &FetchOptions,
    ) -> Result<Self, UrlError> {
        let resolving = Arc::<AtomicBool>::default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("keyward/", env!("CARGO_PKG_VERSION")))
            .redirect(same_origin())
            .dns_resolver(Noting { resolver, resolving: Arc::clone(&resolving) })
            // A connection that lay idle between refreshes is more likely dead than useful.
            .pool_max_idle_per_host(0);
        if let Some(timeout) = options.connect_timeout {
            builder = builder.connect_timeout(timeout);
        }
        if is_loopback(url) {
            builder = builder.no_proxy();
        }
        builder = match &options.ca_file {
            Some(path) => builder.tls_certs_merge(certificates(path)?),
            // Without TLS there is no need for the system's certificates, which may not be there.
            None if url.scheme() == "http" => builder.tls_certs_only([]),
            None => builder,
        };
        let client = builder.build().map_err(|error| UrlError::Client(in_words(&error)))?;
        Ok(Self { client, resolving })
    }

    pub(in crate::source) fn get(&self, url: &Url) -> RequestBuilder {
        self.client.get(url.clone())
    }

    pub(in crate::source) async fn send(&self, request: RequestBuilder) -> Result<Response, FetchError> {
        self.resolving.store(false, Ordering::Relaxed);
        request.send().await.map_err(|error| match error.is_timeout() && self.resolving.load(Ordering::Relaxed) {
            true => FetchError::new(FailureKind::Dns, "the name did not resolve in time"),
            false => classify(&error),
        })
    }

    /// What it means that a request was given up after `patience`.
    pub(in crate::source) fn gave_up(&self, patience: Duration) -> FetchError {
        let secs = patience.as_secs_f64();
        match self.resolving.load(Ordering::Relaxed) {
            true => FetchError::new(FailureKind::Dns, format!("the name did not resolve within {secs} s")),
            false => FetchError::new(FailureKind::Timeout, format!("no complete answer within {secs} s")),
        }
    }
}

fn certificates(path: &PathBuf) -> Result<Vec<reqwest::Certificate>, UrlError> {
    let unusable = |why: String| UrlError::Certificates { path: path.clone(), why };
    let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
    let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| unusable(in_words(&error)))?;
    if certificates.is_empty() { Err(unusable("it has none".to_owned())) } else { Ok(certificates) }
}

/// Redirects stay within the origin: who controls another host, or the way to it, must not choose our keys.
fn same_origin() -> reqwest::redirect::Policy {
    reqwest::redirect::Policy::custom(|attempt| {
        let origin = attempt.previous().first().map(Url::origin);
        if attempt.previous().len() > MAX_REDIRECTS {
            attempt.error("too many redirects")
        } else if origin == Some(attempt.url().origin()) {
            attempt.follow()
        } else {
            attempt.error("a redirect to another origin, which is not followed")
        }
    })
}
