//! A driver, an issuer and requests in simulated time, for the tests of the machine.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};

use super::super::protocol::*;
use super::super::{CacheConfig, CacheState, Jitter, OperatorState, Snapshot};
use super::{Cache, Phase};
use crate::alg::Algorithm;
use crate::jwk::{Found, KeySet};
use crate::time::{Instant, Now, UnixTime};

pub(super) const MILLISECOND: Duration = Duration::from_millis(1);
pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const NANOSECOND: Duration = Duration::from_nanos(1);

/// Far enough from the origin for keys from before the start.
const START: Duration = Duration::from_secs(100_000_000);
const START_UNIX_MILLIS: i64 = 1_700_000_000_000;

/// An Ed25519 key of this name; another `version` has other material.
pub(super) fn jwk(kid: &str, version: u8) -> String {
    static KNOWN: LazyLock<Mutex<BTreeMap<(String, u8), String>>> = LazyLock::new(Mutex::default);
    let make = || {
        let seed = crate::crypto::sha256(format!("{kid} {version}").as_bytes());
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
        let x = base64_simd::URL_SAFE_NO_PAD.encode_to_string(pair.public_key().as_ref());
        format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","kid":"{kid}","use":"sig"}}"#)
    };
    KNOWN.lock().unwrap().entry((kid.to_owned(), version)).or_insert_with(make).clone()
}

pub(super) fn set_of(kids: &[&str]) -> KeySet {
    let jwks: Vec<String> = kids.iter().map(|kid| jwk(kid, 0)).collect();
    KeySet::from_jwks(jwks.iter().map(String::as_str))
}

/// How the issuer answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Well,
    Broken {
        retry_after: Option<Duration>,
    },
    Hanging,
    /// A set without keys.
    Empty,
    /// A set of keys that cannot be used.
    Unusable,
}

/// The other side. What it answers is decided when a fetch begins, and arrives later.
#[derive(Clone, Debug)]
pub(super) struct Issuer {
    pub(super) mood: Mood,
    pub(super) latency: Duration,
    pub(super) etags: bool,
    pub(super) max_age: Option<Duration>,
    keys: BTreeMap<String, u8>,
    set: KeySet,
}

impl Issuer {
    fn new(kids: &[&str]) -> Self {
        let keys = kids.iter().map(|kid| ((*kid).to_owned(), 0)).collect();
        let latency = 50 * MILLISECOND;
        Self { mood: Mood::Well, latency, etags: false, max_age: None, keys, set: set_of(kids) }
    }

    pub(super) fn lists(&self, kid: &str) -> bool {
        self.keys.contains_key(kid)
    }

    pub(super) fn publish(&mut self, kid: &str, version: u8) {
        self.keys.insert(kid.to_owned(), version);
        self.changed();
    }

    pub(super) fn withdraw(&mut self, kid: &str) {
        self.keys.remove(kid);
        self.changed();
    }

    fn changed(&mut self) {
        let jwks: Vec<String> = self.keys.iter().map(|(kid, version)| jwk(kid, *version)).collect();
        self.set = KeySet::from_jwks(jwks.iter().map(String::as_str));
    }

    fn answer(&self, id: FetchId, etag: Option<&str>) -> Input {
        let failed =
            |kind, retry_after| Input::Failed { id, kind, error: "as the test wants it".to_owned(), retry_after };
        let fetched = |set, etag| Input::Fetched(id, Fetched { set, etag, max_age: self.max_age });
        let current = self.etags.then(|| format!("{:?}", self.keys));
        match self.mood {
            Mood::Hanging => failed(FailureKind::Timeout, None),
            Mood::Broken { retry_after } => failed(FailureKind::Status, retry_after),
            Mood::Empty => fetched(KeySet::default(), None),
            Mood::Unusable => fetched(KeySet::from_jwks([r#"{"kty":"AKP","kid":"pq"}"#, "{}"]), None),
            Mood::Well if etag.is_some() && etag == current.as_deref() => Input::NotModified(id, self.max_age),
            Mood::Well => fetched(self.set.clone(), current),
        }
    }
}

/// A fetch that was begun.
#[derive(Clone, Debug)]
pub(super) struct Begun {
    pub(super) at: Instant,
    pub(super) trigger: Trigger,
    pub(super) attempt: u32,
    pub(super) etag: Option<String>,
    pub(super) timeout: Duration,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Served,
    Denied,
    Told(Miss),
}

/// A request that had to wait, and its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) kid: Option<String>,
    pub(super) arrived: Instant,
    pub(super) at: Instant,
    pub(super) miss: Miss,
}

pub(super) struct Simulation {
    pub(super) cache: Cache,
    pub(super) now: Now,
    pub(super) issuer: Issuer,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) begun: Vec<Begun>,
    pub(super) events: Vec<(Instant, Event)>,
    pub(super) answers: Vec<Answer>,
    pub(super) waiting: Vec<(Option<String>, Instant)>,
    pub(super) persisted: Option<Stored>,
    pub(super) persists: Vec<Instant>,
    pub(super) operator: OperatorState,
    /// The last success that was delivered: when, and what was in the set.
    pub(super) delivered: Option<(Instant, KeySet)>,
    /// How often the driver woke for [`Cache::poll_timeout`].
    pub(super) wakes: usize,
    in_flight: Option<(Instant, Input)>,
}

impl Simulation {
    /// A process that starts next to an issuer with these keys. The first fetch is under way.
    pub(super) fn new(config: CacheConfig, kids: &[&str]) -> Self {
        Self::facing(Mood::Well, config, kids)
    }

