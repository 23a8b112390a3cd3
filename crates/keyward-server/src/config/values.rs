//! Reading a value of each kind, with one clear line when it is not one.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::file::{Raw, Value};
use super::{ConfigError, LogFormat, Secret};

/// A whole number. `unit` is what it counts, e.g. `seconds`.
pub(crate) fn whole(raw: &Raw, unit: &str, range: RangeInclusive<u64>) -> Result<u64, ConfigError> {
    let accepted = format!("{} to {}", range.start(), range.end());
    let number = match &raw.value {
        Value::Text(text) => text.trim().parse().ok(),
        Value::Integer(number) => u64::try_from(*number).ok(),
        _ => None,
    };
    match number {
        None => Err(raw.error(format!("is not a whole number of {unit}"), accepted)),
        Some(number) if range.contains(&number) => Ok(number),
        Some(_) => Err(raw.error("is out of range", accepted)),
    }
}

/// A whole number of seconds.
pub(crate) fn seconds(raw: &Raw, range: RangeInclusive<u64>) -> Result<Duration, ConfigError> {
    whole(raw, "seconds", range).map(Duration::from_secs)
}

/// A number of seconds that may have a fraction.
pub(crate) fn fractional_seconds(raw: &Raw, range: RangeInclusive<f64>) -> Result<Duration, ConfigError> {
    let accepted = format!("{} to {}", range.start(), range.end());
    let number = match &raw.value {
        Value::Text(text) => text.trim().parse::<f64>().ok(),
        Value::Integer(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        _ => None,
    };
    match number.filter(|number| number.is_finite()) {
        None => Err(raw.error("is not a number of seconds", accepted)),
        Some(number) if range.contains(&number) => Ok(Duration::from_secs_f64(number)),
        Some(_) => Err(raw.error("is out of range", accepted)),
    }
}

/// `true` or `false`.
pub(crate) fn boolean(raw: &Raw) -> Result<bool, ConfigError> {
    match &raw.value {
        Value::Boolean(value) => Ok(*value),
        Value::Text(text) if text == "true" => Ok(true),
        Value::Text(text) if text == "false" => Ok(false),
        _ => Err(raw.error("is not a truth value", "true or false")),
    }
}

/// A text that is not empty.
pub(crate) fn text(raw: &Raw) -> Result<String, ConfigError> {
    match &raw.value {
        Value::Text(text) | Value::String(text) if !text.trim().is_empty() => Ok(text.trim().to_owned()),
        _ => Err(raw.error("is not a text", "a text that is not empty")),
    }
}

/// A path.
pub(crate) fn path(raw: &Raw) -> Result<PathBuf, ConfigError> {
    text(raw).map(PathBuf::from)
}

/// A secret, kept byte for byte. Errors do not show it.
pub(crate) fn secret(raw: &Raw) -> Result<Secret, ConfigError> {
    match &raw.value {
        Value::Text(text) | Value::String(text) if !text.is_empty() => Ok(Secret::new(text.clone())),
        _ => Err(raw.secret_error("is not a text", "a text that is not empty")),
    }
}

/// A list of texts: comma-separated outside the file, where blanks around elements and empty elements are ignored;
/// a text or an array of texts in the file, where an empty element is an error. A list without elements is an error.
pub(crate) fn list(raw: &Raw) -> Result<Vec<String>, ConfigError> {
    let items: Vec<String> = match &raw.value {
        Value::Text(text) => {
            text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
        }
        Value::String(_) => vec![text(raw)?],
        Value::Array(items) => items.iter().map(text).collect::<Result<_, _>>()?,
        _ => return Err(raw.error("is not a list", "a list of texts")),
    };
    if items.is_empty() {
        return Err(raw.error("has no element", "a list of at least one text"));
    }
    Ok(items)
}

/// An address to listen on.
pub(crate) fn socket(raw: &Raw) -> Result<SocketAddr, ConfigError> {
    let parsed = match &raw.value {
        Value::Text(text) | Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    parsed.ok_or_else(|| {
        raw.error("is not an address to listen on", "an IP address and a port, such as 127.0.0.1:8000 or [::]:8000")
    })
}

/// An address to listen on, or `off`.
pub(crate) fn socket_or_off(raw: &Raw) -> Result<Option<SocketAddr>, ConfigError> {
    match &raw.value {
        Value::Text(text) | Value::String(text) if text.trim() == "off" => Ok(None),
        _ => socket(raw).map(Some),
    }
}

/// `json`, `pretty` or `auto`.
pub(crate) fn log_format(raw: &Raw) -> Result<LogFormat, ConfigError> {
    match &raw.value {
        Value::Text(text) | Value::String(text) => match text.trim() {
            "json" => Ok(LogFormat::Json),
            "pretty" => Ok(LogFormat::Pretty),
            "auto" => Ok(LogFormat::Auto),
            _ => Err(raw.error("is not a log format", "json, pretty or auto")),
        },
        _ => Err(raw.error("is not a log format", "json, pretty or auto")),
    }
}

/// A level, or directives as `tracing` reads them. A bare word that is no level is taken for a mistyped level: to
/// `tracing` it would be a target, and everything else would silently go unlogged.
pub(crate) fn log_filter(raw: &Raw) -> Result<String, ConfigError> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let refuse = || {
        raw.error("is not a log filter", "off, error, warn, info, debug, trace, or directives such as info,hyper=warn")
    };
    let filter = match &raw.value {
        Value::Text(text) | Value::String(text) => text.trim().to_owned(),
        _ => return Err(refuse()),
    };
    let bare_word =
        |directive: &str| !directive.contains(['=', '[']) && !LEVELS.contains(&directive.to_ascii_lowercase().as_str());
    if filter.split(',').map(str::trim).any(bare_word) {
        return Err(refuse());
    }
    match tracing_subscriber::EnvFilter::try_new(&filter) {
        Ok(_) => Ok(filter),
        Err(_) => Err(refuse()),
    }
}

/// Any value of the file as JSON. Dates become texts; JSON has no NaN and no infinity.
pub(crate) fn to_json(raw: &Raw) -> Result<Json, ConfigError> {
    Ok(match &raw.value {
        Value::Text(text) | Value::String(text) | Value::Datetime(text) => json!(text),
        Value::Integer(number) => json!(number),
        Value::Float(number) if number.is_finite() => json!(number),
        Value::Float(_) => return Err(raw.error("has no counterpart in JSON", "a finite number")),
        Value::Boolean(value) => json!(value),
        Value::Array(items) => Json::Array(items.iter().map(to_json).collect::<Result<_, _>>()?),
        Value::Table(table) => Json::Object(
            table
                .entries()
                .map(|(key, raw)| Ok((key.to_owned(), to_json(raw)?)))
                .collect::<Result<_, ConfigError>>()?,
        ),
    })
}

/// How a value is shown by `config show`.
pub(crate) trait Shown {
    fn shown(&self) -> Json;
}

macro_rules! shown_as_json {
    ($($kind:ty),+) => { $(impl Shown for $kind { fn shown(&self) -> Json { json!(self) } })+ };
}

shown_as_json!(u64, u32, usize, bool, String, Vec<String>, PathBuf, Secret);

impl Shown for SocketAddr {
    fn shown(&self) -> Json {
        json!(self.to_string())
    }
}

impl Shown for Duration {
    fn shown(&self) -> Json {
        if self.subsec_nanos() == 0 { json!(self.as_secs()) } else { json!(self.as_secs_f64()) }
    }
}

impl<T: Shown> Shown for Option<T> {
    fn shown(&self) -> Json {
        self.as_ref().map_or(Json::Null, Shown::shown)
    }
}
