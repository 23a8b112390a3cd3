//! Leasing, and taking back what has expired.

use sqlx::{SqliteConnection, query_as};

use super::{reads, rows::corrupt, writes};
use crate::{
    jobs::{Kind, LEASE_EXPIRED, LeaseId, LeaseRequest, LeasedJob, Timestamp},
    store::{Reclaimed, StoreError},
};

/// A due job's place in the queue: `run_at`, `created_at`, `id`.
type Place = (i64, i64, String);

pub(super) async fn lease(
    conn: &mut SqliteConnection,
    request: &LeaseRequest,
    now: Timestamp,
) -> Result<Vec<LeasedJob>, StoreError> {
    let mut leased = Vec::new();
    for (_, _, id) in due(conn, request, now).await? {
        let id = id.parse().map_err(corrupt)?;
        let Some(mut record) = reads::record(conn, id).await? else {
            continue;
        };
        let job = record.lease(LeaseId::generate(), request.lease_seconds, now);
        writes::save(conn, &record, now).await?;
        leased.push(job);
    }
    Ok(leased)
}

/// The places of the jobs to lease. One look into the index per kind: a long queue of another kind costs nothing.
async fn due(conn: &mut SqliteConnection, request: &LeaseRequest, now: Timestamp) -> Result<Vec<Place>, StoreError> {
    let Some(kinds) = &request.kinds else {
        return due_of_any_kind(conn, request.limit, now).await;
    };
    let mut places = Vec::new();
    for kind in kinds {
        places.extend(due_of_kind(conn, kind, request.limit, now).await?);
    }
    places.sort_unstable();
    places.truncate(request.limit as usize);
    Ok(places)
}

async fn due_of_any_kind(conn: &mut SqliteConnection, limit: u32, now: Timestamp) -> Result<Vec<Place>, StoreError> {
    Ok(query_as(
        "SELECT run_at, created_at, id FROM jobs WHERE status = 'queued' AND run_at <= ?1
         ORDER BY run_at, created_at, id LIMIT ?2",
    )
    .bind(now.unix_millis())
    .bind(limit)
    .fetch_all(conn)
    .await?)
}

async fn due_of_kind(
    conn: &mut SqliteConnection,
    kind: &Kind,
    limit: u32,
    now: Timestamp,
) -> Result<Vec<Place>, StoreError> {
    Ok(query_as(
        "SELECT run_at, created_at, id FROM jobs WHERE status = 'queued' AND kind = ?1 AND run_at <= ?2
         ORDER BY run_at, created_at, id LIMIT ?3",
    )
    .bind(kind.as_str())
    .bind(now.unix_millis())
    .bind(limit)
    .fetch_all(conn)
    .await?)
}

/// Takes back every expired lease, whole sets at a time. Counted on the day it is recorded, so that no past day's usage
/// changes.
pub(super) async fn reclaim(conn: &mut SqliteConnection, now: Timestamp) -> Result<Reclaimed, StoreError> {
    let requeued = sqlx::query(
        "UPDATE jobs SET status = 'queued', updated_at = ?1, lease_id = NULL, lease_expires_at = NULL
         WHERE status = 'running' AND lease_expires_at <= ?1 AND attempts < max_attempts",
    )
    .bind(now.unix_millis())
    .execute(&mut *conn)
    .await?
    .rows_affected();
    sqlx::query(
        "INSERT INTO usage (issuer, subject, day, kind, outcome, count)
         SELECT issuer, subject, ?2, kind, 'failed', count(*) FROM jobs
         WHERE status = 'running' AND lease_expires_at <= ?1 GROUP BY issuer, subject, kind
         ON CONFLICT DO UPDATE SET count = count + excluded.count",
    )
    .bind(now.unix_millis())
    .bind(now.day().to_string())
    .execute(&mut *conn)
    .await?;
    let failed = sqlx::query(
        "UPDATE jobs SET status = 'failed', error = ?2, updated_at = ?1, lease_id = NULL, lease_expires_at = NULL
         WHERE status = 'running' AND lease_expires_at <= ?1",
    )
    .bind(now.unix_millis())
    .bind(LEASE_EXPIRED)
    .execute(conn)
    .await?
    .rows_affected();
    Ok(Reclaimed { requeued, failed })
}
