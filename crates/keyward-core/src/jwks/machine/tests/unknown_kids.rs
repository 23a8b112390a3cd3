use std::time::Duration;

use super::super::simulation::*;
use crate::jwks::{CacheConfig, Event, Input, Miss, Suppressed, Trigger};

fn suppressed(simulation: &mut Simulation) -> Vec<Suppressed> {
    let why = |event| match event {
        Event::Suppressed(why) => Some(why),
        _ => None,
    };
    simulation.news().into_iter().filter_map(why).collect()
}

fn started() -> Simulation {
    Simulation::started(CacheConfig::default(), &["a"])
}

fn fetches_for_unknown_kids(simulation: &Simulation) -> usize {
    simulation.begun.iter().filter(|begun| begun.trigger == Trigger::UnknownKid).count()
}

#[test]
fn a_known_kid_never_waits() {
    let mut simulation = started();
    for mood in [Mood::Well, Mood::Hanging, Mood::Broken { retry_after: None }, Mood::Empty] {
        simulation.issuer.mood = mood;
        simulation.request("unknown");
        for _ in 0..300 {
            simulation.pass(900 * MILLISECOND);
            assert_eq!(simulation.request("a"), Reply::Served);
        }
    }
}

#[test]
fn a_key_published_a_moment_after_a_fetch_works_at_its_first_use() {
    let mut simulation = started();
    for n in 0..20 {
        let kid = format!("new{n}");
        simulation.pass(10 * MILLISECOND);
        simulation.issuer.publish(&kid, 0);
        simulation.pass(MILLISECOND);
        let asked = simulation.at();
        assert_eq!(simulation.request(&kid), Reply::Told(Miss::Wait));
        while simulation.told(&kid).is_empty() {
            simulation.step();
        }
        assert_eq!(simulation.told(&kid), [Miss::Present]);
        assert!(simulation.serves(&kid));
        assert!(simulation.at().since(asked) <= 1100 * MILLISECOND, "it waited for the next permitted fetch at most");
    }
}

#[test]
fn a_key_that_has_come_meanwhile_is_present() {
    let mut simulation = started();
    let query = crate::jwks::KeyQuery { kid: Some("a".to_owned()), plausible: true };
    assert_eq!(simulation.cache.key_missing(&query, simulation.now), Miss::Present);
    let query = crate::jwks::KeyQuery { kid: None, plausible: true };
    assert_eq!(simulation.cache.key_missing(&query, simulation.now), Miss::Present, "any key at all is there");
    assert!(!simulation.is_fetching());
    assert_eq!(simulation.cache.poll_action().map(|_| ()), None);
}

#[test]
fn a_token_that_could_not_be_accepted_anyway_is_screened() {
    let mut simulation = started();
    assert_eq!(simulation.ask(Some("b"), false), Reply::Told(Miss::Absent));
    assert_eq!(simulation.ask(Some(&"b".repeat(1025)), true), Reply::Told(Miss::Absent), "no key has such a kid");
    assert_eq!(suppressed(&mut simulation), [Suppressed::Screened; 2]);
    simulation.pass(10 * SECOND);
    assert!(simulation.begun.is_empty());
}

#[test]
fn a_kid_that_a_fetch_did_not_bring_is_not_asked_for_again_for_two_seconds() {
    let mut simulation = started();
    assert_eq!(simulation.request("b"), Reply::Told(Miss::Wait));
    simulation.until_fetched();
    assert_eq!(simulation.told("b"), [Miss::Absent]);
    simulation.pass(2 * SECOND - NANOSECOND);
    assert_eq!(simulation.request("b"), Reply::Told(Miss::Absent));
    assert_eq!(suppressed(&mut simulation), [Suppressed::NegativeCache]);
    assert_eq!(simulation.begun.len(), 1);
    simulation.pass(NANOSECOND);
    assert_eq!(simulation.request("b"), Reply::Told(Miss::Wait));
    assert_eq!(simulation.begun.len(), 2);
}

#[test]
fn new_keys_clear_the_memory_of_missing_ones() {
    let mut simulation = started();
    simulation.request("b");
    simulation.until_fetched();
    simulation.issuer.publish("c", 0);
    simulation.request("c");
    simulation.until_fetched();
    assert!(simulation.serves("c"));
    simulation.issuer.publish("b", 0);
    assert_eq!(simulation.request("b"), Reply::Told(Miss::Wait));
    simulation.until_fetched();
    assert!(simulation.serves("b"));
}

