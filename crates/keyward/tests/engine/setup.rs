//! What every test starts with.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keyward::clock::{Clock, SystemClock};
use keyward::jwks::{CacheConfig, Event, FailureKind, Suppressed};
use keyward::store::StoreError;
use keyward::time::{Now, UnixTime};
use keyward::{
    Attempt, Authenticator, AuthenticatorBuilder, FetchError, IssuerConfig, KeySource, Observer, PolicyId, Reason,
    Rejection, VerifiedToken, Verifier,
};
use keyward_issuer::{Issuer, Mint};

/// The machine's clock, moved ahead as the test wants.
#[derive(Clone, Default)]
pub(crate) struct TestClock {
    ahead_ns: Arc<AtomicU64>,
    calendar_ms: Arc<AtomicI64>,
}

impl TestClock {
    pub(crate) fn advance(&self, by: Duration) {
        self.ahead_ns.fetch_add(u64::try_from(by.as_nanos()).unwrap(), Ordering::SeqCst);
    }

    /// As an administrator sets the calendar; the other clock does not notice.
    pub(crate) fn set_calendar(&self, seconds: i64) {
        self.calendar_ms.store(seconds * 1000, Ordering::SeqCst);
    }

    pub(crate) fn unix(&self) -> UnixTime {
        self.now().unix
    }
}

impl Clock for TestClock {
    fn now(&self) -> Now {
        let ahead = Duration::from_nanos(self.ahead_ns.load(Ordering::SeqCst));
        let Now { instant, unix } = SystemClock.now();
        let calendar = UnixTime::from_millis(unix.as_millis() + self.calendar_ms.load(Ordering::SeqCst));
        Now { instant: instant + ahead, unix: calendar + ahead }
    }
}

/// Remembers what the engine tells.
#[derive(Default)]
pub(crate) struct Recorder {
    events: Mutex<Vec<(String, Event)>>,
    store: Mutex<Vec<String>>,
    lost: Mutex<Vec<String>>,
    discovery: Mutex<Vec<String>>,
    restarts: AtomicU64,
    pub(crate) hits: AtomicU64,
    pub(crate) misses: AtomicU64,
}

impl Observer for Recorder {
    fn key_set(&self, issuer: &str, event: &Event) {
        self.events.lock().unwrap().push((issuer.to_owned(), event.clone()));
    }

    fn store_failed(&self, _: &str, error: &StoreError) {
        self.store.lock().unwrap().push(error.to_string());
    }

    fn decisions_lost(&self, issuer: &str, _: &StoreError) {
        self.lost.lock().unwrap().push(issuer.to_owned());
    }

    fn discovery_failed(&self, _: &str, error: &FetchError) {
        self.discovery.lock().unwrap().push(error.message.clone());
    }

    fn driver_restarted(&self, _: &str) {
        self.restarts.fetch_add(1, Ordering::SeqCst);
    }

    fn token_cache(&self, hit: bool) {
        if hit { &self.hits } else { &self.misses }.fetch_add(1, Ordering::SeqCst);
    }
}

impl Recorder {
    pub(crate) fn clear(&self) {
        self.events.lock().unwrap().clear();
    }

    pub(crate) fn count(&self, of: impl Fn(&Event) -> bool) -> usize {
        self.events.lock().unwrap().iter().filter(|(_, event)| of(event)).count()
    }

    pub(crate) fn refreshed(&self) -> usize {
        self.count(|event| matches!(event, Event::Refreshed { .. }))
    }

    pub(crate) fn refresh_failed(&self) -> usize {
        self.count(|event| matches!(event, Event::RefreshFailed { .. }))
    }

    pub(crate) fn suppressed(&self, why: Suppressed) -> usize {
        self.count(|event| matches!(event, Event::Suppressed(one) if *one == why))
    }

    /// How attempts failed, in what words, and when the next one follows.
    pub(crate) fn failures(&self) -> Vec<(FailureKind, String, Duration)> {
        let events = self.events.lock().unwrap();
        let failure = |(_, event): &(String, Event)| match event {
            Event::AttemptFailed { kind, error, retry_in, .. } => Some((*kind, error.clone(), *retry_in)),
            _ => None,
        };
        events.iter().filter_map(failure).collect()
    }

