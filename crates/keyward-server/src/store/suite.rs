//! What every store must do. A store's tests are `store_suite!(ItsFixture)` and what only it can get wrong.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Fenced, JobStore, Submitted};
use crate::jobs::{
    Completion, Failure, Idempotency, IdempotencyKey, Job, JobId, LeaseRequest, LeasedJob, Owner, Renewal, Submission,
    SubmitBody, Timestamp,
};

pub(crate) mod durability;
pub(crate) mod history;
pub(crate) mod leases;
pub(crate) mod listing;
pub(crate) mod outcomes;
pub(crate) mod races;
pub(crate) mod submission;
pub(crate) mod usage;

/// One database of its own.
#[async_trait]
pub(crate) trait Fixture: Sized + Send + Sync {
    /// A new, empty database.
    async fn new() -> Self;
    /// Opens it, once more if it is open already.
    async fn store(&self) -> Arc<dyn JobStore>;
    /// Opens what is left when the process is killed right now, without any goodbye to the database.
    async fn after_kill(&self) -> Arc<dyn JobStore>;
}

macro_rules! store_suite {
    ($fixture:ty) => {
        $crate::store::suite::store_suite! { @each $fixture;
            submission::a_submitted_job_reads_back_as_it_was_answered
            submission::json_passes_through_byte_for_byte
            submission::nobody_else_sees_a_job
            submission::a_repeated_submission_finds_its_job
            submission::a_key_for_another_submission_conflicts
            submission::keys_of_different_owners_do_not_meet
            submission::a_repeated_submission_finds_its_job_even_finished
            listing::a_list_is_newest_first_and_pages_without_gaps
            listing::new_jobs_do_not_move_the_pages
            listing::jobs_of_one_millisecond_are_paged_exactly
            listing::a_list_is_filtered_by_status_and_kind
            leases::a_job_is_leased_when_due_and_not_before
            leases::jobs_are_leased_in_the_order_in_which_they_are_due
            leases::a_worker_gets_only_the_kinds_it_names
            leases::a_leased_job_is_not_leased_again
            leases::a_lease_is_held_until_it_expires_and_not_at_that_instant
            leases::a_renewed_lease_runs_anew
            leases::an_expired_lease_goes_back_to_the_queue
            leases::the_last_expired_lease_fails_the_job
            leases::a_worker_whose_job_was_given_away_is_fenced_off
            leases::another_lease_id_holds_nothing
            outcomes::a_completed_job_has_its_result
            outcomes::completing_again_repeats_the_answer
            outcomes::a_failed_attempt_is_queued_again_after_a_pause
            outcomes::failing_again_repeats_the_answer
            outcomes::a_job_fails_when_its_attempts_are_used_up
            outcomes::a_job_fails_at_once_when_its_worker_says_so
            outcomes::success_clears_the_error_of_an_earlier_attempt
            outcomes::a_queued_job_is_cancelled
            outcomes::cancelling_a_running_job_takes_the_lease
            outcomes::cancelling_again_succeeds
            outcomes::a_finished_job_cannot_be_cancelled
            usage::every_job_counts_once_with_its_outcome
            usage::a_repeated_call_counts_nothing
            usage::days_are_utc_and_both_ends_are_included
            usage::usage_is_of_the_owner_alone
            usage::a_job_counts_on_the_day_its_end_was_recorded
            usage::statistics_show_the_queue
            races::two_workers_never_hold_the_same_job
            races::twenty_submissions_with_one_key_make_one_job
            races::one_of_cancel_and_complete_wins
            races::many_writers_and_readers_are_never_told_to_wait
            durability::what_was_answered_is_still_there_after_a_kill
            durability::a_closed_store_opens_again_with_everything
            durability::a_dropped_call_leaves_the_store_usable
            history::random_histories_match_the_model
        }
    };
    (@each $fixture:ty; $($module:ident::$test:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let fixture = <$fixture as $crate::store::suite::Fixture>::new().await;
                $crate::store::suite::$module::$test(&fixture).await;
            }
        )+
    };
}
pub(crate) use store_suite;

