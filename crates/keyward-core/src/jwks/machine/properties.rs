//! What holds whatever happens: random interleavings of traffic, failures, rotations, operators and restarts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::simulation::*;
use crate::jwk::KeySet;
use crate::jwks::{CacheConfig, CacheState, Event, Input, Miss, StaleExtension, Suppressed, Trigger};
use crate::time::{Instant, UnixTime};

const KIDS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
/// The calendar is read in milliseconds, so what depends on it is known no better.
const CALENDAR: Duration = Duration::from_millis(2);

#[derive(Clone, Debug)]
enum Step {
    Pass(Duration),
    Request(usize),
    /// That many tokens with kids that nobody has.
    Flood(u16),
    Implausible(usize),
    AnyKey,
    Publish(usize, u8),
    Withdraw(usize),
    Mood(Mood),
    Latency(Duration),
    Etags(bool),
    MaxAge(Option<Duration>),
    Refresh,
    Deny(usize, Option<Duration>),
    Allow(usize),
    Extend(Option<(Duration, Duration)>),
    Restart(Duration),
}

fn millis(range: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_millis)
}

fn step() -> impl Strategy<Value = Step> {
    let kid = || 0..KIDS.len();
    let time = || prop_oneof![millis(0..50), millis(0..3000), millis(0..60_000), millis(0..900_000)];
    let mood = prop_oneof![
        3 => Just(Mood::Well),
        1 => Just(Mood::Hanging),
        1 => Just(Mood::Empty),
        1 => Just(Mood::Unusable),
        2 => proptest::option::of(millis(0..100_000)).prop_map(|retry_after| Mood::Broken { retry_after }),
    ];
    prop_oneof![
        8 => time().prop_map(Step::Pass),
        8 => kid().prop_map(Step::Request),
        2 => (1_u16..400).prop_map(Step::Flood),
        1 => kid().prop_map(Step::Implausible),
        1 => Just(Step::AnyKey),
        3 => (kid(), 0..2_u8).prop_map(|(kid, version)| Step::Publish(kid, version)),
        2 => kid().prop_map(Step::Withdraw),
        4 => mood.prop_map(Step::Mood),
        1 => millis(0..6000).prop_map(Step::Latency),
        1 => any::<bool>().prop_map(Step::Etags),
        1 => proptest::option::of(millis(0..400_000)).prop_map(Step::MaxAge),
        2 => Just(Step::Refresh),
        2 => (kid(), proptest::option::of(time())).prop_map(|(kid, time)| Step::Deny(kid, time)),
        2 => kid().prop_map(Step::Allow),
        1 => proptest::option::of((time(), time())).prop_map(Step::Extend),
        2 => time().prop_map(Step::Restart),
    ]
}

fn config() -> impl Strategy<Value = CacheConfig> {
    (3_u64..300, 0_u64..1800, 0_u32..4, 1_u32..5, 200_u64..3000, 500_u64..5000).prop_map(
        |(ttl, beyond, refresh_retries, unknown_kid_burst, interval, wait)| CacheConfig {
            ttl: Duration::from_secs(ttl),
            stale_ttl: Duration::from_secs(ttl + beyond),
            refresh_retries,
            unknown_kid_burst,
            unknown_kid_interval: Duration::from_millis(interval),
            max_wait: Duration::from_millis(wait.max(interval)),
            ..CacheConfig::default()
        },
    )
}

/// What ought to be served, worked out from what went in and nothing that came out.
struct Oracle {
    simulation: Simulation,
    /// The last success, and the keys it brought.
    held: Option<(Instant, KeySet)>,
    denied: BTreeMap<String, Option<UnixTime>>,
    extension: Option<StaleExtension>,
    listed_since: BTreeMap<String, Instant>,
    /// When a kid was last asked for that was not listed.
    asked_in_vain: BTreeMap<String, Instant>,
    checked: usize,
    invented: u64,
    in_this_life: usize,
    restarts: u64,
}

