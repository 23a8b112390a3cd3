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
    let stored = Stored { set: Arc::new(set_of(&["a"])), etag: None, succeeded_at: now.unix - 61 * SECOND };
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
    simulation.input(Input::Restored(Stored { set: Arc::new(set_of(&["b"])), ..stored.clone() }));
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
fn a_restored_etag_is_sent_and_304_makes_the_restored_keys_fresh() {
    let mut simulation = Simulation::new(CacheConfig::default(), &["a"]);
    simulation.issuer.etags = true;
    simulation.pass(100 * SECOND);
    simulation.input(Input::Refresh);
    simulation.pass(100 * SECOND);
    simulation.restart(1, 1000 * SECOND);
    assert!(simulation.begun.last().unwrap().etag.is_some());
    simulation.news();
    simulation.until_fetched();
    let events = simulation.news();
    assert!(matches!(events[..], [Event::Refreshed { outcome: RefreshOutcome::NotModified, .. }]), "{events:?}");
    assert_eq!((simulation.state(), simulation.request("a")), (CacheState::Fresh, Reply::Served));
    assert_eq!(simulation.persisted.as_ref().unwrap().succeeded_at, simulation.now.unix, "the new age is kept");
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
