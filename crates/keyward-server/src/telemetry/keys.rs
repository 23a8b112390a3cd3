//! What happens to key sets, as log events and metrics.

use std::sync::Arc;
use std::time::Duration;

use keyward::jwk::{KeySet, UnusableKey};
use keyward::jwks::{Event, FailureKind, KeyChanges, RefreshOutcome, Trigger};
use keyward::store::StoreError;
use keyward::{Authenticator, FetchError, Observer};
use serde_json::{Value as Json, json};
use tracing::Level;

use super::log::{Fields, Log};
use super::metrics::{KeyState, Metrics};

/// Logs and counts what the engine reports.
#[derive(Debug)]
pub struct KeyReporter {
    log: Log,
    metrics: Arc<Metrics>,
}

/// A failed attempt, as it is logged.
struct Failed<'a> {
    trigger: Trigger,
    kind: FailureKind,
    error: &'a str,
    attempt: u32,
    retry_in: Duration,
    keys_cached: usize,
    age: Option<Duration>,
}

impl KeyReporter {
    /// A reporter that writes to `log` and counts in `metrics`.
    #[must_use]
    pub const fn new(log: Log, metrics: Arc<Metrics>) -> Self {
        Self { log, metrics }
    }

    fn refreshed(&self, issuer: &str, trigger: Trigger, outcome: RefreshOutcome, keys: &KeySet, duration: Duration) {
        let fields = Fields::new()
            .with("issuer", issuer)
            .with("key_count", keys.keys().len())
            .with("kids", keys.kids())
            .with("trigger", trigger.as_str())
            .with("duration_ms", millis(duration))
            .with("outcome", outcome.as_str());
        self.log.emit(Level::INFO, "jwks_refreshed", "the key set was refreshed", fields);
    }

    fn unusable(&self, issuer: &str, keys: &[UnusableKey]) {
        for key in keys {
            let fields = Fields::new()
                .with("issuer", issuer)
                .with("kid", key.kid.clone())
                .with("index", key.index)
                .with("why", key.why.as_str());
            self.log.emit(
                Level::WARN,
                "jwks_key_unusable",
                "a key of the set cannot be used; the others serve",
                fields,
            );
        }
    }

    fn failed(&self, issuer: &str, failed: &Failed<'_>) {
        let fields = Fields::new()
            .with("issuer", issuer)
            .with("kind", failed.kind.as_str())
            .with("error", failed.error)
            .with("attempt", failed.attempt)
            .with("retry_in_ms", millis(failed.retry_in))
            .with("keys_cached", failed.keys_cached)
            .with("cache_age_seconds", failed.age.map(|age| age.as_secs()))
            .with("trigger", failed.trigger.as_str());
        self.log.emit(Level::WARN, "jwks_refresh_failed", "an attempt to refresh the key set failed", fields);
    }

    fn changed(&self, issuer: &str, changes: &KeyChanges) {
        let fields = Fields::new()
            .with("issuer", issuer)
            .with("added", changes.added.clone())
            .with("removed", changes.removed.clone())
            .with("replaced", changes.replaced.clone())
            .with("disjoint", changes.disjoint);
        // Legitimate in an emergency, and what an attacker on the way would do: a person should look.
        let suspicious = changes.disjoint || !changes.replaced.is_empty();
        let (level, message) = match suspicious {
            true => (Level::WARN, "the key set changed in a way that rotations do not"),
            false => (Level::INFO, "the key set changed"),
        };
        self.log.emit(level, "jwks_keys_changed", message, fields);
    }
}