impl Oracle {
    fn new(config: CacheConfig) -> Self {
        let simulation = Simulation::new(config, &["a", "b"]);
        let listed_since = ["a", "b"].map(|kid| (kid.to_owned(), simulation.at())).into();
        Self {
            simulation,
            held: None,
            denied: BTreeMap::new(),
            extension: None,
            listed_since,
            asked_in_vain: BTreeMap::new(),
            checked: 0,
            invented: 0,
            in_this_life: 0,
            restarts: 0,
        }
    }

    fn take(&mut self, step: &Step) {
        // Nothing happens at the very moment at which something else does.
        self.pass(NANOSECOND);
        let now = self.simulation.now;
        let name = |kid: usize| KIDS[kid].to_owned();
        match *step {
            Step::Pass(time) => self.pass(time),
            Step::Request(kid) => self.request(KIDS[kid]),
            Step::Flood(count) => self.flood(count),
            Step::Implausible(kid) => {
                let reply = self.simulation.ask(Some(KIDS[kid]), false);
                assert_ne!(reply, Reply::Told(Miss::Wait));
            }
            Step::AnyKey => {
                self.simulation.ask(None, true);
            }
            Step::Publish(kid, version) => {
                self.simulation.issuer.publish(KIDS[kid], version);
                self.listed_since.entry(name(kid)).or_insert(now.instant);
            }
            Step::Withdraw(kid) => {
                self.simulation.issuer.withdraw(KIDS[kid]);
                self.listed_since.remove(KIDS[kid]);
            }
            Step::Mood(mood) => self.simulation.issuer.mood = mood,
            Step::Latency(latency) => self.simulation.issuer.latency = latency,
            Step::Etags(etags) => self.simulation.issuer.etags = etags,
            Step::MaxAge(max_age) => self.simulation.issuer.max_age = max_age,
            Step::Refresh => self.simulation.input(Input::Refresh),
            Step::Deny(kid, time) => {
                let until = time.map(|time| now.unix + time);
                self.denied.insert(name(kid), until);
                self.simulation.input(Input::DenyKey(name(kid), until));
            }
            Step::Allow(kid) => {
                self.denied.remove(KIDS[kid]);
                self.simulation.input(Input::AllowKey(name(kid)));
            }
            Step::Extend(extension) => {
                self.extension = extension.map(|(by, time)| StaleExtension { by, until: now.unix + time });
                self.simulation.input(Input::ExtendStale(self.extension));
            }
            Step::Restart(pause) => self.restart(pause),
        }
        self.check();
    }

    /// Moment by moment, so that whatever happens in between is looked at just before, then, and just after.
    fn pass(&mut self, time: Duration) {
        let end = self.simulation.at() + time;
        while self.simulation.next() <= end {
            let next = self.simulation.next();
            if next > self.simulation.at() + NANOSECOND {
                self.simulation.pass(next.since(self.simulation.at()) - NANOSECOND);
                self.check();
            }
            self.simulation.step();
            self.check();
        }
        self.simulation.pass(end.since(self.simulation.at()));
    }

    fn request(&mut self, kid: &str) {
        let listed = self.simulation.issuer.lists(kid);
        let suppressed = self.simulation.events.len();
        let asked = self.simulation.at();
        let reply = self.simulation.request(kid);
        if reply == Reply::Told(Miss::Absent) && listed && !self.was_asked_for_too_early(kid, asked) {
            let why = &self.simulation.events[suppressed..];
            let crowded = why.iter().any(|(_, event)| matches!(event, Event::Suppressed(Suppressed::Budget)));
            assert!(crowded, "{kid} is listed and is said to be absent: {why:?}");
        }
        if !listed {
            self.asked_in_vain.insert(kid.to_owned(), self.simulation.at());
        }
    }

    fn flood(&mut self, count: u16) {
        for _ in 0..count {
            self.invented += 1;
            self.simulation.request(&format!("invented {}", self.invented));
            assert!(self.simulation.cache.unknown_kids.waiting.len() <= 256 + KIDS.len());
            assert!(self.simulation.cache.unknown_kids.negative.len() <= 1024);
        }
    }

