use std::sync::Arc;
use std::time::Duration;

use super::super::simulation::*;
use crate::jwk::KeySet;
use crate::jwks::{Cache, CacheConfig, CacheState, Event, Input, Jitter, Miss, RefreshOutcome, Stored, Trigger};

fn outage() -> Simulation {
    let mut simulation = Simulation::started(CacheConfig::default(), &["a"]);
    simulation.issuer.mood = Mood::Broken { retry_after: None };
    simulation
}

fn ignored(simulation: &mut Simulation) -> Option<&'static str> {
    simulation.news().into_iter().find_map(|event| match event {
        Event::RestoreIgnored { why } => Some(why),
        _ => None,
    })
}

#[test]
fn a_cold_start_in_an_outage_serves_with_the_age_of_the_keys_counted() {
    let mut simulation = outage();
    let success = simulation.at();
    simulation.pass(1000 * SECOND);
    simulation.restart(1, 500 * SECOND);
    assert_eq!((simulation.state(), simulation.request("a")), (CacheState::Stale, Reply::Served));
    assert_eq!(simulation.snapshot.age(simulation.at()), Some(1500 * SECOND));
    assert!(
        simulation.news().iter().any(|event| matches!(event, Event::Restored { age, .. } if *age == 1500 * SECOND))
    );
    assert_eq!(simulation.begun.last().unwrap().trigger, Trigger::Startup, "and a fetch is made at once");
    simulation.pass((success + 3600 * SECOND).since(simulation.at()));
    assert!(simulation.serves("a"));
    simulation.pass(NANOSECOND);
    assert!(!simulation.serves("a"));
}

#[test]
fn restarts_do_not_make_keys_any_younger() {
    let mut simulation = outage();
    for seed in 0..9 {
        simulation.pass(200 * SECOND);
        simulation.restart(seed, 199 * SECOND);
        assert!(simulation.serves("a"));
    }
    simulation.pass(100 * SECOND);
    simulation.restart(9, SECOND);
    assert!(!simulation.serves("a"));
}

#[test]
fn keys_older_than_the_stale_ttl_are_not_restored() {
    let mut simulation = outage();
    simulation.restart(1, 3600 * SECOND + MILLISECOND);
    assert_eq!(ignored(&mut simulation), Some("it is older than the stale ttl"));
    assert_eq!((simulation.state(), simulation.request("a")), (CacheState::Empty, Reply::Told(Miss::Wait)));
}

#[test]
fn keys_from_the_future_are_not_restored_beyond_what_clocks_differ_by() {
    let mut simulation = outage();
    simulation.calendar_leaps(-301_000);
    simulation.restart(1, SECOND - MILLISECOND);
    assert_eq!(ignored(&mut simulation), Some("it is from the future: its age cannot be known"));
    assert!(!simulation.serves("a"));
    simulation.restart(2, SECOND);
    assert!(simulation.serves("a"), "less than five minutes are tolerated");
}

#[test]
fn keys_older_than_the_clock_are_not_made_younger() {
    let config = CacheConfig::default();
    let now = crate::time::Now {
        instant: crate::time::Instant::ORIGIN + 60 * SECOND,
        unix: crate::time::UnixTime::from_secs(1_700_000_000),
    };
    let stored = Stored { set: Arc::new(set_of(&["a"])), succeeded_at: now.unix - 61 * SECOND };
    let mut cache = Cache::new(config, Jitter::seeded(1));
    cache.handle(Input::Restored(stored.clone()), now);
    assert!(matches!(cache.poll_event(), Some(Event::RestoreIgnored { .. })));
    cache.handle(Input::Restored(Stored { succeeded_at: now.unix - 60 * SECOND, ..stored }), now);
    assert!(matches!(cache.poll_event(), Some(Event::Restored { .. })));
}

