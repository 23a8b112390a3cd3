//! Lists and their pages.

use super::{Fixture, alice, at, bob, complete, draft, leased};
use crate::{
    jobs::{JobId, Kind, ListQuery, Status},
    store::JobStore,
};

fn query(limit: u32) -> ListQuery {
    ListQuery { status: None, kind: None, limit, cursor: None }
}

/// The identifiers of every page, and how long the pages were. Cursors travel as text, as clients send them.
async fn walk(store: &dyn JobStore, mut query: ListQuery) -> (Vec<JobId>, Vec<usize>) {
    let (mut ids, mut lengths) = (Vec::new(), Vec::new());
    loop {
        let page = store.list(&alice(), &query).await.unwrap();
        lengths.push(page.jobs.len());
        ids.extend(page.jobs.iter().map(|job| job.id));
        match page.next {
            Some(next) => query.cursor = Some(next.to_string().parse().unwrap()),
            None => return (ids, lengths),
        }
    }
}

pub(crate) async fn a_list_is_newest_first_and_pages_without_gaps(fixture: &impl Fixture) {
    let store = fixture.store().await;
    let mut expected = Vec::new();
    for n in 0..6 {
        expected.push(draft("echo").submitted(&*store, at(n)).await.id);
        draft("echo").by(bob()).submitted(&*store, at(n)).await;
    }
    expected.reverse();
    assert_eq!(walk(&*store, query(4)).await, (expected.clone(), vec![4, 2]));
    assert_eq!(walk(&*store, query(3)).await, (expected.clone(), vec![3, 3]));
    assert_eq!(walk(&*store, query(100)).await, (expected, vec![6]));
}

pub(crate) async fn new_jobs_do_not_move_the_pages(fixture: &impl Fixture) {
    let store = fixture.store().await;
    let mut expected = Vec::new();
    for n in 0..4 {
        expected.push(draft("echo").submitted(&*store, at(n)).await.id);
    }
    expected.reverse();
    let mut page = query(2);
    let first = store.list(&alice(), &page).await.unwrap();
    draft("echo").submitted(&*store, at(10)).await;
    page.cursor = first.next;
    let second = store.list(&alice(), &page).await.unwrap();
    let ids: Vec<_> = first.jobs.iter().chain(&second.jobs).map(|j| j.id).collect();
    assert_eq!(ids, expected);
    assert_eq!(second.next, None);
}

pub(crate) async fn jobs_of_one_millisecond_are_paged_exactly(fixture: &impl Fixture) {
    let store = fixture.store().await;
    let mut expected = Vec::new();
    for _ in 0..5 {
        expected.push(draft("echo").submitted(&*store, at(0)).await.id);
    }
    expected.reverse();
    assert_eq!(walk(&*store, query(2)).await, (expected, vec![2, 2, 1]));
}

pub(crate) async fn a_list_is_filtered_by_status_and_kind(fixture: &impl Fixture) {
    let store = fixture.store().await;
    let echo = draft("echo").submitted(&*store, at(0)).await;
    let sleep = draft("sleep").submitted(&*store, at(1)).await;
    let held = leased(&*store, at(2)).await;
    assert_eq!(held.job.id, echo.id);
    complete(&*store, &held, at(3)).await;

    let kind = |name: &str| Some(name.parse::<Kind>().unwrap());
    let filtered = |status, kind| ListQuery { status, kind, ..query(1) };
    let cases = [
        (filtered(None, kind("echo")), vec![echo.id]),
        (filtered(Some(Status::Queued), None), vec![sleep.id]),
        (filtered(Some(Status::Succeeded), kind("echo")), vec![echo.id]),
        (filtered(Some(Status::Succeeded), kind("sleep")), vec![]),
        (filtered(None, None), vec![sleep.id, echo.id]),
    ];
    for (query, expected) in cases {
        assert_eq!(walk(&*store, query.clone()).await.0, expected, "{query:?}");
    }
}
