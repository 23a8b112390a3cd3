//! The engine as it is configured, and its replacement when the configuration is read again.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use keyward::alg::Algorithm;
use keyward::jwk::KeySet;
use keyward::jwks::CacheConfig;
use keyward::policy::{ClaimRule, ClaimTest};
use keyward::verifier::VerifierError;
use keyward::{
    Authenticator, BuildError, FetchOptions, IssuerConfig, KeySource, Observer, Policy, TokenCacheConfig, Verifier,
};

use crate::config::{self, Aal, Config, ConfigError, GatewaySettings, IssuerSettings, PolicySettings, Subject};

/// The policy of the worker routes. Its name cannot be one of the configuration's.
pub const WORKER_POLICY: &str = "keyward:worker";
/// The role that leases and finishes jobs.
const WORKER_ROLE: &str = "service_role";
/// The directory of the last known good key sets, in the data directory.
const KEYS_DIRECTORY: &str = "jwks";

/// The engine that requests are verified with, replaced as a whole.
#[derive(Clone)]
pub struct Engine {
    current: Arc<ArcSwap<Authenticator>>,
    gateway: Arc<ArcSwap<GatewaySettings>>,
    /// One reconfiguration at a time: the last that was asked for is the one that stays.
    reconfiguring: Arc<Mutex<()>>,
    observer: Arc<dyn Observer>,
}

/// The configuration cannot be put to work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// An issuer's tokens cannot be verified.
    #[error("issuer {issuer}: {error}")]
    Verifier {
        /// The issuer's name.
        issuer: String,
        /// What is wrong.
        error: VerifierError,
    },
    /// The configuration cannot be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The engine cannot be started.
    #[error(transparent)]
    Build(#[from] BuildError),
}

impl Engine {
    /// Starts the engine.
    ///
    /// # Errors
    ///
    /// When the configuration cannot work; that keys cannot be fetched right now is none.
    pub fn start(config: &Config, observer: Arc<dyn Observer>) -> Result<Self, EngineError> {
        let authenticator = build(config, &observer, None)?;
        let gateway = Arc::new(ArcSwap::from_pointee(config.gateway.clone()));
        Ok(Self {
            current: Arc::new(ArcSwap::from_pointee(authenticator)),
            gateway,
            reconfiguring: Arc::default(),
            observer,
        })
    }

    /// Reads the configuration again, starts another engine for it and lets that take over, keys included. On an error
    /// the engine that runs goes on.
    ///
    /// # Errors
    ///
    /// When the configuration cannot be read; as for [`Engine::start`] otherwise.
    pub fn reconfigure(&self, read: impl FnOnce() -> Result<Config, ConfigError>) -> Result<(), EngineError> {
        let _turn = self.reconfiguring.lock().unwrap_or_else(PoisonError::into_inner);
        let config = read()?;
        let authenticator = build(&config, &self.observer, Some(&self.current.load()))?;
        self.current.store(Arc::new(authenticator));
        self.gateway.store(Arc::new(config.gateway));
        Ok(())
    }

    /// How proxies are answered now.
    #[must_use]
    pub fn gateway(&self) -> Arc<GatewaySettings> {
        self.gateway.load_full()
    }

    /// The name of the first issuer.
    #[must_use]
    pub fn first_issuer(&self) -> String {
        self.current.load().issuer_names().next().unwrap_or_default().to_owned()
    }

    /// The engine that runs now.
    #[must_use]
    pub fn current(&self) -> Arc<Authenticator> {
        self.current.load_full()
    }

    /// Waits until what the engine keeps is written.
    pub async fn shutdown(&self) {
        let authenticator = Authenticator::clone(&self.current.load());
        authenticator.shutdown().await;
    }
}

impl keyward_tower::Engine for Engine {
    fn authenticator(&self) -> Authenticator {
        Authenticator::clone(&self.current.load())
    }
}

fn build(
    config: &Config,
    observer: &Arc<dyn Observer>,
    predecessor: Option<&Authenticator>,
) -> Result<Authenticator, EngineError> {
    let tokens = config.token_cache.enabled.then_some(TokenCacheConfig {
        max_entries: config.token_cache.max_entries as u64,
        max_bytes: config.token_cache.max_bytes as u64,
    });
    let mut builder = Authenticator::builder()
        .token_cache(tokens)
        .keep_keys_in(config.data_dir.join(KEYS_DIRECTORY))
        .observer(Arc::clone(observer));
    for settings in &config.issuers {
        builder = builder.issuer(issuer(settings, config)?);
    }
    for settings in &config.policies {
        builder = builder.policy(policy(settings, &config.policies));
    }
    if let Some(predecessor) = predecessor {
        builder = builder.inherit(predecessor);
    }
    let worker =
        Policy { roles: vec![WORKER_ROLE.to_owned()], subject_required: false, ..Policy::named(WORKER_POLICY) };
    Ok(builder.policy(worker).build()?)
}

