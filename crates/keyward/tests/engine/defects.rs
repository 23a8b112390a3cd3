//! What a defect, here or in an observer, must not bring down.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use keyward::clock::Clock;
use keyward::jwks::Event;
use keyward::time::Now;
use keyward::{Authenticator, Decision, Observer, Reason};
use keyward_issuer::{Mint, Rotate};

use crate::setup::{Recorder, TestClock, config, eventually, issuer, token};

/// An observer that panics at everything it is told.
struct Broken;

impl Observer for Broken {
    fn key_set(&self, _: &str, _: &Event) {
        panic!("as the test wants it");
    }

    fn token_cache(&self, _: bool) {
        panic!("as the test wants it");
    }
}

#[tokio::test]
async fn an_observer_that_panics_stops_nothing() {
    let issuer = issuer().await;
    let auth = Authenticator::builder().issuer(config("a", &issuer)).observer(Arc::new(Broken)).build().unwrap();
    eventually("the keys are loaded", || auth.status()[0].ready).await;
    assert!(auth.verify(&token(&issuer)).await.is_ok());
    issuer.rotate(Rotate::default());
    assert!(auth.verify(&token(&issuer)).await.is_ok());
    let hopeless = issuer.mint(Mint::new().expires_in(-60).header("kid", "x"));
    assert!(auth.verify(&hopeless).await.is_err());
    assert_eq!(auth.refresh("a").await, Some(true));
}

/// A clock that panics once when it is told to.
struct BreakingClock {
    clock: TestClock,
    breaks: Arc<AtomicBool>,
}

impl Clock for BreakingClock {
    fn now(&self) -> Now {
        assert!(!self.breaks.swap(false, Ordering::SeqCst), "as the test wants it");
        self.clock.now()
    }
}

#[tokio::test]
async fn a_driver_that_panics_is_begun_anew_with_the_keys_and_the_denials() {
    let issuer = issuer().await;
    let (clock, breaks, seen) = (TestClock::default(), Arc::<AtomicBool>::default(), Arc::<Recorder>::default());
    let auth = Authenticator::builder()
        .issuer(config("a", &issuer))
        .clock(BreakingClock { clock, breaks: breaks.clone() })
        .observer(seen.clone())
        .build()
        .unwrap();
    eventually("the keys are loaded", || auth.status()[0].ready).await;
    let old = token(&issuer);
    assert!(auth.decide("a", Decision::Deny { kid: issuer.signing_kid(), until: None }).await);
    issuer.rotate(Rotate::default());
    assert_eq!(auth.refresh("a").await, Some(true));
    let before = seen.refreshed();
    breaks.store(true, Ordering::SeqCst);
    eventually("the driver looks at its clock", || seen.driver_restarts() == 1).await;
    assert!(auth.verify(&token(&issuer)).await.is_ok(), "the keys serve meanwhile");
    eventually("it refreshes again", || seen.refreshed() > before).await;
    issuer.rotate(Rotate::default());
    assert!(auth.verify(&token(&issuer)).await.is_ok());
    assert_eq!(auth.verify(&old).await.unwrap_err().reason(), Reason::Revoked);
    assert_eq!(seen.driver_restarts(), 1);
    tokio::time::timeout(Duration::from_secs(5), auth.shutdown()).await.unwrap();
}
