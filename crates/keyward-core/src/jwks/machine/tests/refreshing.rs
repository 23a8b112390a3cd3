use std::time::Duration;

use super::super::simulation::*;
use crate::jwks::{CacheConfig, CacheState, Event, FailureKind, Fetched, Input, Trigger};

/// Lets time pass up to the next fetch; how long that was.
fn until_fetch(simulation: &mut Simulation) -> Duration {
    let (from, fetches) = (simulation.at(), simulation.begun.len());
    while simulation.begun.len() == fetches {
        simulation.step();
    }
    simulation.at().since(from)
}

fn between(low: Duration, value: Duration, high: Duration) -> bool {
    assert!(low <= value && value <= high, "{value:?} is not between {low:?} and {high:?}");
    true
}

#[test]
fn the_first_fetch_begins_at_once() {
    let simulation = Simulation::new(CacheConfig::default(), &["a"]);
    assert_eq!((simulation.begun.len(), simulation.begun[0].trigger), (1, Trigger::Startup));
    assert_eq!(simulation.begun[0].timeout, 5 * SECOND);
    assert_eq!(simulation.state(), CacheState::Empty);
}

#[test]
fn keys_are_refreshed_ahead_of_their_ttl_and_never_grow_stale() {
    let mut simulation = Simulation::started(CacheConfig::default(), &["a"]);
    let mut delays = Vec::new();
    for _ in 0..20 {
        let delay = until_fetch(&mut simulation);
        assert_eq!(simulation.state(), CacheState::Fresh);
        simulation.until_fetched();
        assert!(between(215 * SECOND, delay, 240 * SECOND));
        delays.push(delay);
    }
    delays.sort();
    assert!(delays[19] - delays[0] > SECOND, "the delays are jittered");
    assert!(simulation.begun.iter().all(|begun| begun.trigger == Trigger::Scheduled && begun.attempt == 1));
}

#[test]
fn max_age_shortens_the_ttl_but_not_below_the_floor_and_never_lengthens_it() {
    for (max_age, ttl) in [(100, 100), (1, 30), (0, 30), (86_400, 300)] {
        let mut simulation = Simulation::new(CacheConfig::default(), &["a"]);
        simulation.input(Input::Refresh);
        simulation.issuer.max_age = Some(Duration::from_secs(max_age));
        simulation.until_fetched();
        simulation.until_fetched();
        let (at, ttl) = (simulation.at(), Duration::from_secs(ttl));
        assert_eq!(simulation.snapshot.state(at + ttl), CacheState::Fresh);
        assert_eq!(simulation.snapshot.state(at + ttl + NANOSECOND), CacheState::Stale);
        assert!(between(ttl.mul_f64(0.72), until_fetch(&mut simulation), ttl.mul_f64(0.8)));
    }
}

#[test]
fn a_ttl_of_nothing_does_not_make_the_machine_spin() {
    let config = CacheConfig { ttl: Duration::ZERO, ..CacheConfig::default() };
    let mut simulation = Simulation::new(config, &["a"]);
    simulation.issuer.latency = Duration::ZERO;
    simulation.pass(10 * SECOND);
    assert!(simulation.begun.len() <= 51, "{}", simulation.begun.len());
}

#[test]
fn the_etag_is_sent_back_and_304_makes_the_same_keys_fresh() {
    let mut simulation = Simulation::new(CacheConfig::default(), &["a"]);
    assert_eq!(simulation.begun[0].etag, None);
    simulation.issuer.etags = true;
    simulation.pass(SECOND);
    simulation.input(Input::Refresh);
    simulation.until_fetched();
    let keys = simulation.snapshot.keys().keys()[0].clone();
    until_fetch(&mut simulation);
    assert!(simulation.begun[2].etag.as_ref().is_some_and(|etag| etag.contains('a')));
    simulation.until_fetched();
    assert!(matches!(
        simulation.news().last(),
        Some(Event::Refreshed { outcome: crate::jwks::RefreshOutcome::NotModified, .. })
    ));
    assert_eq!(simulation.snapshot.age(simulation.at()), Some(Duration::ZERO));
    assert!(std::sync::Arc::ptr_eq(&keys, &simulation.snapshot.keys().keys()[0]));
    assert!(simulation.snapshot.keys().holds(&keys));
}