#[test]
fn a_thousand_waits_for_one_kid_cause_one_fetch() {
    let mut simulation = started();
    for _ in 0..1000 {
        assert_eq!(simulation.request("b"), Reply::Told(Miss::Wait));
    }
    simulation.until_fetched();
    assert_eq!(simulation.told("b"), [Miss::Absent; 1000]);
    simulation.pass(SECOND);
    assert_eq!(simulation.begun.len(), 1);
    // And when the key comes, those who asked while the fetch was under way are content with it too.
    simulation.pass(5 * SECOND);
    simulation.answers.clear();
    simulation.issuer.publish("b", 0);
    for _ in 0..1000 {
        simulation.request("b");
        simulation.pass(40_000 * NANOSECOND);
    }
    simulation.pass(SECOND);
    assert_eq!(simulation.told("b"), [Miss::Present; 1000]);
    assert_eq!(simulation.begun.len(), 2);
}

#[test]
fn who_asks_while_a_fetch_is_under_way_gets_another_fetch() {
    let mut simulation = started();
    simulation.request("b");
    simulation.pass(10 * MILLISECOND);
    simulation.issuer.publish("c", 0);
    simulation.issuer.publish("b", 0);
    assert_eq!(simulation.request("c"), Reply::Told(Miss::Wait));
    assert_eq!(simulation.request("b"), Reply::Told(Miss::Wait));
    simulation.until_fetched();
    assert_eq!(simulation.told("b"), [Miss::Absent], "the first one asked before it was published");
    assert!(simulation.told("c").is_empty());
    assert!(simulation.is_fetching(), "the budget permits the next one at once");
    simulation.pass(10 * MILLISECOND);
    assert_eq!(
        simulation.request("b"),
        Reply::Told(Miss::Wait),
        "an answer is on its way: the old one is not repeated"
    );
    simulation.until_fetched();
    assert_eq!(simulation.told("c"), [Miss::Present]);
    assert_eq!(simulation.told("b"), [Miss::Absent, Miss::Present, Miss::Present]);
    assert_eq!(simulation.begun.len(), 2);
}

#[test]
fn a_kid_that_is_asked_for_all_the_time_and_does_not_exist_costs_two_fetches_each_two_seconds() {
    let mut simulation = started();
    for _ in 0..10_000 {
        simulation.request("b");
        simulation.pass(2 * MILLISECOND);
    }
    // One fetch, and one more for those who asked during it; then the negative cache holds for two seconds.
    assert!(fetches_for_unknown_kids(&simulation) <= 20, "{}", simulation.begun.len());
    assert!(simulation.answers.iter().all(|answer| answer.miss == Miss::Absent));
}

#[test]
fn unknown_kids_cost_a_few_fetches_at_once_and_then_one_a_second() {
    let mut simulation = started();
    simulation.issuer.latency = MILLISECOND;
    let mut n = 0;
    for _ in 0..20_000 {
        n += 1;
        simulation.request(&format!("x{n}"));
        simulation.pass(MILLISECOND);
    }
    let fetches = fetches_for_unknown_kids(&simulation);
    assert!((4 + 19..=4 + 20).contains(&fetches), "{fetches} in 20 s");
    let early = simulation.begun.iter().filter(|begun| begun.at < simulation.begun[0].at + SECOND).count();
    assert_eq!(early, 4);
}

#[test]
fn in_a_flood_most_are_answered_at_once_and_after_it_they_wait_again() {
    let mut simulation = started();
    for n in 0..30_000 {
        simulation.request(&format!("x{n}"));
        simulation.pass(MILLISECOND);
    }
    simulation.news();
    simulation.answers.clear();
    for n in 0..1000 {
        assert_eq!(simulation.request("a"), Reply::Served);
        simulation.request(&format!("y{n}"));
        simulation.pass(MILLISECOND);
    }
    let turned_away = suppressed(&mut simulation);
    assert!(turned_away.len() > 950 && turned_away.iter().all(|why| *why == Suppressed::Budget));
    simulation.pass(11 * SECOND);
    for n in 0..200 {
        assert_eq!(simulation.request(&format!("z{n}")), Reply::Told(Miss::Wait));
    }
}