/// The instant `millis` milliseconds into a test, which begins at noon: 2026-10-05T12:00:00Z.
pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_unix_millis(1_791_201_600_000 + millis)
}

pub(crate) fn alice() -> Owner {
    Owner::new("supabase", "alice")
}

pub(crate) fn bob() -> Owner {
    Owner::new("supabase", "bob")
}

/// A submission in the making.
pub(crate) struct Draft {
    owner: Owner,
    body: SubmitBody,
    key: Option<IdempotencyKey>,
}

pub(crate) fn draft(kind: &str) -> Draft {
    let body = serde_json::json!({ "kind": kind, "payload": { "n": 1 } });
    Draft { owner: alice(), body: serde_json::from_str(&body.to_string()).unwrap(), key: None }
}

impl Draft {
    pub(crate) fn by(mut self, owner: Owner) -> Self {
        self.owner = owner;
        self
    }

    pub(crate) fn payload(mut self, json: &str) -> Self {
        self.body.payload = serde_json::value::RawValue::from_string(json.to_owned()).unwrap();
        self
    }

    pub(crate) fn max_attempts(mut self, attempts: i64) -> Self {
        self.body.max_attempts = Some(attempts);
        self
    }

    pub(crate) fn run_at(mut self, run_at: Timestamp) -> Self {
        self.body.run_at = Some(run_at);
        self
    }

    pub(crate) fn key(mut self, key: &str) -> Self {
        self.key = Some(IdempotencyKey::new(key.as_bytes()).unwrap());
        self
    }

    pub(crate) fn at(self, now: Timestamp) -> Submission {
        self.body.checked(self.owner, self.key, now).unwrap()
    }

    /// Submits it, and expects a job.
    pub(crate) async fn submitted(self, store: &dyn JobStore, now: Timestamp) -> Job {
        match store.submit(self.at(now), now).await.unwrap() {
            Submitted::Created(job) => job,
            other => panic!("no job was made: {other:?}"),
        }
    }
}

pub(crate) fn any_kind(limit: u32) -> LeaseRequest {
    LeaseRequest { kinds: None, limit, lease_seconds: 60 }
}

/// Leases one job, and expects it to be there.
pub(crate) async fn leased(store: &dyn JobStore, now: Timestamp) -> LeasedJob {
    let mut leased = store.lease(&any_kind(1), now).await.unwrap();
    leased.jobs.pop().expect("a job is due")
}

pub(crate) async fn complete(store: &dyn JobStore, held: &LeasedJob, now: Timestamp) -> Fenced {
    let completion = Completion { lease_id: held.lease_id, result: None };
    store.complete(held.job.id, &completion, now).await.unwrap()
}

pub(crate) async fn fail(store: &dyn JobStore, held: &LeasedJob, retry: bool, now: Timestamp) -> Fenced {
    let failure = Failure { lease_id: held.lease_id, error: "it broke".to_owned(), retry };
    store.fail(held.job.id, &failure, now).await.unwrap()
}

pub(crate) async fn renew(store: &dyn JobStore, held: &LeasedJob, now: Timestamp) -> Fenced {
    let renewal = Renewal { lease_id: held.lease_id, lease_seconds: 60 };
    store.renew(held.job.id, &renewal, now).await.unwrap()
}

pub(crate) fn done(fenced: Fenced) -> Job {
    match fenced {
        Fenced::Done(job) => job,
        other => panic!("the call was not carried out: {other:?}"),
    }
}

pub(crate) async fn job(store: &dyn JobStore, id: JobId) -> Job {
    store.get(&alice(), id).await.unwrap().expect("alice's job")
}

pub(crate) fn with_key(submission: &Submission) -> &Idempotency {
    submission.idempotency.as_ref().unwrap()
}
