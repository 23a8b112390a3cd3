//! Calls that meet.

use std::{collections::HashSet, sync::Arc};

use tokio::{sync::Barrier, task::JoinSet};

use super::{Fixture, alice, any_kind, at, complete, done, draft, leased};
use crate::{
    jobs::{JobId, ListQuery, Status, UsagePeriod},
    store::{Cancellation, Fenced, JobStore, Submitted},
};

/// Leases and completes until nothing is due. Nobody goes on before both hold something: they do race.
async fn work(store: Arc<dyn JobStore>, batch: u32, both_hold_jobs: Arc<Barrier>) -> Vec<JobId> {
    let mut held = Vec::new();
    loop {
        let leased = store.lease(&any_kind(batch), at(1000)).await.unwrap();
        if held.is_empty() {
            both_hold_jobs.wait().await;
        }
        if leased.jobs.is_empty() {
            return held;
        }
        for job in leased.jobs {
            done(complete(&*store, &job, at(1001)).await);
            held.push(job.job.id);
        }
    }
}

pub(crate) async fn two_workers_never_hold_the_same_job(fixture: &impl Fixture) {
    const JOBS: usize = 500;
    let store = fixture.store().await;
    for _ in 0..JOBS {
        draft("echo").submitted(&*store, at(0)).await;
    }
    // Through connections of their own, as two processes would be.
    let other = fixture.store().await;
    let barrier = Arc::new(Barrier::new(2));
    let one = tokio::spawn(work(store.clone(), 7, barrier.clone()));
    let two = tokio::spawn(work(other, 3, barrier));
    let (one, two) = (one.await.unwrap(), two.await.unwrap());
    assert_eq!(one.len() + two.len(), JOBS);
    let distinct: HashSet<_> = one.iter().chain(&two).collect();
    assert_eq!(distinct.len(), JOBS);

    let day = at(0).day();
    let period = UsagePeriod { from: day, to: day };
    let usage = store.usage(&alice(), period).await.unwrap();
    assert_eq!(usage[0].count, JOBS as u64);
}

pub(crate) async fn twenty_submissions_with_one_key_make_one_job(fixture: &impl Fixture) {
    let store = fixture.store().await;
    let mut calls = JoinSet::new();
    for n in 0..20 {
        let store = store.clone();
        let submission = draft("echo").key("k1").at(at(n));
        calls.spawn(async move { store.submit(submission, at(n)).await.unwrap() });
    }
    let (mut created, mut ids) = (0, HashSet::new());
    for answer in calls.join_all().await {
        match answer {
            Submitted::Created(job) => {
                created += 1;
                ids.insert(job.id);
            }
            Submitted::Existing(job) => {
                ids.insert(job.id);
            }
            Submitted::IdempotencyConflict => panic!("the same submission conflicts"),
        }
    }
    assert_eq!((created, ids.len()), (1, 1));
}

pub(crate) async fn one_of_cancel_and_complete_wins(fixture: &impl Fixture) {
    let store = fixture.store().await;
    for n in 0..20 {
        draft("echo").submitted(&*store, at(n)).await;
        let held = leased(&*store, at(n)).await;
        let owner = alice();
        let (cancellation, completion) =
            tokio::join!(store.cancel(&owner, held.job.id, at(n)), complete(&*store, &held, at(n)));
        match (cancellation.unwrap(), completion) {
            (Cancellation::Cancelled(_), Fenced::LeaseLost) | (Cancellation::AlreadyFinished(_), Fenced::Done(_)) => {}
            both => panic!("{both:?}"),
        }
    }
    let stats = store.queue_stats(at(100)).await.unwrap();
    let ended = stats.jobs[Status::Succeeded as usize] + stats.jobs[Status::Cancelled as usize];
    assert_eq!(ended, 20);
}

pub(crate) async fn many_writers_and_readers_are_never_told_to_wait(fixture: &impl Fixture) {
    let stores = [fixture.store().await, fixture.store().await];
    let mut calls = JoinSet::new();
    for n in 0..60 {
        let store = stores[n as usize % 2].clone();
        calls.spawn(async move {
            let submission = draft("echo").at(at(n));
            store.submit(submission, at(n)).await.map(drop)?;
            let query = ListQuery { status: None, kind: None, limit: 5, cursor: None };
            store.list(&alice(), &query).await.map(drop)
        });
    }
    for answer in calls.join_all().await {
        answer.unwrap();
    }
    assert_eq!(stores[0].queue_stats(at(0)).await.unwrap().jobs[0], 60);
}
