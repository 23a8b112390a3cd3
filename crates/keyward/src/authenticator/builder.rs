use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use keyward_core::jwks::{Action, Cache, CacheConfig, Event, Input, Jitter, OperatorState, Snapshot};
use keyward_core::policy::Policy;
use keyward_core::verifier::Verifier;

use super::{Authenticator, Inner, Issuer};
use crate::clock::{Clock, SystemClock};
use crate::config::{IssuerConfig, KeySource};
use crate::driver::{self, Persister};
use crate::observer::{Observer, Shielded, Silent};
use crate::source::{FetchOptions, Source, UrlError};
use crate::store::KeyStore;
use crate::token_cache::{TokenCache, TokenCacheConfig};

/// Configures an [`Authenticator`].
pub struct AuthenticatorBuilder {
    issuers: Vec<IssuerConfig>,
    policies: Vec<Policy>,
    tokens: Option<TokenCacheConfig>,
    store: Option<KeyStore>,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
    predecessor: Option<Authenticator>,
}

/// The engine cannot be what it is configured to be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// There is nothing to verify with.
    #[error("no issuer is configured")]
    NoIssuer,
    /// Two issuers have this name.
    #[error("two issuers are named {0}")]
    DuplicateIssuer(String),
    /// Two issuers accept the same `iss`: the second would never see a token.
    #[error("issuers {first} and {second} both accept the iss {iss}")]
    SharedIss {
        /// The name of the one.
        first: String,
        /// The name of the other.
        second: String,
        /// The `iss`.
        iss: String,
    },
    /// Two policies have this name.
    #[error("two policies are named {0}")]
    DuplicatePolicy(String),
    /// The keys of an issuer cannot be fetched from where they are said to be.
    #[error("issuer {issuer}: {error}")]
    Source {
        /// The issuer's name.
        issuer: String,
        /// What is wrong.
        error: UrlError,
    },
    /// A set of configured keys has none that can be used.
    #[error("issuer {issuer}: none of the configured keys can be used: {why}")]
    NoUsableKey {
        /// The issuer's name.
        issuer: String,
        /// Why the first cannot.
        why: String,
    },
    /// An issuer has neither keys nor a secret.
    #[error("issuer {0}: there are neither keys nor a secret")]
    Nothing(String),
    /// Not called within a tokio runtime.
    #[error("the engine needs a tokio runtime to fetch keys in")]
    NoRuntime,
}

impl Default for AuthenticatorBuilder {
    fn default() -> Self {
        Self {
            issuers: Vec::new(),
            policies: vec![Policy::named("default")],
            tokens: Some(TokenCacheConfig::default()),
            store: None,
            clock: Arc::new(SystemClock),
            observer: Arc::new(Silent),
            predecessor: None,
        }
    }
}

impl AuthenticatorBuilder {
    /// Accepts tokens of this issuer. Needed once at least.
    #[must_use]
    pub fn issuer(mut self, issuer: IssuerConfig) -> Self {
        self.issuers.push(issuer);
        self
    }

