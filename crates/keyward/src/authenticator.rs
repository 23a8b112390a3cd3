//! The engine: issuers with their keys, policies, and the token cache.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use keyward_core::jwks::{CacheConfig, CacheState, Event, KeyQuery, Miss, OperatorState, Snapshot, Suppressed};
use keyward_core::jws::Unverified;
use keyward_core::policy::Policy;
use keyward_core::rejection::{Detail, Fault, Reason, Rejection};
use keyward_core::time::Now;
use keyward_core::token::VerifiedToken;
use keyward_core::verifier::Verifier;

use crate::clock::Clock;
use crate::decision::Decision;
use crate::driver::Handle;
use crate::observer::Observer;
use crate::token_cache::TokenCache;

mod builder;
pub use builder::{AuthenticatorBuilder, BuildError};

/// Verifies tokens of the configured issuers. Cloning is cheap: clones are the same engine.
///
/// The tasks that fetch keys end when the last clone is dropped; [`Authenticator::shutdown`] waits for them.
#[derive(Clone)]
pub struct Authenticator {
    inner: Arc<Inner>,
}

struct Inner {
    issuers: Vec<Issuer>,
    policies: Vec<Policy>,
    tokens: Option<TokenCache>,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
    max_token_bytes: usize,
    tasks: std::sync::Mutex<Vec<tokio::task::JoinHandle<()>>>,
}

struct Issuer {
    verifier: Verifier,
    snapshot: Arc<ArcSwap<Snapshot>>,
    /// What the operator has decided, for a successor.
    operator: Arc<ArcSwap<OperatorState>>,
    driver: Handle,
    cache: CacheConfig,
    /// `None` for keys that are not fetched.
    source: Option<String>,
}

/// A policy of an [`Authenticator`], by number: it means nothing to another engine, a successor included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyId(u32);

impl PolicyId {
    /// The policy `default`, which always exists.
    pub const DEFAULT: Self = Self(0);
}

/// What can be said of a token at once.
#[derive(Debug)]
pub enum Attempt {
    /// The verdict.
    Done(Result<VerifiedToken, Rejection>),
    /// The token's key is not known: waiting for it may help. See [`PendingKey::resolve`].
    Pending(PendingKey),
}

/// A key that is not known.
#[derive(Debug)]
pub struct PendingKey {
    engine: Authenticator,
    policy: PolicyId,
    issuer: usize,
    query: KeyQuery,
    rejection: Rejection,
}

/// An issuer as it stands.
#[derive(Clone, Debug)]
pub struct IssuerStatus {
    /// Its configured name.
    pub name: Arc<str>,
    /// Its keys, with their ages.
    pub snapshot: Arc<Snapshot>,
    /// Fresh, stale, expired or empty.
    pub state: CacheState,
    /// Whether its tokens can be verified now: with its keys, or with a configured secret.
    pub ready: bool,
    /// For how long its keys are fresh after a success.
    pub ttl: Duration,
    /// For how long they are usable after a success.
    pub stale_ttl: Duration,
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.inner.issuers.iter().map(|issuer| issuer.verifier.name()).collect();
        f.debug_struct("Authenticator").field("issuers", &names).finish_non_exhaustive()
    }
}

impl Authenticator {
    /// Starts an engine.
    #[must_use]
    pub fn builder() -> AuthenticatorBuilder {
        AuthenticatorBuilder::default()
    }

    /// Verifies a token under the policy `default`. Waits, within the configured bound, only when the token's key is
    /// not known.
    ///
    /// # Errors
    ///
    /// The refusal, with its stable reason.
    pub async fn verify(&self, token: &str) -> Result<VerifiedToken, Rejection> {
        self.verify_for(PolicyId::DEFAULT, token).await
    }

    /// The same under another policy.
    ///
    /// # Errors
    ///
    /// The refusal, with its stable reason.
    pub async fn verify_for(&self, policy: PolicyId, token: &str) -> Result<VerifiedToken, Rejection> {
        match self.try_verify(policy, token) {
            Attempt::Done(verdict) => verdict,
            Attempt::Pending(pending) => pending.resolve(token).await,
        }
    }

    /// Verifies a token without ever waiting.
    pub fn try_verify(&self, policy: PolicyId, token: &str) -> Attempt {
        if let Some(verified) = self.inner.cached(policy, token) {
            return Attempt::Done(Ok(verified));
        }
        self.verify_now(policy, token, self.inner.clock.now())
    }

    /// The policy of this name.
    #[must_use]
    pub fn policy(&self, name: &str) -> Option<PolicyId> {
        let at = self.inner.policies.iter().position(|policy| policy.name == name)?;
        u32::try_from(at).ok().map(PolicyId)
    }

    /// The longest token that is looked at, in bytes.
    #[must_use]
    pub fn max_token_bytes(&self) -> usize {
        self.inner.max_token_bytes
    }

    /// The names of the issuers, in the order of the configuration.
    pub fn issuer_names(&self) -> impl Iterator<Item = &str> {
        self.inner.issuers.iter().map(|issuer| &**issuer.verifier.name())
    }

