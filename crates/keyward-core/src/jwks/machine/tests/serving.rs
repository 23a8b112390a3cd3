use std::time::Duration;

use super::super::simulation::*;
use crate::jwks::{CacheConfig, CacheState, Event, FailureKind, Input, KeyChanges, Miss};

/// Refreshes now, and waits for the end of it.
fn refresh(simulation: &mut Simulation) -> Vec<Event> {
    simulation.news();
    simulation.input(Input::Refresh);
    simulation.until_fetched();
    simulation.news()
}

fn changes(events: &[Event]) -> Option<&KeyChanges> {
    events.iter().find_map(|event| match event {
        Event::KeysChanged(changes) => Some(changes),
        _ => None,
    })
}

fn names(kids: &[&str]) -> Vec<String> {
    kids.iter().map(|kid| (*kid).to_owned()).collect()
}

#[test]
fn the_borders_of_fresh_stale_and_expired_are_exact_to_the_nanosecond() {
    let mut simulation = Simulation::started(CacheConfig::default(), &["a"]);
    simulation.issuer.mood = Mood::Broken { retry_after: None };
    simulation.pass(300 * SECOND);
    assert_eq!(simulation.state(), CacheState::Fresh);
    simulation.pass(NANOSECOND);
    assert_eq!(simulation.state(), CacheState::Stale);
    simulation.pass(3300 * SECOND - NANOSECOND);
    assert_eq!(simulation.snapshot.age(simulation.at()), Some(3600 * SECOND));
    assert_eq!((simulation.state(), simulation.request("a")), (CacheState::Stale, Reply::Served));
    assert_eq!(simulation.snapshot.fails_closed_in(simulation.at()), Some(Duration::ZERO));
    assert!(!simulation.events.iter().any(|(_, event)| matches!(event, Event::Expired { .. })));
    simulation.pass(NANOSECOND);
    assert_eq!((simulation.state(), simulation.request("a")), (CacheState::Expired, Reply::Told(Miss::Wait)));
    let (at, _) = simulation.events.iter().find(|(_, event)| matches!(event, Event::Expired { .. })).unwrap();
    assert_eq!(*at, simulation.at());
    // And it is said once.
    simulation.pass(600 * SECOND);
    assert_eq!(simulation.events.iter().filter(|(_, event)| matches!(event, Event::Expired { .. })).count(), 1);
}

#[test]
fn a_stale_ttl_shorter_than_the_ttl_counts_as_the_ttl() {
    let config = CacheConfig { stale_ttl: SECOND, ..CacheConfig::default() };
    let mut simulation = Simulation::started(config, &["a"]);
    simulation.issuer.mood = Mood::Hanging;
    simulation.pass(300 * SECOND);
    assert!(simulation.serves("a"));
    simulation.pass(NANOSECOND);
    assert!(!simulation.serves("a"));
}

#[test]
fn a_max_age_leaves_the_stale_deadline_alone() {
    let mut simulation = Simulation::started(CacheConfig::default(), &["a"]);
    simulation.issuer.max_age = Some(Duration::ZERO);
    refresh(&mut simulation);
    assert_eq!(simulation.snapshot.fails_closed_in(simulation.at()), Some(3600 * SECOND));
}

#[test]
fn an_empty_set_never_replaces_a_good_one() {
    for mood in [Mood::Empty, Mood::Unusable] {
        let mut simulation = Simulation::started(CacheConfig::default(), &["a"]);
        simulation.pass(SECOND);
        simulation.issuer.mood = mood;
        let events = refresh(&mut simulation);
        assert!(matches!(events[..], [Event::AttemptFailed { kind: FailureKind::Empty, keys_cached: 1, .. }]));
        simulation.pass(3000 * SECOND);
        assert_eq!((simulation.state(), simulation.request("a")), (CacheState::Stale, Reply::Served));
        assert_eq!(simulation.persists.len(), 1);
    }
}

#[test]
fn the_failure_of_an_unusable_set_names_a_reason() {
    let mut simulation = Simulation::started(CacheConfig::default(), &["a"]);
    simulation.issuer.mood = Mood::Unusable;
    let events = refresh(&mut simulation);
    let [Event::AttemptFailed { error, .. }] = &events[..] else { panic!("{events:?}") };
    assert!(error.contains("none of the set's 2 keys") && error.contains("AKP"), "{error}");
}

