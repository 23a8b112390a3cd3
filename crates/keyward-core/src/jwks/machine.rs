use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::budget::Bucket;
use super::changes::{changes, newly_unusable};
use super::protocol::*;
use super::schedule::{self, Jitter};
use super::{CacheConfig, OperatorState, Snapshot};
use crate::jwk::{KeySet, UnusableKey};
use crate::time::{Instant, Now, UnixTime};

mod unknown_kids;
use unknown_kids::UnknownKids;

/// The key-set cache of one issuer.
///
/// The driver calls [`Cache::handle_timeout`] whenever [`Cache::poll_timeout`] is due (it is at once after
/// [`Cache::new`]), [`Cache::handle`] when something happened, and after each call takes actions and events until there
/// are none.
#[derive(Clone, Debug)]
pub struct Cache {
    config: CacheConfig,
    jitter: Jitter,
    phase: Phase,
    next_id: u64,
    held: Held,
    operator: OperatorState,
    /// Refreshes that failed since the last success.
    failed_in_a_row: u32,
    last_failure: Option<Instant>,
    /// When the last fetch that succeeded had begun.
    last_success_began: Option<Instant>,
    persisted: Option<Instant>,
    expiry_reported: bool,
    unknown_kids: UnknownKids,
    operator_budget: Bucket,
    /// Whether a refresh was asked for that no fetch has begun for yet.
    refresh_asked: bool,
    generation: u64,
    /// The deadline that readers know of.
    published_until: Instant,
    actions: VecDeque<Action>,
    events: VecDeque<Event>,
}

/// The keys in hand.
#[derive(Clone, Debug, Default)]
struct Held {
    /// As the issuer published them; denials are laid over them in the snapshot.
    set: Arc<KeySet>,
    etag: Option<String>,
    ttl: Duration,
    succeeded: Option<(Instant, UnixTime)>,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Idle {
        next: Instant,
        trigger: Trigger,
    },
    Fetching {
        id: FetchId,
        trigger: Trigger,
        attempt: u32,
        began: Instant,
    },
    BackingOff {
        trigger: Trigger,
        attempt: u32,
        until: Instant,
    },
    /// The keys are configured: they never age, and nothing is ever fetched.
    Fixed,
}

