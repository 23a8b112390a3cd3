//! Getting a key set once, from wherever it is.

use std::io::Read as _;
use std::path::PathBuf;
use std::time::Duration;

use keyward::jwk::KeySet;
use keyward::{FetchOptions, KeySetError, KeySource, UrlError, fetch_key_set};
use reqwest::Url;

use super::hints;
use crate::exit::Exit;

/// As large as a fetched set may be.
const MAX_BYTES: u64 = 1024 * 1024;

/// Where a key set is, as it was written on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::commands) enum Location {
    Url(String),
    File(PathBuf),
    StandardInput,
}

impl Location {
    /// A text with a scheme is an address, `-` is standard input, anything else is a file.
    pub(in crate::commands) fn parse(text: &str) -> Self {
        match text {
            "-" => Self::StandardInput,
            _ if text.contains("://") => Self::Url(text.to_owned()),
            _ => Self::File(PathBuf::from(text)),
        }
    }

    /// What it is called in messages: no query and no password, which may be secrets.
    pub(in crate::commands) fn name(&self) -> String {
        match self {
            Self::Url(text) => match Url::parse(text) {
                Ok(url) if url.has_host() => format!("{}{}", url.origin().ascii_serialization(), url.path()),
                _ => "the URL".to_owned(),
            },
            Self::File(path) => path.display().to_string(),
            Self::StandardInput => "standard input".to_owned(),
        }
    }
}

/// There is no key set to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::commands) struct Unobtainable {
    /// Whether the command line is to blame, rather than the place or the way to it.
    pub(in crate::commands) is_usage: bool,
    /// In words, with the name of the place.
    pub(in crate::commands) message: String,
    /// What was probably meant.
    pub(in crate::commands) hint: Option<String>,
}

impl Unobtainable {
    /// Says so on standard error.
    pub(in crate::commands) fn report(&self) -> Exit {
        eprintln!("{}", self.message);
        if let Some(hint) = &self.hint {
            eprintln!("hint: {hint}");
        }
        if self.is_usage { Exit::Usage } else { Exit::Unavailable }
    }
}

/// The key set at `location`, asked for once.
pub(in crate::commands) fn load(
    location: &Location,
    options: &FetchOptions,
    timeout: Duration,
) -> Result<KeySet, Unobtainable> {
    let source = match location {
        Location::Url(url) => KeySource::Url(url.clone()),
        Location::File(path) if !path.exists() => return Err(no_such_file(location)),
        Location::File(path) => KeySource::File(path.clone()),
        Location::StandardInput => return standard_input(),
    };
    let hint = match location {
        Location::Url(url) => hints::address(url),
        Location::File(_) | Location::StandardInput => None,
    };
    fetch(&source, options, timeout).map_err(|error| match error {
        // What the file's error says names it already.
        KeySetError::Fetch(error) if matches!(location, Location::File(_)) => {
            let message = if error.message.contains(&location.name()) {
                error.message
            } else {
                format!("{}: {}", location.name(), error.message)
            };
            Unobtainable { is_usage: false, message, hint: None }
        }
        error => unobtainable(&location.name(), &error, hint),
    })
}

/// The key set of a configured issuer, asked for once.
pub(in crate::commands) fn load_source(
    name: &str,
    source: &KeySource,
    options: &FetchOptions,
    timeout: Duration,
) -> Result<KeySet, Unobtainable> {
    let hint = match source {
        KeySource::Url(url) => hints::address(url),
        _ => None,
    };
    fetch(source, options, timeout).map_err(|error| unobtainable(name, &error, hint))
}

fn unobtainable(name: &str, error: &KeySetError, hint: Option<String>) -> Unobtainable {
    let hint = match error {
        KeySetError::Url(UrlError::Insecure) => Some("--allow-http allows plain http beyond this machine".to_owned()),
        _ => hint,
    };
    Unobtainable { is_usage: matches!(error, KeySetError::Url(_)), message: format!("{name}: {error}"), hint }
}

fn no_such_file(location: &Location) -> Unobtainable {
    let name = location.name();
    // A host has a dot, and so does a file: a path after it makes the difference.
    let is_address = name.split_once('/').is_some_and(|(host, _)| host.contains('.') && !host.starts_with('.'));
    let hint = is_address.then(|| format!("an address needs its scheme: https://{name}"));
    Unobtainable { is_usage: true, message: format!("{name}: there is no such file"), hint }
}

fn standard_input() -> Result<KeySet, Unobtainable> {
    let failed = |why: String| Unobtainable { is_usage: false, message: format!("standard input: {why}"), hint: None };
    let mut text = Vec::new();
    std::io::stdin().take(MAX_BYTES + 1).read_to_end(&mut text).map_err(|error| failed(error.to_string()))?;
    if text.len() as u64 > MAX_BYTES {
        return Err(failed("larger than 1 MiB".to_owned()));
    }
    KeySet::parse(&text).map_err(|error| failed(error.to_string()))
}

fn fetch(source: &KeySource, options: &FetchOptions, timeout: Duration) -> Result<KeySet, KeySetError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| UrlError::Client(error.to_string()))?;
    let fetched = runtime.block_on(fetch_key_set(source, options, timeout));
    // A name that is still being resolved must not keep the command waiting.
    runtime.shutdown_background();
    fetched
}
