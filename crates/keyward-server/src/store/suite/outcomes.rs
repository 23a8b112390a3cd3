//! How attempts and jobs end.

use super::{Fixture, alice, any_kind, at, complete, done, draft, fail, job, leased, renew};
use crate::{
    jobs::{Completion, JsonText, Status},
    store::{Cancellation, Fenced, JobStore},
};

async fn nothing_is_due(store: &dyn JobStore, millis: i64) {
    let leased = store.lease(&any_kind(10), at(millis)).await.unwrap();
    assert_eq!(leased.jobs, []);
}

pub(crate) async fn a_completed_job_has_its_result(fixture: &impl Fixture) {
    let store = fixture.store().await;
    draft("echo").submitted(&*store, at(0)).await;
    let held = leased(&*store, at(0)).await;
    let completion =
        Completion { lease_id: held.lease_id, result: Some(JsonText::from_stored("[1]".to_owned()).unwrap()) };
    let completed = done(store.complete(held.job.id, &completion, at(7)).await.unwrap());
    assert_eq!(completed.status, Status::Succeeded);
    assert_eq!(completed.result.as_ref().unwrap().as_str(), "[1]");
    assert_eq!(completed.updated_at, at(7));
    assert_eq!(job(&*store, held.job.id).await, completed);
    nothing_is_due(&*store, 1_000_000).await;
}

pub(crate) async fn completing_again_repeats_the_answer(fixture: &impl Fixture) {
    let store = fixture.store().await;
    draft("echo").submitted(&*store, at(0)).await;
    let held = leased(&*store, at(0)).await;
    let completed = done(complete(&*store, &held, at(1)).await);
    // However late: the lease has run out meanwhile.
    let again = complete(&*store, &held, at(100_000)).await;
    assert_eq!(again, Fenced::Repeated(completed));
    assert_eq!(fail(&*store, &held, true, at(2)).await, Fenced::LeaseLost);
    assert_eq!(renew(&*store, &held, at(2)).await, Fenced::LeaseLost);
}

pub(crate) async fn a_failed_attempt_is_queued_again_after_a_pause(fixture: &impl Fixture) {
    let store = fixture.store().await;
    draft("echo").submitted(&*store, at(0)).await;
    let failed = done(fail(&*store, &leased(&*store, at(0)).await, true, at(10)).await);
    assert_eq!(failed.status, Status::Queued);
    assert_eq!(failed.error.as_deref(), Some("it broke"));
    assert_eq!((failed.attempts, failed.run_at), (1, at(1010)));
    nothing_is_due(&*store, 1009).await;
    let second = leased(&*store, at(1010)).await;
    let failed = done(fail(&*store, &second, true, at(2000)).await);
    assert_eq!((failed.attempts, failed.run_at), (2, at(4000)));
}

pub(crate) async fn failing_again_repeats_the_answer(fixture: &impl Fixture) {
    let store = fixture.store().await;
    draft("echo").max_attempts(2).submitted(&*store, at(0)).await;
    let first = leased(&*store, at(0)).await;
    let queued = done(fail(&*store, &first, true, at(1)).await);
    assert_eq!(fail(&*store, &first, true, at(2)).await, Fenced::Repeated(queued));
    assert_eq!(complete(&*store, &first, at(2)).await, Fenced::LeaseLost);

    let second = leased(&*store, at(2000)).await;
    assert_eq!(fail(&*store, &first, true, at(2001)).await, Fenced::LeaseLost);
    let failed = done(fail(&*store, &second, true, at(2002)).await);
    assert_eq!(failed.status, Status::Failed);
    assert_eq!(fail(&*store, &second, true, at(2003)).await, Fenced::Repeated(failed));
    assert_eq!(fail(&*store, &first, true, at(2003)).await, Fenced::LeaseLost);
}

