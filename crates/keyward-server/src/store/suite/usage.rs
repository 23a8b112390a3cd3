//! What bills are made of, and what the gauges show.

use super::{Fixture, alice, any_kind, at, bob, complete, done, draft, fail, leased};
use crate::{
    jobs::{Owner, Status, UsagePeriod},
    store::JobStore,
};

const DAY: i64 = 86_400_000;

/// `day kind outcome count` for each row.
async fn usage(store: &dyn JobStore, owner: &Owner, from: &str, to: &str) -> Vec<String> {
    let period = UsagePeriod { from: from.parse().unwrap(), to: to.parse().unwrap() };
    let rows = store.usage(owner, period).await.unwrap();
    rows.iter().map(|row| format!("{} {} {} {}", row.day, row.kind, row.outcome, row.count)).collect()
}

pub(crate) async fn every_job_counts_once_with_its_outcome(fixture: &impl Fixture) {
    let store = fixture.store().await;
    for n in 0..3 {
        draft("echo").submitted(&*store, at(n)).await;
        complete(&*store, &leased(&*store, at(n)).await, at(n)).await;
    }
    draft("echo").max_attempts(2).submitted(&*store, at(10)).await;
    fail(&*store, &leased(&*store, at(10)).await, true, at(10)).await;
    assert_eq!(
        usage(&*store, &alice(), "2026-10-05", "2026-10-05").await,
        ["2026-10-05 echo succeeded 3"],
        "an attempt that will be retried is no end"
    );
    fail(&*store, &leased(&*store, at(2000)).await, true, at(2000)).await;
    for kind in ["echo", "sleep"] {
        let queued = draft(kind).submitted(&*store, at(3000)).await;
        store.cancel(&alice(), queued.id, at(3000)).await.unwrap();
    }
    draft("sleep").max_attempts(1).submitted(&*store, at(4000)).await;
    leased(&*store, at(4000)).await;
    store.reclaim_expired(at(64_000)).await.unwrap();
    assert_eq!(
        usage(&*store, &alice(), "2026-10-05", "2026-10-05").await,
        [
            "2026-10-05 echo cancelled 1",
            "2026-10-05 echo failed 1",
            "2026-10-05 echo succeeded 3",
            "2026-10-05 sleep cancelled 1",
            "2026-10-05 sleep failed 1",
        ]
    );
}

pub(crate) async fn a_repeated_call_counts_nothing(fixture: &impl Fixture) {
    let store = fixture.store().await;
    draft("a").submitted(&*store, at(0)).await;
    draft("b").submitted(&*store, at(1)).await;
    let cancelled = draft("c").run_at(at(DAY)).submitted(&*store, at(2)).await;
    let (first, second) = (leased(&*store, at(3)).await, leased(&*store, at(3)).await);
    for n in 4..7 {
        complete(&*store, &first, at(n)).await;
        fail(&*store, &second, false, at(n)).await;
        store.cancel(&alice(), cancelled.id, at(n)).await.unwrap();
        store.cancel(&alice(), first.job.id, at(n)).await.unwrap();
        store.reclaim_expired(at(100_000 + n)).await.unwrap();
    }
    assert_eq!(
        usage(&*store, &alice(), "2026-10-05", "2026-10-06").await,
        ["2026-10-05 a succeeded 1", "2026-10-05 b failed 1", "2026-10-05 c cancelled 1",]
    );
}

pub(crate) async fn days_are_utc_and_both_ends_are_included(fixture: &impl Fixture) {
    let store = fixture.store().await;
    // The test begins at noon.
    for millis in [-DAY, DAY / 2 - 1, DAY / 2, DAY + DAY / 2] {
        draft("echo").submitted(&*store, at(millis)).await;
        complete(&*store, &leased(&*store, at(millis)).await, at(millis)).await;
    }
    let day = |n: u8| format!("2026-10-0{n} echo succeeded 1");
    let all = usage(&*store, &alice(), "2026-10-04", "2026-10-07").await;
    assert_eq!(all, [day(4), day(5), day(6), day(7)]);
    let middle = usage(&*store, &alice(), "2026-10-05", "2026-10-06").await;
    assert_eq!(middle, [day(5), day(6)]);
    let none = usage(&*store, &alice(), "2026-10-08", "2026-12-31").await;
    assert_eq!(none, [""; 0]);
}

