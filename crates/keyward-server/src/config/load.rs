//! Putting the sources together.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::file::{Raw, Table, Value};
use super::values::{self, Shown};
use super::{
    Config, ConfigError, Database, Effective, Flags, LogFormat, Secret, Setting, Source, TokenCacheSettings, database,
    gateway, issuers, policies, settings, supabase,
};

/// A verified token takes about 2 KB with its claims.
const TOKEN_CACHE_ENTRIES: u64 = 100_000;
const TOKEN_CACHE_BYTES: u64 = 192 * 1024 * 1024;
/// A token from its users' hands fits; what holds a whole document does not.
const MAX_TOKEN_BYTES: u64 = 16_384;
/// Shorter operator tokens are accepted, with a warning.
const ADMIN_TOKEN_BYTES: usize = 16;

/// What is known while loading.
pub(super) struct Loader<'a> {
    pub(super) flags: &'a Flags,
    env: &'a dyn Fn(&str) -> Option<String>,
    pub(super) file: Table,
    pub(super) effective: Vec<Effective>,
    pub(super) warnings: Vec<String>,
}

pub(super) fn read(flags: &Flags, path: Option<&Path>) -> Result<Config, ConfigError> {
    let unreadable = |path: &Path, message: String| ConfigError::Unreadable { path: path.to_owned(), message };
    let file = match path {
        None => None,
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, error.to_string()))?;
            Some((path.to_owned(), text))
        }
    };
    for variable in settings::ALL.iter().filter_map(|setting| setting.variable) {
        if let Err(std::env::VarError::NotUnicode(_)) = std::env::var(variable) {
            return Err(ConfigError::invalid(&Source::Environment(variable), None, "is not UTF-8", "UTF-8"));
        }
    }
    load(flags, &|name| std::env::var(name).ok(), file)
}

pub(super) fn load(
    flags: &Flags,
    env: &dyn Fn(&str) -> Option<String>,
    file: Option<(PathBuf, String)>,
) -> Result<Config, ConfigError> {
    let file = match file {
        Some((path, text)) => Table::parse(&path, &text)?,
        None => Table::default(),
    };
    let mut loader = Loader { flags, env, file, effective: Vec::new(), warnings: Vec::new() };
    let loader = &mut loader;
    let (supabase, fetching, leeway) = supabase::load(loader)?;
    let addresses = Addresses::load(loader)?;
    let (data_dir, database) = storage(loader)?;
    let log_filter = loader.value(&settings::LOG, "info".to_owned(), values::log_filter)?;
    let log_format = loader.value(&settings::LOG_FORMAT, LogFormat::Auto, values::log_format)?;
    let gateway = gateway::load(loader)?;
    let token_cache = token_cache(loader)?;
    let issuers = issuers::load(loader, supabase, &fetching)?;
    let policies = policies::load(loader, &issuers)?;
    refuse_unknown(&loader.file)?;
    Ok(Config {
        listen: addresses.listen,
        ops_listen: addresses.ops,
        admin_listen: addresses.admin,
        admin_token: addresses.admin_token,
        grpc_listen: addresses.grpc,
        data_dir,
        database,
        max_token_bytes: addresses.max_token_bytes,
        leeway,
        log_filter,
        log_format,
        gateway,
        token_cache,
        issuers,
        policies,
        effective: std::mem::take(&mut loader.effective),
        warnings: std::mem::take(&mut loader.warnings),
    })
}

