//! Leasing, expiry and fencing.

use super::{Fixture, any_kind, at, complete, done, draft, fail, job, leased, renew};
use crate::{
    jobs::{JobId, LEASE_EXPIRED, LeaseId, LeaseRequest, LeasedJob, Status},
    store::{Fenced, JobStore, Reclaimed},
};

async fn ids(store: &dyn JobStore, request: &LeaseRequest, millis: i64) -> Vec<JobId> {
    let leased = store.lease(request, at(millis)).await.unwrap();
    leased.jobs.iter().map(|held| held.job.id).collect()
}

pub(crate) async fn a_job_is_leased_when_due_and_not_before(fixture: &impl Fixture) {
    let store = fixture.store().await;
    let created = draft("echo").run_at(at(5000)).submitted(&*store, at(0)).await;
    assert_eq!(ids(&*store, &any_kind(10), 4999).await, []);
    let held = leased(&*store, at(5000)).await;
    assert_eq!(held.job.id, created.id);
    assert_eq!(held.job.status, Status::Running);
    assert_eq!(held.job.attempts, 1);
    assert_eq!(held.job.updated_at, at(5000));
    assert_eq!(held.lease_expires_at, at(65_000));
    assert_eq!(job(&*store, created.id).await, held.job);
}

pub(crate) async fn jobs_are_leased_in_the_order_in_which_they_are_due(fixture: &impl Fixture) {
    let store = fixture.store().await;
    let late = draft("a").run_at(at(30)).submitted(&*store, at(0)).await.id;
    let second = draft("b").submitted(&*store, at(1)).await.id;
    let third = draft("a").submitted(&*store, at(1)).await.id;
    let past = draft("c").run_at(at(-1000)).submitted(&*store, at(2)).await.id;
    assert_eq!(ids(&*store, &any_kind(3), 40).await, [second, third, past], "naming the past gets nobody ahead");
    assert_eq!(ids(&*store, &any_kind(3), 40).await, [late]);
}

pub(crate) async fn a_worker_gets_only_the_kinds_it_names(fixture: &impl Fixture) {
    let store = fixture.store().await;
    let mut made = Vec::new();
    for (n, kind) in (0_i64..).zip(["a", "b", "c", "b", "a"]) {
        made.push(draft(kind).submitted(&*store, at(n)).await.id);
    }
    let request = |kinds: &[&str], limit| LeaseRequest {
        kinds: Some(kinds.iter().map(|kind| kind.parse().unwrap()).collect()),
        ..any_kind(limit)
    };
    assert_eq!(ids(&*store, &request(&["d"], 10), 10).await, []);
    let two = ids(&*store, &request(&["b", "c"], 2), 10).await;
    assert_eq!(two, [made[1], made[2]]);
    let rest = ids(&*store, &request(&["a", "b"], 10), 10).await;
    assert_eq!(rest, [made[0], made[3], made[4]]);
}

pub(crate) async fn a_leased_job_is_not_leased_again(fixture: &impl Fixture) {
    let store = fixture.store().await;
    draft("echo").submitted(&*store, at(0)).await;
    leased(&*store, at(0)).await;
    assert_eq!(ids(&*store, &any_kind(10), 59_999).await, []);
}

pub(crate) async fn a_lease_is_held_until_it_expires_and_not_at_that_instant(fixture: &impl Fixture) {
    let store = fixture.store().await;
    draft("echo").submitted(&*store, at(0)).await;
    let held = leased(&*store, at(0)).await;
    // Nobody has reclaimed it: the clock alone decides.
    assert_eq!(complete(&*store, &held, at(60_000)).await, Fenced::LeaseLost);
    assert_eq!(renew(&*store, &held, at(60_000)).await, Fenced::LeaseLost);
    assert_eq!(fail(&*store, &held, true, at(60_000)).await, Fenced::LeaseLost);
    done(complete(&*store, &held, at(59_999)).await);
}

