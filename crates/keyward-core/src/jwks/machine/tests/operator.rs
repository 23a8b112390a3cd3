use std::time::Duration;

use super::super::simulation::*;
use crate::jwks::{CacheConfig, CacheState, Event, Input, Miss, StaleExtension, Trigger};

fn deny(simulation: &mut Simulation, kid: &str, time: Option<Duration>) {
    let until = time.map(|time| simulation.now.unix + time);
    simulation.input(Input::DenyKey(kid.to_owned(), until));
}

fn extend(simulation: &mut Simulation, by: Duration, time: Duration) {
    let until = simulation.now.unix + time;
    simulation.input(Input::ExtendStale(Some(StaleExtension { by, until })));
}

fn expirations(simulation: &Simulation) -> usize {
    simulation.events.iter().filter(|(_, event)| matches!(event, Event::Expired { .. })).count()
}

#[test]
fn a_denied_key_stops_at_once_and_stays_denied_through_refresh_outage_and_restart() {
    let mut simulation = Simulation::started(CacheConfig::default(), &["a", "b"]);
    let denied = simulation.snapshot.keys().keys()[0].clone();
    deny(&mut simulation, "a", None);
    assert_eq!((simulation.request("a"), simulation.request("b")), (Reply::Denied, Reply::Served));
    assert!(!simulation.snapshot.keys().holds(&denied));
    simulation.pass(1000 * SECOND);
    simulation.issuer.publish("a", 1);
    simulation.pass(1000 * SECOND);
    assert_eq!(simulation.request("a"), Reply::Denied, "also with other material");
    simulation.issuer.mood = Mood::Hanging;
    simulation.pass(1000 * SECOND);
    simulation.restart(1, SECOND);
    assert_eq!((simulation.request("a"), simulation.request("b")), (Reply::Denied, Reply::Served));
    simulation.input(Input::AllowKey("a".to_owned()));
    assert_eq!(simulation.request("a"), Reply::Served);
    simulation.restart(2, SECOND);
    assert_eq!(simulation.request("a"), Reply::Served);
}

#[test]
fn a_denial_ends_when_it_was_told_to_and_that_is_persisted() {
    let mut simulation = Simulation::started(CacheConfig::default(), &["a"]);
    deny(&mut simulation, "a", Some(100 * SECOND));
    simulation.pass(100 * SECOND - MILLISECOND);
    assert_eq!(simulation.request("a"), Reply::Denied);
    assert_eq!(simulation.operator.denied.len(), 1);
    simulation.pass(MILLISECOND);
    assert_eq!(simulation.request("a"), Reply::Served);
    assert!(simulation.operator.denied.is_empty());
}

#[test]
fn a_denial_that_ended_while_the_process_was_down_has_ended() {
    let mut simulation = Simulation::started(CacheConfig::default(), &["a", "b"]);
    deny(&mut simulation, "a", Some(100 * SECOND));
    deny(&mut simulation, "b", Some(200 * SECOND));
    simulation.issuer.mood = Mood::Hanging;
    simulation.restart(1, 150 * SECOND);
    assert_eq!((simulation.request("a"), simulation.request("b")), (Reply::Served, Reply::Denied));
}

#[test]
fn a_key_can_be_denied_before_it_is_published() {
    let mut simulation = Simulation::started(CacheConfig::default(), &["a"]);
    deny(&mut simulation, "b", None);
    simulation.issuer.publish("b", 0);
    simulation.input(Input::Refresh);
    simulation.until_fetched();
    assert_eq!(simulation.request("b"), Reply::Denied);
}

#[test]
fn an_extension_moves_the_deadline_and_survives_a_restart() {
    let mut simulation = Simulation::started(CacheConfig::default(), &["a"]);
    let success = simulation.at();
    simulation.issuer.mood = Mood::Broken { retry_after: None };
    extend(&mut simulation, 3600 * SECOND, 100_000 * SECOND);
    assert_eq!(simulation.snapshot.fails_closed_in(success), Some(7200 * SECOND));
    simulation.pass(7000 * SECOND);
    assert!(simulation.serves("a"));
    simulation.restart(1, SECOND);
    assert!(simulation.serves("a"), "older than the stale ttl, but not than the extension");
    simulation.pass((success + 7200 * SECOND).since(simulation.at()));
    assert!(simulation.serves("a"));
    simulation.pass(2 * MILLISECOND);
    assert!(!simulation.serves("a"));
    assert_eq!(expirations(&simulation), 1);
}

#[test]
fn an_extension_brings_expired_keys_back_and_taking_it_back_ends_them() {
    let mut simulation = Simulation::started(CacheConfig::default(), &["a"]);
    simulation.issuer.mood = Mood::Broken { retry_after: None };
    simulation.pass(4000 * SECOND);
    assert_eq!(simulation.state(), CacheState::Expired);
    extend(&mut simulation, 3600 * SECOND, 1000 * SECOND);
    assert_eq!((simulation.state(), simulation.request("a")), (CacheState::Stale, Reply::Served));
    simulation.input(Input::ExtendStale(None));
    assert_eq!(simulation.state(), CacheState::Expired);
    simulation.pass(NANOSECOND);
    assert_eq!(expirations(&simulation), 2, "each end of service is reported");
}