    /// The same with an issuer in this mood.
    pub(super) fn facing(mood: Mood, config: CacheConfig, kids: &[&str]) -> Self {
        let now = Now { instant: Instant::ORIGIN + START, unix: UnixTime::from_millis(START_UNIX_MILLIS) };
        let mut simulation = Self {
            cache: Cache::new(config, Jitter::seeded(7)),
            now,
            issuer: Issuer { mood, ..Issuer::new(kids) },
            snapshot: Arc::new(Snapshot::empty()),
            begun: Vec::new(),
            events: Vec::new(),
            answers: Vec::new(),
            waiting: Vec::new(),
            persisted: None,
            persists: Vec::new(),
            operator: OperatorState::default(),
            delivered: None,
            wakes: 0,
            in_flight: None,
        };
        simulation.wake();
        simulation
    }

    /// The same once the keys are there.
    pub(super) fn started(config: CacheConfig, kids: &[&str]) -> Self {
        let mut simulation = Self::new(config, kids);
        simulation.pass(simulation.issuer.latency);
        assert_eq!(simulation.state(), CacheState::Fresh);
        simulation.begun.clear();
        simulation.events.clear();
        simulation
    }

    pub(super) fn at(&self) -> Instant {
        self.now.instant
    }

    pub(super) fn state(&self) -> CacheState {
        self.snapshot.state(self.now.instant)
    }

    /// Lets time pass; whatever falls due is done when it does.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.at() + time;
        while self.next().min(end) < end || self.next() == end {
            self.step();
        }
        self.set_clock(end);
    }

    /// When something falls due next.
    pub(super) fn next(&self) -> Instant {
        let ends = self.in_flight.as_ref().map_or(Instant::NEVER, |(at, _)| *at);
        self.cache.poll_timeout(self.now).min(ends)
    }

    /// Jumps to what falls due next, and does it.
    pub(super) fn step(&mut self) {
        let next = self.next();
        assert_ne!(next, Instant::NEVER, "nothing will ever happen again");
        self.set_clock(next.max(self.at()));
        match self.in_flight.take_if(|(at, _)| *at <= self.now.instant) {
            Some((_, input)) => self.deliver(input),
            None => self.wake(),
        }
    }

    /// Steps until the fetch under way, or the next one, has ended.
    pub(super) fn until_fetched(&mut self) {
        let ended = |simulation: &Self| {
            let counts =
                |(_, event): &&(Instant, Event)| matches!(event, Event::Refreshed { .. } | Event::AttemptFailed { .. });
            simulation.events.iter().filter(counts).count()
        };
        let before = ended(self);
        while ended(self) == before {
            self.step();
        }
    }

    pub(super) fn is_fetching(&self) -> bool {
        self.in_flight.is_some()
    }

    /// Verifies a token of this `kid`.
    pub(super) fn request(&mut self, kid: &str) -> Reply {
        self.ask(Some(kid), true)
    }

    pub(super) fn ask(&mut self, kid: Option<&str>, plausible: bool) -> Reply {
        if let Some(reply) = self.look_up(kid) {
            return reply;
        }
        let query = KeyQuery { kid: kid.map(str::to_owned), plausible };
        let miss = self.cache.key_missing(&query, self.now);
        if miss == Miss::Wait {
            self.waiting.push((query.kid, self.now.instant));
        }
        self.carry_out();
        if miss == Miss::Present && kid.is_some() {
            return self.look_up(kid).expect("what is said to be present is there");
        }
        Reply::Told(miss)
    }

    fn look_up(&self, kid: Option<&str>) -> Option<Reply> {
        match self.snapshot.usable_keys(self.now.instant)?.find(Some(kid?), Algorithm::Ed25519) {
            Found::Keys(_) => Some(Reply::Served),
            Found::Denied => Some(Reply::Denied),
            _ => None,
        }
    }