    /// Adds a policy. One named `default` replaces the one that asks for a subject and nothing else.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        if policy.name == "default" {
            self.policies[0] = policy;
        } else {
            self.policies.push(policy);
        }
        self
    }

    /// How many verified tokens are remembered, or `None` for none at all.
    #[must_use]
    pub const fn token_cache(mut self, config: Option<TokenCacheConfig>) -> Self {
        self.tokens = config;
        self
    }

    /// Keeps the last known good key sets in this directory, so that a start in the middle of an outage serves.
    /// Default: they are not kept.
    #[must_use]
    pub fn keep_keys_in(mut self, directory: impl Into<PathBuf>) -> Self {
        self.store = Some(KeyStore::new(directory.into()));
        self
    }

    /// Reads the time from this clock. Default: the machine's.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Tells this observer what happens. Default: nobody.
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Arc::new(Shielded(observer));
        self
    }

    /// Takes over the keys that `predecessor` has for issuers of the same name and source, and what the operator has
    /// decided about issuers of the same name: for a change of configuration without a gap. Both engines must have the
    /// same clock. What is decided at the predecessor after the successor was built is not taken over.
    #[must_use]
    pub fn inherit(mut self, predecessor: &Authenticator) -> Self {
        self.predecessor = Some(predecessor.clone());
        self
    }

    /// Starts the engine in the current tokio runtime. Keys that were kept serve at once; the first fetch is made in
    /// the background.
    ///
    /// # Errors
    ///
    /// When the configuration cannot work. That a key set cannot be fetched right now is not an error.
    pub fn build(mut self) -> Result<Authenticator, BuildError> {
        self.check()?;
        let max_token_bytes = self.issuers.iter().map(|issuer| issuer.verifier.max_token_bytes()).max().unwrap_or(0);
        let mut tasks = Vec::new();
        let configs = std::mem::take(&mut self.issuers);
        let issuers = configs.into_iter().map(|config| self.start(config, &mut tasks)).collect::<Result<_, _>>()?;
        Ok(Authenticator {
            inner: Arc::new(Inner {
                issuers,
                policies: self.policies,
                tokens: self.tokens.map(TokenCache::new),
                clock: self.clock,
                observer: self.observer,
                max_token_bytes,
                tasks: Mutex::new(tasks),
            }),
        })
    }

    fn check(&self) -> Result<(), BuildError> {
        if self.issuers.is_empty() {
            return Err(BuildError::NoIssuer);
        }
        let mut names = HashSet::new();
        if let Some(twice) = self.issuers.iter().find(|issuer| !names.insert(issuer.verifier.name())) {
            return Err(BuildError::DuplicateIssuer(twice.verifier.name().to_string()));
        }
        for (index, first) in self.issuers.iter().enumerate() {
            for second in &self.issuers[index + 1..] {
                if let Some(iss) = shared_iss(&first.verifier, &second.verifier) {
                    let name = |issuer: &IssuerConfig| issuer.verifier.name().to_string();
                    let (first, second) = (name(first), name(second));
                    return Err(BuildError::SharedIss { first, second, iss });
                }
            }
        }
        let mut names = HashSet::new();
        if let Some(twice) = self.policies.iter().find(|policy| !names.insert(&policy.name)) {
            return Err(BuildError::DuplicatePolicy(twice.name.clone()));
        }
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(BuildError::NoRuntime);
        }
        Ok(())
    }

    fn start(&self, config: IssuerConfig, tasks: &mut Vec<tokio::task::JoinHandle<()>>) -> Result<Issuer, BuildError> {
        let name = Arc::clone(config.verifier.name());
        let identity = config.keys.identity();
        let (source, mut cache) = prepare(config.keys, &config.verifier, &config.cache, config.fetch)?;
        let snapshot = Arc::new(ArcSwap::from_pointee(Snapshot::empty()));
        let inherited = self.restore(&mut cache, &name, identity.as_deref(), &snapshot);
        let persister = self.store.clone().map(|store| {
            let source = identity.clone().unwrap_or_default();
            Persister::start(store, Arc::clone(&name), source, Arc::clone(&self.observer))
        });
        if let (true, Some(persister)) = (inherited, &persister) {
            // The predecessor may have failed to, or had no place for it.
            persister.keep_operator(cache.operator().clone());
        }
        let operator = Arc::new(ArcSwap::from_pointee(cache.operator().clone()));
        let (driver, task) = driver::start(driver::Setup {
            issuer: name,
            cache,
            source,
            snapshot: Arc::clone(&snapshot),
            operator: Arc::clone(&operator),
            persister,
            clock: Arc::clone(&self.clock),
            observer: Arc::clone(&self.observer),
        });
        tasks.push(task);
        Ok(Issuer { verifier: config.verifier, snapshot, operator, driver, cache: config.cache, source: identity })
    }

    /// Gives the cache what was kept, before anybody can ask for it; whether the operator's decisions are inherited.
    /// What the predecessor has is newer than what is on disk, which may be slow or broken, and its age is certain.
    fn restore(&self, cache: &mut Cache, name: &Arc<str>, source: Option<&str>, snapshot: &ArcSwap<Snapshot>) -> bool {
        let now = self.clock.now();
        let predecessor = self.predecessor.as_ref().map(|predecessor| &predecessor.inner);
        let decided = predecessor.and_then(|predecessor| predecessor.decided(name));
        let inherited = decided.is_some();
        let decided = decided.or_else(|| self.decided_before(name)).unwrap_or_default();
        cache.handle(Input::RestoredOperator(decided), now);
        if let Some(source) = source {
            match predecessor.and_then(|predecessor| predecessor.held(name, source)) {
                Some(held) => cache.handle(Input::Inherited(held), now),
                None => self.restore_kept(cache, name, source),
            }
        }
        publish(cache, snapshot, |event| self.observer.key_set(name, event));
        inherited
    }

    fn decided_before(&self, name: &Arc<str>) -> Option<OperatorState> {
        self.store.as_ref()?.load_operator(name).unwrap_or_else(|error| {
            self.observer.decisions_lost(name, &error);
            None
        })
    }

    fn restore_kept(&self, cache: &mut Cache, name: &Arc<str>, source: &str) {
        let Some(store) = &self.store else { return };
        match store.load_keys(name, source) {
            Ok(Some(stored)) => cache.handle(Input::Restored(stored), self.clock.now()),
            Ok(None) => {}
            Err(error) => self.observer.store_failed(name, &error),
        }
    }
}

