//! The metrics of each issuer.

use std::time::Duration;

use prometheus::{Error, Gauge, GaugeVec, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::families::{Families, REFRESH_BUCKETS};
use super::labels::{CacheState, FailureKind, KeyState, Outcome, RefreshOutcome, Suppressed, Trigger, to_i64};

/// The families that have an issuer as label.
#[derive(Debug)]
pub(super) struct IssuerFamilies {
    validations: IntCounterVec,
    refreshes: IntCounterVec,
    failures: IntCounterVec,
    duration: HistogramVec,
    keys: IntGaugeVec,
    state: IntGaugeVec,
    last_success: GaugeVec,
    fail_closed: GaugeVec,
    cache_ttl: GaugeVec,
    stale_ttl: GaugeVec,
    suppressed: IntCounterVec,
}

impl IssuerFamilies {
    pub(super) fn new(families: &Families<'_>) -> Result<Self, Error> {
        let counters = |name, help, labels| families.counters(name, help, labels);
        let times = |name, help| families.float_gauges(name, help, &["issuer"]);
        Ok(Self {
            validations: counters(
                "auth_jwt_validations_total",
                "Tokens verified, by issuer and outcome.",
                &["issuer", "outcome"],
            )?,
            refreshes: counters(
                "auth_jwks_refreshes_total",
                "Refreshes of the key set, by outcome and by what they were for.",
                &["issuer", "outcome", "trigger"],
            )?,
            failures: counters(
                "auth_jwks_refresh_failures_total",
                "Failed attempts to fetch the key set, by kind.",
                &["issuer", "kind"],
            )?,
            duration: families.histograms(
                "auth_jwks_refresh_duration_seconds",
                "Time that attempts to fetch the key set took.",
                REFRESH_BUCKETS,
                &["issuer"],
            )?,
            keys: families.gauges("auth_jwks_keys", "Keys in the cached key set, by state.", &["issuer", "state"])?,
            state: families.gauges(
                "auth_jwks_cache_state",
                "1 for the state that the cached key set is in, 0 for the others.",
                &["issuer", "state"],
            )?,
            last_success: times(
                "auth_jwks_last_success_timestamp_seconds",
                "Unix time of the last successful refresh, 0 before the first.",
            )?,
            fail_closed: times(
                "auth_jwks_fail_closed_timestamp_seconds",
                "Unix time at which tokens are refused unless a refresh succeeds before, 0 without keys.",
            )?,
            cache_ttl: times("auth_jwks_cache_ttl_seconds", "How long the key set is fresh after a refresh.")?,
            stale_ttl: times("auth_jwks_stale_ttl_seconds", "How long the key set is usable after a refresh.")?,
            suppressed: counters(
                "auth_jwks_unknown_kid_suppressed_total",
                "Unknown kids that caused no fetch, by cause.",
                &["issuer", "why"],
            )?,
        })
    }

    /// Drops the children of one issuer.
    pub(super) fn forget(&self, name: &str) {
        // What is not there need not be dropped.
        for outcome in Outcome::ALL {
            let _ = self.validations.remove_label_values(&[name, outcome.as_str()]);
        }
        for trigger in &Trigger::ALL {
            for outcome in &RefreshOutcome::ALL {
                let _ = self.refreshes.remove_label_values(&[name, outcome.as_str(), trigger.as_str()]);
            }
        }
        for kind in &FailureKind::ALL {
            let _ = self.failures.remove_label_values(&[name, kind.as_str()]);
        }
        for state in KeyState::ALL {
            let _ = self.keys.remove_label_values(&[name, state.as_str()]);
        }
        for state in &CacheState::ALL {
            let _ = self.state.remove_label_values(&[name, state.as_str()]);
        }
        for why in &Suppressed::ALL {
            let _ = self.suppressed.remove_label_values(&[name, why.as_str()]);
        }
        let _ = self.duration.remove_label_values(&[name]);
        for gauges in [&self.last_success, &self.fail_closed, &self.cache_ttl, &self.stale_ttl] {
            let _ = gauges.remove_label_values(&[name]);
        }
    }

    /// The children of one issuer; every one is there from now on.
    pub(super) fn issuer(&self, name: &str) -> IssuerMetrics {
        let refreshes = |trigger: &Trigger| {
            let child = |outcome: &RefreshOutcome| {
                self.refreshes.with_label_values(&[name, outcome.as_str(), trigger.as_str()])
            };
            RefreshOutcome::ALL.iter().map(child).collect()
        };
        IssuerMetrics {
            validations: Outcome::ALL.iter().map(|v| self.validations.with_label_values(&[name, v.as_str()])).collect(),
            refreshes: Trigger::ALL.iter().map(refreshes).collect(),
            failures: FailureKind::ALL.iter().map(|v| self.failures.with_label_values(&[name, v.as_str()])).collect(),
            duration: self.duration.with_label_values(&[name]),
            keys: KeyState::ALL.iter().map(|v| self.keys.with_label_values(&[name, v.as_str()])).collect(),
            state: CacheState::ALL.iter().map(|v| self.state.with_label_values(&[name, v.as_str()])).collect(),
            last_success: self.last_success.with_label_values(&[name]),
            fail_closed: self.fail_closed.with_label_values(&[name]),
            cache_ttl: self.cache_ttl.with_label_values(&[name]),
            stale_ttl: self.stale_ttl.with_label_values(&[name]),
            suppressed: Suppressed::ALL
                .iter()
                .map(|v| self.suppressed.with_label_values(&[name, v.as_str()]))
                .collect(),
        }
    }
}

/// The metrics of one issuer.
#[derive(Debug)]
pub struct IssuerMetrics {
    validations: Vec<IntCounter>,
    refreshes: Vec<Vec<IntCounter>>,
    failures: Vec<IntCounter>,
    duration: Histogram,
    keys: Vec<IntGauge>,
    state: Vec<IntGauge>,
    last_success: Gauge,
    fail_closed: Gauge,
    cache_ttl: Gauge,
    stale_ttl: Gauge,
    suppressed: Vec<IntCounter>,
}

impl IssuerMetrics {
    /// A token was verified, with this outcome.
    pub fn validation(&self, outcome: Outcome) {
        self.validations[outcome as usize].inc();
    }

    /// A refresh has ended.
    pub fn refresh(&self, outcome: RefreshOutcome, trigger: Trigger) {
        self.refreshes[trigger as usize][outcome as usize].inc();
    }

    /// How long an attempt to fetch took, whatever its end.
    pub fn observe_fetch(&self, duration: Duration) {
        self.duration.observe(duration.as_secs_f64());
    }

    /// An attempt to fetch has failed.
    pub fn refresh_failure(&self, kind: FailureKind) {
        self.failures[kind as usize].inc();
    }

    /// An unknown kid caused no fetch.
    pub fn unknown_kid_suppressed(&self, why: Suppressed) {
        self.suppressed[why as usize].inc();
    }

    /// How many keys are in this state.
    pub fn set_keys(&self, state: KeyState, keys: usize) {
        self.keys[state as usize].set(to_i64(keys));
    }

    /// The state of the key set.
    pub fn set_state(&self, state: CacheState) {
        for (index, gauge) in self.state.iter().enumerate() {
            gauge.set(i64::from(index == state as usize));
        }
    }

    /// Unix time of the last successful refresh; `None` before the first.
    pub fn set_last_success(&self, unix_seconds: Option<f64>) {
        self.last_success.set(unix_seconds.unwrap_or(0.0));
    }

    /// Unix time at which this issuer's tokens will be refused; `None` without keys.
    pub fn set_fail_closed(&self, unix_seconds: Option<f64>) {
        self.fail_closed.set(unix_seconds.unwrap_or(0.0));
    }

    /// How long the key set is fresh and usable after a refresh, as it is in force.
    pub fn set_ttls(&self, cache: Duration, stale: Duration) {
        self.cache_ttl.set(cache.as_secs_f64());
        self.stale_ttl.set(stale.as_secs_f64());
    }
}
