//! What the engine tells whoever wants to log and count. The engine itself does neither.

use keyward_core::jwks::Event;

use crate::store::StoreError;

/// Told of what happens inside. Calls come from the engine's own tasks and from request paths: they must not block.
pub trait Observer: Send + Sync + 'static {
    /// Something happened to an issuer's key set.
    fn key_set(&self, issuer: &str, event: &Event) {
        let _ = (issuer, event);
    }

    /// A kept file could not be used or written. Verification goes on without it.
    fn store_failed(&self, issuer: &str, error: &StoreError) {
        let _ = (issuer, error);
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
