use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// The system's resolver, with errors that can be told from those of connecting.
pub(super) struct SystemResolver;

/// A name that does not resolve.
#[derive(Debug, thiserror::Error)]
#[error("the name {host} does not resolve: {why}")]
pub(super) struct NameError {
    host: String,
    why: String,
}

impl Resolve for SystemResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_owned();
        Box::pin(async move {
            let failed = |why: String| NameError { host: host.clone(), why };
            let addresses: Vec<_> =
                tokio::net::lookup_host((host.as_str(), 0)).await.map_err(|error| failed(error.to_string()))?.collect();
            if addresses.is_empty() {
                return Err(failed("it has no addresses".to_owned()).into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// A resolver that notes whether it is at work, so that whoever gives a fetch up knows what it was waiting for.
pub(super) struct Noting<R> {
    pub(super) resolver: R,
    /// Stays set when a resolution is given up: it is cleared when the next request begins.
    pub(super) resolving: Arc<AtomicBool>,
}

impl<R: Resolve> Resolve for Noting<R> {
    fn resolve(&self, name: Name) -> Resolving {
        let resolution = self.resolver.resolve(name);
        let resolving = Arc::clone(&self.resolving);
        Box::pin(async move {
            resolving.store(true, Ordering::Relaxed);
            let resolved = resolution.await;
            resolving.store(false, Ordering::Relaxed);
            resolved
        })
    }
}
