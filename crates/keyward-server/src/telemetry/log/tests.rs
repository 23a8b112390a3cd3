use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use serde_json::{Value as Json, json};
use time::OffsetDateTime;
use time::macros::datetime;
use tracing::Level;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;

use super::{Fields, Log, LogSettings};
use crate::config::LogFormat;

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn noon() -> OffsetDateTime {
    datetime!(2026-11-24 13:00:00.0426 +1)
}

fn settings(filter: &str, format: LogFormat) -> LogSettings {
    LogSettings { filter: filter.to_owned(), format, clock: noon }
}

/// The lines that `write` leaves behind once the log is closed.
fn lines(settings: LogSettings, write: impl FnOnce(&Log)) -> Vec<String> {
    let buffer = Buffer::default();
    let (log, guard) = Log::to_writer(buffer.clone(), settings);
    write(&log);
    drop(guard);
    let bytes = buffer.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn an_event_is_one_json_object_with_its_fields_at_top_level_in_order() {
    let lines = lines(settings("info", LogFormat::Json), |log| {
        let fields = Fields::new().with("issuer", "supabase").with("key_count", 2).with("kids", vec!["b", "a"]);
        log.emit(Level::INFO, "jwks_refreshed", "the key set was refreshed", fields.with_some("etag", None::<&str>));
    });
    assert_eq!(
        lines,
        [
            r#"{"timestamp":"2026-11-24T12:00:00.042Z","level":"info","event":"jwks_refreshed","message":"the key set was refreshed","issuer":"supabase","key_count":2,"kids":["b","a"]}"#
        ]
    );
}

#[test]
fn an_event_for_people_is_one_line_whatever_is_in_it() {
    let lines = lines(settings("info", LogFormat::Pretty), |log| {
        let fields = Fields::new().with("kid", "a\nb \u{1b}[2J\u{202e}").with("alg", "ES256").with("kids", vec!["\r"]);
        log.emit(Level::WARN, "jwt_validation_failed", "refused\r\n2026 INFO forged", fields);
    });
    assert_eq!(
        lines,
        [
            r#"2026-11-24T12:00:00.042Z WARN  jwt_validation_failed: refused\r\n2026 INFO forged kid="a\nb \u001b[2J\u{202e}" alg=ES256 kids=["\r"]"#
        ]
    );
}

#[test]
fn line_breaks_in_values_do_not_break_json_lines() {
    let lines = lines(settings("info", LogFormat::Json), |log| {
        log.emit(Level::INFO, "x", "a\nb", Fields::new().with("kid", "c\r\nd\0"));
    });
    assert_eq!(lines.len(), 1);
    let line: Json = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!((&line["message"], &line["kid"]), (&json!("a\nb"), &json!("c\r\nd\0")));
}

#[test]
fn a_field_cannot_take_the_place_of_the_lines_own() {
    let fields = Fields::new().with("event", "forged").with("level", "error").with("kid", "a").with("kid", "b");
    assert_eq!(fields.to_json(), json!({"kid": "b"}));
}

#[test]
fn a_long_text_is_cut() {
    let fields = Fields::new().with("kid", "ä".repeat(1_000_000)).with("kids", vec!["x".repeat(5000)]);
    assert_eq!(fields.to_json()["kid"].as_str().unwrap().chars().count(), 2049);
    assert_eq!(fields.to_json()["kids"][0].as_str().unwrap().chars().count(), 2049);
}

#[test]
fn the_filter_decides_which_of_our_own_events_are_written() {
    for (filter, levels) in [
        ("info", vec!["error", "warn", "info"]),
        ("off", vec![]),
        ("warn,hyper=trace", vec!["error", "warn"]),
        ("error,keyward=debug", vec!["error", "warn", "info", "debug"]),
        ("info,[span{kid=x}]=trace", vec!["error", "warn", "info"]),
    ] {
        let written = lines(settings(filter, LogFormat::Json), |log| {
            for level in [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG] {
                log.emit(level, "x", "x", Fields::new());
            }
        });
        let seen: Vec<Json> =
            written.iter().map(|line| serde_json::from_str::<Json>(line).unwrap()["level"].clone()).collect();
        assert_eq!(seen, levels, "{filter}");
    }
}

#[test]
fn what_libraries_say_comes_out_in_the_same_shape() {
    let lines = lines(settings("info", LogFormat::Json), |log| {
        let subscriber = tracing_subscriber::registry().with(EnvFilter::new("info")).with(log.layer());
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(target: "hyper", attempt = 3u64, ok = false, event = "forged", name = ?"n", "lost {}", "it");
            tracing::debug!(target: "hyper", "not shown");
        });
    });
    let [line] = &lines[..] else { panic!("{lines:?}") };
    let line: Json = serde_json::from_str(line).unwrap();
    assert_eq!(
        line,
        json!({"timestamp": "2026-11-24T12:00:00.042Z", "level": "warn", "event": "log", "message": "lost it",
               "target": "hyper", "attempt": 3, "ok": false, "name": "\"n\""})
    );
}

/// A reader that has stopped reading, until the other end of its channel is gone.
struct Stuck {
    reached: Sender<()>,
    release: Receiver<()>,
}

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.reached.send(());
        let _ = self.release.recv();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_stops_reading_costs_lines_and_never_blocks() {
    let (reached, writing) = channel();
    let (release, wait) = channel();
    let (log, guard) = Log::with_queue(Stuck { reached, release: wait }, settings("info", LogFormat::Json), 4);
    log.emit(Level::INFO, "x", "x", Fields::new());
    writing.recv().unwrap();
    for _ in 0..100 {
        log.emit(Level::INFO, "x", "x", Fields::new());
    }
    assert_eq!(log.dropped(), 96);
    drop(release);
    drop(guard);
}
