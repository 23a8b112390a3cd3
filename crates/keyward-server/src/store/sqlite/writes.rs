//! What is written, always inside a transaction of the caller.

use sqlx::SqliteConnection;

use crate::{
    jobs::{Job, JobRecord, JsonText, Outcome, Owner, Submission, Timestamp},
    store::StoreError,
};

pub(super) async fn insert(
    conn: &mut SqliteConnection,
    mut submission: Submission,
    now: Timestamp,
) -> Result<Job, StoreError> {
    let idempotency = submission.idempotency.take();
    let Owner { issuer, subject } = submission.owner.clone();
    let job = submission.into_job(now);
    sqlx::query(
        "INSERT INTO jobs (id, issuer, subject, kind, payload, status, attempts, max_attempts, run_at, created_at,
            updated_at, idempotency_key, fingerprint)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, ?7, ?8, ?9, ?9, ?10, ?11)",
    )
    .bind(job.id.to_string())
    .bind(issuer)
    .bind(subject)
    .bind(job.kind.as_str())
    .bind(job.payload.as_str())
    .bind(job.status.as_str())
    .bind(job.max_attempts)
    .bind(job.run_at.unix_millis())
    .bind(now.unix_millis())
    .bind(idempotency.as_ref().map(|idempotency| idempotency.key.as_str()))
    .bind(idempotency.as_ref().map(|idempotency| idempotency.fingerprint.as_bytes().as_slice()))
    .execute(conn)
    .await?;
    Ok(job)
}

/// Writes a record that has taken a step, and counts the job if it ended with it.
pub(super) async fn save(conn: &mut SqliteConnection, record: &JobRecord, now: Timestamp) -> Result<(), StoreError> {
    let job = &record.job;
    sqlx::query(
        "UPDATE jobs SET status = ?2, attempts = ?3, run_at = ?4, result = ?5, error = ?6, updated_at = ?7,
            lease_id = ?8, lease_expires_at = ?9
         WHERE id = ?1",
    )
    .bind(job.id.to_string())
    .bind(job.status.as_str())
    .bind(job.attempts)
    .bind(job.run_at.unix_millis())
    .bind(job.result.as_ref().map(JsonText::as_str))
    .bind(job.error.as_deref())
    .bind(job.updated_at.unix_millis())
    .bind(record.lease_id.map(|id| id.to_string()))
    .bind(record.lease_expires_at.map(Timestamp::unix_millis))
    .execute(&mut *conn)
    .await?;
    match job.status.outcome() {
        Some(outcome) => count(conn, record, outcome, now).await,
        None => Ok(()),
    }
}

async fn count(
    conn: &mut SqliteConnection,
    record: &JobRecord,
    outcome: Outcome,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO usage (issuer, subject, day, kind, outcome, count) VALUES (?1, ?2, ?3, ?4, ?5, 1)
         ON CONFLICT DO UPDATE SET count = count + 1",
    )
    .bind(&record.owner.issuer)
    .bind(&record.owner.subject)
    .bind(now.day().to_string())
    .bind(record.job.kind.as_str())
    .bind(outcome.as_str())
    .execute(conn)
    .await?;
    Ok(())
}
