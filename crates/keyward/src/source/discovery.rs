use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use keyward_core::jwks::{FailureKind, Fetched};
use reqwest::Url;
use serde::Deserialize;

use super::http::{FetchOptions, HttpClient, UrlError, check_url, expect_success, fetch_set, read};
use super::{Fetch, FetchError};

/// A JWK Set that the issuer's metadata points to (OpenID Connect Discovery 1.0 section 4).
#[derive(Debug)]
pub(crate) struct DiscoverySource {
    issuer: String,
    metadata_url: Url,
    options: FetchOptions,
    client: HttpClient,
    /// Where the set was found the last time, and the client for that origin.
    found: Mutex<Option<Place>>,
    /// Why the last fetch went to where the set was before.
    trouble: Mutex<Option<FetchError>>,
}

type Place = (Url, HttpClient);

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

impl DiscoverySource {
    pub(crate) fn new(issuer: &str, options: FetchOptions) -> Result<Self, UrlError> {
        let address = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let metadata_url = check_url(&address, options.allow_http)?;
        let client = HttpClient::new(&metadata_url, &options)?;
        let (found, trouble) = (Mutex::default(), Mutex::default());
        Ok(Self { issuer: issuer.to_owned(), metadata_url, options, client, found, trouble })
    }

    /// Asks the metadata each time, so that a set that moves is followed; when only the metadata cannot be had or used,
    /// the place where the set was found before serves, and [`DiscoverySource::trouble`] tells why.
    pub(super) async fn fetch(&self, etag: Option<&str>, timeout: Duration) -> Result<Fetch, FetchError> {
        let before = self.found();
        // Metadata that hangs leaves time for the place that is known.
        let patience = if before.is_some() { timeout / 2 } else { timeout };
        let discovered = tokio::time::timeout(patience, self.discover())
            .await
            .unwrap_or_else(|_| Err(metadata(self.client.gave_up(patience))));
        let (url, client) = match discovered {
            Ok(found) => {
                *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(found.clone());
                found
            }
            Err(error) => {
                let known = before.ok_or_else(|| error.clone())?;
                *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                known
            }
        };
        let etag = etag.and_then(|tag| tag.strip_prefix(url.as_str())?.strip_prefix(' '));
        Ok(match fetch_set(&client, &url, etag).await? {
            // A tag means something at the place that gave it only, and whoever keeps it knows nothing of places.
            Fetch::Set(set) => Fetch::Set(Fetched { etag: set.etag.map(|etag| format!("{url} {etag}")), ..set }),
            not_modified @ Fetch::NotModified { .. } => not_modified,
        })
    }

    /// Why the last fetch had to go to where the set was before; told once.
    pub(super) fn trouble(&self) -> Option<FetchError> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Metadata is given up earlier once a place is known, so that this is about the set.
    pub(super) fn gave_up(&self, patience: Duration) -> FetchError {
        match self.found() {
            Some((_, client)) => client.gave_up(patience),
            None => metadata(self.client.gave_up(patience)),
        }
    }

    fn found(&self) -> Option<Place> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn discover(&self) -> Result<Place, FetchError> {
        let answer = self.client.send(self.client.get(&self.metadata_url)).await;
        let answer = answer.and_then(expect_success).map_err(metadata)?;
        let body = read(answer).await.map_err(metadata)?;
        let parse = |why: &str| FetchError::new(FailureKind::Parse, format!("the issuer's metadata {why}"));
        let found: Metadata =
            serde_json::from_slice(&body).map_err(|_| parse("is not JSON with the members issuer and jwks_uri"))?;
        // Exactly: a trailing slash makes another issuer (section 4.3).
        if found.issuer != self.issuer {
            return Err(parse("names another issuer than the one that was asked"));
        }
        let url = check_url(&found.jwks_uri, self.options.allow_http)
            .map_err(|error| parse(&format!("has an unusable jwks_uri: {error}")))?;
        let client = self.client_for(&url).map_err(|error| parse(&error.to_string()))?;
        Ok((url, client))
    }

    /// Making a client reads certificates: the ones there are serve as long as the origin stays the same.
    fn client_for(&self, url: &Url) -> Result<HttpClient, UrlError> {
        match self.found() {
            _ if url.origin() == self.metadata_url.origin() => Ok(self.client.clone()),
            Some((place, client)) if url.origin() == place.origin() => Ok(client),
            _ => HttpClient::new(url, &self.options),
        }
    }
}

fn metadata(error: FetchError) -> FetchError {
    FetchError { message: format!("the issuer's metadata: {}", error.message), ..error }
}
