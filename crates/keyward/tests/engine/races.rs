use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use keyward::{Attempt, Authenticator, Decision, PolicyId};
use keyward_issuer::Rotate;
use tokio::time::Instant;

use crate::setup::{Engine, config, issuer, token};

/// Whether tokens of the key are allowed: while the epoch is odd they are certainly not.
#[derive(Default)]
struct Watch {
    epoch: AtomicU64,
    over: AtomicBool,
    refused: AtomicU64,
    accepted: AtomicU64,
}

impl Watch {
    /// Verifies again and again; panics at a token that is accepted in an odd epoch.
    fn look(&self, auth: &Authenticator, tokens: &[String]) {
        while !self.over.load(Ordering::SeqCst) {
            for token in tokens {
                let before = self.epoch.load(Ordering::SeqCst);
                let accepted = matches!(auth.try_verify(PolicyId::DEFAULT, token), Attempt::Done(Ok(_)));
                let same = self.epoch.load(Ordering::SeqCst) == before;
                assert!(!(accepted && same && before % 2 == 1), "accepted under a key that was gone");
                if accepted { &self.accepted } else { &self.refused }.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn forbidden(&self) {
        assert_eq!(self.epoch.fetch_add(1, Ordering::SeqCst) % 2, 0);
    }

    fn allowed_again(&self) {
        assert_eq!(self.epoch.fetch_add(1, Ordering::SeqCst) % 2, 1);
    }
}

fn watched(auth: &Authenticator, tokens: &[String]) -> (Arc<Watch>, Vec<thread::JoinHandle<()>>) {
    let watch = Arc::<Watch>::default();
    let look = |_| {
        let (watch, auth, tokens) = (watch.clone(), auth.clone(), tokens.to_vec());
        thread::spawn(move || watch.look(&auth, &tokens))
    };
    let threads = (0..3).map(look).collect();
    (watch, threads)
}

fn finish(watch: &Watch, threads: Vec<thread::JoinHandle<()>>) {
    watch.over.store(true, Ordering::SeqCst);
    for thread in threads {
        thread.join().unwrap();
    }
    let (accepted, refused) = (watch.accepted.load(Ordering::SeqCst), watch.refused.load(Ordering::SeqCst));
    assert!(accepted > 100 && refused > 100, "{accepted} accepted, {refused} refused: too little was seen");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_thread_accepts_a_remembered_token_after_its_key_was_denied() {
    let issuer = issuer().await;
    let engine = Engine::loaded(config("a", &issuer)).await;
    let tokens: Vec<_> = (0..16).map(|_| token(&issuer)).collect();
    let (watch, threads) = watched(&engine.auth, &tokens);
    let until = Instant::now() + Duration::from_secs(3);
    while Instant::now() < until {
        assert!(engine.auth.decide("a", Decision::Deny { kid: issuer.signing_kid(), until: None }).await);
        watch.forbidden();
        tokio::time::sleep(Duration::from_millis(3)).await;
        watch.allowed_again();
        assert!(engine.auth.decide("a", Decision::Allow { kid: issuer.signing_kid() }).await);
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    finish(&watch, threads);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_thread_accepts_a_remembered_token_after_its_key_was_withdrawn() {
    let issuer = issuer().await;
    let engine = Engine::loaded(config("a", &issuer)).await;
    let kid = issuer.signing_kid();
    let tokens: Vec<_> = (0..16).map(|_| token(&issuer)).collect();
    issuer.rotate(Rotate::default());
    let (watch, threads) = watched(&engine.auth, &tokens);
    let until = Instant::now() + Duration::from_secs(3);
    while Instant::now() < until {
        // Time passes, so that the operator's budget of fetches does not slow the test down.
        engine.clock.advance(Duration::from_secs(5));
        assert!(issuer.withdraw(&kid));
        assert_eq!(engine.auth.refresh("a").await, Some(true));
        // Until here tokens may have been accepted; a refresh that is answered was published.
        watch.forbidden();
        tokio::time::sleep(Duration::from_millis(3)).await;
        watch.allowed_again();
        assert!(issuer.publish(&kid));
        assert_eq!(engine.auth.refresh("a").await, Some(true));
    }
    finish(&watch, threads);
}
