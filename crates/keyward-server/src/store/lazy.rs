//! A store that may not be there yet.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use tokio::{sync::Mutex, time::Instant};

use super::{Cancellation, Fenced, JobStore, Leased, Page, QueueStats, Reclaimed, StoreError, Submitted};
use crate::jobs::{
    Completion, Failure, Job, JobId, LeaseRequest, ListQuery, Owner, Renewal, Submission, Timestamp, UsagePeriod,
    UsageRow,
};

/// Opens a store, as often as it takes.
pub type OpenStore = Box<dyn Fn() -> BoxFuture<'static, Result<Arc<dyn JobStore>, StoreError>> + Send + Sync>;

/// Calls in between are answered with the failure of the last attempt.
const BETWEEN_ATTEMPTS: Duration = Duration::from_secs(1);

/// A store that is opened at its first call, and at a later one while that fails: a full disk or a read-only directory
/// does not keep the service from starting, and needs no restart once it is mended.
///
/// Attempts are a second apart at least. Once open, it stays with the store it has.
pub struct LazyStore {
    open: OpenStore,
    opened: OnceLock<Arc<dyn JobStore>>,
    last_failure: Mutex<Option<(Instant, StoreError)>>,
}

impl LazyStore {
    /// A store that `open` will open. To try at once, and learn what is wrong, [`ping`](JobStore::ping) it.
    #[must_use]
    pub fn new(open: OpenStore) -> Self {
        Self { open, opened: OnceLock::new(), last_failure: Mutex::new(None) }
    }

    async fn store(&self) -> Result<&dyn JobStore, StoreError> {
        if let Some(store) = self.opened.get() {
            return Ok(store.as_ref());
        }
        // Held while opening: whoever comes meanwhile shares the result.
        let mut last_failure = self.last_failure.lock().await;
        if let Some(store) = self.opened.get() {
            return Ok(store.as_ref());
        }
        if let Some((at, error)) = &*last_failure
            && at.elapsed() < BETWEEN_ATTEMPTS
        {
            return Err(error.clone());
        }
        match (self.open)().await {
            Ok(store) => Ok(self.opened.get_or_init(|| store).as_ref()),
            Err(error) => {
                *last_failure = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }
}

#[async_trait]
impl JobStore for LazyStore {
    async fn submit(&self, submission: Submission, now: Timestamp) -> Result<Submitted, StoreError> {
        self.store().await?.submit(submission, now).await
    }

    async fn get(&self, owner: &Owner, id: JobId) -> Result<Option<Job>, StoreError> {
        self.store().await?.get(owner, id).await
    }

    async fn list(&self, owner: &Owner, query: &ListQuery) -> Result<Page, StoreError> {
        self.store().await?.list(owner, query).await
    }

    async fn cancel(&self, owner: &Owner, id: JobId, now: Timestamp) -> Result<Cancellation, StoreError> {
        self.store().await?.cancel(owner, id, now).await
    }

    async fn lease(&self, request: &LeaseRequest, now: Timestamp) -> Result<Leased, StoreError> {
        self.store().await?.lease(request, now).await
    }

    async fn renew(&self, id: JobId, renewal: &Renewal, now: Timestamp) -> Result<Fenced, StoreError> {
        self.store().await?.renew(id, renewal, now).await
    }

    async fn complete(&self, id: JobId, completion: &Completion, now: Timestamp) -> Result<Fenced, StoreError> {
        self.store().await?.complete(id, completion, now).await
    }

    async fn fail(&self, id: JobId, failure: &Failure, now: Timestamp) -> Result<Fenced, StoreError> {
        self.store().await?.fail(id, failure, now).await
    }

    async fn reclaim_expired(&self, now: Timestamp) -> Result<Reclaimed, StoreError> {
        self.store().await?.reclaim_expired(now).await
    }

    async fn usage(&self, owner: &Owner, period: UsagePeriod) -> Result<Vec<UsageRow>, StoreError> {
        self.store().await?.usage(owner, period).await
    }

    async fn queue_stats(&self, now: Timestamp) -> Result<QueueStats, StoreError> {
        self.store().await?.queue_stats(now).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.store().await?.ping().await
    }

    async fn close(&self) {
        if let Some(store) = self.opened.get() {
            store.close().await;
        }
    }
}
