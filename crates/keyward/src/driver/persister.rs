use std::sync::{Arc, Mutex, PoisonError};

use keyward_core::jwks::{OperatorState, Stored};
use tokio::sync::{mpsc, oneshot};
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
    /// Told when what was wanted before has been written, or could not be.
    tell: Vec<oneshot::Sender<()>>,
}

impl Persister {
    pub(crate) fn start(store: KeyStore, issuer: Arc<str>, source: String, observer: Arc<dyn Observer>) -> Self {
        let wanted = Arc::<Mutex<Wanted>>::default();
        let (wake, mut woken) = mpsc::channel(1);
        let writer = Writer { store, issuer, source, observer, wanted: Arc::clone(&wanted) };
        let task = tokio::spawn(async move {
            while woken.recv().await.is_some() {
                writer.write().await;
            }
            // What could not be written before gets a last chance.
            writer.write().await;
        });
        Self { wanted, wake, task }
    }

    pub(crate) fn keep_keys(&self, stored: Stored) {
        self.want(|wanted| wanted.keys = Some(stored));
    }

    pub(crate) fn keep_operator(&self, state: OperatorState) {
        self.want(|wanted| wanted.operator = Some(state));
    }

    /// Tells once everything wanted so far has been written, or could not be.
    pub(crate) fn tell_when_written(&self, done: oneshot::Sender<()>) {
        self.want(|wanted| wanted.tell.push(done));
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

struct Writer {
    store: KeyStore,
    issuer: Arc<str>,
    source: String,
    observer: Arc<dyn Observer>,
    wanted: Arc<Mutex<Wanted>>,
}

impl Writer {
    async fn write(&self) {
        let Wanted { keys, operator, tell } = std::mem::take(&mut *self.wanted());
        if let Some(state) = operator {
            let refused = state.clone();
            if !self.attempt(move |store, issuer, _| store.save_operator(issuer, &state)).await {
                // A decision is made once, so it is tried again with what is written next; keys come again by themselves.
                self.wanted().operator.get_or_insert(refused);
            }
        }
        if let Some(stored) = keys {
            self.attempt(move |store, issuer, source| store.save_keys(issuer, source, &stored)).await;
        }
        for done in tell {
            let _ = done.send(());
        }
    }

    /// Whether it could be written.
    async fn attempt(
        &self,
        write: impl FnOnce(&KeyStore, &str, &str) -> Result<(), StoreError> + Send + 'static,
    ) -> bool {
        let (store, issuer, source) = (self.store.clone(), Arc::clone(&self.issuer), self.source.clone());
        match tokio::task::spawn_blocking(move || write(&store, &issuer, &source)).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                self.observer.store_failed(&self.issuer, &error);
                false
            }
            // The runtime is ending.
            Err(_) => false,
        }
    }

    fn wanted(&self) -> std::sync::MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
