use std::sync::{Arc, Mutex, PoisonError};

use keyward_core::jwks::{OperatorState, Stored};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::observer::Observer;
use crate::store::{KeyStore, StoreError};

/// Writes what is to be kept, away from the driver: a slow, full or broken disk holds nobody up. Only the latest of
/// what waits is written.
#[derive(Debug)]
pub(crate) struct Persister {
    wanted: Arc<Mutex<Wanted>>,
    wake: mpsc::Sender<()>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Wanted {
    keys: Option<Stored>,
    operator: Option<OperatorState>,
}

impl Persister {
    pub(crate) fn start(store: KeyStore, issuer: Arc<str>, source: String, observer: Arc<dyn Observer>) -> Self {
        let wanted = Arc::<Mutex<Wanted>>::default();
        let (wake, mut woken) = mpsc::channel(1);
        let shared = Arc::clone(&wanted);
        let task = tokio::spawn(async move {
            while woken.recv().await.is_some() {
                let taken = std::mem::take(&mut *shared.lock().unwrap_or_else(PoisonError::into_inner));
                write(&store, &issuer, &source, &observer, taken).await;
            }
        });
        Self { wanted, wake, task }
    }

    pub(crate) fn keep_keys(&self, stored: Stored) {
        self.want(|wanted| wanted.keys = Some(stored));
    }

    pub(crate) fn keep_operator(&self, state: OperatorState) {
        self.want(|wanted| wanted.operator = Some(state));
    }

    fn want(&self, change: impl FnOnce(&mut Wanted)) {
        change(&mut self.wanted.lock().unwrap_or_else(PoisonError::into_inner));
        // When it is full, the task is about to look anyway.
        let _ = self.wake.try_send(());
    }

    /// Returns once everything is written.
    pub(crate) async fn finish(self) {
        drop(self.wake);
        let _ = self.task.await;
    }
}

async fn write(store: &KeyStore, issuer: &Arc<str>, source: &str, observer: &Arc<dyn Observer>, wanted: Wanted) {
    let (store, name, source) = (store.clone(), Arc::clone(issuer), source.to_owned());
    let writing = tokio::task::spawn_blocking(move || -> Result<(), StoreError> {
        if let Some(state) = wanted.operator {
            store.save_operator(&name, &state)?;
        }
        wanted.keys.map_or(Ok(()), |stored| store.save_keys(&name, &source, &stored))
    });
    if let Ok(Err(error)) = writing.await {
        observer.store_failed(issuer, &error);
    }
}