impl Loader<'_> {
    /// The strongest source that says something about a setting. The file's key counts as read even when it is
    /// overridden.
    pub(super) fn raw(&self, setting: &'static Setting) -> Result<Option<Raw>, ConfigError> {
        let from_file = self.file.get_path(setting.key)?;
        if let (Some(flag), Some(text)) = (setting.flag, self.flags.get(setting)) {
            return Ok(Some(Raw { value: Value::Text(text.to_owned()), source: Source::Flag(flag) }));
        }
        if let Some(variable) = setting.variable
            && let Some(text) = (self.env)(variable).filter(|text| !text.is_empty())
        {
            return Ok(Some(Raw { value: Value::Text(text), source: Source::Environment(variable) }));
        }
        Ok(from_file.cloned())
    }

    /// A setting's value or its default, shown under the setting's name.
    pub(super) fn value<T: Shown>(
        &mut self,
        setting: &'static Setting,
        default: T,
        parse: impl FnOnce(&Raw) -> Result<T, ConfigError>,
    ) -> Result<T, ConfigError> {
        self.value_or(setting, default, Source::Default, parse)
    }

    /// [`Loader::value`] with a default that comes from somewhere.
    pub(super) fn value_or<T: Shown>(
        &mut self,
        setting: &'static Setting,
        default: T,
        default_source: Source,
        parse: impl FnOnce(&Raw) -> Result<T, ConfigError>,
    ) -> Result<T, ConfigError> {
        let (value, source) = match self.raw(setting)? {
            Some(raw) => (parse(&raw)?, raw.source),
            None => (default, default_source),
        };
        self.show(setting.name(), value.shown(), source);
        Ok(value)
    }

    /// Records an effective value.
    pub(super) fn show(&mut self, name: impl Into<String>, value: Json, source: Source) {
        self.effective.push(Effective { name: name.into(), value, source });
    }

    /// Where to look when a setting is wrong: where it was written, or its name when it is the default.
    pub(super) fn place(&self, setting: &'static Setting) -> Result<Source, ConfigError> {
        let raw = self.raw(setting)?;
        Ok(raw.map_or(Source::Derived(setting.name()), |raw| raw.source))
    }
}

impl Shown for LogFormat {
    fn shown(&self) -> Json {
        Json::from(match self {
            Self::Auto => "auto",
            Self::Json => "json",
            Self::Pretty => "pretty",
        })
    }
}

struct Addresses {
    listen: SocketAddr,
    ops: Option<SocketAddr>,
    admin: SocketAddr,
    admin_token: Option<Secret>,
    grpc: Option<SocketAddr>,
    max_token_bytes: usize,
}

impl Addresses {
    fn load(loader: &mut Loader<'_>) -> Result<Self, ConfigError> {
        let (host, source) = match loader.flags.dev_issuer {
            Some(_) => (Ipv4Addr::LOCALHOST, Source::DevDefault),
            None => (Ipv4Addr::UNSPECIFIED, Source::Default),
        };
        let listen = loader.value_or(&settings::LISTEN, address(host, 8000), source, values::socket)?;
        let ops = loader.value(&settings::OPS_LISTEN, None, |raw| values::socket(raw).map(Some))?;
        let bytes = |raw: &Raw| values::whole(raw, "bytes", 256..=1_048_576);
        let max_token_bytes = loader.value(&settings::MAX_TOKEN_BYTES, MAX_TOKEN_BYTES, bytes)?;
        let admin = loader.value(&settings::ADMIN_LISTEN, address(Ipv4Addr::LOCALHOST, 8001), values::socket)?;
        let admin_token = loader.value(&settings::ADMIN_TOKEN, None, |raw| admin_token(raw).map(Some))?;
        let grpc = loader.value(&settings::GRPC_LISTEN, None, values::socket_or_off)?;
        let addresses = Self {
            listen,
            // Port 0 is another port each time.
            ops: ops.filter(|ops| *ops != listen || ops.port() == 0),
            admin,
            admin_token,
            grpc,
            // The range above fits every platform.
            max_token_bytes: usize::try_from(max_token_bytes).unwrap_or(usize::MAX),
        };
        addresses.check(loader)?;
        Ok(addresses)
    }

