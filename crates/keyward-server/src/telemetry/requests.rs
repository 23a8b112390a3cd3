//! What happens to requests, as log events and metrics.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::Method;
use keyward::clock::Clock;
use keyward::time::Instant;
use keyward::{Fault, Reason, Rejection};
use keyward_tower::{AuthRecord, CorrelationId, Problem};
use tracing::Level;

use super::limit::Limiter;
use super::log::{Fields, Log};
use super::metrics::{Metrics, Outcome};
use super::summary::Summary;
use crate::engine::Engine;

/// How many refusals a second are logged, for each reason.
const REFUSALS_PER_SECOND: u32 = 10;
/// The status of requests whose client did not wait for the answer, as nginx counts them.
const CLIENT_GONE: u16 = 499;
/// The route of requests that no route matches.
const UNMATCHED: &str = "unmatched";

/// Counts and logs requests and what became of their credentials.
pub struct RequestReporter {
    log: Log,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    limiter: Mutex<Limiter>,
    summary: Summary,
    /// Its first issuer takes what cannot be laid at any issuer's door: no token, or one that cannot be read.
    engine: Engine,
}

impl RequestReporter {
    /// A reporter that writes to `log` and counts in `metrics`.
    #[must_use]
    pub fn new(log: Log, metrics: Arc<Metrics>, clock: Arc<dyn Clock>, engine: Engine) -> Self {
        let reasons: Vec<&'static str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        let limiter = Mutex::new(Limiter::new(reasons.len(), REFUSALS_PER_SECOND));
        Self { log, metrics, clock, limiter, summary: Summary::new(&reasons), engine }
    }

    /// What the answer says of the credential.
    fn count(&self, answer: &Response, id: &CorrelationId) -> &'static str {
        let Some(record) = answer.extensions().get::<AuthRecord>() else { return "none" };
        if let Some(duration) = record.duration {
            self.metrics.observe_validation(duration);
        }
        match &*record.verdict {
            // The handler may have refused what the layer let through.
            Ok(token) => match answer.extensions().get::<Rejection>() {
                Some(rejection) if rejection.fault() != Fault::Internal => self.refused(rejection, id),
                defect => {
                    // What went wrong behind it says nothing of the token.
                    if defect.is_some() {
                        self.metrics.refusal(Reason::Internal as usize);
                    }
                    self.summary.valid();
                    self.metrics.issuer(token.issuer()).validation(Outcome::Valid);
                    "valid"
                }
            },
            Err(rejection) => self.refused(rejection, id),
        }
    }

    fn refused(&self, rejection: &Rejection, id: &CorrelationId) -> &'static str {
        let reason = rejection.reason();
        self.metrics.refusal(reason as usize);
        let outcome = match rejection.fault() {
            Fault::Unavailable => Outcome::Unavailable,
            _ => Outcome::Invalid,
        };
        match outcome {
            Outcome::Unavailable => self.summary.unavailable(reason as usize),
            _ => self.summary.invalid(reason as usize),
        }
        let issuer = rejection.issuer().map_or_else(|| self.engine.first_issuer(), |name| name.to_string());
        self.metrics.issuer(&issuer).validation(outcome);
        self.log_refusal(rejection, id);
        reason.as_str()
    }

    fn log_refusal(&self, rejection: &Rejection, id: &CorrelationId) {
        let reason = rejection.reason();
        let now = self.clock.now().instant;
        let mut limiter = self.limiter.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(held_back) = limiter.admit(reason as usize, now) else { return };
        drop(limiter);
        let claimed = rejection.claimed();
        let fields = Fields::new()
            .with("reason", reason.as_str())
            .with("kid", claimed.and_then(|claimed| claimed.kid.clone()))
            .with("alg", claimed.and_then(|claimed| claimed.alg.clone()))
            .with("correlation_id", id.as_str())
            .with("issuer", rejection.issuer().map(|name| name.to_string()))
            .with("claimed_issuer", claimed.and_then(|claimed| claimed.issuer.clone()))
            .with("claimed_audience", claimed.and_then(|claimed| claimed.audience.clone()))
            .with("status", rejection.fault().status())
            .with("detail", rejection.to_string())
            .with("held_back", held_back);
        self.log.emit(Level::WARN, "jwt_validation_failed", "a request was refused", fields);
    }

    /// Writes the summary of the time since the last call, when there was traffic, and what the limiter held back.
    pub fn summarise(&self) {
        let now = self.clock.now().instant;
        let held_back = self.limiter.lock().unwrap_or_else(PoisonError::into_inner).settle(now);
        for (reason, count) in held_back {
            let name = Reason::ALL.get(reason).map_or("internal", |reason| reason.as_str());
            let fields = Fields::new().with("reason", name).with("held_back", count);
            let message = "refusals of this reason were not logged one by one";
            self.log.emit(Level::WARN, "jwt_validation_failures_held_back", message, fields);
        }
        if let Some(totals) = self.summary.take() {
            let message = "tokens verified: valid, invalid, unavailable";
            self.log.emit(Level::INFO, "jwt_validation_summary", message, totals.fields());
        }
    }
}

