use std::error::Error;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use keyward_core::jwk::KeySet;
use keyward_core::jwks::{FailureKind, Fetched};
use reqwest::header::{CACHE_CONTROL, ETAG, HeaderMap, IF_NONE_MATCH, RETRY_AFTER};
use reqwest::{Response, StatusCode, Url};

use super::{Fetch, FetchError};

mod client;
mod resolver;
pub(super) use client::HttpClient;
use resolver::NameError;

/// The largest answer that is read, after decompression.
pub(crate) const MAX_BYTES: usize = 1024 * 1024;

/// How key sets are fetched.
#[derive(Clone, Debug, Default)]
pub struct FetchOptions {
    /// Certificates in PEM that are trusted besides the system's. Default none.
    pub ca_file: Option<PathBuf>,
    /// Whether `http` is allowed to hosts other than this machine. Default no: whoever can change an answer on its way
    /// could sign tokens.
    pub allow_http: bool,
    /// How long connecting may take. Default: as long as the whole fetch.
    pub connect_timeout: Option<Duration>,
}

/// The address cannot be fetched from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// It is no absolute URL.
    #[error("not an absolute URL: {0}")]
    Invalid(String),
    /// Neither https nor http.
    #[error("the scheme {0} is not supported (accepted: https)")]
    Scheme(String),
    /// http to another machine.
    #[error("http is accepted for this machine only: use https, or allow http explicitly")]
    Insecure,
    /// A user or password in the URL.
    #[error("a user name or password in the URL is not supported")]
    Credentials,
    /// The file with certificates cannot be used.
    #[error("the certificates in {path} cannot be used: {why}")]
    Certificates {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The client cannot be set up.
    #[error("the HTTP client cannot be set up: {0}")]
    Client(String),
}

/// Whether key sets may be fetched from `text`: `https`, or `http` on this machine or when it is allowed.
///
/// # Errors
///
/// What is wrong with it.
pub fn check_url(text: &str, allow_http: bool) -> Result<Url, UrlError> {
    let url = Url::parse(text).map_err(|error| UrlError::Invalid(error.to_string()))?;
    match url.scheme() {
        "https" => {}
        "http" if allow_http || is_loopback(&url) => {}
        "http" => return Err(UrlError::Insecure),
        other => return Err(UrlError::Scheme(other.to_owned())),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(UrlError::Credentials);
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A JWK Set at a URL.
#[derive(Debug)]
pub(crate) struct HttpSource {
    client: HttpClient,
    url: Url,
}

impl HttpSource {
    pub(crate) fn new(url: &str, options: &FetchOptions) -> Result<Self, UrlError> {
        let url = check_url(url, options.allow_http)?;
        Ok(Self { client: HttpClient::new(&url, options)?, url })
    }

    pub(super) async fn fetch(&self, etag: Option<&str>) -> Result<Fetch, FetchError> {
        fetch_set(&self.client, &self.url, etag).await
    }

    pub(super) fn gave_up(&self, patience: Duration) -> FetchError {
        self.client.gave_up(patience)
    }
}

pub(super) async fn fetch_set(client: &HttpClient, url: &Url, etag: Option<&str>) -> Result<Fetch, FetchError> {
    let mut request = client.get(url).header("accept", "application/jwk-set+json, application/json");
    if let Some(etag) = etag {
        request = request.header(IF_NONE_MATCH, etag);
    }
    let answer = client.send(request).await?;
    if answer.status() == StatusCode::NOT_MODIFIED && etag.is_some() {
        return Ok(Fetch::NotModified { max_age: max_age(answer.headers()) });
    }
    let answer = expect_success(answer)?;
    let headers = answer.headers().clone();
    let body = read(answer).await?;
    let set = KeySet::parse(&body).map_err(|error| FetchError::new(FailureKind::Parse, error.to_string()))?;
    let etag = headers.get(ETAG).and_then(|etag| etag.to_str().ok()).map(str::to_owned);
    Ok(Fetch::Set(Fetched { set, etag, max_age: max_age(&headers) }))
}

pub(super) fn expect_success(answer: Response) -> Result<Response, FetchError> {
    let status = answer.status();
    if status == StatusCode::OK {
        return Ok(answer);
    }
    let seconds = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    Err(FetchError {
        retry_after: seconds.map(Duration::from_secs),
        ..FetchError::new(FailureKind::Status, format!("the endpoint answered with status {}", status.as_u16()))
    })
}

/// The whole body, given up as soon as it is larger than it may be; what is counted is what comes out of decompression.
pub(super) async fn read(mut answer: Response) -> Result<Vec<u8>, FetchError> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| classify_body(&error))? {
        if body.len() + chunk.len() > MAX_BYTES {
            return Err(FetchError::new(FailureKind::Body, "the answer is larger than 1 MiB"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The freshness that the answer allows (RFC 9111 section 5.2.2).
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let directives = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let mut age = None;
    for directive in directives.flat_map(|value| value.split(',')) {
        let (name, argument) = directive.split_once('=').unwrap_or((directive, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => return Some(Duration::ZERO),
            "max-age" => {
                age = argument.trim().trim_matches('"').parse().ok().map(Duration::from_secs).or(age);
            }
            _ => {}
        }
    }
    age
}

fn classify(error: &reqwest::Error) -> FetchError {
    /// What tokio-rustls says when the other end closes the connection before there is trust.
    const BROKEN_HANDSHAKE: &str = "tls handshake eof";
    let kind = if error.is_timeout() {
        FailureKind::Timeout
    } else if error.is_redirect() {
        FailureKind::Status
    } else if caused_by::<NameError>(error) {
        FailureKind::Dns
    } else if caused_by::<rustls::Error>(error) || in_words(error) == BROKEN_HANDSHAKE {
        FailureKind::Tls
    } else if error.is_body() || error.is_decode() {
        FailureKind::Body
    } else {
        FailureKind::Connect
    };
    FetchError::new(kind, in_words(error))
}

fn classify_body(error: &reqwest::Error) -> FetchError {
    let kind = if error.is_timeout() { FailureKind::Timeout } else { FailureKind::Body };
    FetchError::new(kind, format!("the answer broke off: {}", in_words(error)))
}

/// Whether an error of type `E` is among the causes, also where an [`std::io::Error`] wraps it.
fn caused_by<E: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if error.is::<E>() || wrapped.is_some_and(|inner| inner.is::<E>() || caused_by::<E>(inner)) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The innermost cause, which says the most; never the URL, which may hold a secret in its query.
fn in_words(error: &reqwest::Error) -> String {
    let mut innermost: &dyn Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    if innermost.is::<reqwest::Error>() {
        return "the request failed".to_owned();
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests;
