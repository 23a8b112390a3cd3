//! The metric families that dashboards and alerts rely on.
//!
//! Children are resolved once, at construction: the hot path adds to a counter and looks nothing up. Every value of a
//! closed label set is there from the start, so that a rate over it is right from its first event. Reasons
//! are named by their place in the list given to [`Metrics::new`].

mod families;
mod issuer;
mod labels;
mod openmetrics;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, Registry, TextEncoder};

use families::Families;
use issuer::IssuerFamilies;
pub use issuer::IssuerMetrics;
pub use labels::{
    CacheState, FailureKind, JobOutcome, JobStatus, KeyState, Outcome, RefreshOutcome, Suppressed, Trigger,
};

/// Content type of the Prometheus text format.
pub const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Content type of `OpenMetrics`.
pub const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The git revision that was built, `unknown` outside a clone.
pub const REVISION: &str = match option_env!("KEYWARD_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};

/// Every family, and the children that are known beforehand.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    refusals: Vec<IntCounter>,
    families: IssuerFamilies,
    issuers: RwLock<HashMap<String, Arc<IssuerMetrics>>>,
    validation_duration: Histogram,
    token_cache_hits: IntCounter,
    token_cache_misses: IntCounter,
    token_cache_entries: IntGauge,
    http_requests: IntCounterVec,
    http_duration: HistogramVec,
    jobs_submitted: IntCounter,
    jobs_finished: Vec<IntCounter>,
    jobs: Vec<IntGauge>,
    queue_age: prometheus::Gauge,
}

/// A metrics page in the format that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its content type.
    pub content_type: &'static str,
    /// Its content.
    pub body: String,
}

impl Metrics {
    /// The families, with every reason's name as label value.
    ///
    /// # Errors
    ///
    /// When a family cannot be registered: only by a defect.
    pub fn new(reasons: &[&'static str]) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let families = Families { registry: &registry };
        let issuer_families = IssuerFamilies::new(&families)?;
        let refusals = families.counters("auth_jwt_invalid_total", "Requests refused, by reason.", &["reason"])?;
        let cache = families.counters(
            "auth_token_cache_requests_total",
            "Tokens looked up in the cache of verified tokens, by result.",
            &["result"],
        )?;
        let finished = families.counters(
            "msaas_jobs_finished_total",
            "Jobs that reached a final status, by outcome.",
            &["outcome"],
        )?;
        let jobs = families.gauges("msaas_jobs", "Jobs in the store, by status.", &["status"])?;
        families.build_info(env!("CARGO_PKG_VERSION"), REVISION)?;
        families.process()?;
        Ok(Self {
            refusals: reasons.iter().map(|reason| refusals.with_label_values(&[*reason])).collect(),
            families: issuer_families,
            issuers: RwLock::default(),
            validation_duration: families.histogram(
                "msaas_jwt_validation_duration_seconds",
                "Time to verify one token, cached ones included.",
                families::VALIDATION_BUCKETS,
            )?,
            token_cache_hits: cache.with_label_values(&["hit"]),
            token_cache_misses: cache.with_label_values(&["miss"]),
            token_cache_entries: families.gauge("auth_token_cache_entries", "Verified tokens remembered.")?,
            http_requests: families.counters(
                "http_requests_total",
                "HTTP requests answered, by method, route and status.",
                &["method", "route", "status"],
            )?,
            http_duration: families.histograms(
                "http_request_duration_seconds",
                "Time from an HTTP request's head to its answer's head.",
                families::HTTP_BUCKETS,
                &["method", "route"],
            )?,
            jobs_submitted: families.counter("msaas_jobs_submitted_total", "Jobs accepted.")?,
            jobs_finished: JobOutcome::ALL
                .iter()
                .map(|outcome| finished.with_label_values(&[outcome.as_str()]))
                .collect(),
            jobs: JobStatus::ALL.iter().map(|status| jobs.with_label_values(&[status.as_str()])).collect(),
            queue_age: families.float_gauge(
                "msaas_job_queue_age_seconds",
                "Age of the oldest job that is due and waits, 0 when none does.",
            )?,
            registry,
        })
    }

    /// A request was refused. An unknown reason is not counted.
    pub fn refusal(&self, reason: usize) {
        if let Some(counter) = self.refusals.get(reason) {
            counter.inc();
        }
    }

    /// The metrics of an issuer of this name; every one of them is there from now on.
    #[must_use]
    pub fn issuer(&self, name: &str) -> Arc<IssuerMetrics> {
        if let Some(known) = self.issuers.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Arc::clone(known);
        }
        let mut issuers = self.issuers.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(issuers.entry(name.to_owned()).or_insert_with(|| Arc::new(self.families.issuer(name))))
    }

    /// How long verifying a token took.
    pub fn observe_validation(&self, duration: Duration) {
        self.validation_duration.observe(duration.as_secs_f64());
    }

    /// The token cache was asked.
    pub fn token_cache(&self, hit: bool) {
        if hit { self.token_cache_hits.inc() } else { self.token_cache_misses.inc() }
    }

    /// How many verified tokens are remembered.
    pub fn set_token_cache_entries(&self, entries: usize) {
        self.token_cache_entries.set(labels::to_i64(entries));
    }

    /// A request was answered. `route` is the template of the route, never the path; a method that is not one of
    /// RFC 9110 or PATCH counts as `OTHER`.
    pub fn http_request(&self, method: &str, route: &str, status: u16, duration: Duration) {
        const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
        let method = if METHODS.contains(&method) { method } else { "OTHER" };
        self.http_requests.with_label_values(&[method, route, labels::status(status).as_str()]).inc();
        self.http_duration.with_label_values(&[method, route]).observe(duration.as_secs_f64());
    }

    /// A job was accepted.
    pub fn job_submitted(&self) {
        self.jobs_submitted.inc();
    }

    /// A job reached a final status.
    pub fn job_finished(&self, outcome: JobOutcome) {
        self.jobs_finished[outcome as usize].inc();
    }

    /// How many jobs have this status.
    pub fn set_jobs(&self, status: JobStatus, jobs: u64) {
        self.jobs[status as usize].set(labels::to_i64(jobs));
    }

    /// How long the oldest job that is due has waited, zero when none does; `None` when that cannot be told.
    pub fn set_queue_age(&self, age: Option<Duration>) {
        self.queue_age.set(age.map_or(f64::NAN, |age| age.as_secs_f64()));
    }

    /// Drops the series of issuers that are configured no more.
    pub fn forget_issuers_except(&self, names: &[&str]) {
        let mut issuers = self.issuers.write().unwrap_or_else(PoisonError::into_inner);
        for (name, _) in issuers.extract_if(|name, _| !names.contains(&name.as_str())) {
            self.families.forget(&name);
        }
    }

    /// The metrics page. `accept` is the request's Accept header; `refresh` sets what depends on the time of asking.
    ///
    /// # Errors
    ///
    /// When a family cannot be written: only by a defect.
    pub fn page(&self, accept: Option<&str>, refresh: impl FnOnce(&Self)) -> Result<Page, prometheus::Error> {
        refresh(self);
        let families = self.registry.gather();
        if accept.is_some_and(openmetrics::is_preferred) {
            return Ok(Page { content_type: OPENMETRICS, body: openmetrics::encode(&families) });
        }
        Ok(Page { content_type: TEXT, body: TextEncoder::new().encode_to_string(&families)? })
    }
}