/// The middleware: around every route, inside the layer that gives requests their correlation ids.
pub async fn report(State(reporter): State<Arc<RequestReporter>>, request: Request, next: Next) -> Response {
    let extensions = request.extensions();
    let mut pending = Pending {
        begun: reporter.clock.now().instant,
        id: CorrelationId::given(extensions, request.headers()),
        method: request.method().clone(),
        route: extensions.get::<MatchedPath>().cloned(),
        answered: false,
        reporter,
    };
    // A defect in a handler is one request's bad luck, with an answer and a line in the log.
    let handled = std::panic::AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let answer = handled.unwrap_or_else(|_| pending.panicked());
    let auth = pending.reporter.count(&answer, &pending.id);
    pending.end(answer.status().as_u16(), auth);
    answer
}

/// A request that is not answered yet. When its client goes away before it is, that is all that happens to it: it is
/// reported when it is dropped.
struct Pending {
    reporter: Arc<RequestReporter>,
    begun: Instant,
    id: CorrelationId,
    method: Method,
    route: Option<MatchedPath>,
    answered: bool,
}

impl Pending {
    fn route(&self) -> &str {
        self.route.as_ref().map_or(UNMATCHED, MatchedPath::as_str)
    }

    fn panicked(&self) -> Response {
        let fields = Fields::new().with("route", self.route()).with("correlation_id", self.id.as_str());
        self.reporter.log.emit(Level::ERROR, "internal_error", "a handler panicked", fields);
        self.reporter.metrics.refusal(Reason::Internal as usize);
        Problem::refuse(&Reason::Internal.into(), &self.id).into_response()
    }

    fn end(&mut self, status: u16, auth: &str) {
        self.answered = true;
        let (reporter, route) = (&self.reporter, self.route());
        let duration = reporter.clock.now().instant.since(self.begun);
        reporter.metrics.http_request(self.method.as_str(), route, status, duration);
        // Probes and scrapes come every few seconds and say nothing.
        let level = if is_probe(route) && status < 400 { Level::DEBUG } else { Level::INFO };
        if reporter.log.enabled(level) {
            let fields = Fields::new()
                .with("method", self.method.as_str())
                .with("route", route)
                .with("status", status)
                .with("duration_ms", rounded_millis(duration))
                .with("correlation_id", self.id.as_str())
                .with("auth", auth);
            let message = if status == CLIENT_GONE { "the client went away" } else { "a request was answered" };
            reporter.log.emit(level, "http_request", message, fields);
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.answered {
            self.end(CLIENT_GONE, "none");
        }
    }
}

fn is_probe(route: &str) -> bool {
    matches!(route, "/healthz" | "/readyz" | "/metrics")
}

/// Milliseconds with three places.
fn rounded_millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1000.0
}
