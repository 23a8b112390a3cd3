//! Faults of the key-set route, on demand.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How the key-set route misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum FaultMode {
    /// Answers [`Fault::status`], default 503, with a small JSON error.
    Status,
    /// Accepts the request and never answers.
    Hang,
    /// Answers properly, [`Fault::delay_ms`] late (default 3000). With [`Fault::drip`], sends the head at once and
    /// then one byte of the body every [`Fault::delay_ms`] (default 100).
    Slow,
    /// Resets the TCP connection (RST) instead of answering.
    Reset,
    /// 200 with `application/json` and bytes that are no JSON.
    Garbage,
    /// 200 with a page of HTML, as a captive portal or a wrong route gives.
    Html,
    /// Announces the whole body, sends half of it and closes the connection.
    Truncate,
    /// 200 with a set that has no keys.
    Empty,
    /// The proper set behind [`Fault::bytes`] of white space (default 128 MiB), streamed without a
    /// `Content-Length`. With [`Fault::gzip`] the same as a compression bomb.
    Huge,
    /// Redirects to [`Fault::location`], default this route itself, with [`Fault::status`], default 302.
    Redirect,
    /// 200 with other content: [`Fault::keys`] behind the issuer's own keys, or instead of them with
    /// [`Fault::replace`]; or [`Fault::raw`] as it is.
    Body,
}

/// A fault of the key-set route, for [`Issuer::set_fault`](crate::Issuer::set_fault) and `PUT /dev/fault`.
///
/// What a mode does not use is ignored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What goes wrong.
    pub mode: FaultMode,
    /// Only the next so many requests meet the fault, which then clears itself. Default all, until it is cleared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// HTTP status of `status` and `redirect`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Milliseconds of `slow`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// `Retry-After` header of any answer: seconds, or an HTTP date as a string.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Value>,
    /// Bytes of white space of `huge`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Target of `redirect`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// `slow`: byte by byte. Default `false`.
    #[serde(default)]
    pub drip: bool,
    /// `huge`: compressed. Default `false`.
    #[serde(default)]
    pub gzip: bool,
    /// `body`: raw JWKs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<Value>,
    /// `body`: `keys` stand alone. Default `false`.
    #[serde(default)]
    pub replace: bool,
    /// `body`: the whole answer, as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
    /// Headers added to any answer, replacing those it had.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
}

impl Fault {
    /// A fault of this mode, everything else by default.
    pub fn new(mode: FaultMode) -> Self {
        Self {
            mode,
            times: None,
            status: None,
            delay_ms: None,
            retry_after: None,
            bytes: None,
            location: None,
            drip: false,
            gzip: false,
            keys: Vec::new(),
            replace: false,
            raw: None,
            headers: BTreeMap::new(),
        }
    }

    /// Answers this HTTP status.
    pub fn status(status: u16) -> Self {
        Self { status: Some(status), ..Self::new(FaultMode::Status) }
    }

    /// Redirects there.
    pub fn redirect(location: impl Into<String>) -> Self {
        Self { location: Some(location.into()), ..Self::new(FaultMode::Redirect) }
    }

    /// Adds these raw JWKs behind the issuer's own keys.
    pub fn extra_keys(keys: Vec<Value>) -> Self {
        Self { keys, ..Self::new(FaultMode::Body) }
    }

    /// Lists these raw JWKs and nothing else.
    pub fn only_keys(keys: Vec<Value>) -> Self {
        Self { replace: true, ..Self::extra_keys(keys) }
    }

    /// Meets only the next `times` requests.
    #[must_use]
    pub fn times(self, times: u64) -> Self {
        Self { times: Some(times), ..self }
    }

    /// Waits so many milliseconds, in mode `slow`.
    #[must_use]
    pub fn delay_ms(self, milliseconds: u64) -> Self {
        Self { delay_ms: Some(milliseconds), ..self }
    }

    /// Why this fault cannot be set, in words.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        if self.status.is_some_and(|status| http::StatusCode::from_u16(status).is_err() || status < 200) {
            return Some("status must lie between 200 and 999");
        }
        let value = |text: &str| http::HeaderValue::from_str(text).is_ok();
        if self.location.as_deref().is_some_and(|location| !value(location)) {
            return Some("location is no header value");
        }
        match &self.retry_after {
            None | Some(Value::Number(_)) => {}
            Some(Value::String(text)) if value(text) => {}
            Some(_) => return Some("retry_after is neither seconds nor a date"),
        }
        let named = |name: &str| http::HeaderName::try_from(name).is_ok();
        let usable = |(name, text): (&String, &String)| named(name) && value(text);
        (!self.headers.iter().all(usable)).then_some("headers holds an invalid name or value")
    }
}
