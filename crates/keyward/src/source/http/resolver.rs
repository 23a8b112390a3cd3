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
