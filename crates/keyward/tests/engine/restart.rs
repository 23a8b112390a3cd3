use std::path::{Path, PathBuf};
use std::time::Duration;

use keyward::clock::Clock;
use keyward::jwks::Event;
use keyward::{Decision, Fault, IssuerConfig, Reason};
use keyward_issuer::{Fault as Misbehaviour, Issuer, Mint, Rotate};

use crate::setup::{Engine, TestClock, config, eventually, issuer, token};

fn keeping(config: IssuerConfig, directory: &Path) -> Engine {
    Engine::build(|builder| builder.issuer(config).keep_keys_in(directory))
}

fn kept(directory: &Path, what: &str) -> Option<PathBuf> {
    let files = std::fs::read_dir(directory).ok()?;
    files.map(|file| file.unwrap().path()).find(|path| path.to_str().unwrap().ends_with(&format!(".{what}.json")))
}

/// A directory that an engine has kept the issuer's keys in.
async fn kept_by_an_engine(issuer: &Issuer) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let engine = keeping(config("a", issuer), directory.path());
    engine.ready().await;
    eventually("the keys are kept", || kept(directory.path(), "keys").is_some()).await;
    engine.auth.shutdown().await;
    directory
}

#[tokio::test]
async fn a_start_in_an_outage_serves_and_comes_back_by_itself() {
    let issuer = issuer().await;
    let directory = kept_by_an_engine(&issuer).await;
    issuer.set_fault(Some(Misbehaviour::status(503)));
    let engine = keeping(config("a", &issuer), directory.path());
    assert!(engine.at_once(&token(&issuer)).is_ok(), "at once, before any fetch has ended");
    let unknown = engine.auth.verify(&issuer.mint(Mint::new().header("kid", "x"))).await.unwrap_err();
    assert_eq!((unknown.reason(), unknown.fault()), (Reason::UnknownKid, Fault::Unavailable));
    issuer.set_fault(None);
    eventually("it comes back", || engine.seen.refreshed() > 0).await;
    assert!(engine.seen.store_failures().is_empty());
}

#[tokio::test]
async fn a_start_in_an_outage_with_nothing_kept_is_unavailable_and_comes_back_by_itself() {
    let issuer = issuer().await;
    issuer.set_fault(Some(Misbehaviour::status(503)));
    let directory = tempfile::tempdir().unwrap();
    let engine = keeping(config("a", &issuer), directory.path());
    let refused = engine.auth.verify(&token(&issuer)).await.unwrap_err();
    assert_eq!((refused.reason(), refused.fault().status()), (Reason::KeysUnavailable, 503));
    issuer.set_fault(None);
    engine.ready().await;
    assert!(engine.auth.verify(&token(&issuer)).await.is_ok());
}

#[tokio::test]
async fn the_stale_deadline_holds_across_a_restart() {
    let issuer = issuer().await;
    let directory = kept_by_an_engine(&issuer).await;
    issuer.set_fault(Some(Misbehaviour::status(503)));
    let day = issuer.mint(Mint::new().expires_in(86_400));
    let start = |ahead| {
        let clock = TestClock::default();
        clock.advance(Duration::from_secs(ahead));
        Engine::build_at(clock, |builder| builder.issuer(config("a", &issuer)).keep_keys_in(directory.path()))
    };
    let within = start(3500);
    assert!(within.at_once(&day).is_ok());
    within.clock.advance(Duration::from_secs(101));
    assert_eq!(within.auth.verify(&day).await.unwrap_err().reason(), Reason::KeysUnavailable);
    let beyond = start(3601);
    assert_eq!(beyond.auth.verify(&day).await.unwrap_err().reason(), Reason::KeysUnavailable);
    assert_eq!(beyond.seen.count(|event| matches!(event, Event::RestoreIgnored { .. })), 1);
    issuer.set_fault(None);
    beyond.ready().await;
    assert!(beyond.auth.verify(&day).await.is_ok());
}