/// What verifies tokens with these `iss` and `aud` as those of `issuer`, or as those of nobody in particular.
pub(crate) fn verifier(
    config: &Config,
    issuer: Option<&IssuerSettings>,
    issuers: &[String],
    audiences: &[String],
) -> Result<Verifier, VerifierError> {
    let mut builder = Verifier::builder(issuer.map_or("any", |issuer| issuer.name.as_str()))
        .leeway(config.leeway)
        .max_token_bytes(config.max_token_bytes);
    for iss in issuers {
        builder = builder.issuer(iss.as_str());
    }
    for aud in audiences {
        builder = builder.audience(aud.as_str());
    }
    let Some(settings) = issuer else { return builder.build() };
    builder = builder.ignore_trailing_slash(settings.ignore_trailing_slash);
    if let Some(names) = &settings.algorithms {
        builder = builder.algorithms(names.iter().filter_map(|name| Algorithm::from_name(name)));
    }
    if let Some(secret) = &settings.hs256_secret {
        builder = builder.secret(secret.reveal());
    }
    builder.build()
}

fn issuer(settings: &IssuerSettings, config: &Config) -> Result<IssuerConfig, EngineError> {
    let verifier = verifier(config, Some(settings), &settings.issuers, &settings.audiences)
        .map_err(|error| EngineError::Verifier { issuer: settings.name.clone(), error })?;
    let (keys, allow_http) = match &settings.keys {
        config::KeySource::JwksUrl { url, allow_http } => (KeySource::Url(url.clone()), *allow_http),
        config::KeySource::Discovery { issuer_url, allow_http } => {
            (KeySource::Discovery(issuer_url.clone()), *allow_http)
        }
        config::KeySource::File(path) => (KeySource::File(path.clone()), false),
        config::KeySource::Static(keys) => {
            let texts: Vec<String> = keys.iter().map(ToString::to_string).collect();
            (KeySource::Static(KeySet::from_jwks(texts.iter().map(String::as_str))), false)
        }
        config::KeySource::None => (KeySource::None, false),
    };
    let cache = CacheConfig {
        ttl: settings.cache_ttl,
        stale_ttl: settings.stale_ttl,
        refresh_timeout: settings.refresh_timeout,
        refresh_retries: settings.refresh_retries,
        ..CacheConfig::default()
    };
    let fetch = FetchOptions { ca_file: settings.ca_file.clone(), allow_http, ..FetchOptions::default() };
    Ok(IssuerConfig { verifier, keys, cache, fetch })
}

/// A policy as it is configured, its alternatives included.
pub(crate) fn policy(settings: &PolicySettings, all: &[PolicySettings]) -> Policy {
    let named = |name: &String| all.iter().find(|other| other.name == *name);
    Policy {
        name: settings.name.clone(),
        issuers: settings.issuers.clone().unwrap_or_default(),
        audiences: settings.audiences.clone().unwrap_or_default(),
        roles: settings.roles.clone().unwrap_or_default(),
        assurance: settings.aal.map(|aal| match aal {
            Aal::Aal1 => keyward::policy::Assurance::Aal1,
            Aal::Aal2 => keyward::policy::Assurance::Aal2,
            Aal::Aal3 => keyward::policy::Assurance::Aal3,
        }),
        anonymous: settings.anonymous,
        subject_required: settings.subject == Subject::Required,
        claims: settings.claims.iter().map(claim_rule).collect(),
        // The configuration knows every name and has no cycles.
        any: settings.any.iter().filter_map(named).map(|other| Arc::new(policy(other, all))).collect(),
    }
}

fn claim_rule(condition: &config::ClaimCondition) -> ClaimRule {
    let test = match &condition.test {
        config::ClaimTest::Equals(value) => ClaimTest::Equals(value.clone()),
        config::ClaimTest::In(values) => ClaimTest::In(values.clone()),
        config::ClaimTest::Contains(value) => ClaimTest::Contains(value.clone()),
        config::ClaimTest::Exists(expected) => ClaimTest::Exists(*expected),
    };
    ClaimRule { path: condition.path.clone(), test }
}
