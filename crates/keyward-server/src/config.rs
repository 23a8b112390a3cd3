//! The configuration: what every setting is, and where it came from.
//!
//! Sources, weakest first: default, the file given with `--config` (TOML), environment, flags. Loading is pure
//! ([`Config::load`]); [`Config::read`] is the one function that looks at the process and the file system.
//!
//! The `JWKS_*` and `JWT_*` settings (in the file, keys of `[supabase]`) describe the issuer `supabase` and are the
//! defaults of every `[[issuers]]` entry that does not say otherwise.

mod database;
mod error;
mod file;
mod gateway;
mod issuers;
mod load;
mod policies;
mod policy_checks;
mod secret;
pub mod settings;
mod source;
mod suggest;
mod supabase;
mod urls;
mod values;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value as Json;

pub use database::Database;
pub use error::ConfigError;
pub use gateway::GatewaySettings;
pub use issuers::{IssuerSettings, KeySource, SUPABASE};
pub use policies::{Aal, ClaimCondition, ClaimTest, PolicySettings, Subject};
pub use secret::{REDACTED, Secret};
pub use settings::Setting;
pub use source::Source;

/// The name of the policy that always exists.
pub const DEFAULT_POLICY: &str = "default";

/// The effective configuration.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// API, health and metrics. Default `0.0.0.0:8000`; `127.0.0.1:8000` with `--dev`.
    pub listen: SocketAddr,
    /// Health and metrics, when not on [`listen`](Self::listen). Default `None`.
    pub ops_listen: Option<SocketAddr>,
    /// Operator API and console. Default `127.0.0.1:8001`.
    pub admin_listen: SocketAddr,
    /// Bearer token of the operator API. Default none.
    pub admin_token: Option<Secret>,
    /// Envoy `ext_authz` over gRPC. Default off.
    pub grpc_listen: Option<SocketAddr>,
    /// Database file and last-known-good key sets. Default `./keyward-data`.
    pub data_dir: PathBuf,
    /// Where jobs are kept. Default `keyward.db` in the data directory.
    pub database: Database,
    /// A longer token is refused, in bytes. Default 16384.
    pub max_token_bytes: usize,
    /// Clock skew tolerated on `exp`, `nbf` and `iat`. Default 30 s.
    pub leeway: Duration,
    /// What is logged: a level or `tracing` directives. Default `info`.
    pub log_filter: String,
    /// How it is logged. Default [`LogFormat::Auto`].
    pub log_format: LogFormat,
    /// How proxies ask.
    pub gateway: GatewaySettings,
    /// The cache of verified tokens.
    pub token_cache: TokenCacheSettings,
    /// The issuers; `supabase` first when the variables describe one.
    pub issuers: Vec<IssuerSettings>,
    /// The policies, [`DEFAULT_POLICY`] always among them. Every name in them exists.
    pub policies: Vec<PolicySettings>,
    effective: Vec<Effective>,
    warnings: Vec<String>,
}

/// How events are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Pretty on a terminal, JSON otherwise.
    Auto,
    /// One JSON object a line.
    Json,
    /// One line for people.
    Pretty,
}

/// The bounds of the cache of verified tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenCacheSettings {
    /// Whether verified tokens are remembered. Default true.
    pub enabled: bool,
    /// Most tokens remembered. Default 100 000.
    pub max_entries: usize,
    /// Most bytes they may take. Default 192 MiB.
    pub max_bytes: usize,
}

/// One effective value as `config show` prints it.
#[derive(Clone, Debug, PartialEq)]
pub struct Effective {
    /// The variable, or the dotted file key where there is no variable.
    pub name: String,
    /// The value, redacted when secret; null when unset.
    pub value: Json,
    /// Where it came from.
    pub source: Source,
}

/// What the command line said.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    values: Vec<(&'static Setting, String)>,
    /// URL of the embedded issuer, with `--dev`: then the service listens on loopback by default, and this issuer
    /// stands in where no Supabase project is configured.
    pub dev_issuer: Option<String>,
}

impl Flags {
    /// No flag at all.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a value; `None` leaves the setting to the other sources.
    pub fn set(&mut self, setting: &'static Setting, value: Option<impl Into<String>>) {
        if let Some(value) = value {
            self.values.push((setting, value.into()));
        }
    }

    fn get(&self, setting: &Setting) -> Option<&str> {
        self.values.iter().rev().find(|(set, _)| set.key == setting.key).map(|(_, value)| value.as_str())
    }
}

impl Config {
    /// Puts the sources together and checks everything. `env` gives the value of a variable, an empty one counts as
    /// unset; `file` is the path and the text of the file.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, in one line that names where.
    pub fn load(
        flags: &Flags,
        env: &dyn Fn(&str) -> Option<String>,
        file: Option<(PathBuf, String)>,
    ) -> Result<Self, ConfigError> {
        load::load(flags, env, file)
    }

    /// [`Config::load`] with the environment of this process and the file at `path`.
    ///
    /// # Errors
    ///
    /// As [`Config::load`]; also when the file cannot be read or a variable is not UTF-8.
    pub fn read(flags: &Flags, path: Option<&Path>) -> Result<Self, ConfigError> {
        load::read(flags, path)
    }

    /// Fails when there is nobody whose tokens could be accepted.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Missing`], which says what to set.
    pub fn require_issuers(&self) -> Result<(), ConfigError> {
        if !self.issuers.is_empty() {
            return Ok(());
        }
        Err(ConfigError::Missing {
            message: "no issuer is configured: set SUPABASE_URL to the project URL, or name issuers in the file given \
                      with --config ([[issuers]]), or start with --dev to try Keyward with its own issuer"
                .to_owned(),
        })
    }

    /// Every effective value with its source, in the order of the reference.
    #[must_use]
    pub fn effective(&self) -> &[Effective] {
        &self.effective
    }

    /// What is accepted but probably not meant, one line each.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}
