use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use keyward_core::jwks::{OperatorState, Stored};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::observer::Observer;
use crate::store::{KeyStore, StoreError};

/// Writes what is to be kept, away from the driver: a slow, full or broken disk holds nobody up. Only the latest of
/// what waits is written; what could not be is tried again after a while, and once more at the end.
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
        let (wake, woken) = mpsc::channel(1);
        let writer = Writer { store, issuer, source, observer, wanted: Arc::clone(&wanted) };
        Self { wanted, wake, task: tokio::spawn(writer.run(woken)) }
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
    async fn run(self, mut woken: mpsc::Receiver<()>) {
        const SOON: Duration = Duration::from_secs(5);
        const LATE: Duration = Duration::from_secs(60);
        let mut retry: Option<Duration> = None;
        loop {
            let ended = match retry {
                None => woken.recv().await.is_none(),
                Some(pause) => matches!(tokio::time::timeout(pause, woken.recv()).await, Ok(None)),
            };
            let written = self.write().await;
            if ended {
                return;
            }
            retry = (!written).then(|| retry.map_or(SOON, |pause| (pause * 2).min(LATE)));
        }
    }

    /// Whether all of what was wanted could be written.
    async fn write(&self) -> bool {
        let Wanted { keys, operator, tell } = std::mem::take(&mut *self.wanted());
        let mut written = true;
        if let Some(state) = operator {
            let refused = state.clone();
            if !self.attempt(move |store, issuer, _| store.save_operator(issuer, &state)).await {
                written = false;
                self.wanted().operator.get_or_insert(refused);
            }
        }
        if let Some(stored) = keys {
            let refused = stored.clone();
            if !self.attempt(move |store, issuer, source| store.save_keys(issuer, source, &stored)).await {
                written = false;
                self.wanted().keys.get_or_insert(refused);
            }
        }
        for done in tell {
            let _ = done.send(());
        }
        written
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_could_not_be_written_is_written_once_it_can_be_without_anybody_asking() {
        let parent = tempfile::tempdir().unwrap();
        let place = parent.path().join("keys");
        std::fs::write(&place, "a file where the directory should be").unwrap();
        let store = KeyStore::new(place.clone());
        let persister =
            Persister::start(store.clone(), Arc::from("a"), String::new(), Arc::new(crate::observer::Silent));
        let state = OperatorState { denied: [("k".to_owned(), None)].into(), extension: None };
        persister.keep_operator(state.clone());
        let (done, written) = oneshot::channel();
        persister.tell_when_written(done);
        written.await.unwrap();
        std::fs::remove_file(&place).unwrap();
        let since = tokio::time::Instant::now();
        while store.load_operator("a").unwrap().as_ref() != Some(&state) {
            assert!(since.elapsed() < Duration::from_secs(60), "never");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        persister.finish().await;
    }
}