    /// Whether a token of this `kid` is verified without asking anybody.
    pub(super) fn serves(&self, kid: &str) -> bool {
        self.look_up(Some(kid)) == Some(Reply::Served)
    }

    /// The process ends and another one starts from what was persisted.
    pub(super) fn restart(&mut self, seed: u64, pause: Duration) {
        self.set_clock(self.at() + pause);
        self.in_flight = None;
        self.waiting.clear();
        self.delivered = None;
        self.snapshot = Arc::new(Snapshot::empty());
        self.cache = Cache::new(self.cache.config().clone(), Jitter::seeded(seed));
        self.input(Input::RestoredOperator(self.operator.clone()));
        if let Some(stored) = self.persisted.clone() {
            self.input(Input::Restored(stored));
        }
        self.wake();
    }

    pub(super) fn input(&mut self, input: Input) {
        self.cache.handle(input, self.now);
        self.carry_out();
    }

    /// The events since the last call.
    pub(super) fn news(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events).into_iter().map(|(_, event)| event).collect()
    }

    /// What became of those who wait for `kid`, in the order in which they were told.
    pub(super) fn told(&self, kid: &str) -> Vec<Miss> {
        self.answers.iter().filter(|answer| answer.kid.as_deref() == Some(kid)).map(|answer| answer.miss).collect()
    }

    pub(super) fn calendar_leaps(&mut self, millis: i64) {
        self.now.unix = UnixTime::from_millis(self.now.unix.as_millis() + millis);
    }

    fn deliver(&mut self, input: Input) {
        match &input {
            Input::Fetched(_, fetched) if !fetched.set.keys().is_empty() => {
                self.delivered = Some((self.at(), fetched.set.clone()));
            }
            Input::NotModified(..) => {
                if let Some((at, _)) = &mut self.delivered {
                    *at = self.now.instant;
                } else if let Some(stored) = &self.persisted {
                    self.delivered = Some((self.now.instant, (*stored.set).clone()));
                }
            }
            _ => {}
        }
        self.input(input);
    }

    fn wake(&mut self) {
        self.wakes += 1;
        self.cache.handle_timeout(self.now);
        assert!(self.cache.poll_timeout(self.now) > self.at(), "the driver would spin: {:?}", self.cache);
        self.carry_out();
    }

    pub(super) fn set_clock(&mut self, instant: Instant) {
        // The calendar is read in whole milliseconds.
        let millis = |instant: Instant| i64::try_from(instant.as_nanos() / 1_000_000).unwrap();
        let passed = millis(instant) - millis(self.now.instant);
        self.now = Now { instant, unix: UnixTime::from_millis(self.now.unix.as_millis() + passed) };
    }

    pub(super) fn carry_out(&mut self) {
        while let Some(action) = self.cache.poll_action() {
            match action {
                Action::Fetch { id, etag, timeout } => self.fetch(id, etag, timeout),
                Action::Publish(snapshot) => {
                    assert!(snapshot.generation() > self.snapshot.generation());
                    self.snapshot = snapshot;
                }
                Action::Persist(stored) => {
                    self.persists.push(self.now.instant);
                    self.persisted = Some(stored);
                }
                Action::PersistOperator(state) => self.operator = state,
                Action::Settle(settled) => self.settle(&settled),
            }
        }
        while let Some(event) = self.cache.poll_event() {
            self.events.push((self.now.instant, event));
        }
    }

    fn fetch(&mut self, id: FetchId, etag: Option<String>, timeout: Duration) {
        assert!(self.in_flight.is_none(), "two fetches at once");
        let Phase::Fetching { trigger, attempt, .. } = self.cache.phase else { panic!("a fetch that is none") };
        let hanging = self.issuer.mood == Mood::Hanging || self.issuer.latency >= timeout;
        let (takes, answer) = if hanging {
            let issuer = Issuer { mood: Mood::Hanging, ..self.issuer.clone() };
            (timeout, issuer.answer(id, None))
        } else {
            (self.issuer.latency, self.issuer.answer(id, etag.as_deref()))
        };
        self.in_flight = Some((self.at() + takes, answer));
        self.begun.push(Begun { at: self.at(), trigger, attempt, etag, timeout });
    }

    fn settle(&mut self, settled: &Settled) {
        let at = self.now.instant;
        let concerned =
            |(kid, arrived): &mut (Option<String>, Instant)| *kid == settled.kid && *arrived <= settled.arrived_until;
        let ended = self.waiting.extract_if(.., concerned);
        self.answers.extend(ended.map(|(kid, arrived)| Answer { kid, arrived, at, miss: settled.answer }));
    }
}
