//! What the server task, its routes and the [`Issuer`](crate::Issuer) handle share.

use std::{
    path::PathBuf,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use tokio::sync::watch;

use crate::{
    clock,
    error::MintError,
    fault::Fault,
    mint::{Mint, Prepared},
    sessions::Session,
    state::{State, write_private},
    tokens::{self, TokenPolicy},
    users::User,
};

pub(crate) struct Shared {
    pub(crate) url: String,
    pub(crate) policy: TokenPolicy,
    pub(crate) refresh_reuse: Duration,
    pub(crate) jwks_options: Mutex<JwksOptions>,
    pub(crate) stats: Stats,
    /// Turns true when the issuer stops.
    pub(crate) stopping: watch::Sender<bool>,
    state: Mutex<State>,
    fault: Mutex<Option<Fault>>,
    /// Held while the file is written, so that an older state never replaces a newer one.
    state_file: Option<Mutex<PathBuf>>,
}

/// How the key set is served when no fault is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JwksOptions {
    /// Sends an ETag and answers 304. Default `false`.
    pub etag: bool,
    /// `max-age` in seconds; `None` sends no `Cache-Control`. Default 600.
    pub max_age_seconds: Option<u64>,
}

#[derive(Default)]
pub(crate) struct Stats {
    pub(crate) jwks_requests: AtomicU64,
    pub(crate) jwks_not_modified: AtomicU64,
    pub(crate) sign_ins: AtomicU64,
    pub(crate) refreshes: AtomicU64,
}

impl Shared {
    pub(crate) fn new(config: &crate::IssuerConfig, url: String, state: State) -> Self {
        let seconds = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        Self {
            policy: TokenPolicy {
                issuer: format!("{url}/auth/v1"),
                audience: config.audience.clone(),
                ttl_seconds: seconds(config.access_token_ttl_seconds),
            },
            url,
            refresh_reuse: Duration::seconds(seconds(config.refresh_token_reuse_seconds)),
            jwks_options: Mutex::new(JwksOptions {
                etag: config.etag,
                max_age_seconds: Some(config.jwks_max_age_seconds),
            }),
            stats: Stats::default(),
            stopping: watch::Sender::new(false),
            state: Mutex::new(state),
            fault: Mutex::new(None),
            state_file: config.state_file.clone().map(Mutex::new),
        }
    }

    /// Waits until the issuer stops.
    pub(crate) async fn stopped(&self) {
        // It cannot fail: `self` holds the sender.
        let _ = self.stopping.subscribe().wait_for(|stopping| *stopping).await;
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Writes the state file, if there is one. A full disk must not stop a development session: the failure is
    /// logged, and the next change tries again.
    pub(crate) fn persist(&self) {
        if let Err(error) = self.try_persist() {
            tracing::warn!(%error, "the issuer's state file could not be written");
        }
    }

    pub(crate) fn try_persist(&self) -> std::io::Result<()> {
        let Some(path) = &self.state_file else {
            return Ok(());
        };
        let path = lock(path);
        let content = self.state().to_saved().map_err(std::io::Error::other)?;
        write_private(&path, &content)
    }

    pub(crate) fn set_fault(&self, fault: Option<Fault>) {
        *lock(&self.fault) = fault;
    }

    pub(crate) fn fault(&self) -> Option<Fault> {
        lock(&self.fault).clone()
    }

    /// The fault for one key-set request; counts its `times` down.
    pub(crate) fn take_fault(&self) -> Option<Fault> {
        let mut slot = lock(&self.fault);
        let fault = slot.clone()?;
        match &mut slot.as_mut()?.times {
            Some(0) => {
                *slot = None;
                return None;
            }
            Some(1) => *slot = None,
            Some(times) => *times -= 1,
            None => {}
        }
        Some(fault)
    }

    pub(crate) fn jwks_url(&self) -> String {
        format!("{}/.well-known/jwks.json", self.policy.issuer)
    }

    pub(crate) fn jwks(&self, now: OffsetDateTime) -> Vec<Value> {
        self.state().keys.jwks(now)
    }

    pub(crate) fn mint(&self, mint: Mint, now: OffsetDateTime) -> Result<String, MintError> {
        let prepared = {
            let state = self.state();
            Prepared::new(mint, &state.keys, &state.users, &self.policy, now)?
        };
        prepared.sign()
    }

    /// The answer to a sign-in or a refresh.
    pub(crate) fn session_json(
        &self,
        user: &User,
        session: &Session,
        refresh_token: &str,
        now: OffsetDateTime,
    ) -> Result<Value, MintError> {
        let key = self.state().keys.signing();
        let header = Value::Object(tokens::header(&key)).to_string();
        let claims = Value::Object(self.policy.claims(user, session, now)).to_string();
        let input = tokens::signing_input(&header, &claims);
        let signature = key.sign(key.alg, input.as_bytes())?;
        Ok(json!({
            "access_token": tokens::compact(&input, &signature),
            "token_type": "bearer",
            "expires_in": self.policy.ttl_seconds,
            "expires_at": now.unix_timestamp().saturating_add(self.policy.ttl_seconds),
            "refresh_token": refresh_token,
            "user": user.to_json(&self.policy.audience),
        }))
    }

    pub(crate) fn stats(&self) -> Value {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let fault = self.fault();
        let state = self.state();
        json!({
            "jwks_requests": count(&self.stats.jwks_requests),
            "jwks_not_modified": count(&self.stats.jwks_not_modified),
            "sign_ins": count(&self.stats.sign_ins),
            "refreshes": count(&self.stats.refreshes),
            "users": state.users.len(),
            "sessions": state.sessions.len(),
            "signing_kid": state.keys.signing().kid,
            "kids": state.keys.kids(clock::now()),
            "fault": fault,
        })
    }
}

/// No code panics while it holds one of these locks half-way through a change, so a poisoned one is still good.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