#[test]
fn clients_that_keep_tokens_of_a_withdrawn_key_do_not_spoil_the_next_rotation() {
    let mut simulation = Simulation::started(CacheConfig::default(), &["a", "b"]);
    simulation.issuer.withdraw("a");
    simulation.input(Input::Refresh);
    for _ in 0..600 {
        simulation.pass(500 * MILLISECOND);
        assert!(matches!(simulation.request("a"), Reply::Told(Miss::Wait | Miss::Absent)));
    }
    simulation.issuer.publish("c", 0);
    assert_eq!(simulation.request("c"), Reply::Told(Miss::Wait));
    simulation.pass(SECOND);
    assert_eq!(simulation.told("c"), [Miss::Present]);
}

#[test]
fn no_more_kids_are_waited_for_than_configured() {
    let config = CacheConfig { max_waiting_kids: 5, ..CacheConfig::default() };
    let mut simulation = Simulation::started(config, &["a"]);
    let replies: Vec<_> = (0..7).map(|n| simulation.request(&format!("x{n}"))).collect();
    assert_eq!(replies[..5], [Reply::Told(Miss::Wait); 5]);
    assert_eq!(replies[5..], [Reply::Told(Miss::Absent); 2]);
    assert_eq!(suppressed(&mut simulation), [Suppressed::Budget; 2]);
    assert_eq!(simulation.request("x3"), Reply::Told(Miss::Wait), "one that is waited for already costs nothing");
}

#[test]
fn while_refreshes_fail_a_missing_key_is_unavailable_rather_than_absent() {
    let mut simulation = started();
    simulation.issuer.mood = Mood::Broken { retry_after: None };
    assert_eq!(simulation.request("b"), Reply::Told(Miss::Wait));
    simulation.pass(6 * SECOND);
    assert_eq!(simulation.told("b"), [Miss::Unavailable]);
    assert_eq!(simulation.ask(Some("b"), false), Reply::Told(Miss::Unavailable));
    simulation.issuer.mood = Mood::Well;
    simulation.input(Input::Refresh);
    simulation.until_fetched();
    assert_eq!(simulation.ask(Some("b"), false), Reply::Told(Miss::Absent), "trustworthy again");
}

#[test]
fn in_a_cooldown_a_missing_key_is_unavailable_from_the_first_failed_attempt_on() {
    let mut simulation = started();
    simulation.pass(SECOND);
    simulation.issuer.mood = Mood::Broken { retry_after: Some(20 * SECOND) };
    simulation.input(Input::Refresh);
    simulation.until_fetched();
    // The refresh has attempts left, so it has not failed yet; but the next one is far away.
    assert_eq!(simulation.request("b"), Reply::Told(Miss::Unavailable));
    assert_eq!(suppressed(&mut simulation), [Suppressed::Cooldown]);
    simulation.pass(16 * SECOND);
    assert_eq!(simulation.request("b"), Reply::Told(Miss::Wait), "the next attempt is near");
}

#[test]
fn failed_fetches_spend_the_budget() {
    let mut simulation = started();
    simulation.issuer.mood = Mood::Broken { retry_after: None };
    simulation.issuer.latency = MILLISECOND;
    for n in 0..30_000 {
        simulation.request(&format!("x{n}"));
        simulation.pass(MILLISECOND);
    }
    let fetches = fetches_for_unknown_kids(&simulation);
    assert!((4 + 20..=4 + 30).contains(&fetches), "{fetches} in 30 s");
}

