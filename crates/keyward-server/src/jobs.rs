//! Jobs: what users submit, workers lease and bills count. No HTTP and no database in here.
//!
//! # The life of a job
//!
//! | status | entered by | leaves by |
//! | --- | --- | --- |
//! | `queued` | submission; `fail` with attempts left; an expired lease with attempts left | lease, cancel |
//! | `running` | a lease, which counts one attempt | complete, fail, cancel, expiry of the lease |
//! | `succeeded` | complete | – |
//! | `failed` | fail without retry or with the attempts used up; expiry with the attempts used up | – |
//! | `cancelled` | cancel, of a queued or of a running job | – |
//!
//! - A job is due once `run_at` has come. Due jobs are leased in the order of `run_at`, then of submission.
//! - A lease is held until `lease_expires_at`, exclusive. From that instant on its worker is answered *lease lost*,
//!   whether or not anybody has put the job back yet.
//! - A worker's call that ended a lease may be repeated, for its answer may have been lost: the same call with the same
//!   `lease_id` changes nothing and answers with the job, until the job is leased again or cancelled.
//! - A failed attempt is retried after a pause, see [`retry_delay_millis`]. An expired lease is retried at once.
//! - Cancelling a cancelled job succeeds and changes nothing; cancelling a succeeded or failed one is a conflict.
//! - Every job that ends counts once in the usage of its owner, on the UTC day on which its end was recorded.
//!
//! The rules are [`JobRecord`]'s methods: a store loads a record, asks it, and writes it back.

mod bodies;
mod checks;
mod cursor;
mod idempotency;
mod ids;
mod job;
mod json;
mod lifecycle;
mod timestamp;

pub use bodies::{
    CompleteBody, Completion, FailBody, Failure, JobList, LeaseBody, LeaseList, LeaseRequest, ListParams, ListQuery,
    RenewBody, Renewal, Submission, SubmitBody, UsageParams, UsagePeriod, UsageReport, UsageRow, parse_body,
};
pub use checks::{
    DEFAULT_LEASE_LIMIT, DEFAULT_LEASE_SECONDS, DEFAULT_LIST_LIMIT, DEFAULT_MAX_ATTEMPTS, InvalidInput, Kind,
    MAX_BODY_BYTES, MAX_ERROR_BYTES, MAX_KIND_BYTES, MAX_KINDS, MAX_LEASE_SECONDS, MAX_LIMIT, MAX_MAX_ATTEMPTS,
    MAX_PAYLOAD_BYTES, MAX_RESULT_BYTES, MAX_USAGE_DAYS,
};
pub use cursor::Cursor;
pub use idempotency::{Fingerprint, Idempotency, IdempotencyKey};
pub use ids::{JobId, LeaseId};
pub use job::{Job, LeasedJob, Outcome, Owner, Status};
pub use json::JsonText;
pub use lifecycle::{JobRecord, LEASE_EXPIRED, Step, retry_delay_millis};
pub use timestamp::{Day, Timestamp};

#[cfg(test)]
mod tests;
