//! What survives.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Waker},
};

use super::{Fixture, alice, at, complete, done, draft, job, leased, with_key};
use crate::{
    jobs::{Status, UsagePeriod},
    store::Submitted,
};

pub(crate) async fn what_was_answered_is_still_there_after_a_kill(fixture: &impl Fixture) {
    let store = fixture.store().await;
    let finished = draft("echo").submitted(&*store, at(0)).await;
    let completed = done(complete(&*store, &leased(&*store, at(1)).await, at(2)).await);
    draft("echo").submitted(&*store, at(3)).await;
    let held = leased(&*store, at(4)).await;
    let submission = draft("echo").key("k1").at(at(5));
    assert!(with_key(&submission).key.as_str() == "k1");
    store.submit(submission, at(5)).await.unwrap();

    let store = fixture.after_kill().await;
    assert_eq!(job(&*store, finished.id).await, completed);
    assert_eq!(job(&*store, held.job.id).await, held.job);
    let day = at(0).day();
    let period = UsagePeriod { from: day, to: day };
    assert_eq!(store.usage(&alice(), period).await.unwrap()[0].count, 1);
    let again = store.submit(draft("echo").key("k1").at(at(6)), at(6)).await;
    assert!(matches!(again.unwrap(), Submitted::Existing(_)));
    // The worker lives on, and so does its lease.
    done(complete(&*store, &held, at(7)).await);
}

pub(crate) async fn a_closed_store_opens_again_with_everything(fixture: &impl Fixture) {
    let store = fixture.store().await;
    let created = draft("echo").submitted(&*store, at(0)).await;
    store.close().await;
    assert!(store.ping().await.is_err());
    let store = fixture.store().await;
    store.ping().await.unwrap();
    assert_eq!(job(&*store, created.id).await, created);
    assert_eq!(leased(&*store, at(1)).await.job.status, Status::Running);
}

/// Polls the call `polls` times and drops it: its client has gone away.
async fn abandon(call: impl Future, polls: usize) {
    let mut call = pin!(call);
    for _ in 0..polls {
        let mut context = Context::from_waker(Waker::noop());
        if call.as_mut().poll(&mut context).is_ready() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn a_dropped_call_leaves_the_store_usable(fixture: &impl Fixture) {
    let store = fixture.store().await;
    for polls in 0..60 {
        let now = at(polls);
        abandon(store.submit(draft("echo").at(now), now), polls as usize).await;
    }
    let created = draft("echo").submitted(&*store, at(100)).await;
    assert_eq!(job(&*store, created.id).await, created);
    // Every job that is there is there whole.
    let stats = store.queue_stats(at(100)).await.unwrap();
    let mut leased_jobs = 0;
    while !store.lease(&super::any_kind(100), at(200)).await.unwrap().jobs.is_empty() {
        leased_jobs += 1;
    }
    assert!(leased_jobs > 0);
    let after = store.queue_stats(at(200)).await.unwrap();
    assert_eq!(after.jobs[Status::Running as usize], stats.jobs[0]);
}
