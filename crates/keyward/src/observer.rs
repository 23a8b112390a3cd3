//! What the engine tells whoever wants to log and count. The engine itself does neither.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use keyward_core::jwks::Event;

use crate::source::FetchError;
use crate::store::StoreError;

/// Told of what happens inside. Calls come from the engine's own tasks and from request paths: they must not block. One
/// that panics stops nothing.
pub trait Observer: Send + Sync + 'static {
    /// Something happened to an issuer's key set.
    fn key_set(&self, issuer: &str, event: &Event) {
        let _ = (issuer, event);
    }

    /// A kept file could not be used or written. Verification goes on without it.
    fn store_failed(&self, issuer: &str, error: &StoreError) {
        let _ = (issuer, error);
    }

    /// What the operator had decided could not be read at the start: denied keys verify again. Verification goes on,
    /// and a person should decide anew. Default: told as [`Observer::store_failed`].
    fn decisions_lost(&self, issuer: &str, error: &StoreError) {
        self.store_failed(issuer, error);
    }

    /// The issuer's metadata cannot be had or used, and its key set was fetched from where it was before.
    fn discovery_failed(&self, issuer: &str, error: &FetchError) {
        let _ = (issuer, error);
    }

    /// A defect ended the task that refreshes an issuer's keys. It is begun anew with the keys there are.
    fn driver_restarted(&self, issuer: &str) {
        let _ = issuer;
    }

    /// The token cache was asked.
    fn token_cache(&self, hit: bool) {
        let _ = hit;
    }
}

/// Listens to nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {}

/// Keeps an observer's panics from whoever tells it.
pub(crate) struct Shielded(pub(crate) Arc<dyn Observer>);

impl Shielded {
    fn tell(&self, call: impl FnOnce(&dyn Observer)) {
        // The panic hook has reported it, and what the observer makes of itself afterwards is its own affair.
        let _ = catch_unwind(AssertUnwindSafe(|| call(&*self.0)));
    }
}

impl Observer for Shielded {
    fn key_set(&self, issuer: &str, event: &Event) {
        self.tell(|observer| observer.key_set(issuer, event));
    }

    fn store_failed(&self, issuer: &str, error: &StoreError) {
        self.tell(|observer| observer.store_failed(issuer, error));
    }

    fn decisions_lost(&self, issuer: &str, error: &StoreError) {
        self.tell(|observer| observer.decisions_lost(issuer, error));
    }

    fn discovery_failed(&self, issuer: &str, error: &FetchError) {
        self.tell(|observer| observer.discovery_failed(issuer, error));
    }

    fn driver_restarted(&self, issuer: &str) {
        self.tell(|observer| observer.driver_restarted(issuer));
    }

    fn token_cache(&self, hit: bool) {
        self.tell(|observer| observer.token_cache(hit));
    }
}