#[test]
fn an_empty_set_is_not_restored_and_neither_is_any_over_a_newer_one() {
    let mut simulation = outage();
    let stored = simulation.persisted.clone().unwrap();
    simulation.input(Input::Restored(Stored { set: Arc::new(set_of(&["b"])), ..stored }));
    assert_eq!(ignored(&mut simulation), Some("a newer set is already loaded"));
    assert!(simulation.serves("a") && !simulation.serves("b"));
    simulation.persisted = Some(Stored { set: Arc::new(KeySet::default()), ..stored });
    simulation.restart(1, SECOND);
    assert_eq!(ignored(&mut simulation), Some("it has no usable keys"));
}

#[test]
fn restored_keys_serve_but_what_is_not_among_them_may_exist() {
    let mut simulation = outage();
    simulation.restart(1, SECOND);
    assert!(simulation.serves("a") && !simulation.snapshot.is_trustworthy());
    assert_eq!(simulation.ask(Some("b"), false), Reply::Told(Miss::Unavailable));
    simulation.issuer.mood = Mood::Well;
    simulation.until_fetched();
    simulation.until_fetched();
    assert!(simulation.snapshot.is_trustworthy());
    assert_eq!(simulation.ask(Some("b"), false), Reply::Told(Miss::Absent));
}

#[test]
fn whoever_waits_when_keys_are_restored_gets_them() {
    let mut simulation = outage();
    let stored = simulation.persisted.take().unwrap();
    simulation.restart(1, SECOND);
    assert_eq!(simulation.request("a"), Reply::Told(Miss::Wait));
    assert_eq!(simulation.request("b"), Reply::Told(Miss::Wait));
    simulation.input(Input::Restored(stored));
    assert_eq!((simulation.told("a"), simulation.told("b")), (vec![Miss::Present], vec![]));
}

#[test]
fn restored_keys_are_asked_for_without_their_etag_as_they_may_be_less_than_what_was_published() {
    let mut simulation = Simulation::new(CacheConfig::default(), &["a"]);
    simulation.issuer.etags = true;
    simulation.pass(100 * SECOND);
    simulation.input(Input::Refresh);
    simulation.pass(100 * SECOND);
    simulation.restart(1, 1000 * SECOND);
    assert_eq!(simulation.begun.last().unwrap().etag, None);
    simulation.news();
    simulation.until_fetched();
    let events = simulation.news();
    assert!(matches!(events[..], [Event::Refreshed { outcome: RefreshOutcome::Success, .. }]), "{events:?}");
    assert_eq!((simulation.state(), simulation.request("a")), (CacheState::Fresh, Reply::Served));
    assert_eq!(simulation.persisted.as_ref().unwrap().succeeded_at, simulation.now.unix, "the new age is kept");
}

/// Another cache of the same process takes over.
fn succeeded_by_another(simulation: &mut Simulation) {
    simulation.cache = Cache::new(simulation.cache.config().clone(), Jitter::seeded(9));
    let last = Arc::clone(&simulation.snapshot);
    simulation.input(Input::Inherited(last));
}

#[test]
fn an_inherited_set_keeps_its_deadline_whatever_the_calendar_says() {
    for leap in [-3_600_000, 7_200_000] {
        let mut simulation = outage();
        let success = simulation.at();
        simulation.pass(1000 * SECOND);
        simulation.calendar_leaps(leap);
        succeeded_by_another(&mut simulation);
        assert!(simulation.serves("a"), "{leap}");
        assert_eq!(simulation.snapshot.age(simulation.at()), Some(1000 * SECOND), "{leap}");
        simulation.set_clock(success + 3600 * SECOND);
        assert!(simulation.serves("a"), "{leap}");
        simulation.set_clock(success + 3600 * SECOND + NANOSECOND);
        assert!(!simulation.serves("a"), "{leap}");
    }
}

#[test]
fn nothing_is_inherited_from_a_cache_that_has_nothing_or_is_too_old() {
    let mut simulation = Simulation::facing(Mood::Broken { retry_after: None }, CacheConfig::default(), &["a"]);
    succeeded_by_another(&mut simulation);
    assert_eq!((ignored(&mut simulation), simulation.state()), (None, CacheState::Empty));
    let mut simulation = outage();
    simulation.pass(3601 * SECOND);
    simulation.news();
    succeeded_by_another(&mut simulation);
    assert_eq!(ignored(&mut simulation), Some("it is older than the stale ttl"));
}

