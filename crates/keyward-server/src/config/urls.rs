//! Addresses of identity providers.

use std::net::IpAddr;

use reqwest::Url;

use super::ConfigError;
use super::file::Raw;
use super::values;

/// What to do with a plain `http` address beyond loopback.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HttpRule {
    /// Whether it is allowed.
    pub(crate) allowed: bool,
    /// The file key that allows it, for the message.
    pub(crate) allowed_by: &'static str,
}

/// An address that keys are fetched from.
pub(crate) fn fetch_url(raw: &Raw, rule: HttpRule) -> Result<Url, ConfigError> {
    let text = values::text(raw)?;
    let url = Url::parse(&text).map_err(|error| raw.error(format!("is not a URL: {error}"), "an https URL"))?;
    // First, so that no later message shows a password.
    if !url.username().is_empty() || url.password().is_some() {
        return Err(raw.secret_error("holds a user name or a password", "a URL without credentials"));
    }
    check(raw, &url, rule)?;
    if url.fragment().is_some() {
        return Err(raw.error("has a fragment", "a URL without #"));
    }
    Ok(url)
}

/// An accepted `iss`. It may be any text (RFC 7519 section 4.1.1), but one that is a URL obeys the rule for http.
pub(crate) fn issuer(raw: &Raw, text: &str, rule: HttpRule) -> Result<(), ConfigError> {
    match Url::parse(text) {
        Ok(url) if text.contains("://") => check(raw, &url, rule),
        _ => Ok(()),
    }
}

/// Whether the address cannot leave this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => bare == "localhost" || bare.ends_with(".localhost"),
    }
}

fn check(raw: &Raw, url: &Url, rule: HttpRule) -> Result<(), ConfigError> {
    match url.scheme() {
        "https" => Ok(()),
        "http" if rule.allowed || is_loopback(url) => Ok(()),
        "http" => Err(raw.error("is http beyond loopback", format!("https, or http with {} = true", rule.allowed_by))),
        _ => Err(raw.error("is neither http nor https", "an https URL")),
    }
}