    /// How the issuers stand, in the order of the configuration.
    #[must_use]
    pub fn status(&self) -> Vec<IssuerStatus> {
        let now = self.inner.clock.now();
        self.inner.issuers.iter().map(|issuer| issuer.status(now)).collect()
    }

    /// How many verified tokens are remembered; `None` when none ever are.
    #[must_use]
    pub fn cached_tokens(&self) -> Option<usize> {
        self.inner.tokens.as_ref().map(TokenCache::len)
    }

    /// The engine's clock.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    /// Refreshes an issuer's keys now; whether that succeeded. `None` when there is no such issuer or its keys are not
    /// fetched.
    pub async fn refresh(&self, issuer: &str) -> Option<bool> {
        let issuer = self.inner.issuer(issuer).filter(|issuer| issuer.source.is_some())?;
        Some(issuer.driver.refresh().await)
    }

    /// Has an operator's decision about an issuer's keys carried out; whether it holds. `false` when there is no such
    /// issuer, or when the engine has ended.
    ///
    /// It is also kept for the next start, as well as the disk allows: one that takes longer than 2 s is not waited
    /// for, and a write that fails is reported to the [`Observer`] and tried again until it succeeds.
    pub async fn decide(&self, issuer: &str, decision: Decision) -> bool {
        match self.inner.issuer(issuer) {
            Some(issuer) => issuer.driver.decide(decision).await,
            None => false,
        }
    }

    /// Ends the engine: keys are fetched no more, and what is to be kept is written when it returns. Other clones still
    /// verify with the keys they have, as long as those may be used.
    pub async fn shutdown(self) {
        const PATIENCE: Duration = Duration::from_secs(5);
        for issuer in &self.inner.issuers {
            issuer.driver.end().await;
        }
        let tasks = std::mem::take(&mut *self.inner.tasks.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        for task in tasks {
            let _ = tokio::time::timeout(PATIENCE, task).await;
        }
    }

    fn verify_now(&self, policy: PolicyId, token: &str, now: Now) -> Attempt {
        let inner = &self.inner;
        let parsed = match Unverified::parse(token, inner.max_token_bytes) {
            Ok(parsed) => parsed,
            Err(rejection) => return Attempt::Done(Err(rejection)),
        };
        let index = inner.route(&parsed);
        let issuer = &inner.issuers[index];
        // Another issuer may allow longer ones.
        if token.len() > issuer.verifier.max_token_bytes() {
            return Attempt::Done(Err(Reason::TokenTooLarge.into()));
        }
        let snapshot = issuer.snapshot.load();
        let verdict = issuer.verifier.verify_parsed(&parsed, snapshot.usable_keys(now.instant), now.unix);
        match verdict {
            Ok(verified) => Attempt::Done(inner.admit(policy, verified, index, &snapshot, &parsed)),
            Err(rejection) => self.refused(policy, rejection, &parsed, index, &snapshot, now),
        }
    }

    /// A refusal is final unless it is for want of a key that may yet come.
    fn refused(
        &self,
        policy: PolicyId,
        rejection: Rejection,
        parsed: &Unverified<'_>,
        index: usize,
        snapshot: &Snapshot,
        now: Now,
    ) -> Attempt {
        let inner = &self.inner;
        let issuer = &inner.issuers[index];
        let reason = rejection.reason();
        if !matches!(reason, Reason::UnknownKid | Reason::KeysUnavailable) {
            return Attempt::Done(Err(rejection));
        }
        if issuer.source.is_none() {
            return Attempt::Done(Err(issuer.never(rejection, parsed)));
        }
        let rejection = if snapshot.is_trustworthy() && reason == Reason::UnknownKid {
            rejection
        } else {
            rejection.unavailable(snapshot.retry_after_secs(now.instant))
        };
        let kid = parsed.kid().map(str::to_owned);
        if kid.is_none() && reason == Reason::UnknownKid {
            return Attempt::Done(Err(rejection));
        }
        let query = KeyQuery { kid, plausible: issuer.verifier.is_plausible(parsed, now.unix) };
        if !query.is_worth_asking() {
            // Answered from here, so that hopeless tokens, which cost nothing to send, take no place in the queue.
            inner.observer.key_set(issuer.verifier.name(), &Event::Suppressed(Suppressed::Screened));
            return Attempt::Done(Err(rejection));
        }
        Attempt::Pending(PendingKey { engine: self.clone(), policy, issuer: index, query, rejection })
    }
}

impl PendingKey {
    /// Waits for the key, within the configured bound, and verifies the token again under the same policy.
    ///
    /// # Errors
    ///
    /// The refusal, with its stable reason.
    pub async fn resolve(self, token: &str) -> Result<VerifiedToken, Rejection> {
        let inner = &self.engine.inner;
        let answer = inner.ask(&self).await;
        let now = inner.clock.now();
        let rejection = match (answer, self.engine.verify_now(self.policy, token, now)) {
            // Unless refreshes have begun to fail meanwhile, this says that the issuer does not have the key.
            (Miss::Absent, Attempt::Pending(again)) => return Err(again.rejection),
            (_, Attempt::Done(verdict)) => return verdict,
            (_, Attempt::Pending(again)) => again.rejection,
        };
        Err(rejection.unavailable(inner.issuers[self.issuer].snapshot.load().retry_after_secs(now.instant)))
    }

