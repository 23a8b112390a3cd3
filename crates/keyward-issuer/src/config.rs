//! How an issuer is started.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use serde_json::Value;
use uuid::Uuid;

use crate::algorithm::SigningAlgorithm;

/// Configuration of an [`Issuer`](crate::Issuer).
#[derive(Clone, Debug)]
pub struct IssuerConfig {
    /// Where to listen. Default `127.0.0.1:9999`; port 0 takes any free port.
    pub listen: SocketAddr,
    /// Allows a `listen` address that is not loopback. Default `false`: the issuer hands out tokens for any
    /// user to whoever asks its development controls.
    pub allow_remote: bool,
    /// What clients call `SUPABASE_URL`, without `/auth/v1`. Default `http://` and the actual address.
    pub base_url: Option<String>,
    /// Users that exist from the start. Default none.
    pub users: Vec<SeedUser>,
    /// Life of an access token in seconds. Default 3600.
    pub access_token_ttl_seconds: u64,
    /// How long after its rotation a refresh token may be presented again, in seconds. Default 10, as in
    /// Supabase; later, the whole session is revoked.
    pub refresh_token_reuse_seconds: u64,
    /// The `aud` claim. Default `authenticated`.
    pub audience: String,
    /// What new tokens are signed with. Default ES256.
    pub algorithm: SigningAlgorithm,
    /// Sends an ETag with the key set and answers 304. Default `false`: the real server does neither.
    pub etag: bool,
    /// `max-age` of the key set in seconds. Default 600.
    pub jwks_max_age_seconds: u64,
    /// Keeps keys, users and sessions over restarts in this file (mode 0600, replaced atomically). Default
    /// none: everything is forgotten at the end.
    pub state_file: Option<PathBuf>,
}

impl Default for IssuerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9999)),
            allow_remote: false,
            base_url: None,
            users: Vec::new(),
            access_token_ttl_seconds: 3600,
            refresh_token_reuse_seconds: 10,
            audience: "authenticated".to_owned(),
            algorithm: SigningAlgorithm::default(),
            etag: false,
            jwks_max_age_seconds: 600,
            state_file: None,
        }
    }
}

/// A user that exists when the issuer starts.
#[derive(Clone)]
pub struct SeedUser {
    /// Sign-in name, compared without regard to case.
    pub email: String,
    /// Password in the clear; the issuer keeps a salted hash only.
    pub password: String,
    /// The `sub` claim. Default a random UUID, or the one the state file remembers.
    pub id: Option<Uuid>,
    /// Added to the `app_metadata` claim beside `provider` and `providers`. Default an empty object.
    pub app_metadata: Value,
    /// The `role` claim. Default `authenticated`.
    pub role: String,
}

impl SeedUser {
    /// A user with this email and password, everything else as documented on the fields.
    pub fn new(email: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            email: email.into(),
            password: password.into(),
            id: None,
            app_metadata: Value::Object(serde_json::Map::new()),
            role: "authenticated".to_owned(),
        }
    }
}

/// Leaves the password out.
impl fmt::Debug for SeedUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SeedUser")
            .field("email", &self.email)
            .field("id", &self.id)
            .field("app_metadata", &self.app_metadata)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}
