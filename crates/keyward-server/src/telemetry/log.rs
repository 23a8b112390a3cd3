//! The log: one event a line on standard output.
//!
//! ```
//! use keyward_server::telemetry::log::{Fields, Log, LogSettings};
//! use tracing::Level;
//!
//! let (log, _guard) = Log::to_writer(std::io::stdout(), LogSettings::default());
//! let fields = Fields::new().with("issuer", "supabase").with("kids", vec!["2026-01"]);
//! log.emit(Level::INFO, "jwks_refreshed", "the key set was refreshed", fields);
//! ```
//!
//! Writing never blocks whoever logs: lines go through a bounded queue to a thread of their own, and are dropped and
//! counted ([`Log::dropped`]) when nobody reads standard output. What other libraries say through `tracing` comes out
//! in the same shape, as the event `log` ([`Log::layer`]).

mod fields;
mod layer;
mod line;

#[cfg(test)]
mod tests;

use std::io::{IsTerminal, Write};
use std::sync::Arc;

use time::OffsetDateTime;
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::LogFormat;

pub use fields::Fields;
pub use layer::EventLayer;
use line::Line;

/// The target of Keyward's own events in filters: `keyward=debug`.
pub const TARGET: &str = "keyward";

/// Lines that wait for the writing thread.
const QUEUE_LINES: usize = 16_384;

/// How to log.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// A level or `tracing` directives. Default `info`. One that cannot be parsed counts as `info`; the
    /// configuration refuses it before.
    pub filter: String,
    /// [`LogFormat::Auto`] is pretty on a terminal and JSON otherwise. Default JSON.
    pub format: LogFormat,
    /// Where timestamps come from. Default the system's clock.
    pub clock: fn() -> OffsetDateTime,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::Json, clock: OffsetDateTime::now_utc }
    }
}

/// Where events go. Clones write to the same place.
#[derive(Clone, Debug)]
pub struct Log {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    writer: NonBlocking,
    dropped: ErrorCounter,
    pretty: bool,
    level: LevelFilter,
    filter: String,
    clock: fn() -> OffsetDateTime,
}

/// Writes what is still queued when it is dropped: keep it until the process ends.
#[derive(Debug)]
#[must_use = "what is queued is lost when the guard is dropped too early"]
pub struct LogGuard {
    _worker: WorkerGuard,
}

impl Log {
    /// A log on standard output.
    pub fn to_stdout(mut settings: LogSettings) -> (Self, LogGuard) {
        if settings.format == LogFormat::Auto && std::io::stdout().is_terminal() {
            settings.format = LogFormat::Pretty;
        }
        Self::to_writer(std::io::stdout(), settings)
    }

    /// A log on a writer, which is moved to a thread of its own.
    pub fn to_writer(writer: impl Write + Send + 'static, settings: LogSettings) -> (Self, LogGuard) {
        Self::with_queue(writer, settings, QUEUE_LINES)
    }

    fn with_queue(writer: impl Write + Send + 'static, settings: LogSettings, lines: usize) -> (Self, LogGuard) {
        let builder = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(lines).thread_name("keyward-log");
        let (writer, worker) = builder.finish(writer);
        let inner = Inner {
            dropped: writer.error_counter(),
            writer,
            pretty: settings.format == LogFormat::Pretty,
            level: own_level(&settings.filter),
            filter: settings.filter,
            clock: settings.clock,
        };
        (Self { inner: Arc::new(inner) }, LogGuard { _worker: worker })
    }

    /// Whether events of this level are written: to save the work of putting one together.
    #[must_use]
    pub fn enabled(&self, level: Level) -> bool {
        level <= self.inner.level
    }

    /// Writes an event. `event` is one of the names that the reference lists; `message` says it to a person.
    pub fn emit(&self, level: Level, event: &str, message: &str, fields: Fields) {
        if self.enabled(level) {
            self.write(level, event, message, &fields);
        }
    }

    /// Lines lost since the start because nobody read them in time.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.inner.dropped.dropped_lines() as u64
    }

    /// A layer that writes what libraries say through `tracing`. It filters nothing itself.
    #[must_use]
    pub fn layer(&self) -> EventLayer {
        EventLayer::new(self.clone())
    }

    /// Makes this log the process's subscriber of `tracing`, filtered as configured.
    ///
    /// # Errors
    ///
    /// When the process has one already.
    pub fn install(&self) -> Result<(), tracing_subscriber::util::TryInitError> {
        let filter = EnvFilter::try_new(&self.inner.filter).unwrap_or_else(|_| EnvFilter::new("info"));
        tracing_subscriber::registry().with(filter).with(self.layer()).try_init()
    }

    fn write(&self, level: Level, event: &str, message: &str, fields: &Fields) {
        let line = Line { timestamp: (self.inner.clock)(), level, event, message, fields };
        let bytes = if self.inner.pretty { line.pretty() } else { line.json() };
        // The queue takes whole lines; a full one counts the loss itself.
        let _ = self.inner.writer.clone().write_all(&bytes);
    }
}

/// The most verbose level at which Keyward's own events are written.
fn own_level(filter: &str) -> LevelFilter {
    // Directives about spans and fields say nothing about events without spans.
    let plain: Vec<&str> = filter.split(',').filter(|directive| !directive.contains(['[', ']', '{', '}'])).collect();
    let Ok(targets) = plain.join(",").parse::<Targets>() else { return LevelFilter::INFO };
    [Level::TRACE, Level::DEBUG, Level::INFO, Level::WARN, Level::ERROR]
        .into_iter()
        .find(|level| targets.would_enable(TARGET, level))
        .map_or(LevelFilter::OFF, LevelFilter::from_level)
}
