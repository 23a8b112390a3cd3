use super::super::simulation::*;
use crate::jwks::{CacheConfig, Event, FailureKind, Input, RefreshOutcome, Trigger};

/// The events by name, with what tells them apart.
fn names(events: &[Event]) -> Vec<String> {
    let name = |event: &Event| match event {
        Event::Refreshed { trigger, outcome, keys, .. } => {
            format!("refreshed {trigger:?} {outcome:?} {}", keys.kids().join(","))
        }
        Event::AttemptFailed { trigger, attempt, .. } => format!("attempt {attempt} failed {trigger:?}"),
        Event::RefreshFailed { trigger } => format!("refresh failed {trigger:?}"),
        Event::Fallback { .. } => "fallback".to_owned(),
        Event::Restored { .. } => "restored".to_owned(),
        Event::RestoreIgnored { .. } => "restore ignored".to_owned(),
        Event::Expired { .. } => "expired".to_owned(),
        Event::KeysChanged(_) => "keys changed".to_owned(),
        Event::Suppressed(why) => format!("suppressed {why:?}"),
    };
    events.iter().map(name).collect()
}

#[test]
fn an_outage_is_told_from_beginning_to_end() {
    let config = CacheConfig { ttl: 10 * SECOND, stale_ttl: 11 * SECOND, refresh_retries: 1, ..CacheConfig::default() };
    let mut simulation = Simulation::new(config, &["a"]);
    simulation.until_fetched();
    assert_eq!(names(&simulation.news()), ["refreshed Startup Success a"]);
    simulation.issuer.mood = Mood::Broken { retry_after: None };
    simulation.until_fetched();
    simulation.until_fetched();
    let events = simulation.news();
    let expected = ["attempt 1 failed Scheduled", "attempt 2 failed Scheduled", "refresh failed Scheduled", "fallback"];
    assert_eq!(names(&events), expected);
    let Event::Fallback { keys_cached: 1, age, fails_closed_in } = events[3] else { panic!("{events:?}") };
    assert_eq!(age + fails_closed_in, 11 * SECOND);
    simulation.pass(fails_closed_in + NANOSECOND);
    let told = names(&simulation.news());
    assert_eq!(told.iter().filter(|name| *name == "expired").count(), 1, "{told:?}");
    while simulation.is_fetching() {
        simulation.step();
    }
    simulation.pass(2 * SECOND);
    let told = names(&simulation.news());
    assert!(
        told.contains(&"refresh failed Scheduled".to_owned()) && !told.contains(&"fallback".to_owned()),
        "{told:?}"
    );
    simulation.issuer.mood = Mood::Well;
    simulation.issuer.publish("b", 0);
    simulation.pass(2 * SECOND);
    let told = names(&simulation.news());
    assert_eq!(told[told.len() - 2..], ["keys changed", "refreshed Scheduled Success a,b"]);
}

#[test]
fn every_fetch_ends_in_one_event_with_its_trigger() {
    let mut simulation = Simulation::new(CacheConfig::default(), &["a"]);
    let moods = [Mood::Well, Mood::Empty, Mood::Hanging, Mood::Broken { retry_after: None }, Mood::Unusable];
    for n in 0..200 {
        simulation.issuer.mood = moods[n % 5];
        simulation.issuer.etags = n % 3 == 0;
        simulation.pass(7 * SECOND);
        if n % 4 == 0 {
            simulation.request("x");
        }
        if n % 7 == 0 {
            simulation.input(Input::Refresh);
        }
    }
    while simulation.is_fetching() {
        simulation.step();
    }
    let begun: Vec<_> = simulation.begun.iter().map(|begun| begun.trigger).collect();
    let ended = simulation.events.iter().filter_map(|(_, event)| match event {
        Event::Refreshed { trigger, .. } | Event::AttemptFailed { trigger, .. } => Some(*trigger),
        _ => None,
    });
    let ended: Vec<Trigger> = ended.collect();
    let fetching = usize::from(simulation.is_fetching());
    assert_eq!(begun[..begun.len() - fetching], ended[..]);
    assert!(Trigger::ALL.iter().all(|trigger| ended.contains(trigger)));
}

#[test]
fn a_failed_attempt_says_all_that_the_log_needs() {
    let mut simulation = Simulation::started(CacheConfig::default(), &["a"]);
    simulation.pass(100 * SECOND);
    simulation.issuer.mood = Mood::Hanging;
    simulation.input(Input::Refresh);
    simulation.until_fetched();
    let events = simulation.news();
    let [Event::AttemptFailed { trigger, kind, attempt, retry_in, keys_cached, age, duration, .. }] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!((*trigger, *kind, *attempt, *keys_cached), (Trigger::Operator, FailureKind::Timeout, 1, 1));
    assert_eq!((*age, *duration), (Some(105 * SECOND), 5 * SECOND));
    assert_eq!(simulation.next(), simulation.at() + *retry_in);
}

#[test]
fn keys_that_cannot_be_used_are_named_once() {
    let mut simulation = Simulation::started(CacheConfig::default(), &["a"]);
    let bad = r#"{"kty":"AKP","kid":"pq"}"#;
    let set = || crate::jwk::KeySet::from_jwks([jwk("a", 0).as_str(), bad]);
    let mut named = Vec::new();
    for _ in 0..3 {
        simulation.pass(2 * SECOND);
        simulation.cache.handle(Input::Refresh, simulation.now);
        let Some(crate::jwks::Action::Fetch { id, .. }) = simulation.cache.poll_action() else { panic!("no fetch") };
        let fetched = crate::jwks::Fetched { set: set(), etag: None, max_age: None };
        simulation.input(Input::Fetched(id, fetched));
        for event in simulation.news() {
            if let Event::Refreshed { newly_unusable, outcome: RefreshOutcome::Success, .. } = event {
                named.push(newly_unusable.into_iter().filter_map(|key| key.kid).collect::<Vec<_>>());
            }
        }
    }
    assert_eq!(named, [vec!["pq".to_owned()], vec![], vec![]]);
    assert!(simulation.serves("a"));
}