#[test]
fn when_an_operator_is_faster_than_a_retry_unknown_kids_have_no_permits_that_are_not_due_yet() {
    let interval = 20 * MILLISECOND;
    let config = CacheConfig { unknown_kid_interval: interval, ..CacheConfig::default() };
    let mut simulation = Simulation::started(config, &["a"]);
    simulation.issuer.latency = NANOSECOND;
    for n in 0..20 {
        simulation.begun.clear();
        for m in 0..4 {
            simulation.request(&format!("x{n} {m}"));
            simulation.pass(2 * NANOSECOND);
        }
        assert_eq!(fetches_for_unknown_kids(&simulation), 4, "the budget is spent");
        simulation.issuer.mood = Mood::Broken { retry_after: None };
        simulation.request(&format!("y{n}"));
        simulation.until_fetched();
        // The retry is up to 200 ms away, by when there will be permits again. The operator does not wait for it.
        simulation.issuer.mood = Mood::Well;
        simulation.input(Input::Refresh);
        simulation.until_fetched();
        for m in 0..4 {
            simulation.request(&format!("z{n} {m}"));
            simulation.pass(2 * NANOSECOND);
        }
        let time = simulation.at().since(simulation.begun[0].at);
        let allowed = 4 + time.as_nanos() / interval.as_nanos();
        let fetches = fetches_for_unknown_kids(&simulation) as u128;
        assert!(fetches <= allowed, "{fetches} in {time:?}");
        simulation.pass(20 * SECOND);
    }
}

#[test]
fn a_flood_starves_neither_the_schedule_nor_the_operator() {
    let config = CacheConfig { ttl: 10 * SECOND, stale_ttl: 20 * SECOND, ..CacheConfig::default() };
    let mut simulation = Simulation::started(config, &["a"]);
    simulation.issuer.mood = Mood::Broken { retry_after: None };
    for n in 0..30_000 {
        simulation.request(&format!("x{n}"));
        simulation.pass(MILLISECOND);
    }
    let begun = simulation.begun.iter().filter(|begun| begun.trigger == Trigger::Scheduled).count();
    assert!(begun > 3, "{begun} scheduled fetches");
    assert!(!simulation.serves("a"));
    while simulation.is_fetching() {
        simulation.request("more");
        simulation.step();
    }
    simulation.input(Input::Refresh);
    assert_eq!(simulation.begun.last().unwrap().trigger, Trigger::Operator);
    simulation.issuer.mood = Mood::Well;
    for n in 0..1200 {
        simulation.request(&format!("z{n}"));
        simulation.pass(MILLISECOND);
    }
    assert!(simulation.serves("a"), "service resumes about a second after the issuer's return, flood or not");
}

#[test]
fn a_meagre_budget_does_not_slow_the_way_back_to_service() {
    let config = CacheConfig {
        ttl: 10 * SECOND,
        stale_ttl: 20 * SECOND,
        unknown_kid_burst: 1,
        unknown_kid_interval: 60 * SECOND,
        ..CacheConfig::default()
    };
    let mut simulation = Simulation::started(config, &["a"]);
    let leap = Duration::from_secs(30);
    simulation.issuer.mood = Mood::Broken { retry_after: None };
    simulation.request("b");
    simulation.pass(leap);
    simulation.issuer.mood = Mood::Well;
    for _ in 0..12 {
        simulation.request("b");
        simulation.pass(100 * MILLISECOND);
    }
    assert!(simulation.serves("a"));
}

#[test]
fn keys_that_expire_during_a_fetch_for_an_unknown_kid_do_not_wait_for_its_budget() {
    let config = CacheConfig {
        ttl: 10 * SECOND,
        stale_ttl: 10 * SECOND,
        unknown_kid_burst: 1,
        unknown_kid_interval: 30 * SECOND,
        max_wait: 60 * SECOND,
        ..CacheConfig::default()
    };
    let mut simulation = Simulation::started(config, &["a"]);
    simulation.issuer.mood = Mood::Hanging;
    simulation.pass(6 * SECOND);
    simulation.request("b");
    assert_eq!(simulation.begun[0].trigger, Trigger::UnknownKid);
    simulation.until_fetched();
    assert!(!simulation.serves("a"));
    simulation.issuer.mood = Mood::Well;
    simulation.pass(1100 * MILLISECOND);
    assert!(simulation.serves("a"));
}

#[test]
fn while_refreshes_fail_an_unknown_kid_gets_one_attempt_and_an_answer() {
    let mut simulation = started();
    simulation.issuer.mood = Mood::Broken { retry_after: None };
    simulation.request("x");
    simulation.pass(10 * SECOND);
    simulation.begun.clear();
    for n in 0..10 {
        simulation.request(&format!("y{n}"));
        simulation.pass(3 * SECOND);
    }
    let mut attempts = simulation.begun.iter().filter(|begun| begun.trigger == Trigger::UnknownKid).peekable();
    assert!(attempts.peek().is_some() && attempts.all(|begun| begun.attempt == 1));
}