    /// The issuers whose kept decisions could not be read.
    pub(crate) fn decisions_lost(&self) -> Vec<String> {
        self.lost.lock().unwrap().clone()
    }

    pub(crate) fn discovery_failures(&self) -> Vec<String> {
        self.discovery.lock().unwrap().clone()
    }

    pub(crate) fn driver_restarts(&self) -> u64 {
        self.restarts.load(Ordering::SeqCst)
    }

    pub(crate) fn store_failures(&self) -> Vec<String> {
        self.store.lock().unwrap().clone()
    }
}

/// An engine with what surrounds it.
pub(crate) struct Engine {
    pub(crate) auth: Authenticator,
    pub(crate) clock: TestClock,
    pub(crate) seen: Arc<Recorder>,
}

impl Engine {
    pub(crate) fn build(configure: impl FnOnce(AuthenticatorBuilder) -> AuthenticatorBuilder) -> Self {
        Self::build_at(TestClock::default(), configure)
    }

    pub(crate) fn build_at(
        clock: TestClock,
        configure: impl FnOnce(AuthenticatorBuilder) -> AuthenticatorBuilder,
    ) -> Self {
        let seen = Arc::<Recorder>::default();
        let builder = Authenticator::builder().clock(clock.clone()).observer(seen.clone());
        Self { auth: configure(builder).build().unwrap(), clock, seen }
    }

    /// For one issuer, named `a`, with its keys loaded.
    pub(crate) async fn loaded(config: IssuerConfig) -> Self {
        let engine = Self::build(|builder| builder.issuer(config));
        engine.ready().await;
        engine
    }

    pub(crate) async fn ready(&self) {
        eventually("the keys are loaded", || self.auth.status().iter().all(|issuer| issuer.ready)).await;
    }

    pub(crate) async fn reason(&self, token: &str) -> Option<Reason> {
        self.auth.verify(token).await.err().map(|rejection| rejection.reason())
    }

    /// Until the engine has noticed that time has passed: it looks at its clock once a second at least.
    pub(crate) async fn refreshed_since(&self, before: usize) {
        eventually("a refresh", || self.seen.refreshed() > before).await;
    }

    /// The verdict without waiting.
    pub(crate) fn at_once(&self, token: &str) -> Result<VerifiedToken, Rejection> {
        match self.auth.try_verify(PolicyId::DEFAULT, token) {
            Attempt::Done(verdict) => verdict,
            Attempt::Pending(pending) => panic!("it would wait: {:?}", pending.into_rejection()),
        }
    }
}

pub(crate) async fn issuer() -> Issuer {
    let config =
        keyward_issuer::IssuerConfig { listen: ([127, 0, 0, 1], 0).into(), ..keyward_issuer::IssuerConfig::default() };
    Issuer::start(config).await.unwrap()
}

pub(crate) fn verifier(name: &str, iss: &str) -> Verifier {
    Verifier::builder(name).issuer(iss).audience("authenticated").build().unwrap()
}

/// The issuer at its key-set route, with short timeouts and one attempt per refresh.
pub(crate) fn config(name: &str, issuer: &Issuer) -> IssuerConfig {
    from(name, &issuer.issuer(), KeySource::Url(issuer.jwks_url()))
}

pub(crate) fn from(name: &str, iss: &str, keys: KeySource) -> IssuerConfig {
    IssuerConfig { cache: cache(), ..IssuerConfig::new(verifier(name, iss), keys) }
}

pub(crate) fn cache() -> CacheConfig {
    CacheConfig {
        refresh_timeout: Duration::from_secs(2),
        refresh_retries: 0,
        max_wait: Duration::from_secs(3),
        ..CacheConfig::default()
    }
}

pub(crate) fn token(issuer: &Issuer) -> String {
    issuer.mint(Mint::new())
}

/// Waits for a condition, within reason.
pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(tokio::time::Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