/// Where the keys come from, and the cache that they go to.
fn prepare(
    keys: KeySource,
    verifier: &Verifier,
    cache: &CacheConfig,
    fetch: FetchOptions,
) -> Result<(Option<Source>, Cache), BuildError> {
    let issuer = || verifier.name().to_string();
    let source = Source::new(&keys, &fetch).map_err(|error| BuildError::Source { issuer: issuer(), error })?;
    let cache = match keys {
        KeySource::Static(set) if set.keys().is_empty() => {
            let why = set.unusable().first().map_or_else(|| "there are none".to_owned(), |key| key.why.clone());
            return Err(BuildError::NoUsableKey { issuer: issuer(), why });
        }
        KeySource::Static(set) => Cache::fixed(Arc::new(set)),
        KeySource::None if verifier.has_secret() => Cache::fixed(Arc::default()),
        KeySource::None => return Err(BuildError::Nothing(issuer())),
        _ => Cache::new(cache.clone(), Jitter::seeded(random_seed())),
    };
    Ok((source, cache))
}

/// An `iss` that both accept.
fn shared_iss(one: &Verifier, other: &Verifier) -> Option<String> {
    let both = [(one, other), (other, one)];
    both.iter().find_map(|(one, other)| {
        let iss = one.issuers().iter().find(|iss| other.accepts_issuer(iss))?;
        Some(iss.to_string())
    })
}

fn publish(cache: &mut Cache, snapshot: &ArcSwap<Snapshot>, tell: impl Fn(&Event)) {
    while let Some(action) = cache.poll_action() {
        if let Action::Publish(published) = action {
            snapshot.store(published);
        }
    }
    while let Some(event) = cache.poll_event() {
        tell(&event);
    }
}

impl Inner {
    fn decided(&self, name: &str) -> Option<OperatorState> {
        Some(self.issuer(name)?.operator.load().as_ref().clone())
    }

    /// The keys, if there are any that were fetched from `source`.
    fn held(&self, name: &str, source: &str) -> Option<Arc<Snapshot>> {
        let issuer = self.issuer(name).filter(|issuer| issuer.source.as_deref() == Some(source))?;
        Some(issuer.snapshot.load_full()).filter(|snapshot| snapshot.succeeded_at().is_some())
    }
}

/// Instances that start together must not fetch together.
fn random_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}
