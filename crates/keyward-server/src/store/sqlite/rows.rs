//! Rows to records.

use std::{error::Error, str::FromStr, sync::Arc};

use sqlx::{Row, sqlite::SqliteRow};

use crate::{
    jobs::{Job, JobRecord, JsonText, Owner, Timestamp},
    store::StoreError,
};

/// `SELECT` of everything that [`record`] reads, with what follows `FROM jobs`.
macro_rules! select_records {
    ($rest:literal) => {
        concat!(
            "SELECT id, issuer, subject, kind, payload, status, attempts, max_attempts, run_at, result, error, ",
            "created_at, updated_at, lease_id, lease_expires_at, fingerprint FROM jobs ",
            $rest
        )
    };
}
pub(super) use select_records;

pub(super) fn record(row: &SqliteRow) -> Result<JobRecord, StoreError> {
    let expires: Option<i64> = row.try_get("lease_expires_at")?;
    let lease_id: Option<String> = row.try_get("lease_id")?;
    Ok(JobRecord {
        job: job(row)?,
        owner: Owner { issuer: row.try_get("issuer")?, subject: row.try_get("subject")? },
        lease_id: lease_id.map(|text| text.parse()).transpose().map_err(corrupt)?,
        lease_expires_at: expires.map(Timestamp::from_unix_millis),
    })
}

pub(super) fn job(row: &SqliteRow) -> Result<Job, StoreError> {
    let result: Option<String> = row.try_get("result")?;
    Ok(Job {
        id: parsed(row, "id")?,
        kind: parsed(row, "kind")?,
        payload: JsonText::from_stored(row.try_get("payload")?).map_err(corrupt)?,
        status: parsed(row, "status")?,
        attempts: row.try_get("attempts")?,
        max_attempts: row.try_get("max_attempts")?,
        run_at: instant(row, "run_at")?,
        result: result.map(JsonText::from_stored).transpose().map_err(corrupt)?,
        error: row.try_get("error")?,
        created_at: instant(row, "created_at")?,
        updated_at: instant(row, "updated_at")?,
    })
}

/// The column's text as what it stands for.
pub(super) fn parsed<T>(row: &SqliteRow, column: &str) -> Result<T, StoreError>
where
    T: FromStr,
    T::Err: Error + Send + Sync + 'static,
{
    let text: &str = row.try_get(column)?;
    text.parse().map_err(corrupt)
}

/// A count that cannot be negative.
pub(super) fn count(row: &SqliteRow, column: &str) -> Result<u64, StoreError> {
    let count: i64 = row.try_get(column)?;
    u64::try_from(count).map_err(corrupt)
}

pub(super) fn corrupt(error: impl Error + Send + Sync + 'static) -> StoreError {
    StoreError::Corrupt(Arc::new(error))
}

fn instant(row: &SqliteRow, column: &str) -> Result<Timestamp, StoreError> {
    Ok(Timestamp::from_unix_millis(row.try_get(column)?))
}