#[tokio::test]
async fn a_damaged_or_foreign_file_is_reported_ignored_and_replaced() {
    let issuer = issuer().await;
    let directory = kept_by_an_engine(&issuer).await;
    let path = kept(directory.path(), "keys").unwrap();
    let good = std::fs::read(&path).unwrap();
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    let foreign = String::from_utf8(good.clone()).unwrap().replace(&issuer.jwks_url(), "https://elsewhere.example/");
    for bad in [&good[..good.len() / 2], &flipped, foreign.as_bytes(), b"", b"[]"] {
        std::fs::write(&path, bad).unwrap();
        let engine = keeping(config("a", &issuer), directory.path());
        assert_eq!(engine.seen.store_failures().len(), 1);
        engine.ready().await;
        assert!(engine.auth.verify(&token(&issuer)).await.is_ok());
        engine.auth.shutdown().await;
        let again = keeping(config("a", &issuer), directory.path());
        assert!(again.seen.store_failures().is_empty(), "it was replaced");
        assert!(again.auth.status()[0].ready);
    }
}

#[tokio::test]
async fn keys_kept_from_another_place_are_not_used() {
    let (a, b) = (issuer().await, issuer().await);
    let directory = kept_by_an_engine(&a).await;
    b.set_fault(Some(Misbehaviour::status(503)));
    let engine = keeping(config("a", &b), directory.path());
    assert!(!engine.auth.status()[0].ready);
    assert_eq!(engine.seen.store_failures().len(), 1);
}

#[tokio::test]
async fn a_place_that_cannot_be_written_stops_nothing() {
    let issuer = issuer().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    for place in [file.path(), Path::new("/proc/keyward"), Path::new("/dev/full/keyward")] {
        let engine = keeping(config("a", &issuer), place);
        engine.ready().await;
        assert!(engine.auth.verify(&token(&issuer)).await.is_ok());
        eventually("it is reported", || !engine.seen.store_failures().is_empty()).await;
        assert!(engine.auth.decide("a", Decision::Deny { kid: issuer.signing_kid(), until: None }).await);
        assert_eq!(
            engine.reason(&token(&issuer)).await,
            Some(Reason::Revoked),
            "{place:?}: a denial holds all the same"
        );
        engine.auth.shutdown().await;
    }
}

#[tokio::test]
async fn a_decision_that_could_not_be_written_is_written_once_it_can_be() {
    let issuer = issuer().await;
    let parent = tempfile::tempdir().unwrap();
    let place = parent.path().join("keys");
    std::fs::write(&place, "a file where the directory should be").unwrap();
    let engine = keeping(config("a", &issuer), &place);
    engine.ready().await;
    assert!(engine.auth.decide("a", Decision::Deny { kid: issuer.signing_kid(), until: None }).await);
    std::fs::remove_file(&place).unwrap();
    engine.auth.shutdown().await;
    let again = keeping(config("a", &issuer), &place);
    again.ready().await;
    assert_eq!(again.reason(&token(&issuer)).await, Some(Reason::Revoked));
}

#[tokio::test]
async fn what_the_operator_decided_is_on_disk_when_the_call_returns() {
    let issuer = issuer().await;
    let directory = tempfile::tempdir().unwrap();
    let engine = keeping(config("a", &issuer), directory.path());
    engine.ready().await;
    let denied = issuer.signing_kid();
    assert!(engine.auth.decide("a", Decision::Deny { kid: denied.clone(), until: None }).await);
    let path = kept(directory.path(), "operator").expect("already written");
    assert!(std::fs::read_to_string(path).unwrap().contains(&denied));
    // As after SIGKILL: nobody is told to finish anything.
    let tokens = [token(&issuer), {
        issuer.rotate(Rotate::default());
        token(&issuer)
    }];
    let again = keeping(config("a", &issuer), directory.path());
    again.ready().await;
    assert_eq!(again.reason(&tokens[0]).await, Some(Reason::Revoked));
    assert_eq!(again.reason(&tokens[1]).await, None);
    assert!(again.auth.decide("a", Decision::Allow { kid: denied }).await);
    let third = keeping(config("a", &issuer), directory.path());
    third.ready().await;
    assert_eq!(third.reason(&tokens[0]).await, None);
}

