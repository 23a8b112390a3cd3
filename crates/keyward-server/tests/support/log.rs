//! What a process writes, line by line.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use serde_json::Value;

use super::clock::eventually;

/// The lines of one stream, as they come.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    /// Collects until the stream ends.
    pub(crate) fn collect(stream: impl Read + Send + 'static) -> (Self, JoinHandle<()>) {
        let lines = Self::default();
        let collected = lines.clone();
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n') {
                let Ok(line) = line else { break };
                let line = String::from_utf8(line).expect("what is written is UTF-8");
                collected.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        (lines, reader)
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn text(&self) -> String {
        self.all().join("\n")
    }

    /// Every event so far; what is no JSON object fails.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.all().iter().map(|line| parse(line)).collect()
    }

    /// The events of this name so far.
    pub(crate) fn named(&self, event: &str) -> Vec<Value> {
        let mark = format!(r#""event":"{event}""#);
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().filter(|line| line.contains(&mark)).map(|line| parse(line)).collect()
    }

    /// Waits for an event that `is` it.
    pub(crate) async fn wait_for(&self, event: &str, is: impl Fn(&Value) -> bool) -> Value {
        eventually(&format!("the event {event} in:\n{}", self.tail()), async || self.named(event).into_iter().find(&is))
            .await
    }

    /// Waits for the first event of this name.
    pub(crate) async fn first(&self, event: &str) -> Value {
        self.wait_for(event, |_| true).await
    }

    fn tail(&self) -> String {
        let all = self.all();
        all[all.len().saturating_sub(20)..].join("\n")
    }
}

fn parse(line: &str) -> Value {
    let event: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("no JSON ({error}): {line}"));
    assert!(event.is_object(), "no object: {line}");
    event
}

/// Fails unless an event has what every line has, and these fields.
pub(crate) fn assert_fields(event: &Value, fields: &[&str]) {
    for name in ["timestamp", "level", "event", "message"].iter().chain(fields) {
        assert!(event.get(name).is_some(), "the field {name} is missing: {event}");
    }
    let timestamp = event["timestamp"].as_str().unwrap_or_default();
    assert!(unix_seconds(timestamp).is_some(), "not RFC 3339 in UTC: {timestamp}");
    assert!(["trace", "debug", "info", "warn", "error"].contains(&event["level"].as_str().unwrap_or_default()));
}

/// A timestamp of the log as seconds since 1970.
pub(crate) fn unix_seconds(timestamp: &str) -> Option<f64> {
    use time::OffsetDateTime;
    use time::format_description::well_known::Rfc3339;
    let at = OffsetDateTime::parse(timestamp, &Rfc3339).ok().filter(|at| at.offset().is_utc())?;
    Some(at.unix_timestamp_nanos() as f64 / 1e9)
}