    fn restart(&mut self, pause: Duration) {
        self.check_fetches();
        self.in_this_life = self.simulation.begun.len();
        self.restarts += 1;
        let config = self.simulation.cache.config().clone();
        if let Some((success, set)) = &self.held {
            let stored = self.simulation.persisted.as_ref().expect("every success is kept sooner or later");
            assert!(same(&stored.set, set), "what is kept is what was served");
            let age = self.simulation.now.unix.since(stored.succeeded_at);
            let recorded = age.saturating_sub(self.simulation.at().since(*success));
            assert!(recorded <= (config.ttl / 10).min(30 * SECOND) + CALENDAR, "its age is off by {recorded:?}");
        }
        self.simulation.restart(self.restarts, pause);
        let now = self.simulation.now;
        self.held = self.simulation.persisted.as_ref().and_then(|stored| {
            let age = now.unix.since(stored.succeeded_at);
            let extended = self.extension.filter(|extension| now.unix < extension.until);
            let most = config.stale_ttl + extended.map_or(Duration::ZERO, |extension| extension.by);
            (age <= most).then(|| (now.instant.before(age), (*stored.set).clone()))
        });
        self.simulation.delivered = None;
    }

    fn check(&mut self) {
        if let Some(delivered) = self.simulation.delivered.take() {
            self.held = Some(delivered.clone());
            self.simulation.delivered = Some(delivered);
        }
        for kid in KIDS {
            self.check_kid(kid);
        }
        self.check_waiting();
    }

    /// A known key inside its deadline is served, nothing is past it, and a denied key never.
    fn check_kid(&self, kid: &str) {
        let now = self.simulation.now;
        let serves = self.simulation.serves(kid);
        let until = self.denied.get(kid).map(|until| until.unwrap_or(UnixTime::from_millis(i64::MAX)));
        if until.is_some_and(|until| now.unix < until) {
            assert!(!serves, "{kid} is denied and served");
            return;
        }
        let Some((success, _)) = self.held.as_ref().filter(|(_, set)| set.has_kid(kid)) else {
            assert!(!serves, "{kid} is not in the set and served");
            return;
        };
        let (deadline, slack) = self.deadline(*success);
        if now.instant > deadline + slack {
            assert!(!serves, "{kid} is served past its deadline");
        } else if now.instant + slack <= deadline && until.is_none_or(|until| now.unix >= until + CALENDAR) {
            assert!(serves, "{kid} is known and is not served");
        }
    }

    fn deadline(&self, success: Instant) -> (Instant, Duration) {
        let now = self.simulation.now;
        let ordinary = success + self.simulation.cache.config().stale_ttl;
        match self.extension {
            Some(StaleExtension { by, until }) if now.unix < until => {
                (ordinary.max((ordinary + by).min(now.instant + until.since(now.unix))), CALENDAR)
            }
            // Which of both deadlines holds is not known to the millisecond.
            Some(StaleExtension { by, until }) if now.unix < until + CALENDAR => (ordinary, by + CALENDAR),
            _ => (ordinary, Duration::ZERO),
        }
    }

    /// Nobody waits longer than said, and nobody is told that a key does not exist which was there all the time.
    fn check_waiting(&mut self) {
        let max_wait = self.simulation.cache.config().max_wait;
        for (kid, arrived) in &self.simulation.waiting {
            let waited = self.simulation.at().since(*arrived);
            assert!(waited <= max_wait, "{kid:?} is waited for since {waited:?}");
        }
        for answer in &self.simulation.answers[self.checked..] {
            assert!(answer.at.since(answer.arrived) <= max_wait);
            let Some(kid) = &answer.kid else { continue };
            let listed = self.listed_since.get(kid).is_some_and(|since| *since <= answer.arrived);
            if answer.miss == Miss::Absent && listed && !self.was_asked_for_too_early(kid, answer.arrived) {
                panic!("{kid} was listed when it was asked for, and is said to be absent");
            }
        }
        self.checked = self.simulation.answers.len();
    }

    /// Whether the negative cache may still remember this kid from before it was published.
    fn was_asked_for_too_early(&self, kid: &str, asked: Instant) -> bool {
        let config = self.simulation.cache.config();
        let memory = config.negative_ttl + config.max_wait;
        self.asked_in_vain.get(kid).is_some_and(|early| asked.since(*early) <= memory)
    }