impl Cache {
    /// A cache that has nothing yet and wants to fetch at once.
    #[must_use]
    pub fn new(config: CacheConfig, jitter: Jitter) -> Self {
        const OPERATOR_BURST: u32 = 4;
        let unknown_kids = UnknownKids::new(&config);
        Self {
            config,
            jitter,
            phase: Phase::Idle { next: Instant::ORIGIN, trigger: Trigger::Startup },
            next_id: 0,
            held: Held::default(),
            operator: OperatorState::default(),
            failed_in_a_row: 0,
            last_failure: None,
            last_success_began: None,
            persisted: None,
            expiry_reported: false,
            unknown_kids,
            operator_budget: Bucket::full(OPERATOR_BURST, Duration::from_secs(1)),
            refresh_asked: false,
            generation: 0,
            published_until: Instant::ORIGIN,
            actions: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// A cache of keys that were configured rather than fetched: they never age, and no fetch is ever wanted. What an
    /// operator decides about them holds all the same. [`Input::RestoredOperator`] publishes the first snapshot.
    #[must_use]
    pub fn fixed(set: Arc<KeySet>) -> Self {
        let mut cache = Self::new(CacheConfig::default(), Jitter::seeded(0));
        cache.phase = Phase::Fixed;
        cache.held.set = set;
        cache
    }

    /// This cache begun anew with what its readers last saw and what the operator has decided: for a driver that found
    /// a defect and does not know what it has left of this one.
    #[must_use]
    pub fn begun_anew(&self, last: &Snapshot, now: Now) -> Self {
        let mut cache = match self.phase {
            Phase::Fixed => Self::fixed(Arc::clone(&self.held.set)),
            _ => Self::new(self.config.clone(), self.jitter.clone()),
        };
        cache.operator = self.operator.clone();
        cache.inherit(last, now);
        cache.operator_decided(now);
        cache
    }

    /// The configuration.
    #[must_use]
    pub const fn config(&self) -> &CacheConfig {
        &self.config
    }

    /// What the operator has decided.
    #[must_use]
    pub const fn operator(&self) -> &OperatorState {
        &self.operator
    }

    /// The next work, if any.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The next thing that happened, if any.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`Cache::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self, now: Now) -> Instant {
        let phase = match self.phase {
            Phase::Idle { next, .. } => next,
            Phase::BackingOff { until, .. } => until,
            Phase::Fetching { .. } | Phase::Fixed => Instant::NEVER,
        };
        let wanted = match self.phase {
            Phase::Idle { .. } if self.unknown_kids.wanted => self.unknown_kids.budget.available_at(now.instant),
            _ => Instant::NEVER,
        };
        let asked = match self.phase {
            Phase::Idle { .. } | Phase::BackingOff { .. } if self.refresh_asked => {
                self.operator_budget.available_at(now.instant)
            }
            _ => Instant::NEVER,
        };
        let expiry = match self.held.succeeded {
            Some(_) if !self.expiry_reported => self.published_until + Duration::from_nanos(1),
            _ => Instant::NEVER,
        };
        let operator = self.operator.until_next_expiry(now.unix).map_or(Instant::NEVER, |left| now.instant + left);
        phase.min(wanted).min(asked).min(self.unknown_kids.waiting.gives_up_at()).min(expiry).min(operator)
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Now) {
        self.expire_operator(now);
        self.report_expiry(now);
        self.give_up_waiting(now.instant);
        self.refresh_for_operator(now.instant);
        match self.phase {
            Phase::Idle { next, trigger } if next <= now.instant => self.fetch(trigger, 1, now.instant),
            Phase::Idle { .. } if self.unknown_kids.wanted => self.fetch_for_unknown_kid(1, now.instant),
            Phase::BackingOff { trigger: Trigger::UnknownKid, attempt, until } if until <= now.instant => {
                self.fetch_for_unknown_kid(attempt, now.instant);
            }
            Phase::BackingOff { trigger, attempt, until } if until <= now.instant => {
                self.fetch(trigger, attempt, now.instant);
            }
            _ => {}
        }
    }

    /// Takes in what happened.
    pub fn handle(&mut self, input: Input, now: Now) {
        match input {
            Input::Fetched(id, fetched) => {
                if let Some(ended) = self.ended(id) {
                    self.loaded(ended, fetched, now);
                }
            }
            Input::NotModified(id, max_age) => {
                if let Some(ended) = self.ended(id) {
                    self.not_modified(ended, max_age, now);
                }
            }
            Input::Failed { id, kind, error, retry_after } => {
                if let Some(ended) = self.ended(id) {
                    self.failed(ended, kind, error, retry_after, now);
                }
            }
            Input::Restored(stored) => self.restore(stored, now),
            Input::Inherited(snapshot) => self.inherit(&snapshot, now),
            Input::RestoredOperator(state) => {
                self.operator = state;
                self.operator.expire(now.unix);
                self.expiry_reported &= !self.is_usable(now);
                self.publish(now);
            }
            Input::Refresh => {
                self.refresh_asked = true;
                self.refresh_for_operator(now.instant);
            }
            Input::DenyKey(kid, until) => {
                self.operator.denied.insert(kid, until);
                self.operator_decided(now);
            }
            Input::AllowKey(kid) => {
                self.operator.denied.remove(&kid);
                self.operator_decided(now);
            }
            Input::ExtendStale(extension) => {
                self.operator.extension = extension;
                self.operator_decided(now);
            }
        }
    }

    const fn is_fixed(&self) -> bool {
        matches!(self.phase, Phase::Fixed)
    }

    fn is_trustworthy(&self) -> bool {
        if self.is_fixed() {
            return true;
        }
        self.held.succeeded.is_some() && self.failed_in_a_row == 0 && self.last_success_began.is_some()
    }

    // ---- fetching

    fn fetch(&mut self, trigger: Trigger, attempt: u32, now: Instant) {
        let id = FetchId(self.next_id);
        self.next_id += 1;
        self.phase = Phase::Fetching { id, trigger, attempt, began: now };
        self.unknown_kids.wanted = false;
        self.refresh_asked = false;
        let etag = self.held.etag.clone();
        self.actions.push_back(Action::Fetch { id, etag, timeout: self.config.refresh_timeout });
    }

    /// A refresh that was asked for while a fetch is under way follows it: what that fetch brings may be older than what
    /// the operator knows of. Between the attempts of a refresh it is the next of them: a refresh that is asked for again
    /// and again must still come to its end.
    fn refresh_for_operator(&mut self, now: Instant) {
        let attempt = match self.phase {
            Phase::Fetching { .. } | Phase::Fixed => return,
            Phase::BackingOff { attempt, .. } => attempt,
            Phase::Idle { .. } => 1,
        };
        if self.refresh_asked && self.operator_budget.take(now) {
            self.fetch(Trigger::Operator, attempt, now);
        }
    }

    fn ended(&self, ended: FetchId) -> Option<Ended> {
        match self.phase {
            Phase::Fetching { id, trigger, attempt, began } if id == ended => Some(Ended { trigger, attempt, began }),
            _ => None,
        }
    }

    fn loaded(&mut self, ended: Ended, fetched: Fetched, now: Now) {
        if fetched.set.keys().is_empty() {
            let error = match fetched.set.unusable().first() {
                None => "the set has no keys".to_owned(),
                Some(first) => {
                    format!("none of the set's {} keys can be used: {}", fetched.set.unusable().len(), first.why)
                }
            };
            self.failed(ended, FailureKind::Empty, error, None, now);
            return;
        }
        let set = fetched.set.reusing(&self.held.set);
        let newly_unusable = newly_unusable(&self.held.set, &set);
        let changes = changes(&self.held.set, &set);
        self.held.set = Arc::new(set);
        self.held.etag = fetched.etag;
        self.held.ttl = self.config.effective_ttl(fetched.max_age);
        if let Some(changes) = changes {
            self.persisted = None;
            self.unknown_kids.negative.clear();
            self.events.push_back(Event::KeysChanged(changes));
        }
        self.succeeded(ended, RefreshOutcome::Success, newly_unusable, now);
    }

    fn not_modified(&mut self, ended: Ended, max_age: Option<Duration>, now: Now) {
        if self.held.set.keys().is_empty() || self.held.etag.is_none() {
            let error = "the answer is 304, but nothing was asked that it could answer".to_owned();
            return self.failed(ended, FailureKind::Status, error, None, now);
        }
        self.held.ttl = self.config.effective_ttl(max_age);
        self.succeeded(ended, RefreshOutcome::NotModified, Vec::new(), now);
    }

    fn succeeded(&mut self, ended: Ended, outcome: RefreshOutcome, newly_unusable: Vec<UnusableKey>, now: Now) {
        self.held.succeeded = Some((now.instant, now.unix));
        self.failed_in_a_row = 0;
        self.last_success_began = Some(ended.began);
        self.expiry_reported = false;
        let next = now.instant + schedule::until_next_refresh(self.held.ttl, &mut self.jitter);
        self.phase = Phase::Idle { next, trigger: Trigger::Scheduled };
        self.events.push_back(Event::Refreshed {
            trigger: ended.trigger,
            outcome,
            keys: Arc::clone(&self.held.set),
            newly_unusable,
            duration: now.instant.since(ended.began),
        });
        self.publish(now);
        self.persist(now);
        self.settle_after_success(ended, now.instant);
    }

    fn failed(&mut self, ended: Ended, kind: FailureKind, error: String, retry_after: Option<Duration>, now: Now) {
        self.last_failure = Some(now.instant);
        let serving = self.is_usable(now);
        let retry_in = match self.next_attempt(ended, retry_after, serving, now.instant) {
            Some(delay) => {
                let until = now.instant + delay;
                self.phase = Phase::BackingOff { trigger: ended.trigger, attempt: ended.attempt + 1, until };
                delay
            }
            None => {
                self.failed_in_a_row = self.failed_in_a_row.saturating_add(1);
                let delay = schedule::until_next_try(&self.config, serving, self.failed_in_a_row, &mut self.jitter)
                    .max(if serving { capped(retry_after) } else { Duration::ZERO });
                self.phase = Phase::Idle { next: now.instant + delay, trigger: self.next_trigger() };
                delay
            }
        };
        let keys_cached = if serving { self.held.set.keys().len() } else { 0 };
        let age = self.age(now.instant);
        let duration = now.instant.since(ended.began);
        let Ended { trigger, attempt, .. } = ended;
        self.events.push_back(Event::AttemptFailed {
            trigger,
            kind,
            error,
            attempt,
            retry_in,
            keys_cached,
            age,
            duration,
        });
        if matches!(self.phase, Phase::Idle { .. }) {
            self.refresh_failed(trigger, keys_cached, now);
        }
    }

    /// How long until the next attempt of the same refresh, if it has one left.
    fn next_attempt(
        &mut self,
        ended: Ended,
        retry_after: Option<Duration>,
        serving: bool,
        now: Instant,
    ) -> Option<Duration> {
        // While refreshes fail anyway, an unknown kid gets one attempt: its token is answered with 503 soon. And while
        // nothing can be served, the schedule tries more often than the budget of unknown kids allows.
        let for_unknown_kid = ended.trigger == Trigger::UnknownKid;
        let single = for_unknown_kid && (self.failed_in_a_row > 0 || !serving);
        if single || ended.attempt > self.config.refresh_retries {
            return None;
        }
        let delay = schedule::until_retry(ended.attempt, serving, &mut self.jitter);
        if for_unknown_kid {
            // Failed fetches spend the budget too. It is taken when the attempt begins.
            let permitted = self.unknown_kids.budget.available_at(now + delay).since(now);
            return (permitted <= self.config.max_wait).then_some(permitted);
        }
        Some(delay.max(if serving { capped(retry_after) } else { Duration::ZERO }))
    }

    fn refresh_failed(&mut self, trigger: Trigger, keys_cached: usize, now: Now) {
        self.events.push_back(Event::RefreshFailed { trigger });
        if let (true, Some(age), Some(until)) = (keys_cached > 0, self.age(now.instant), self.usable_until(now)) {
            let fails_closed_in = until.since(now.instant);
            self.events.push_back(Event::Fallback { keys_cached, age, fails_closed_in });
        }
        self.publish(now);
        let waiting = self.unknown_kids.waiting.take();
        if trigger == Trigger::UnknownKid {
            self.unknown_kids.patience.in_vain(waiting.len(), now.instant);
        }
        for kid in waiting {
            self.settle(kid, now.instant, Miss::Unavailable);
        }
    }

    /// Until the first success every refresh is the one that the start asked for.
    const fn next_trigger(&self) -> Trigger {
        if self.last_success_began.is_some() { Trigger::Scheduled } else { Trigger::Startup }
    }

    // ---- what readers see

    fn publish(&mut self, now: Now) {
        self.generation += 1;
        self.published_until = self.usable_until(now).unwrap_or(Instant::ORIGIN);
        let set = (*self.held.set).clone().with_denied(self.operator.denied_at(now.unix));
        let next_try = match self.phase {
            Phase::Idle { next, .. } => next,
            Phase::BackingOff { until, .. } => until,
            Phase::Fetching { began, .. } => began,
            Phase::Fixed => Instant::NEVER,
        };
        let fresh_until = match self.held.succeeded {
            Some((instant, _)) => instant + self.held.ttl,
            None if self.is_fixed() => Instant::NEVER,
            None => Instant::ORIGIN,
        };
        self.actions.push_back(Action::Publish(Arc::new(Snapshot {
            generation: self.generation,
            keys: Arc::new(set),
            succeeded: self.held.succeeded.map(|(instant, _)| instant),
            succeeded_at: self.held.succeeded.map(|(_, at)| at),
            fresh_until,
            usable_until: self.published_until,
            trustworthy: self.is_trustworthy(),
            next_try,
        })));
    }

    fn usable_until(&self, now: Now) -> Option<Instant> {
        if self.is_fixed() {
            return Some(Instant::NEVER);
        }
        let (succeeded, _) = self.held.succeeded?;
        let ordinary = succeeded + self.config.stale_ttl();
        // An extension moves the deadline no further than to its own end, so that readers keep to it by themselves.
        let (by, left) = self.operator.extension_at(now.unix);
        Some(ordinary.max((ordinary + by).min(now.instant + left)))
    }

    fn is_usable(&self, now: Now) -> bool {
        !self.held.set.keys().is_empty() && self.usable_until(now).is_some_and(|until| now.instant <= until)
    }

    fn age(&self, now: Instant) -> Option<Duration> {
        self.held.succeeded.map(|(succeeded, _)| now.since(succeeded))
    }

    fn report_expiry(&mut self, now: Now) {
        let Some(age) = self.age(now.instant) else { return };
        if self.expiry_reported || now.instant <= self.published_until {
            return;
        }
        if self.is_usable(now) {
            // The calendar was set back, and with it the end of an extension was put off.
            self.publish(now);
            return;
        }
        self.expiry_reported = true;
        self.events.push_back(Event::Expired { age });
        // Every second counts now: do not sit out a delay that was chosen while keys still served.
        match &mut self.phase {
            Phase::Idle { next: at, .. } | Phase::BackingOff { until: at, .. } => *at = (*at).min(now.instant),
            Phase::Fetching { .. } | Phase::Fixed => {}
        }
    }

    // ---- what is kept

    /// Not after every success: an unchanged set is written again once its recorded age would be off by a tenth of
    /// its ttl.
    fn persist(&mut self, now: Now) {
        let Some((_, succeeded_at)) = self.held.succeeded else { return };
        let often_enough = (self.config.ttl / 10).min(Duration::from_secs(30));
        if self.persisted.is_some_and(|at| now.instant.since(at) < often_enough) {
            return;
        }
        self.persisted = Some(now.instant);
        let stored = Stored { set: Arc::clone(&self.held.set), succeeded_at };
        self.actions.push_back(Action::Persist(stored));
    }

    fn restore(&mut self, stored: Stored, now: Now) {
        const CLOCK_TOLERANCE: Duration = Duration::from_secs(300);
        let age = now.unix.since(stored.succeeded_at);
        let why = if stored.succeeded_at.since(now.unix) > CLOCK_TOLERANCE {
            "it is from the future: its age cannot be known"
        } else if age > now.instant.since(Instant::ORIGIN) {
            "it is older than the clock can tell"
        } else {
            return self.take_over(stored.set, now.instant.before(age), stored.succeeded_at, now);
        };
        self.events.push_back(Event::RestoreIgnored { why });
    }

    fn inherit(&mut self, last: &Snapshot, now: Now) {
        // Readers that saw the other cache's snapshots must not take one of ours for one of those.
        self.generation = self.generation.max(last.generation);
        if let (Some(succeeded), Some(succeeded_at)) = (last.succeeded, last.succeeded_at) {
            let set = (*last.keys).clone().with_denied(BTreeSet::new());
            self.take_over(Arc::new(set), succeeded, succeeded_at, now);
        }
    }

    /// Without the `ETag`: the set may be less than what the issuer published.
    fn take_over(&mut self, set: Arc<KeySet>, succeeded: Instant, succeeded_at: UnixTime, now: Now) {
        let age = now.instant.since(succeeded);
        let why = if self.held.succeeded.is_some() {
            "a newer set is already loaded"
        } else if set.keys().is_empty() {
            "it has no usable keys"
        } else if age > self.config.stale_ttl() + self.operator.extension_at(now.unix).0 {
            "it is older than the stale ttl"
        } else {
            self.held = Held { set, etag: None, ttl: self.config.ttl, succeeded: Some((succeeded, succeeded_at)) };
            self.events.push_back(Event::Restored { keys: Arc::clone(&self.held.set), age });
            self.publish(now);
            self.settle_present();
            return;
        };
        self.events.push_back(Event::RestoreIgnored { why });
    }

    fn operator_decided(&mut self, now: Now) {
        self.operator.expire(now.unix);
        self.expiry_reported &= !self.is_usable(now);
        self.actions.push_back(Action::PersistOperator(self.operator.clone()));
        self.publish(now);
    }

    fn expire_operator(&mut self, now: Now) {
        if self.operator.expire(now.unix) {
            self.operator_decided(now);
        }
    }
}

/// A fetch attempt that has ended.
#[derive(Clone, Copy)]
struct Ended {
    trigger: Trigger,
    attempt: u32,
    began: Instant,
}

/// An issuer that asks for patience gets some, but cannot switch us off.
fn capped(retry_after: Option<Duration>) -> Duration {
    retry_after.unwrap_or_default().min(Duration::from_secs(30))
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
