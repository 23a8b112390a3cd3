//! What libraries say through `tracing`, in the shape of our events.

use std::fmt;

use serde_json::{Value as Json, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::{Fields, Log};

/// Writes each `tracing` event as the event `log`, with its target and fields.
#[derive(Clone, Debug)]
pub struct EventLayer {
    log: Log,
}

impl EventLayer {
    pub(super) fn new(log: Log) -> Self {
        Self { log }
    }
}

impl<S: Subscriber> Layer<S> for EventLayer {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let metadata = event.metadata();
        let mut visitor =
            FieldVisitor { message: String::new(), fields: Fields::new().with("target", metadata.target()) };
        event.record(&mut visitor);
        self.log.write(*metadata.level(), "log", &visitor.message, &visitor.fields);
    }
}

struct FieldVisitor {
    message: String,
    fields: Fields,
}

impl FieldVisitor {
    fn put(&mut self, field: &Field, value: Json) {
        match field.name() {
            "message" => self.message = value.as_str().map_or_else(|| value.to_string(), str::to_owned),
            // Our own, and not a library's to change.
            "target" => {}
            name => self.fields.set(name, value),
        }
    }
}

impl Visit for FieldVisitor {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, json!(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, json!(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, json!(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, json!(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, json!(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, json!(value));
    }
}