    fn check(&self, loader: &mut Loader<'_>) -> Result<(), ConfigError> {
        let at = loader.place(&settings::ADMIN_LISTEN)?;
        let shown = Some(format!("{:?}", self.admin.to_string()));
        if !self.admin.ip().is_loopback() && self.admin_token.is_none() {
            let accepted = "a loopback address, or any address once KEYWARD_ADMIN_TOKEN is set";
            return Err(ConfigError::invalid(
                &at,
                shown,
                "is beyond loopback, and KEYWARD_ADMIN_TOKEN is not set",
                accepted,
            ));
        }
        let others = [
            (Some(self.listen), "KEYWARD_LISTEN"),
            (self.ops, "KEYWARD_OPS_LISTEN"),
            (self.grpc, "KEYWARD_GRPC_LISTEN"),
        ];
        for (other, name) in others {
            if other == Some(self.admin) && self.admin.port() != 0 {
                return Err(ConfigError::invalid(&at, shown, format!("is also {name}"), "an address of its own"));
            }
        }
        if self.admin_token.as_ref().is_some_and(|token| token.reveal().len() < ADMIN_TOKEN_BYTES) {
            loader
                .warnings
                .push(format!("KEYWARD_ADMIN_TOKEN is shorter than {ADMIN_TOKEN_BYTES} bytes: it can be guessed"));
        }
        Ok(())
    }
}

fn address(host: Ipv4Addr, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(host), port)
}

fn admin_token(raw: &Raw) -> Result<Secret, ConfigError> {
    let token = values::secret(raw)?;
    if token.reveal().bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(token);
    }
    Err(raw.secret_error("cannot be sent in a header", "visible ASCII characters without blanks"))
}

fn storage(loader: &mut Loader<'_>) -> Result<(PathBuf, Database), ConfigError> {
    // Jobs of a trial and jobs of a project do not belong in one queue, nor on one bill.
    let (default, source) = match loader.flags.dev_issuer {
        Some(_) => ("./keyward-data/dev", Source::DevDefault),
        None => ("./keyward-data", Source::Default),
    };
    let data_dir = loader.value_or(&settings::DATA_DIR, PathBuf::from(default), source, values::path)?;
    let file = Database::Sqlite { path: data_dir.join("keyward.db") };
    let derived = Source::Derived("KEYWARD_DATA_DIR");
    let database = loader.value_or(&settings::DATABASE_URL, file, derived, database::database)?;
    Ok((data_dir, database))
}

fn token_cache(loader: &mut Loader<'_>) -> Result<TokenCacheSettings, ConfigError> {
    let enabled = loader.value(&settings::TOKEN_CACHE_ENABLED, true, values::boolean)?;
    let entries = |raw: &Raw| values::whole(raw, "tokens", 1..=10_000_000);
    let max_entries = loader.value(&settings::TOKEN_CACHE_ENTRIES, TOKEN_CACHE_ENTRIES, entries)?;
    let bytes = |raw: &Raw| values::whole(raw, "bytes", 1_048_576..=68_719_476_736);
    let max_bytes = loader.value(&settings::TOKEN_CACHE_BYTES, TOKEN_CACHE_BYTES, bytes)?;
    Ok(TokenCacheSettings {
        enabled,
        max_entries: usize::try_from(max_entries).unwrap_or(usize::MAX),
        max_bytes: usize::try_from(max_bytes).unwrap_or(usize::MAX),
    })
}

/// Fails on the first key of the file that nothing has read.
fn refuse_unknown(file: &Table) -> Result<(), ConfigError> {
    let keys = || settings::ALL.iter().map(|setting| setting.key);
    let sections = keys().filter_map(|key| key.split_once('.').map(|(section, _)| section));
    let top: Vec<&str> =
        keys().filter(|key| !key.contains('.')).chain(sections).chain(["issuers", "policies"]).collect();
    file.refuse_unknown(&top)?;
    for section in ["supabase", "log", "gateway", "token_cache"] {
        if let Some(raw) = file.get(section) {
            let known: Vec<&str> = keys().filter_map(|key| key.strip_prefix(section)?.strip_prefix('.')).collect();
            raw.table()?.refuse_unknown(&known)?;
        }
    }
    Ok(())
}
