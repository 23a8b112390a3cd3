//! Submitting, and reading back.

use super::{Fixture, alice, at, bob, complete, draft, job, leased};
use crate::{
    jobs::{Completion, JsonText, Owner, Status},
    store::{Cancellation, Submitted},
};

pub(crate) async fn a_submitted_job_reads_back_as_it_was_answered(fixture: &impl Fixture) {
    let store = fixture.store().await;
    let submission = draft("echo").max_attempts(7).run_at(at(5000)).at(at(0));
    let Submitted::Created(created) = store.submit(submission.clone(), at(0)).await.unwrap() else {
        panic!("no job was made");
    };
    assert_eq!(created.id, submission.id);
    assert_eq!(created.status, Status::Queued);
    assert_eq!((created.attempts, created.max_attempts), (0, 7));
    assert_eq!(created.run_at, at(5000));
    assert_eq!((created.created_at, created.updated_at), (at(0), at(0)));
    assert_eq!(job(&*store, created.id).await, created);
}

pub(crate) async fn json_passes_through_byte_for_byte(fixture: &impl Fixture) {
    let store = fixture.store().await;
    let text = r#"{"z":1.10,"a":12345678901234567890123, "\u0000é": [1e3 , null]}"#;
    let created = draft("echo").payload(text).submitted(&*store, at(0)).await;
    let held = leased(&*store, at(0)).await;
    let completion =
        Completion { lease_id: held.lease_id, result: Some(JsonText::from_stored(text.to_owned()).unwrap()) };
    store.complete(held.job.id, &completion, at(1)).await.unwrap();
    let job = job(&*store, created.id).await;
    assert_eq!(job.payload.as_str(), text);
    assert_eq!(job.result.unwrap().as_str(), text);
}

pub(crate) async fn nobody_else_sees_a_job(fixture: &impl Fixture) {
    let store = fixture.store().await;
    let created = draft("echo").submitted(&*store, at(0)).await;
    let namesake = Owner::new("partner", "alice");
    for stranger in [bob(), namesake] {
        assert_eq!(store.get(&stranger, created.id).await.unwrap(), None);
        let cancellation = store.cancel(&stranger, created.id, at(1)).await.unwrap();
        assert_eq!(cancellation, Cancellation::NotFound);
        let query = crate::jobs::ListParams::default().checked().unwrap();
        assert!(store.list(&stranger, &query).await.unwrap().jobs.is_empty());
    }
    assert_eq!(job(&*store, created.id).await, created);
}

pub(crate) async fn a_repeated_submission_finds_its_job(fixture: &impl Fixture) {
    let store = fixture.store().await;
    let created = draft("echo").key("k1").submitted(&*store, at(0)).await;
    let again = draft("echo").key("k1").payload("{ \"n\" : 1 }").at(at(9));
    let answer = store.submit(again, at(9)).await.unwrap();
    assert_eq!(answer, Submitted::Existing(created));
    let stats = store.queue_stats(at(9)).await.unwrap();
    assert_eq!(stats.jobs.iter().sum::<u64>(), 1);
}

pub(crate) async fn a_key_for_another_submission_conflicts(fixture: &impl Fixture) {
    let store = fixture.store().await;
    draft("echo").key("k1").submitted(&*store, at(0)).await;
    let others = [
        draft("echo").key("k1").payload(r#"{"n":2}"#),
        draft("sleep").key("k1"),
        draft("echo").key("k1").max_attempts(4),
        draft("echo").key("k1").run_at(at(0)),
    ];
    for other in others {
        let answer = store.submit(other.at(at(1)), at(1)).await.unwrap();
        assert_eq!(answer, Submitted::IdempotencyConflict);
    }
}

pub(crate) async fn keys_of_different_owners_do_not_meet(fixture: &impl Fixture) {
    let store = fixture.store().await;
    let hers = draft("echo").key("k1").submitted(&*store, at(0)).await;
    let his = draft("sleep").key("k1").by(bob()).submitted(&*store, at(0)).await;
    let without = draft("echo").submitted(&*store, at(0)).await;
    assert_ne!(hers.id, his.id);
    assert_ne!(hers.id, without.id);
}

pub(crate) async fn a_repeated_submission_finds_its_job_even_finished(fixture: &impl Fixture) {
    let store = fixture.store().await;
    let created = draft("echo").key("k1").submitted(&*store, at(0)).await;
    let held = leased(&*store, at(1)).await;
    complete(&*store, &held, at(2)).await;
    let again = draft("echo").key("k1").at(at(3));
    match store.submit(again, at(3)).await.unwrap() {
        Submitted::Existing(job) => {
            assert_eq!(job.id, created.id);
            assert_eq!(job.status, Status::Succeeded);
        }
        other => panic!("{other:?}"),
    }
    assert!(store.get(&alice(), created.id).await.unwrap().is_some());
}