#[test]
fn an_answer_of_304_to_nothing_is_a_failure() {
    let mut simulation = Simulation::new(CacheConfig::default(), &["a"]);
    let id = simulation_fetch_id(&simulation);
    simulation.input(Input::NotModified(id, None));
    assert!(matches!(
        simulation.news()[..],
        [Event::AttemptFailed { kind: FailureKind::Status, keys_cached: 0, age: None, .. }]
    ));
    assert_eq!(simulation.state(), CacheState::Empty);
    // And so is one when the keys came without an ETag: nothing says what has not been modified.
    let mut simulation = Simulation::started(CacheConfig::default(), &["a"]);
    until_fetch(&mut simulation);
    let (id, age) = (simulation_fetch_id(&simulation), simulation.snapshot.age(simulation.at()));
    simulation.input(Input::NotModified(id, None));
    assert!(matches!(simulation.news()[..], [Event::AttemptFailed { kind: FailureKind::Status, .. }]));
    assert_eq!(simulation.snapshot.age(simulation.at()), age);
}

fn simulation_fetch_id(simulation: &Simulation) -> crate::jwks::FetchId {
    let super::super::Phase::Fetching { id, .. } = simulation.cache.phase else { panic!("nothing is fetched") };
    id
}

#[test]
fn the_answer_of_a_fetch_that_was_given_up_is_ignored() {
    let mut simulation = Simulation::started(CacheConfig::default(), &["a"]);
    until_fetch(&mut simulation);
    let id = simulation_fetch_id(&simulation);
    simulation.until_fetched();
    simulation.news();
    let generation = simulation.snapshot.generation();
    let fetched = Fetched { set: set_of(&["b"]), etag: None, max_age: None };
    simulation.input(Input::Fetched(id, fetched.clone()));
    simulation.input(Input::NotModified(id, None));
    simulation.input(Input::Failed { id, kind: FailureKind::Dns, error: String::new(), retry_after: None });
    // Nor is an old answer taken for that of the fetch under way.
    until_fetch(&mut simulation);
    simulation.input(Input::Fetched(id, fetched));
    assert_eq!((simulation.snapshot.generation(), simulation.news().len()), (generation, 0));
    assert!(simulation.serves("a") && !simulation.serves("b"));
}

#[test]
fn a_refresh_makes_one_attempt_and_its_retries_with_growing_jittered_delays() {
    let mut simulation = Simulation::started(CacheConfig::default(), &["a"]);
    simulation.issuer.mood = Mood::Broken { retry_after: None };
    let mut shares = Vec::new();
    for _ in 0..10 {
        until_fetch(&mut simulation);
        for attempt in 1..=3 {
            simulation.until_fetched();
            let delay = until_fetch(&mut simulation);
            let ceiling = 200 * MILLISECOND * 2_u32.pow(attempt - 1);
            assert!(between(ceiling / 20, delay, ceiling));
            shares.push(delay.as_secs_f64() / ceiling.as_secs_f64());
        }
        simulation.until_fetched();
    }
    let attempts: Vec<_> = simulation.begun.iter().map(|begun| begun.attempt).collect();
    assert_eq!(attempts, [1, 2, 3, 4].repeat(10), "each refresh begins anew");
    assert!(shares.iter().any(|share| *share < 0.3) && shares.iter().any(|share| *share > 0.7), "full jitter");
}

#[test]
fn between_failed_refreshes_the_interval_grows_to_half_a_minute_while_keys_serve() {
    let config = CacheConfig { refresh_retries: 0, ..CacheConfig::default() };
    let mut simulation = Simulation::started(config, &["a"]);
    simulation.issuer.mood = Mood::Broken { retry_after: None };
    until_fetch(&mut simulation);
    for failed in 1..40 {
        simulation.until_fetched();
        let delay = until_fetch(&mut simulation);
        let ceiling = Duration::from_secs(2_u64.saturating_pow(failed)).min(30 * SECOND);
        assert!(between(ceiling / 2, delay, ceiling));
        assert!(simulation.serves("a"));
    }
}