pub(crate) async fn a_renewed_lease_runs_anew(fixture: &impl Fixture) {
    let store = fixture.store().await;
    draft("echo").submitted(&*store, at(0)).await;
    let held = leased(&*store, at(0)).await;
    let renewed = done(renew(&*store, &held, at(50_000)).await);
    assert_eq!(renewed.updated_at, at(50_000));
    assert_eq!(renewed.attempts, 1);
    assert_eq!(ids(&*store, &any_kind(1), 109_999).await, []);
    done(renew(&*store, &held, at(109_999)).await);
}

pub(crate) async fn an_expired_lease_goes_back_to_the_queue(fixture: &impl Fixture) {
    let store = fixture.store().await;
    let created = draft("echo").submitted(&*store, at(0)).await;
    let first = leased(&*store, at(0)).await;
    let early = store.reclaim_expired(at(59_999)).await.unwrap();
    assert_eq!(early, Reclaimed::default());
    let reclaimed = store.reclaim_expired(at(60_000)).await.unwrap();
    assert_eq!((reclaimed.requeued, reclaimed.failed), (1, 0));
    assert_eq!(job(&*store, created.id).await.status, Status::Queued);

    let second = leased(&*store, at(60_000)).await;
    assert_eq!(second.job.attempts, 2);
    assert_ne!(second.lease_id, first.lease_id);
    // A lease call reclaims by itself.
    let third = store.lease(&any_kind(1), at(120_000)).await.unwrap();
    assert_eq!(third.reclaimed.requeued, 1);
    assert_eq!(third.jobs[0].job.attempts, 3);
}

pub(crate) async fn the_last_expired_lease_fails_the_job(fixture: &impl Fixture) {
    let store = fixture.store().await;
    let created = draft("echo").max_attempts(1).submitted(&*store, at(0)).await;
    leased(&*store, at(0)).await;
    let after = store.lease(&any_kind(1), at(60_000)).await.unwrap();
    assert_eq!(after.jobs, []);
    assert_eq!((after.reclaimed.requeued, after.reclaimed.failed), (0, 1));
    let failed = job(&*store, created.id).await;
    assert_eq!(failed.status, Status::Failed);
    assert_eq!(failed.error.as_deref(), Some(LEASE_EXPIRED));
    assert_eq!(failed.updated_at, at(60_000));
}

pub(crate) async fn a_worker_whose_job_was_given_away_is_fenced_off(fixture: &impl Fixture) {
    let store = fixture.store().await;
    draft("echo").submitted(&*store, at(0)).await;
    let slow = leased(&*store, at(0)).await;
    let quick = leased(&*store, at(60_000)).await;
    assert_eq!(slow.job.id, quick.job.id);
    assert_eq!(complete(&*store, &slow, at(60_001)).await, Fenced::LeaseLost);
    assert_eq!(renew(&*store, &slow, at(60_001)).await, Fenced::LeaseLost);
    assert_eq!(fail(&*store, &slow, true, at(60_001)).await, Fenced::LeaseLost);
    done(complete(&*store, &quick, at(60_002)).await);
    assert_eq!(complete(&*store, &slow, at(60_003)).await, Fenced::LeaseLost);
}

pub(crate) async fn another_lease_id_holds_nothing(fixture: &impl Fixture) {
    let store = fixture.store().await;
    draft("echo").submitted(&*store, at(0)).await;
    let held = leased(&*store, at(0)).await;
    let forged = LeasedJob { lease_id: LeaseId::generate(), ..held.clone() };
    assert_eq!(complete(&*store, &forged, at(1)).await, Fenced::LeaseLost);
    let mut unknown = held.clone();
    unknown.job.id = JobId::generate(at(0));
    assert_eq!(complete(&*store, &unknown, at(1)).await, Fenced::NotFound);
    assert_eq!(job(&*store, held.job.id).await, held.job);
}
