//! The rules of a job's life, the same over every database.

use super::{Completion, Failure, Job, LeaseId, LeasedJob, Owner, Renewal, Status, Timestamp};

/// The error of a job whose last lease ran out.
pub const LEASE_EXPIRED: &str = "lease expired";

const LONGEST_RETRY_DELAY_MILLIS: i64 = 300_000;

/// The pause after the failure of attempt `attempts` (the first is 1): 1 s, then twice as long each time, 5 minutes at
/// most. In milliseconds.
#[must_use]
pub const fn retry_delay_millis(attempts: u32) -> i64 {
    let doublings = attempts.saturating_sub(1);
    if doublings >= 9 { LONGEST_RETRY_DELAY_MILLIS } else { 1000 << doublings }
}

/// A job with what only the store knows about it.
#[derive(Clone, Debug, PartialEq)]
pub struct JobRecord {
    /// The job.
    pub job: Job,
    /// Whose it is.
    pub owner: Owner,
    /// The lease that holds it or, once its worker has ended it, the lease that held it.
    pub lease_id: Option<LeaseId>,
    /// When the lease runs out; present exactly while the job is running.
    pub lease_expires_at: Option<Timestamp>,
}

/// What a call did to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It changed, and must be written. If it has an outcome now, it ended with this step.
    Changed,
    /// It was already as the call wants it: a repetition.
    Unchanged,
    /// The call is not allowed in this state. Nothing changed.
    Refused,
}

impl JobRecord {
    /// Hands a queued job to a worker.
    pub fn lease(&mut self, lease_id: LeaseId, seconds: u32, now: Timestamp) -> LeasedJob {
        let lease_expires_at = now.plus_seconds(seconds);
        self.job.attempts += 1;
        self.lease_id = Some(lease_id);
        self.enter(Status::Running, now);
        self.lease_expires_at = Some(lease_expires_at);
        LeasedJob { job: self.job.clone(), lease_id, lease_expires_at }
    }

    /// Lets the lease run from `now` on anew.
    pub fn renew(&mut self, renewal: &Renewal, now: Timestamp) -> Step {
        if !self.is_held(renewal.lease_id, now) {
            return Step::Refused;
        }
        self.lease_expires_at = Some(now.plus_seconds(renewal.lease_seconds));
        self.job.updated_at = now;
        Step::Changed
    }

    /// Ends the job well.
    pub fn complete(&mut self, completion: &Completion, now: Timestamp) -> Step {
        if !self.is_held(completion.lease_id, now) {
            return self.repeats(completion.lease_id, &[Status::Succeeded]);
        }
        self.job.result = completion.result.clone();
        self.job.error = None;
        self.enter(Status::Succeeded, now);
        Step::Changed
    }

    /// Ends the attempt, and the job too unless it is to be tried again.
    pub fn fail(&mut self, failure: &Failure, now: Timestamp) -> Step {
        if !self.is_held(failure.lease_id, now) {
            return self.repeats(failure.lease_id, &[Status::Failed, Status::Queued]);
        }
        self.job.error = Some(failure.error.clone());
        if failure.retry && self.job.attempts < self.job.max_attempts {
            self.job.run_at = now.plus_millis(retry_delay_millis(self.job.attempts));
            self.enter(Status::Queued, now);
        } else {
            self.enter(Status::Failed, now);
        }
        Step::Changed
    }

    /// Ends the job because its owner wants so. A worker that holds it loses its lease.
    pub fn cancel(&mut self, now: Timestamp) -> Step {
        match self.job.status {
            Status::Queued | Status::Running => {
                self.lease_id = None;
                self.enter(Status::Cancelled, now);
                Step::Changed
            }
            Status::Cancelled => Step::Unchanged,
            Status::Succeeded | Status::Failed => Step::Refused,
        }
    }

    fn is_held(&self, lease_id: LeaseId, now: Timestamp) -> bool {
        self.job.status == Status::Running
            && self.lease_id == Some(lease_id)
            && self.lease_expires_at.is_some_and(|expires| now < expires)
    }

    /// Expiry and cancellation forget the lease, so a lease known in these states was ended by its own worker.
    fn repeats(&self, lease_id: LeaseId, ended_as: &[Status]) -> Step {
        if self.lease_id == Some(lease_id) && ended_as.contains(&self.job.status) {
            Step::Unchanged
        } else {
            Step::Refused
        }
    }

    fn enter(&mut self, status: Status, now: Timestamp) {
        self.job.status = status;
        self.job.updated_at = now;
        self.lease_expires_at = None;
    }
}