#[test]
fn a_key_that_comes_in_a_flood_restores_patience() {
    let mut simulation = started();
    for n in 0..10_000 {
        simulation.request(&format!("x{n}"));
        simulation.pass(MILLISECOND);
    }
    simulation.pass(2 * SECOND);
    assert!(simulation.waiting.is_empty());
    simulation.issuer.publish("b", 0);
    assert_eq!(simulation.request("b"), Reply::Told(Miss::Wait));
    simulation.until_fetched();
    assert_eq!(simulation.told("b"), [Miss::Present]);
    for n in 0..256 {
        assert_eq!(simulation.request(&format!("y{n}")), Reply::Told(Miss::Wait));
    }
}

#[test]
fn a_budget_of_none_lets_unknown_kids_cause_nothing() {
    let config = CacheConfig { unknown_kid_burst: 0, ..CacheConfig::default() };
    let mut simulation = Simulation::started(config, &["a"]);
    assert_eq!(simulation.request("b"), Reply::Told(Miss::Absent));
    assert_eq!(suppressed(&mut simulation), [Suppressed::Cooldown]);
    simulation.pass(200 * SECOND);
    assert!(simulation.begun.is_empty());
}

#[test]
fn waiting_ends_in_time_even_if_the_fetch_does_not_and_the_crowd_grows() {
    let config = CacheConfig { max_wait: 2 * SECOND, ..CacheConfig::default() };
    let mut simulation = Simulation::started(config, &["a"]);
    simulation.issuer.mood = Mood::Hanging;
    for _ in 0..4900 {
        simulation.request("b");
        simulation.pass(MILLISECOND);
        let oldest = simulation.waiting.first().map_or(Duration::ZERO, |(_, arrived)| simulation.at().since(*arrived));
        assert!(oldest <= 2 * SECOND, "one has waited for {oldest:?}");
    }
    assert!(simulation.answers.iter().all(|answer| answer.miss == Miss::Unavailable));
    assert!(simulation.answers.iter().all(|answer| answer.at.since(answer.arrived) >= 1700 * MILLISECOND));
    assert!(simulation.wakes < 30, "{} wakes", simulation.wakes);
}

#[test]
fn a_start_without_an_issuer_makes_requests_wait_only_so_long() {
    let mut simulation = Simulation::facing(Mood::Hanging, CacheConfig::default(), &["a"]);
    assert_eq!(simulation.request("a"), Reply::Told(Miss::Wait));
    assert_eq!(simulation.ask(None, true), Reply::Told(Miss::Wait));
    simulation.pass(5 * SECOND);
    let told: Vec<Miss> = simulation.answers.iter().map(|answer| answer.miss).collect();
    assert_eq!(told, [Miss::Unavailable; 2]);
}

#[test]
fn a_request_at_the_start_waits_for_the_first_keys() {
    let mut simulation = Simulation::new(CacheConfig::default(), &["a"]);
    simulation.pass(MILLISECOND);
    assert_eq!(simulation.request("a"), Reply::Told(Miss::Wait));
    assert_eq!(simulation.ask(None, true), Reply::Told(Miss::Wait));
    simulation.until_fetched();
    assert!(simulation.answers.iter().all(|answer| answer.miss == Miss::Present));
    assert_eq!((simulation.answers.len(), simulation.begun.len()), (2, 1));
}

#[test]
fn a_hundred_thousand_invented_kids_leave_no_trace() {
    let mut simulation = started();
    simulation.issuer.latency = 10 * MILLISECOND;
    for n in 0..100_000_u64 {
        simulation.request(&format!("{n:x}"));
        if n % 20 == 0 {
            simulation.pass(MILLISECOND);
        }
        let unknown = &simulation.cache.unknown_kids;
        assert!(unknown.waiting.len() <= 256 && unknown.negative.len() <= 1024);
        simulation.events.clear();
    }
    assert!(fetches_for_unknown_kids(&simulation) <= 4 + 5);
    assert!(simulation.serves("a"));
    simulation.pass(10 * SECOND);
    assert_eq!(simulation.cache.unknown_kids.waiting.len(), 0);
    assert!(simulation.waiting.is_empty());
}