    /// The refusal if nobody waits for the key: [`Fault::Unavailable`] while refreshes fail.
    #[must_use]
    pub fn into_rejection(self) -> Rejection {
        self.rejection
    }
}

impl Inner {
    fn issuer(&self, name: &str) -> Option<&Issuer> {
        self.issuers.iter().find(|issuer| **issuer.verifier.name() == *name)
    }

    fn cached(&self, policy: PolicyId, token: &str) -> Option<VerifiedToken> {
        let tokens = self.tokens.as_ref()?;
        let Some(entry) = tokens.get(token, policy.0) else {
            self.observer.token_cache(false);
            return None;
        };
        let snapshot = self.issuers[entry.issuer].snapshot.load();
        if let Some(verified) = entry.still_valid(&snapshot, self.clock.glance()) {
            self.observer.token_cache(true);
            return Some(verified);
        }
        tokens.remove(token, policy.0);
        self.observer.token_cache(false);
        None
    }

    fn admit(
        &self,
        policy: PolicyId,
        verified: VerifiedToken,
        issuer: usize,
        snapshot: &Snapshot,
        parsed: &Unverified<'_>,
    ) -> Result<VerifiedToken, Rejection> {
        let rules = self.policies.get(policy.0 as usize).ok_or(Reason::PolicyDenied)?;
        let name = self.issuers[issuer].verifier.name();
        // Whether or not there are keys to look among, which is all that the verifier can tell of.
        if verified.key().is_none() && parsed.kid().is_some_and(|kid| snapshot.keys().denied().contains(kid)) {
            let why = Detail::Because("the key that signed the token is denied");
            return Err(Rejection::new(Reason::Revoked).with_detail(why).claimed_by(parsed).by_issuer(name));
        }
        rules.check(&verified).map_err(|rejection| rejection.claimed_by(parsed).by_issuer(name))?;
        if let Some(tokens) = &self.tokens {
            tokens.insert(&verified, policy.0, issuer, snapshot.generation());
        }
        Ok(verified)
    }

    /// The issuer whose keys a token is tried with: the one its `iss` names. A token that names none of them is tried
    /// with the one that has its key, so that it is refused for its `iss`; it is never accepted.
    fn route(&self, token: &Unverified<'_>) -> usize {
        if self.issuers.len() == 1 {
            return 0;
        }
        let iss = token.issuer();
        let named = iss.and_then(|iss| self.issuers.iter().position(|issuer| issuer.verifier.accepts_issuer(&iss)));
        let has_key = |issuer: &Issuer| token.kid().is_some_and(|kid| issuer.snapshot.load().keys().has_kid(kid));
        named.or_else(|| self.issuers.iter().position(has_key)).unwrap_or(0)
    }

    async fn ask(&self, pending: &PendingKey) -> Miss {
        /// What an answer may take beyond the wait itself.
        const GRACE: Duration = Duration::from_millis(250);
        let issuer = &self.issuers[pending.issuer];
        let Some(answer) = issuer.driver.key_missing(pending.query.clone()) else {
            // More to do than can be done: the snapshot alone must answer.
            let snapshot = issuer.snapshot.load();
            let usable = snapshot.usable_keys(self.clock.now().instant).is_some();
            return if usable && snapshot.is_trustworthy() { Miss::Absent } else { Miss::Unavailable };
        };
        match tokio::time::timeout(issuer.cache.max_wait + GRACE, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Miss::Unavailable,
        }
    }
}

impl Issuer {
    /// The refusal of a token whose key will never come. Where no keys are configured that is the token's fault.
    fn never(&self, rejection: Rejection, parsed: &Unverified<'_>) -> Rejection {
        if rejection.reason() != Reason::KeysUnavailable {
            return rejection;
        }
        let why = Detail::Because("the issuer has no key set, only a secret");
        Rejection::new(Reason::UnsupportedAlg).with_detail(why).claimed_by(parsed).by_issuer(self.verifier.name())
    }

    fn status(&self, now: Now) -> IssuerStatus {
        let snapshot = self.snapshot.load_full();
        IssuerStatus {
            name: Arc::clone(self.verifier.name()),
            state: snapshot.state(now.instant),
            ready: self.verifier.has_secret() || snapshot.usable_keys(now.instant).is_some(),
            snapshot,
            ttl: self.cache.ttl,
            stale_ttl: self.cache.stale_ttl,
        }
    }
}

const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<Authenticator>();
    // What a rejection says of us and of the token is never confused.
    assert!(Fault::Unavailable.status() == 503 && Fault::Credential.status() == 401);
};