pub(crate) async fn usage_is_of_the_owner_alone(fixture: &impl Fixture) {
    let store = fixture.store().await;
    for owner in [alice(), bob(), Owner::new("partner", "alice")] {
        draft("echo").by(owner).submitted(&*store, at(0)).await;
        complete(&*store, &leased(&*store, at(0)).await, at(0)).await;
    }
    let rows = usage(&*store, &alice(), "2026-10-05", "2026-10-05").await;
    assert_eq!(rows, ["2026-10-05 echo succeeded 1"]);
}

pub(crate) async fn a_job_counts_on_the_day_its_end_was_recorded(fixture: &impl Fixture) {
    let store = fixture.store().await;
    for (kind, owner) in [("a", alice()), ("a", alice()), ("b", alice()), ("a", bob())] {
        draft(kind).by(owner).max_attempts(1).submitted(&*store, at(0)).await;
    }
    store.lease(&any_kind(10), at(0)).await.unwrap();
    // The service was down for two days: yesterday's bill has gone out. Today's has one failure already.
    draft("a").submitted(&*store, at(2 * DAY - 1)).await;
    let held = store.lease(&any_kind(1), at(2 * DAY - 1)).await.unwrap();
    assert_eq!(held.reclaimed.failed, 4);
    fail(&*store, &held.jobs[0], false, at(2 * DAY)).await;
    for (n, kind) in (0..).zip(["a", "a", "b"]) {
        draft(kind).max_attempts(1).submitted(&*store, at(2 * DAY + n)).await;
    }
    store.lease(&any_kind(10), at(2 * DAY + 3)).await.unwrap();
    store.reclaim_expired(at(2 * DAY + 60_003)).await.unwrap();
    let rows = usage(&*store, &alice(), "2026-10-01", "2026-10-31").await;
    assert_eq!(rows, ["2026-10-07 a failed 5", "2026-10-07 b failed 2"]);
    let rows = usage(&*store, &bob(), "2026-10-01", "2026-10-31").await;
    assert_eq!(rows, ["2026-10-07 a failed 1"]);
}

pub(crate) async fn statistics_show_the_queue(fixture: &impl Fixture) {
    let store = fixture.store().await;
    let empty = store.queue_stats(at(0)).await.unwrap();
    assert_eq!((empty.jobs, empty.oldest_due_millis), ([0; 5], 0));

    for n in 0..5 {
        draft("echo").submitted(&*store, at(n * 10)).await;
    }
    let later = draft("echo").run_at(at(DAY)).submitted(&*store, at(60)).await;
    let queued = store.queue_stats(at(100)).await.unwrap();
    assert_eq!((queued.jobs[0], queued.oldest_due_millis), (6, 100));

    done(complete(&*store, &leased(&*store, at(100)).await, at(100)).await);
    done(fail(&*store, &leased(&*store, at(100)).await, false, at(100)).await);
    leased(&*store, at(100)).await;
    store.cancel(&alice(), later.id, at(100)).await.unwrap();
    let stats = store.queue_stats(at(100)).await.unwrap();
    let expected = [
        (Status::Queued, 2),
        (Status::Running, 1),
        (Status::Succeeded, 1),
        (Status::Failed, 1),
        (Status::Cancelled, 1),
    ];
    for ((status, count), (all, counted)) in expected.into_iter().zip(Status::ALL.iter().zip(stats.jobs)) {
        assert_eq!((&status, count), (all, counted));
    }
    assert_eq!(stats.oldest_due_millis, 70);
}
