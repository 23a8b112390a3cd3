//! Where jobs are kept: one contract, [`JobStore`], for every database.
//!
//! Time is an argument everywhere, and the rules of a job's life are in [`crate::jobs`]; a store adds durability,
//! atomicity and order. Every call is one transaction: what it answers has been written for good, usage included, and
//! a call that fails has changed nothing (or, when the failure struck the very last step, everything: calls may be
//! repeated).

use std::{error::Error, sync::Arc};

use async_trait::async_trait;

use crate::jobs::{
    Completion, Cursor, Failure, Job, JobId, LeaseRequest, LeasedJob, ListQuery, Owner, Renewal, Status, Submission,
    Timestamp, UsagePeriod, UsageRow,
};

mod lazy;
mod sqlite;

pub use lazy::{LazyStore, OpenStore};
pub use sqlite::{DATABASE_FILE, SqliteStore};

#[cfg(test)]
mod suite;

/// A durable store of jobs and of the usage they make.
#[async_trait]
pub trait JobStore: Send + Sync + 'static {
    /// Stores a job, durably: it is still there after a crash of the process or of the machine.
    ///
    /// # Errors
    ///
    /// As for every call, [`StoreError`].
    async fn submit(&self, submission: Submission, now: Timestamp) -> Result<Submitted, StoreError>;

    /// The job, if it is the owner's.
    async fn get(&self, owner: &Owner, id: JobId) -> Result<Option<Job>, StoreError>;

    /// A page of the owner's jobs, newest first.
    async fn list(&self, owner: &Owner, query: &ListQuery) -> Result<Page, StoreError>;

    /// Cancels the owner's job.
    async fn cancel(&self, owner: &Owner, id: JobId, now: Timestamp) -> Result<Cancellation, StoreError>;

    /// Leases due jobs to a worker, after having reclaimed those whose leases have expired. Never waits for jobs.
    async fn lease(&self, request: &LeaseRequest, now: Timestamp) -> Result<Leased, StoreError>;

    /// Extends a lease: it runs from `now` on anew.
    async fn renew(&self, id: JobId, renewal: &Renewal, now: Timestamp) -> Result<Fenced, StoreError>;

    /// Ends a job well.
    async fn complete(&self, id: JobId, completion: &Completion, now: Timestamp) -> Result<Fenced, StoreError>;

    /// Ends an attempt, and the job too unless it is to be tried again.
    async fn fail(&self, id: JobId, failure: &Failure, now: Timestamp) -> Result<Fenced, StoreError>;

    /// Puts jobs whose leases have expired back into the queue, or fails them when their attempts are used up. To be
    /// called every few seconds: without workers nobody else does it.
    async fn reclaim_expired(&self, now: Timestamp) -> Result<Reclaimed, StoreError>;

    /// The owner's jobs that ended in the period, by day, kind and outcome, in this order.
    async fn usage(&self, owner: &Owner, period: UsagePeriod) -> Result<Vec<UsageRow>, StoreError>;

    /// What the gauges show.
    async fn queue_stats(&self, now: Timestamp) -> Result<QueueStats, StoreError>;

    /// Whether the store can be read at the moment.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Lets go of the database; calls after it fail. Nothing is lost without it.
    async fn close(&self);
}

/// What became of a submission.
#[derive(Clone, Debug, PartialEq)]
pub enum Submitted {
    /// A job was made.
    Created(Job),
    /// The same submission was made before under the same key; this is its job, as it is now.
    Existing(Job),
    /// The key stands for another submission.
    IdempotencyConflict,
}

/// A page of jobs.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// Newest first.
    pub jobs: Vec<Job>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<Cursor>,
}

/// What became of a cancellation.
#[derive(Clone, Debug, PartialEq)]
pub enum Cancellation {
    /// The job is cancelled now.
    Cancelled(Job),
    /// It had been cancelled before.
    AlreadyCancelled(Job),
    /// It had succeeded or failed before, and stays so.
    AlreadyFinished(Job),
    /// The owner has no such job.
    NotFound,
}

/// What a worker got.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Leased {
    /// The jobs, in the order in which they were due.
    pub jobs: Vec<LeasedJob>,
    /// What was reclaimed on the way.
    pub reclaimed: Reclaimed,
}

/// What became of a worker's call for a job it holds, or thinks it holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Fenced {
    /// The call was carried out. If the job has an outcome now, it ended with this call.
    Done(Job),
    /// The same call was carried out before: its answer got lost.
    Repeated(Job),
    /// The lease is not held any more. Nothing was changed.
    LeaseLost,
    /// There is no such job.
    NotFound,
}

/// Jobs whose leases had expired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reclaimed {
    /// Back in the queue.
    pub requeued: u64,
    /// Failed, as their attempts were used up.
    pub failed: u64,
}

/// What the gauges show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueStats {
    /// Jobs with each status, in the order of [`Status::ALL`].
    pub jobs: [u64; Status::ALL.len()],
    /// How long the job that has waited longest has been due, in milliseconds; 0 when none is due.
    pub oldest_due_millis: u64,
}

/// Why the store did not do what it was asked. `Display` is for the operator, not for callers of the API.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It cannot be reached or written at the moment: disk full or read-only, I/O error, overload. Try again later.
    #[error("the job store is unavailable: {0}")]
    Unavailable(#[source] Arc<dyn Error + Send + Sync>),
    /// What it holds cannot be read. An operator has to look.
    #[error("the job store is damaged: {0}")]
    Corrupt(#[source] Arc<dyn Error + Send + Sync>),
    /// It was made by another program, or by a newer version of this one.
    #[error("the job store does not belong to this version: {0}")]
    Incompatible(#[source] Arc<dyn Error + Send + Sync>),
    /// A defect of this program.
    #[error("the job store was misused: {0}")]
    Internal(#[source] Arc<dyn Error + Send + Sync>),
}

impl StoreError {
    /// Whether waiting may help: the answer is 503 then, and 500 otherwise.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}