#[test]
fn a_cache_begun_anew_has_the_keys_the_denials_and_a_greater_generation() {
    let mut simulation = Simulation::started(CacheConfig::default(), &["a", "b"]);
    simulation.input(Input::DenyKey("b".to_owned(), None));
    simulation.pass(100 * SECOND);
    simulation.cache = simulation.cache.begun_anew(&simulation.snapshot, simulation.now);
    // The simulation checks that the generation grows.
    simulation.carry_out();
    assert_eq!((simulation.request("a"), simulation.request("b")), (Reply::Served, Reply::Denied));
    assert_eq!(simulation.snapshot.age(simulation.at()), Some(100 * SECOND));
    simulation.step();
    assert!(simulation.is_fetching(), "and fetches at once");
}

#[test]
fn configured_keys_never_age_and_can_be_denied_for_a_while() {
    let mut simulation = Simulation::started(CacheConfig::default(), &["z"]);
    simulation.snapshot = Arc::new(crate::jwks::Snapshot::empty());
    simulation.cache = Cache::fixed(Arc::new(set_of(&["a", "b"])));
    simulation.input(Input::RestoredOperator(crate::jwks::OperatorState::default()));
    let until = simulation.now.unix + 500 * SECOND;
    simulation.input(Input::DenyKey("a".to_owned(), Some(until)));
    assert_eq!((simulation.request("a"), simulation.request("b")), (Reply::Denied, Reply::Served));
    assert_eq!(simulation.operator.denied.len(), 1, "and it is kept");
    simulation.input(Input::Refresh);
    simulation.pass(10_000_000 * SECOND);
    assert_eq!((simulation.state(), simulation.request("a")), (CacheState::Fresh, Reply::Served));
    assert_eq!(simulation.request("x"), Reply::Told(Miss::Absent));
    assert_eq!((simulation.snapshot.age(simulation.at()), simulation.begun.len()), (None, 0));
    simulation.input(Input::DenyKey("b".to_owned(), None));
    simulation.cache = simulation.cache.begun_anew(&simulation.snapshot, simulation.now);
    simulation.carry_out();
    assert_eq!((simulation.request("a"), simulation.request("b")), (Reply::Served, Reply::Denied));
}

#[test]
fn what_changed_while_the_process_was_down_is_reported() {
    let mut simulation = Simulation::started(CacheConfig::default(), &["a"]);
    simulation.issuer.publish("b", 0);
    simulation.restart(1, SECOND);
    simulation.until_fetched();
    let added = simulation.news().into_iter().find_map(|event| match event {
        Event::KeysChanged(changes) => Some(changes.added),
        _ => None,
    });
    assert_eq!(added, Some(vec!["b".to_owned()]));
}

#[test]
fn an_unchanged_set_is_persisted_not_more_often_than_said_and_a_changed_one_at_once() {
    let mut simulation = Simulation::started(CacheConfig::default(), &["a"]);
    simulation.issuer.latency = MILLISECOND;
    assert_eq!(simulation.persists.len(), 1);
    for _ in 0..295 {
        simulation.input(Input::Refresh);
        simulation.pass(SECOND);
    }
    let apart: Vec<Duration> = simulation.persists.windows(2).map(|two| two[1].since(two[0])).collect();
    assert!(apart.len() >= 8 && apart.iter().all(|time| *time >= 30 * SECOND), "{apart:?}");
    let before = simulation.persists.len();
    simulation.issuer.publish("b", 0);
    simulation.input(Input::Refresh);
    simulation.until_fetched();
    assert_eq!(simulation.persists.len(), before + 1);
    assert!(simulation.persisted.as_ref().unwrap().set.has_kid("b"));
    assert!(simulation.persisted.as_ref().unwrap().set.denied().is_empty());
}
