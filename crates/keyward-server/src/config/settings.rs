//! Every single-valued setting and its three names: environment variable, file key, flag.

/// One setting. It is shown under its variable, or under its file key when it has no variable.
#[derive(Debug)]
pub struct Setting {
    pub(crate) variable: Option<&'static str>,
    pub(crate) key: &'static str,
    pub(crate) flag: Option<&'static str>,
}

impl Setting {
    /// The name under which the setting is shown and documented.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.variable.unwrap_or(self.key)
    }
}

macro_rules! settings {
    ($($(#[doc = $doc:literal])+ $name:ident = $variable:expr, $key:literal, $flag:expr;)+) => {
        $($(#[doc = $doc])+ pub static $name: Setting = Setting { variable: $variable, key: $key, flag: $flag };)+

        /// Every setting, in the order of the reference.
        pub(crate) static ALL: &[&Setting] = &[$(&$name,)+];
    };
}

settings! {
    /// The Supabase project.
    SUPABASE_URL = Some("SUPABASE_URL"), "supabase.url", Some("--supabase-url");
    /// Where its key set is.
    JWKS_URL = Some("SUPABASE_JWT_JWKS_URL"), "supabase.jwks_url", Some("--jwks-url");
    /// Accepted `iss`.
    ISSUER = Some("SUPABASE_JWT_ISSUER"), "supabase.issuer", Some("--issuer");
    /// Accepted `aud`.
    AUDIENCE = Some("SUPABASE_JWT_AUDIENCE"), "supabase.audience", Some("--audience");
    /// The HS256 secret. It has no flag: command lines are seen by other users.
    JWT_SECRET = Some("SUPABASE_JWT_SECRET"), "supabase.jwt_secret", None;
    /// Accepted `alg` of the Supabase issuer.
    ALGORITHMS = None, "supabase.algorithms", None;
    /// Lets keys come over plain http from beyond loopback.
    ALLOW_HTTP = None, "supabase.allow_http", None;
    /// Certificate authorities for fetching keys.
    CA_FILE = None, "supabase.ca_file", None;
    /// Fresh for this long.
    CACHE_TTL = Some("JWKS_CACHE_TTL_SECONDS"), "supabase.cache_ttl_seconds", Some("--jwks-cache-ttl-seconds");
    /// Usable for this long.
    STALE_TTL = Some("JWKS_STALE_TTL_SECONDS"), "supabase.stale_ttl_seconds", Some("--jwks-stale-ttl-seconds");
    /// One fetch attempt.
    REFRESH_TIMEOUT =
        Some("JWKS_REFRESH_TIMEOUT_SECONDS"), "supabase.refresh_timeout_seconds", Some("--jwks-refresh-timeout-seconds");
    /// Further attempts in one refresh.
    REFRESH_RETRIES = Some("JWKS_REFRESH_RETRIES"), "supabase.refresh_retries", Some("--jwks-refresh-retries");
    /// Clock skew tolerated.
    LEEWAY = Some("JWT_LEEWAY_SECONDS"), "supabase.leeway_seconds", Some("--leeway-seconds");
    /// The API's address.
    LISTEN = Some("KEYWARD_LISTEN"), "listen", Some("--listen");
    /// The address of health and metrics.
    OPS_LISTEN = Some("KEYWARD_OPS_LISTEN"), "ops_listen", Some("--ops-listen");
    /// The longest token.
    MAX_TOKEN_BYTES = Some("JWT_MAX_TOKEN_BYTES"), "max_token_bytes", Some("--max-token-bytes");
    /// The operator's address.
    ADMIN_LISTEN = Some("KEYWARD_ADMIN_LISTEN"), "admin_listen", Some("--admin-listen");
    /// The operator's token. It has no flag: command lines are seen by other users.
    ADMIN_TOKEN = Some("KEYWARD_ADMIN_TOKEN"), "admin_token", None;
    /// The address of ext_authz.
    GRPC_LISTEN = Some("KEYWARD_GRPC_LISTEN"), "grpc_listen", Some("--grpc-listen");
    /// Where data is kept.
    DATA_DIR = Some("KEYWARD_DATA_DIR"), "data_dir", Some("--data-dir");
    /// The database. It has no flag: it may hold a password.
    DATABASE_URL = Some("KEYWARD_DATABASE_URL"), "database_url", None;
    /// What is logged.
    LOG = Some("KEYWARD_LOG"), "log.level", Some("--log");
    /// How it is logged.
    LOG_FORMAT = Some("KEYWARD_LOG_FORMAT"), "log.format", Some("--log-format");
    /// Whose X-Forwarded-* headers are believed.
    TRUSTED_PROXIES = None, "gateway.trusted_proxies", None;
    /// Whether CORS preflights pass.
    PREFLIGHT = None, "gateway.preflight", None;
    /// The cookie that may hold the token.
    COOKIE = None, "gateway.cookie", None;
    /// Whether verified tokens are remembered.
    TOKEN_CACHE_ENABLED = None, "token_cache.enabled", None;
    /// How many verified tokens are remembered.
    TOKEN_CACHE_ENTRIES = None, "token_cache.max_entries", None;
    /// How many bytes of verified tokens are remembered.
    TOKEN_CACHE_BYTES = None, "token_cache.max_bytes", None;
}