    /// Over any span the fetches of each trigger stay within what it is allowed.
    fn check_fetches(&self) {
        let config = self.simulation.cache.config();
        let begun = &self.simulation.begun[self.in_this_life..];
        let of = |wanted: &dyn Fn(Trigger, u32) -> bool| -> Vec<Instant> {
            begun.iter().filter(|begun| wanted(begun.trigger, begun.attempt)).map(|begun| begun.at).collect()
        };
        let unknown = of(&|trigger, _| trigger == Trigger::UnknownKid);
        let operator = of(&|trigger, attempt| trigger == Trigger::Operator && attempt == 1);
        let scheduled = of(&|trigger, _| matches!(trigger, Trigger::Scheduled | Trigger::Startup));
        let all = of(&|_, _| true);
        within(&unknown, config.unknown_kid_burst, config.unknown_kid_interval);
        within(&operator, 4, SECOND);
        // A refresh that fails with all its attempts takes half a second at least until the next one. The end of
        // service, a success and an operator make one begin anew.
        let attempts = config.refresh_retries + 1;
        within(&scheduled, 4 * attempts, Duration::from_millis(200) / attempts);
        let rate = 5 * attempts + attempts + config.unknown_kid_burst.max(5);
        within(&all, 8 * attempts + 4 + config.unknown_kid_burst, SECOND / rate);
    }

    /// Once the issuer is back for good, so is service, and it stays.
    fn recovers(&mut self) {
        let config = self.simulation.cache.config().clone();
        let issuer = &mut self.simulation.issuer;
        (issuer.mood, issuer.latency, issuer.max_age) = (Mood::Well, 50 * MILLISECOND, None);
        issuer.publish("a", 0);
        // A fetch that hangs, and the longest delay.
        let serving = self.simulation.snapshot.usable_keys(self.simulation.at()).is_some();
        let most = if serving { config.refresh_timeout + 31 * SECOND } else { config.refresh_timeout + 2 * SECOND };
        self.pass(most);
        let since = self.simulation.at();
        while self.simulation.at() < since + 700 * SECOND {
            let fresh = self.simulation.snapshot.state(self.simulation.at()) == CacheState::Fresh;
            // Fresh keys from before may grow old first, if the issuer came back before anything noticed.
            assert!(fresh, "the issuer is back and the keys are not fresh");
            self.pass(SECOND);
        }
        let denied =
            self.denied.get("a").is_some_and(|until| until.is_none_or(|until| self.simulation.now.unix < until));
        assert!(denied || self.simulation.serves("a"));
    }
}

fn same(one: &KeySet, other: &KeySet) -> bool {
    let keys = |set: &KeySet| -> BTreeSet<String> {
        set.keys().iter().map(|key| format!("{:?} {}", key.kid(), key.thumbprint())).collect()
    };
    keys(one) == keys(other)
}

/// No more than `burst`, and one each `interval`, between any two of these times.
fn within(times: &[Instant], burst: u32, interval: Duration) {
    for (first, from) in times.iter().enumerate() {
        for (last, to) in times.iter().enumerate().skip(first + burst as usize) {
            let allowed = u128::from(burst) + to.since(*from).as_nanos() / interval.as_nanos();
            assert!((last - first + 1) as u128 <= allowed, "{} in {:?}", last - first + 1, to.since(*from));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_promises_hold(config in config(), steps in proptest::collection::vec(step(), 1..60)) {
        let mut oracle = Oracle::new(config);
        let from = oracle.simulation.at();
        for step in &steps {
            oracle.take(step);
        }
        oracle.check_fetches();
        oracle.recovers();
        oracle.check_fetches();
        // Beside the fetches, time is spent on those who wait, eight portions each at most, and on what runs out.
        let simulation = &oracle.simulation;
        let waits = simulation.answers.len() + simulation.waiting.len();
        let most = 2 * simulation.begun.len() + 9 * waits + 2 * steps.len() + 10;
        prop_assert!(simulation.wakes <= most, "{} wakes in {:?}", simulation.wakes, simulation.at().since(from));
    }
}