impl Observer for KeyReporter {
    fn key_set(&self, issuer: &str, event: &Event) {
        let metrics = self.metrics.issuer(issuer);
        match event {
            Event::Refreshed { trigger, outcome, keys, newly_unusable, duration } => {
                metrics.refresh(*outcome, *trigger);
                metrics.observe_fetch(*duration);
                self.refreshed(issuer, *trigger, *outcome, keys, *duration);
                self.unusable(issuer, newly_unusable);
            }
            Event::AttemptFailed { trigger, kind, error, attempt, retry_in, keys_cached, age, duration } => {
                metrics.refresh_failure(*kind);
                metrics.observe_fetch(*duration);
                let (trigger, kind, attempt, retry_in) = (*trigger, *kind, *attempt, *retry_in);
                let (keys_cached, age) = (*keys_cached, *age);
                self.failed(issuer, &Failed { trigger, kind, error, attempt, retry_in, keys_cached, age });
            }
            Event::RefreshFailed { trigger } => metrics.refresh(RefreshOutcome::Failure, *trigger),
            Event::Fallback { keys_cached, age, fails_closed_in } => {
                let fields =
                    aged(issuer, *keys_cached, *age).with("fails_closed_in_seconds", fails_closed_in.as_secs());
                self.log.emit(Level::WARN, "jwks_cache_fallback", "refreshes fail; the cached keys serve", fields);
            }
            Event::Restored { keys, age } => {
                let fields = aged(issuer, keys.keys().len(), *age).with("kids", keys.kids());
                self.log.emit(Level::INFO, "jwks_cache_restored", "the last known good key set serves", fields);
            }
            Event::RestoreIgnored { why } => {
                let fields = Fields::new().with("issuer", issuer).with("why", *why);
                self.log.emit(Level::WARN, "jwks_cache_ignored", "the last known good key set is not used", fields);
            }
            Event::Expired { age } => {
                let fields = Fields::new().with("issuer", issuer).with("cache_age_seconds", age.as_secs());
                let message = "the cached keys are too old: the issuer's tokens are answered with 503";
                self.log.emit(Level::ERROR, "jwks_cache_expired", message, fields);
            }
            Event::KeysChanged(changes) => self.changed(issuer, changes),
            Event::Suppressed(why) => metrics.unknown_kid_suppressed(*why),
        }
    }

    fn store_failed(&self, issuer: &str, error: &StoreError) {
        let fields = Fields::new().with("issuer", issuer).with("error", error.to_string());
        let message = "a kept file cannot be used or written; verification goes on without it";
        self.log.emit(Level::WARN, "jwks_store_failed", message, fields);
    }

    fn decisions_lost(&self, issuer: &str, error: &StoreError) {
        let fields = Fields::new().with("issuer", issuer).with("error", error.to_string());
        let message = "what the operator had decided cannot be read: keys that were denied verify again";
        self.log.emit(Level::ERROR, "jwks_decisions_lost", message, fields);
    }

    fn discovery_failed(&self, issuer: &str, error: &FetchError) {
        let fields = Fields::new()
            .with("issuer", issuer)
            .with("kind", error.kind.as_str())
            .with("error", error.message.as_str());
        let message = "the issuer's metadata cannot be used; its key set is fetched from where it was before";
        self.log.emit(Level::WARN, "jwks_discovery_failed", message, fields);
    }

    fn driver_restarted(&self, issuer: &str) {
        let fields = Fields::new().with("issuer", issuer);
        let message = "a defect of keyward ended the refreshing of keys; it goes on with the keys there are";
        self.log.emit(Level::ERROR, "jwks_driver_restarted", message, fields);
    }

    fn token_cache(&self, hit: bool) {
        self.metrics.token_cache(hit);
    }
}

fn aged(issuer: &str, keys_cached: usize, age: Duration) -> Fields {
    Fields::new().with("issuer", issuer).with("keys_cached", keys_cached).with("cache_age_seconds", age.as_secs())
}

fn millis(duration: Duration) -> Json {
    json!(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// Sets the gauges that depend on the time of asking.
#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit in a double")]
pub fn set_gauges(metrics: &Metrics, authenticator: &Authenticator) {
    let now = authenticator.clock().now();
    for status in authenticator.status() {
        let gauges = metrics.issuer(&status.name);
        let keys = status.snapshot.keys();
        let denied = keys.keys().iter().filter(|key| key.kid().is_some_and(|kid| keys.denied().contains(kid))).count();
        gauges.set_state(status.state);
        gauges.set_keys(KeyState::Usable, keys.keys().len() - denied);
        gauges.set_keys(KeyState::Denied, denied);
        gauges.set_keys(KeyState::Unusable, keys.unusable().len());
        gauges.set_ttls(status.ttl, status.stale_ttl);
        let secs = |millis: i64| millis as f64 / 1000.0;
        gauges.set_last_success(status.snapshot.succeeded_at().map(|at| secs(at.as_millis())));
        let deadline = status.snapshot.age(now.instant).and_then(|age| {
            let usable_for = status.snapshot.usable_for()?;
            Some(secs((now.unix - age + usable_for).as_millis()))
        });
        gauges.set_fail_closed(deadline);
    }
    if let Some(entries) = authenticator.cached_tokens() {
        metrics.set_token_cache_entries(entries);
    }
}