pub(crate) async fn a_job_fails_when_its_attempts_are_used_up(fixture: &impl Fixture) {
    let store = fixture.store().await;
    let created = draft("echo").max_attempts(2).submitted(&*store, at(0)).await;
    done(fail(&*store, &leased(&*store, at(0)).await, true, at(1)).await);
    let last = done(fail(&*store, &leased(&*store, at(5000)).await, true, at(5001)).await);
    assert_eq!((last.status, last.attempts), (Status::Failed, 2));
    assert_eq!(job(&*store, created.id).await, last);
    nothing_is_due(&*store, 1_000_000).await;
}

pub(crate) async fn a_job_fails_at_once_when_its_worker_says_so(fixture: &impl Fixture) {
    let store = fixture.store().await;
    draft("echo").submitted(&*store, at(0)).await;
    let failed = done(fail(&*store, &leased(&*store, at(0)).await, false, at(1)).await);
    assert_eq!((failed.status, failed.attempts), (Status::Failed, 1));
    assert_eq!(failed.run_at, at(0));
}

pub(crate) async fn success_clears_the_error_of_an_earlier_attempt(fixture: &impl Fixture) {
    let store = fixture.store().await;
    draft("echo").submitted(&*store, at(0)).await;
    done(fail(&*store, &leased(&*store, at(0)).await, true, at(1)).await);
    let second = leased(&*store, at(5000)).await;
    assert_eq!(second.job.error.as_deref(), Some("it broke"));
    assert_eq!(done(complete(&*store, &second, at(5001)).await).error, None);
}

pub(crate) async fn a_queued_job_is_cancelled(fixture: &impl Fixture) {
    let store = fixture.store().await;
    let created = draft("echo").submitted(&*store, at(0)).await;
    let answer = store.cancel(&alice(), created.id, at(5)).await.unwrap();
    let Cancellation::Cancelled(cancelled) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(cancelled.status, Status::Cancelled);
    assert_eq!(cancelled.updated_at, at(5));
    assert_eq!(job(&*store, created.id).await, cancelled);
    nothing_is_due(&*store, 10).await;
}

pub(crate) async fn cancelling_a_running_job_takes_the_lease(fixture: &impl Fixture) {
    let store = fixture.store().await;
    draft("echo").submitted(&*store, at(0)).await;
    let held = leased(&*store, at(0)).await;
    let answer = store.cancel(&alice(), held.job.id, at(1)).await.unwrap();
    assert!(matches!(answer, Cancellation::Cancelled(_)), "{answer:?}");
    assert_eq!(renew(&*store, &held, at(2)).await, Fenced::LeaseLost);
    assert_eq!(complete(&*store, &held, at(2)).await, Fenced::LeaseLost);
    assert_eq!(fail(&*store, &held, true, at(2)).await, Fenced::LeaseLost);
    nothing_is_due(&*store, 1_000_000).await;
    assert_eq!(job(&*store, held.job.id).await.status, Status::Cancelled);
}

pub(crate) async fn cancelling_again_succeeds(fixture: &impl Fixture) {
    let store = fixture.store().await;
    let created = draft("echo").submitted(&*store, at(0)).await;
    store.cancel(&alice(), created.id, at(1)).await.unwrap();
    let cancelled = job(&*store, created.id).await;
    let again = store.cancel(&alice(), created.id, at(2)).await.unwrap();
    assert_eq!(again, Cancellation::AlreadyCancelled(cancelled));
}

pub(crate) async fn a_finished_job_cannot_be_cancelled(fixture: &impl Fixture) {
    let store = fixture.store().await;
    draft("a").submitted(&*store, at(0)).await;
    draft("b").submitted(&*store, at(1)).await;
    let completed = done(complete(&*store, &leased(&*store, at(2)).await, at(3)).await);
    let failed = done(fail(&*store, &leased(&*store, at(2)).await, false, at(3)).await);
    for finished in [completed, failed] {
        let answer = store.cancel(&alice(), finished.id, at(4)).await.unwrap();
        assert_eq!(answer, Cancellation::AlreadyFinished(finished.clone()));
        assert_eq!(job(&*store, finished.id).await, finished);
    }
}