#[test]
fn a_withdrawn_key_stops_with_the_snapshot_that_dropped_it() {
    let mut simulation = Simulation::started(CacheConfig::default(), &["a", "b"]);
    let withdrawn = simulation.snapshot.keys().keys()[0].clone();
    simulation.issuer.withdraw("a");
    assert!(simulation.serves("a"));
    let events = refresh(&mut simulation);
    assert!(!simulation.serves("a") && simulation.serves("b"));
    assert!(!simulation.snapshot.keys().holds(&withdrawn), "tokens verified with it are cached no longer");
    let expected = KeyChanges { removed: names(&["a"]), ..KeyChanges::default() };
    assert_eq!(changes(&events), Some(&expected));
}

#[test]
fn a_set_that_is_listed_in_another_order_has_not_changed() {
    let mut simulation = Simulation::started(CacheConfig::default(), &["b", "a"]);
    simulation.issuer.publish("a", 0);
    assert_eq!(changes(&refresh(&mut simulation)), None);
}

#[test]
fn a_kid_with_other_material_is_accepted_and_reported() {
    let mut simulation = Simulation::started(CacheConfig::default(), &["a", "b"]);
    let replaced = simulation.snapshot.keys().keys()[0].clone();
    simulation.issuer.publish("a", 1);
    let events = refresh(&mut simulation);
    let expected = KeyChanges { replaced: names(&["a"]), ..KeyChanges::default() };
    assert_eq!(changes(&events), Some(&expected));
    assert!(simulation.serves("a") && !simulation.snapshot.keys().holds(&replaced));
}

#[test]
fn a_set_that_shares_no_key_with_the_last_is_accepted_and_reported() {
    let mut simulation = Simulation::started(CacheConfig::default(), &["a", "b"]);
    simulation.issuer.withdraw("a");
    simulation.issuer.withdraw("b");
    simulation.issuer.publish("c", 0);
    let events = refresh(&mut simulation);
    let expected =
        KeyChanges { added: names(&["c"]), removed: names(&["a", "b"]), replaced: Vec::new(), disjoint: true };
    assert_eq!(changes(&events), Some(&expected));
    assert!(!simulation.serves("a") && simulation.serves("c"));
}

#[test]
fn what_readers_are_told_to_wait_is_the_time_to_the_next_try() {
    let mood = Mood::Broken { retry_after: None };
    let mut simulation = Simulation::facing(mood, CacheConfig::default(), &["a"]);
    simulation.pass(30 * SECOND);
    assert_eq!(simulation.snapshot.retry_after_secs(simulation.at()), 1);
    assert!(!simulation.snapshot.is_trustworthy());
}

#[test]
fn a_machine_that_was_suspended_serves_nothing_old_and_refreshes_at_once() {
    let mut simulation = Simulation::started(CacheConfig::default(), &["a"]);
    let awake = simulation.at() + 7200 * SECOND;
    let millis = 7_200_000;
    simulation.now.instant = awake;
    simulation.calendar_leaps(millis);
    // A request comes before the driver has looked at the clock.
    assert_eq!(simulation.request("a"), Reply::Told(Miss::Wait));
    assert_eq!(simulation.ask(Some("junk"), false), Reply::Told(Miss::Unavailable), "nothing can be said of any key");
    simulation.until_fetched();
    assert_eq!(simulation.told("a"), [Miss::Present]);
    assert_eq!(simulation.begun.len(), 1);
    assert_eq!(simulation.begun[0].trigger, crate::jwks::Trigger::Scheduled);
    assert_eq!(simulation.state(), CacheState::Fresh);
}

#[test]
fn each_end_of_service_is_reported() {
    let mut simulation = Simulation::started(CacheConfig::default(), &["a"]);
    for times in 1..=3 {
        simulation.issuer.mood = Mood::Broken { retry_after: None };
        simulation.pass(4000 * SECOND);
        let expired = simulation.events.iter().filter(|(_, event)| matches!(event, Event::Expired { .. }));
        assert_eq!(expired.count(), times);
        simulation.issuer.mood = Mood::Well;
        simulation.pass(2 * SECOND);
        assert!(simulation.serves("a"));
    }
}

#[test]
fn what_was_learned_of_a_key_outlives_a_refresh() {
    let mut simulation = Simulation::started(CacheConfig::default(), &["a"]);
    simulation.snapshot.keys().keys()[0].mark_used(simulation.now.unix);
    let used = simulation.snapshot.keys().keys()[0].last_used();
    simulation.issuer.publish("b", 0);
    refresh(&mut simulation);
    assert!(used.is_some() && simulation.snapshot.keys().keys()[0].last_used() == used);
}