#[tokio::test]
async fn a_successor_takes_over_keys_and_decisions_without_a_gap() {
    let issuer = issuer().await;
    let engine = Engine::loaded(config("a", &issuer)).await;
    let denied = issuer.signing_kid();
    let old = token(&issuer);
    issuer.rotate(Rotate::default());
    assert_eq!(engine.auth.refresh("a").await, Some(true));
    assert!(engine.auth.decide("a", Decision::Deny { kid: denied, until: None }).await);
    issuer.set_fault(Some(Misbehaviour::status(503)));
    let successor = Engine::build(|builder| builder.issuer(config("a", &issuer)).inherit(&engine.auth));
    drop(engine);
    assert!(successor.at_once(&token(&issuer)).is_ok());
    assert_eq!(successor.at_once(&old).unwrap_err().reason(), Reason::Revoked, "nothing was kept on disk");
    let mut elsewhere = config("a", &issuer);
    elsewhere.keys = keyward::KeySource::Url(format!("{}?other", issuer.jwks_url()));
    let stranger = Engine::build(|builder| builder.issuer(elsewhere).inherit(&successor.auth));
    assert!(!stranger.auth.status()[0].ready, "keys of another place are not taken over");
}

#[tokio::test]
async fn a_successor_keeps_the_deadline_when_the_calendar_was_set_meanwhile() {
    let issuer = issuer().await;
    for step in [-3600, 7200] {
        issuer.set_fault(None);
        let directory = tempfile::tempdir().unwrap();
        let engine = keeping(config("a", &issuer), directory.path());
        engine.ready().await;
        eventually("the keys are kept", || kept(directory.path(), "keys").is_some()).await;
        issuer.set_fault(Some(Misbehaviour::status(503)));
        engine.clock.advance(Duration::from_secs(1000));
        engine.clock.set_calendar(step);
        let successor = Engine::build_at(engine.clock.clone(), |builder| {
            builder.issuer(config("a", &issuer)).keep_keys_in(directory.path()).inherit(&engine.auth)
        });
        let ready = || successor.auth.status()[0].ready;
        assert!(ready(), "{step}");
        let left = successor.auth.status()[0].snapshot.fails_closed_in(successor.clock.now().instant).unwrap();
        assert!((2580..=2600).contains(&left.as_secs()), "{step}: {left:?}");
        successor.clock.advance(Duration::from_secs(2570));
        assert!(ready(), "{step}");
        successor.clock.advance(Duration::from_secs(31));
        assert!(!ready(), "{step}");
    }
}

#[tokio::test]
async fn a_successor_writes_what_it_inherits() {
    let issuer = issuer().await;
    let engine = Engine::loaded(config("a", &issuer)).await;
    assert!(engine.auth.decide("a", Decision::Deny { kid: issuer.signing_kid(), until: None }).await);
    let directory = tempfile::tempdir().unwrap();
    let successor = Engine::build(|builder| {
        builder.issuer(config("a", &issuer)).keep_keys_in(directory.path()).inherit(&engine.auth)
    });
    successor.auth.shutdown().await;
    let third = keeping(config("a", &issuer), directory.path());
    third.ready().await;
    assert_eq!(third.reason(&token(&issuer)).await, Some(Reason::Revoked));
}

#[tokio::test]
async fn decisions_that_are_damaged_are_reported_as_such_and_stop_nothing() {
    let issuer = issuer().await;
    let directory = tempfile::tempdir().unwrap();
    let engine = keeping(config("a", &issuer), directory.path());
    engine.ready().await;
    assert!(engine.auth.decide("a", Decision::Deny { kid: issuer.signing_kid(), until: None }).await);
    engine.auth.shutdown().await;
    std::fs::write(kept(directory.path(), "operator").unwrap(), "{").unwrap();
    let again = keeping(config("a", &issuer), directory.path());
    assert_eq!((again.seen.decisions_lost(), again.seen.store_failures()), (vec!["a".to_owned()], vec![]));
    assert!(again.at_once(&token(&issuer)).is_ok());
}
