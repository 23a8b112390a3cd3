//! The handle to a running issuer.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{net::TcpListener, task::JoinHandle};

use crate::{
    clock,
    config::{IssuerConfig, SeedUser},
    error::{IssuerError, MintError},
    fault::Fault,
    keyring::{Listing, Rotate},
    mint::Mint,
    password::PasswordHash,
    server,
    shared::{JwksOptions, Shared, lock},
    state::State,
    tokens::object,
    users::{User, is_email},
};

/// A running development issuer. Stops when dropped; [`Issuer::stop`] waits for its answers to finish.
pub struct Issuer {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: Option<JoinHandle<()>>,
}

impl Issuer {
    /// Binds the address, restores the state file, seeds the users and serves.
    ///
    /// # Errors
    /// When the address is not allowed or not free, the state file cannot be used, or a seeded user is unusable.
    pub async fn start(config: IssuerConfig) -> Result<Self, IssuerError> {
        if !config.allow_remote && !config.listen.ip().is_loopback() {
            return Err(IssuerError::NotLoopback(config.listen));
        }
        let bind = |source| IssuerError::Bind { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let url = match &config.base_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("http://{address}"),
        };
        let preparing = tokio::task::spawn_blocking(move || prepare(&config, url));
        let shared = match preparing.await {
            Ok(shared) => Arc::new(shared?),
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        };
        let server = tokio::spawn(server::run(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, server: Some(server) })
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The project URL: what clients call `SUPABASE_URL`.
    pub fn url(&self) -> &str {
        &self.shared.url
    }

    /// The `iss` claim of its tokens: the URL with `/auth/v1`.
    pub fn issuer(&self) -> String {
        self.shared.policy.issuer.clone()
    }

    /// Where the key set is.
    pub fn jwks_url(&self) -> String {
        self.shared.jwks_url()
    }

    /// Makes a token to order.
    ///
    /// # Panics
    /// When the order cannot be met: see [`Issuer::try_mint`].
    pub fn mint(&self, mint: Mint) -> String {
        match self.try_mint(mint) {
            Ok(token) => token,
            Err(error) => panic!("cannot mint: {error}"),
        }
    }

    /// Makes a token to order.
    ///
    /// # Errors
    /// When it names a key, an algorithm or a user that the issuer does not have.
    pub fn try_mint(&self, mint: Mint) -> Result<String, MintError> {
        self.shared.mint(mint, clock::now())
    }

    /// A token of role `service_role` with a `sub`, valid for `ttl`.
    pub fn service_role_token(&self, ttl: Duration) -> String {
        self.mint(Mint {
            service_role: true,
            expires_in: Some(i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX)),
            ..Mint::default()
        })
    }

    /// Makes a new key that signs from now on; returns its kid.
    ///
    /// # Panics
    /// When the cryptographic library cannot make a key, which means that the machine is out of memory.
    pub fn rotate(&self, rotate: Rotate) -> String {
        let rotated = self.shared.state().keys.rotate(rotate, clock::now());
        self.shared.persist();
        match rotated {
            Ok(kid) => kid,
            Err(error) => panic!("cannot rotate: {error}"),
        }
    }

    /// Puts a key into the set; `false` when there is no such key.
    pub fn publish(&self, kid: &str) -> bool {
        let known = self.shared.state().keys.list(kid, Listing::Listed);
        self.shared.persist();
        known
    }

    /// Takes a key out of the set, the one that signs too; `false` when there is no such key.
    pub fn withdraw(&self, kid: &str) -> bool {
        let known = self.shared.state().keys.list(kid, Listing::Withdrawn);
        self.shared.persist();
        known
    }

    /// Kids in the set now, oldest first.
    pub fn kids(&self) -> Vec<String> {
        self.shared.state().keys.kids(clock::now())
    }

    /// The kid of the key that signs now.
    pub fn signing_kid(&self) -> String {
        self.shared.state().keys.signing().kid.clone()
    }

    /// Makes the key-set route misbehave, or behave again.
    ///
    /// # Panics
    /// When the fault holds something that no HTTP answer can carry, such as a header with a line break.
    pub fn set_fault(&self, fault: Option<Fault>) {
        if let Some(problem) = fault.as_ref().and_then(Fault::problem) {
            panic!("cannot set the fault: {problem}");
        }
        self.shared.set_fault(fault);
    }

    /// Changes how the key set is served when no fault is set.
    pub fn set_jwks_options(&self, options: JwksOptions) {
        *lock(&self.shared.jwks_options) = options;
    }

    /// GET requests to the key-set route so far, those that met a fault included.
    pub fn jwks_requests(&self) -> u64 {
        self.shared.stats.jwks_requests.load(Ordering::Relaxed)
    }

    /// Stops listening, lets answers finish for up to a second, closes every connection.
    pub async fn stop(mut self) {
        self.shared.stopping.send_replace(true);
        if let Some(server) = self.server.take() {
            // It fails only when the runtime is shutting down, and then the server is gone too.
            let _ = server.await;
        }
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.abort();
        }
    }
}

fn prepare(config: &IssuerConfig, url: String) -> Result<Shared, IssuerError> {
    let mut state = match &config.state_file {
        Some(path) => State::load(path, &config.algorithm)?,
        None => State::new(&config.algorithm)?,
    };
    for (index, seed) in config.users.iter().enumerate() {
        let repeated = |other: &SeedUser| other.email.eq_ignore_ascii_case(&seed.email);
        if !is_email(&seed.email) {
            return Err(IssuerError::SeedUser(seed.email.clone(), "not an email address"));
        }
        if config.users[..index].iter().any(repeated) {
            return Err(IssuerError::SeedUser(seed.email.clone(), "named twice"));
        }
        seed_user(&mut state, seed)?;
    }
    let first = config.users.first();
    state.users.first = first.and_then(|seed| Some(state.users.by_email(&seed.email)?.id));
    let shared = Shared::new(config, url, state);
    if let (Err(source), Some(path)) = (shared.try_persist(), &config.state_file) {
        return Err(IssuerError::StateWrite { path: path.clone(), source });
    }
    Ok(shared)
}

/// A user of the state file keeps its id and sessions; everything else the configuration decides.
fn seed_user(state: &mut State, seed: &SeedUser) -> Result<(), IssuerError> {
    let known = state.users.by_email(&seed.email).map(|user| user.id);
    let known = known.and_then(|id| state.users.remove(id));
    let password = match known.as_ref().and_then(|user| user.password.clone()) {
        Some(hash) if hash.matches(&seed.password) => hash,
        _ => PasswordHash::new(&seed.password)?,
    };
    let mut user = User::with_password(&seed.email, password, clock::now());
    if let Some(known) = known {
        user.id = known.id;
        user.user_metadata = known.user_metadata;
        user.created_at = known.created_at;
        user.last_sign_in_at = known.last_sign_in_at;
    }
    if let Some(id) = seed.id {
        user.id = id;
    }
    user.role.clone_from(&seed.role);
    user.app_metadata.extend(object(seed.app_metadata.clone()));
    state.users.insert(user);
    Ok(())
}