#[test]
fn a_ttl_of_seconds_makes_the_interval_between_failed_refreshes_short() {
    let config = CacheConfig { ttl: 3 * SECOND, stale_ttl: 60 * SECOND, refresh_retries: 0, ..CacheConfig::default() };
    let mut simulation = Simulation::started(config, &["a"]);
    simulation.issuer.mood = Mood::Broken { retry_after: None };
    until_fetch(&mut simulation);
    for _ in 0..20 {
        simulation.until_fetched();
        assert!(between(500 * MILLISECOND, until_fetch(&mut simulation), SECOND));
    }
}

#[test]
fn while_nothing_serves_no_delay_is_longer_than_a_second() {
    let config = CacheConfig { refresh_retries: 12, ..CacheConfig::default() };
    let mood = Mood::Broken { retry_after: Some(60 * SECOND) };
    let mut simulation = Simulation::facing(mood, config, &["a"]);
    for _ in 0..200 {
        simulation.until_fetched();
        assert!(between(5 * MILLISECOND, until_fetch(&mut simulation), SECOND));
    }
}

#[test]
fn retry_after_is_honoured_while_keys_serve_up_to_a_cap() {
    for (asked, given) in [(10, 10), (3600, 30)] {
        let config = CacheConfig { refresh_retries: 1, ..CacheConfig::default() };
        let mut simulation = Simulation::started(config, &["a"]);
        simulation.issuer.mood = Mood::Broken { retry_after: Some(Duration::from_secs(asked)) };
        until_fetch(&mut simulation);
        for _ in 0..4 {
            simulation.until_fetched();
            assert!(between(Duration::from_secs(given), until_fetch(&mut simulation), 30 * SECOND));
        }
    }
}

#[test]
fn a_delay_that_was_chosen_while_keys_served_ends_with_them() {
    let config = CacheConfig { ttl: 100 * SECOND, stale_ttl: 100 * SECOND, ..CacheConfig::default() };
    let mut simulation = Simulation::started(config, &["a"]);
    let expires = simulation.at() + 100 * SECOND;
    simulation.issuer.mood = Mood::Broken { retry_after: Some(3600 * SECOND) };
    until_fetch(&mut simulation);
    simulation.until_fetched();
    assert!(simulation.next() > simulation.at() + 10 * SECOND || simulation.next() == expires + NANOSECOND);
    simulation.pass(expires.since(simulation.at()));
    let fetches = simulation.begun.len();
    simulation.pass(NANOSECOND);
    assert_eq!(simulation.begun.len(), fetches + 1);
}

#[test]
fn service_resumes_within_about_a_second_of_the_issuers_return() {
    for seed in 0..40 {
        let config = CacheConfig { ttl: 10 * SECOND, stale_ttl: 30 * SECOND, ..CacheConfig::default() };
        let mut simulation = Simulation::started(config, &["a"]);
        simulation.issuer.mood = Mood::Broken { retry_after: Some(20 * SECOND) };
        simulation.pass(60 * SECOND + seed * 97 * MILLISECOND);
        assert_eq!(simulation.state(), CacheState::Expired);
        simulation.issuer.mood = Mood::Well;
        simulation.pass(1100 * MILLISECOND);
        assert!(simulation.serves("a"));
        assert_eq!(simulation.state(), CacheState::Fresh);
    }
}

#[test]
fn it_never_gives_up_and_never_spins() {
    let mut simulation = Simulation::started(CacheConfig::default(), &["a"]);
    simulation.issuer.mood = Mood::Hanging;
    simulation.pass(86_400 * SECOND);
    let fetches = simulation.begun.len();
    assert!((10_000..20_000).contains(&fetches), "{fetches} fetches in a day without an issuer");
    assert!(simulation.wakes <= fetches + 10);
    simulation.issuer.mood = Mood::Well;
    simulation.pass(7 * SECOND);
    assert_eq!(simulation.state(), CacheState::Fresh);
}
