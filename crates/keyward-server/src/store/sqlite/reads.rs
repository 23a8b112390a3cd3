//! What is only looked up.

use sqlx::{Row, SqliteConnection};

use super::rows::{self, select_records};
use crate::{
    jobs::{Cursor, IdempotencyKey, Job, JobId, JobRecord, ListQuery, Owner, Status, Timestamp, UsagePeriod, UsageRow},
    store::{Page, QueueStats, StoreError},
};

pub(super) async fn record(conn: &mut SqliteConnection, id: JobId) -> Result<Option<JobRecord>, StoreError> {
    sqlx::query(select_records!("WHERE id = ?1"))
        .bind(id.to_string())
        .fetch_optional(conn)
        .await?
        .map(|row| rows::record(&row))
        .transpose()
}

/// The job that was submitted under the key, and the fingerprint of its submission.
pub(super) async fn by_key(
    conn: &mut SqliteConnection,
    owner: &Owner,
    key: &IdempotencyKey,
) -> Result<Option<(Job, Vec<u8>)>, StoreError> {
    sqlx::query(select_records!("WHERE issuer = ?1 AND subject = ?2 AND idempotency_key = ?3"))
        .bind(&owner.issuer)
        .bind(&owner.subject)
        .bind(key.as_str())
        .fetch_optional(conn)
        .await?
        .map(|row| Ok((rows::job(&row)?, row.try_get("fingerprint")?)))
        .transpose()
}

pub(super) async fn page(conn: &mut SqliteConnection, owner: &Owner, query: &ListQuery) -> Result<Page, StoreError> {
    // Without a cursor, every job is older than the end of time.
    let (before, before_id) = query
        .cursor
        .map_or((i64::MAX, String::new()), |cursor| (cursor.created_at.unix_millis(), cursor.id.to_string()));
    let rows = sqlx::query(select_records!(
        "WHERE issuer = ?1 AND subject = ?2 AND (created_at, id) < (?3, ?4)
            AND (?5 IS NULL OR status = ?5) AND (?6 IS NULL OR kind = ?6)
         ORDER BY created_at DESC, id DESC LIMIT ?7"
    ))
    .bind(&owner.issuer)
    .bind(&owner.subject)
    .bind(before)
    .bind(before_id)
    .bind(query.status.map(Status::as_str))
    .bind(query.kind.as_ref().map(|kind| kind.as_str()))
    // One more tells whether there is a next page.
    .bind(i64::from(query.limit) + 1)
    .fetch_all(conn)
    .await?;
    let limit = query.limit as usize;
    let jobs = rows.iter().take(limit).map(rows::job).collect::<Result<Vec<_>, _>>()?;
    let next = jobs.last().filter(|_| rows.len() > limit).map(Cursor::after);
    Ok(Page { jobs, next })
}

pub(super) async fn usage(
    conn: &mut SqliteConnection,
    owner: &Owner,
    period: UsagePeriod,
) -> Result<Vec<UsageRow>, StoreError> {
    let rows = sqlx::query(
        "SELECT day, kind, outcome, count FROM usage
         WHERE issuer = ?1 AND subject = ?2 AND day BETWEEN ?3 AND ?4 ORDER BY day, kind, outcome",
    )
    .bind(&owner.issuer)
    .bind(&owner.subject)
    .bind(period.from.to_string())
    .bind(period.to.to_string())
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(UsageRow {
                day: rows::parsed(row, "day")?,
                kind: rows::parsed(row, "kind")?,
                outcome: rows::parsed(row, "outcome")?,
                count: rows::count(row, "count")?,
            })
        })
        .collect()
}

pub(super) async fn queue_stats(conn: &mut SqliteConnection, now: Timestamp) -> Result<QueueStats, StoreError> {
    let mut jobs = [0; Status::ALL.len()];
    let counts = sqlx::query("SELECT status, count FROM job_counts").fetch_all(&mut *conn).await?;
    for row in &counts {
        let status: Status = rows::parsed(row, "status")?;
        jobs[status as usize] = rows::count(row, "count")?;
    }
    let oldest: Option<i64> =
        sqlx::query_scalar("SELECT min(run_at) FROM jobs WHERE status = 'queued' AND run_at <= ?1")
            .bind(now.unix_millis())
            .fetch_one(conn)
            .await?;
    Ok(QueueStats { jobs, oldest_due_millis: oldest.map_or(0, |run_at| now.unix_millis().abs_diff(run_at)) })
}

pub(super) async fn ping(conn: &mut SqliteConnection) -> Result<(), StoreError> {
    sqlx::query("SELECT count FROM job_counts WHERE status = 'queued'").fetch_one(conn).await?;
    Ok(())
}
