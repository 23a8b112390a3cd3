//! Jobs in one SQLite file.
//!
//! - Write-ahead log with `synchronous=FULL`: a transaction that has been answered is on the disk.
//! - One connection writes, a few others read. Writers queue for the connection, not for SQLite's lock, and begin with
//!   `BEGIN IMMEDIATE`, so that nobody is ever told that the database is locked. Another process may share the file
//!   (a backup, the `sqlite3` shell): its lock is waited for.
//! - The file is private to its owner (mode 0600), and so are the two that SQLite keeps beside it.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use sqlx::{Connection, Sqlite, SqliteConnection, SqlitePool, Transaction};

use super::{Cancellation, Fenced, JobStore, Leased, Page, QueueStats, Reclaimed, StoreError, Submitted};
use crate::jobs::{
    Completion, Failure, Job, JobId, LeaseRequest, ListQuery, Owner, Renewal, Step, Submission, Timestamp, UsagePeriod,
    UsageRow,
};

mod errors;
mod open;
mod reads;
mod rows;
mod worker;
mod writes;

#[cfg(test)]
mod tests;

/// Name of the database in the data directory.
pub const DATABASE_FILE: &str = "keyward.db";

/// A [`JobStore`] in a SQLite file. See the module's documentation in the source for how it is used.
#[derive(Debug)]
pub struct SqliteStore {
    writer: SqlitePool,
    readers: SqlitePool,
}

impl SqliteStore {
    /// Opens the database at `path`. Creates it, and directories above it, when they are missing; brings its schema
    /// up to date.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when it cannot be written, [`StoreError::Corrupt`] when it is no SQLite database,
    /// [`StoreError::Incompatible`] when a newer version has changed its schema.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let (writer, readers) = open::open(path).await?;
        Ok(Self { writer, readers })
    }

    /// What a [`LazyStore`](super::LazyStore) needs to open the database at `path`.
    pub fn opener(path: impl Into<std::path::PathBuf>) -> super::OpenStore {
        let path: Arc<Path> = path.into().into();
        Box::new(move || {
            let path = Arc::clone(&path);
            Box::pin(async move {
                let store: Arc<dyn JobStore> = Arc::new(Self::open(&path).await?);
                Ok(store)
            })
        })
    }

    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// Lets a worker's call take its step on the job, in one transaction.
    async fn step(
        &self,
        id: JobId,
        now: Timestamp,
        step: impl FnOnce(&mut crate::jobs::JobRecord) -> Step + Send,
    ) -> Result<Fenced, StoreError> {
        let mut tx = self.begin().await?;
        let Some(mut record) = reads::record(&mut tx, id).await? else {
            return Ok(Fenced::NotFound);
        };
        match step(&mut record) {
            Step::Changed => {
                writes::save(&mut tx, &record, now).await?;
                tx.commit().await?;
                Ok(Fenced::Done(record.job))
            }
            Step::Unchanged => Ok(Fenced::Repeated(record.job)),
            Step::Refused => Ok(Fenced::LeaseLost),
        }
    }
}

#[async_trait]
impl JobStore for SqliteStore {
    async fn submit(&self, submission: Submission, now: Timestamp) -> Result<Submitted, StoreError> {
        let mut tx = self.begin().await?;
        if let Some(idempotency) = &submission.idempotency
            && let Some((job, fingerprint)) = reads::by_key(&mut tx, &submission.owner, &idempotency.key).await?
        {
            return Ok(if fingerprint == idempotency.fingerprint.as_bytes() {
                Submitted::Existing(job)
            } else {
                Submitted::IdempotencyConflict
            });
        }
        let job = writes::insert(&mut tx, submission, now).await?;
        tx.commit().await?;
        Ok(Submitted::Created(job))
    }

    async fn get(&self, owner: &Owner, id: JobId) -> Result<Option<Job>, StoreError> {
        let mut conn = self.readers.acquire().await?;
        let record = reads::record(&mut conn, id).await?;
        Ok(record.filter(|record| record.owner == *owner).map(|record| record.job))
    }

    async fn list(&self, owner: &Owner, query: &ListQuery) -> Result<Page, StoreError> {
        let mut conn = self.readers.acquire().await?;
        reads::page(&mut conn, owner, query).await
    }

    async fn cancel(&self, owner: &Owner, id: JobId, now: Timestamp) -> Result<Cancellation, StoreError> {
        let mut tx = self.begin().await?;
        let record = reads::record(&mut tx, id).await?;
        let Some(mut record) = record.filter(|record| record.owner == *owner) else {
            return Ok(Cancellation::NotFound);
        };
        match record.cancel(now) {
            Step::Changed => {
                writes::save(&mut tx, &record, now).await?;
                tx.commit().await?;
                Ok(Cancellation::Cancelled(record.job))
            }
            Step::Unchanged => Ok(Cancellation::AlreadyCancelled(record.job)),
            Step::Refused => Ok(Cancellation::AlreadyFinished(record.job)),
        }
    }

    async fn lease(&self, request: &LeaseRequest, now: Timestamp) -> Result<Leased, StoreError> {
        let mut tx = self.begin().await?;
        let reclaimed = worker::reclaim(&mut tx, now).await?;
        let jobs = worker::lease(&mut tx, request, now).await?;
        tx.commit().await?;
        Ok(Leased { jobs, reclaimed })
    }

    async fn renew(&self, id: JobId, renewal: &Renewal, now: Timestamp) -> Result<Fenced, StoreError> {
        self.step(id, now, |record| record.renew(renewal, now)).await
    }

    async fn complete(&self, id: JobId, completion: &Completion, now: Timestamp) -> Result<Fenced, StoreError> {
        self.step(id, now, |record| record.complete(completion, now)).await
    }

    async fn fail(&self, id: JobId, failure: &Failure, now: Timestamp) -> Result<Fenced, StoreError> {
        self.step(id, now, |record| record.fail(failure, now)).await
    }

    async fn reclaim_expired(&self, now: Timestamp) -> Result<Reclaimed, StoreError> {
        let mut tx = self.begin().await?;
        let reclaimed = worker::reclaim(&mut tx, now).await?;
        tx.commit().await?;
        Ok(reclaimed)
    }

    async fn usage(&self, owner: &Owner, period: UsagePeriod) -> Result<Vec<UsageRow>, StoreError> {
        let mut conn = self.readers.acquire().await?;
        reads::usage(&mut conn, owner, period).await
    }

    async fn queue_stats(&self, now: Timestamp) -> Result<QueueStats, StoreError> {
        // One transaction: a job that moves meanwhile is counted once.
        let mut tx = self.readers.begin().await?;
        reads::queue_stats(&mut tx, now).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let mut conn = self.readers.acquire().await?;
        reads::ping(&mut conn).await
    }

    async fn close(&self) {
        // The last connection to close writes the log back into the file, which readers may not.
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Whether a pool may keep the connection that comes back. Some errors (a full disk, say) make SQLite end the
/// transaction by itself; the driver's count of open transactions is wrong from then on, and no other could begin.
async fn is_reusable(conn: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    // Answered after a rollback that is still under way.
    conn.ping().await?;
    Ok(!conn.is_in_transaction())
}