#[test]
fn readers_keep_to_the_end_of_an_extension_by_themselves() {
    let mut simulation = Simulation::started(CacheConfig::default(), &["a"]);
    simulation.issuer.mood = Mood::Broken { retry_after: None };
    simulation.pass(3000 * SECOND);
    extend(&mut simulation, 86_400 * SECOND, 1000 * SECOND);
    let ends = simulation.at() + 1000 * SECOND;
    assert_eq!(simulation.snapshot.fails_closed_in(simulation.at()), Some(1000 * SECOND));
    assert_eq!(simulation.snapshot.state(ends), CacheState::Stale);
    assert_eq!(simulation.snapshot.state(ends + NANOSECOND), CacheState::Expired);
    simulation.pass(1000 * SECOND + MILLISECOND);
    assert_eq!((simulation.state(), expirations(&simulation)), (CacheState::Expired, 1));
    assert_eq!(simulation.operator.extension, None);
}

#[test]
fn an_extension_that_ends_before_the_deadline_changes_nothing() {
    let mut simulation = Simulation::started(CacheConfig::default(), &["a"]);
    simulation.issuer.mood = Mood::Hanging;
    extend(&mut simulation, 86_400 * SECOND, 1000 * SECOND);
    assert_eq!(simulation.snapshot.fails_closed_in(simulation.at()), Some(3600 * SECOND));
    simulation.pass(3600 * SECOND);
    assert!(simulation.serves("a"));
    simulation.pass(MILLISECOND);
    assert!(!simulation.serves("a"));
}

#[test]
fn a_calendar_that_is_set_back_does_not_end_service_early() {
    let mut simulation = Simulation::started(CacheConfig::default(), &["a"]);
    simulation.issuer.mood = Mood::Broken { retry_after: Some(30 * SECOND) };
    simulation.pass(3000 * SECOND);
    extend(&mut simulation, 86_400 * SECOND, 1000 * SECOND);
    simulation.pass(1000 * SECOND - MILLISECOND);
    let generation = simulation.snapshot.generation();
    simulation.calendar_leaps(-500_000);
    simulation.pass(MILLISECOND);
    assert_eq!(simulation.snapshot.generation(), generation, "readers know of the old end only");
    simulation.pass(NANOSECOND);
    assert!(simulation.serves("a"));
    simulation.pass(499 * SECOND);
    assert!(simulation.serves("a"));
    assert_eq!(expirations(&simulation), 0);
    simulation.pass(2 * SECOND);
    assert!(!simulation.serves("a"));
    assert_eq!(expirations(&simulation), 1);
}

#[test]
fn an_operators_refresh_begins_at_once_and_does_not_wait_for_a_delay() {
    let mut simulation = Simulation::started(CacheConfig::default(), &["a"]);
    simulation.input(Input::Refresh);
    assert_eq!((simulation.begun.len(), simulation.begun[0].trigger), (1, Trigger::Operator));
    simulation.issuer.mood = Mood::Broken { retry_after: Some(30 * SECOND) };
    simulation.until_fetched();
    simulation.pass(10 * SECOND);
    simulation.input(Input::Refresh);
    simulation.until_fetched();
    simulation.pass(10 * SECOND);
    assert_eq!(simulation.begun.len(), 2, "backing off");
    simulation.issuer.mood = Mood::Well;
    simulation.input(Input::Refresh);
    simulation.until_fetched();
    assert_eq!(simulation.snapshot.age(simulation.at()), Some(Duration::ZERO));
}

#[test]
fn a_refresh_that_was_asked_for_during_a_fetch_follows_it() {
    let mut simulation = Simulation::started(CacheConfig::default(), &["a"]);
    simulation.input(Input::Refresh);
    simulation.pass(10 * MILLISECOND);
    // Too late for the fetch under way; whoever announces it may not announce it again.
    simulation.issuer.publish("b", 0);
    simulation.input(Input::Refresh);
    simulation.input(Input::Refresh);
    simulation.pass(SECOND);
    assert!(simulation.serves("b"));
    assert_eq!(simulation.begun.len(), 2);
}

#[test]
fn an_impatient_operator_is_held_to_a_few_fetches_at_once_and_then_one_a_second() {
    let mut simulation = Simulation::started(CacheConfig::default(), &["a"]);
    simulation.issuer.latency = MILLISECOND;
    for _ in 0..10_000 {
        simulation.input(Input::Refresh);
        simulation.pass(MILLISECOND);
    }
    assert!((4 + 9..=4 + 10).contains(&simulation.begun.len()), "{}", simulation.begun.len());
}

#[test]
fn an_operators_refresh_delays_no_attempt_that_is_due_sooner() {
    let mood = Mood::Broken { retry_after: None };
    let mut simulation = Simulation::facing(mood, CacheConfig::default(), &["a"]);
    simulation.issuer.latency = MILLISECOND;
    for _ in 0..8 {
        simulation.input(Input::Refresh);
        simulation.until_fetched();
    }
    let due = simulation.next();
    simulation.input(Input::Refresh);
    assert!(simulation.next() <= due);
}

#[test]
fn an_operators_refresh_takes_nothing_from_unknown_kids() {
    let mut simulation = Simulation::started(CacheConfig::default(), &["a"]);
    for _ in 0..8 {
        simulation.input(Input::Refresh);
        simulation.until_fetched();
    }
    for n in 0..4 {
        assert_eq!(simulation.request(&format!("x{n}")), Reply::Told(Miss::Wait));
        assert!(simulation.is_fetching());
        simulation.until_fetched();
    }
}
