//! Whose tokens are accepted, and where their keys are.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::file::{Raw, Table};
use super::load::Loader;
use super::supabase::hs256_secret;
use super::urls::{self, HttpRule};
use super::values::{self, Shown};
use super::{ConfigError, Secret, Source, settings};

/// The name of the issuer that the variables describe.
pub const SUPABASE: &str = "supabase";

const KEYS: &[&str] = &[
    "name",
    "issuer",
    "discovery",
    "jwks_url",
    "jwks_file",
    "keys",
    "audiences",
    "algorithms",
    "hs256_secret",
    "allow_http",
    "ca_file",
    "cache_ttl_seconds",
    "stale_ttl_seconds",
    "refresh_timeout_seconds",
    "refresh_retries",
];
const SOURCES: [&str; 4] = ["discovery", "jwks_url", "jwks_file", "keys"];
const ALGORITHMS: [&str; 14] = [
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519", "HS256",
    "HS384", "HS512",
];
/// RFC 7518 section 6.3.2: members of a private key.
const PRIVATE_MEMBERS: [&str; 6] = ["d", "p", "q", "dp", "dq", "qi"];

/// One issuer.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct IssuerSettings {
    /// Its name in policies, metrics and logs: `[a-z0-9_-]{1,64}`, unique.
    pub name: String,
    /// Accepted `iss`, at least one.
    pub issuers: Vec<String>,
    /// Whether a slash at the end of `iss` makes no difference. True for `supabase` only.
    pub ignore_trailing_slash: bool,
    /// Accepted `aud`, at least one.
    pub audiences: Vec<String>,
    /// Accepted `alg`; `None` leaves it to the keys. Names are of the closed set that Keyward knows.
    pub algorithms: Option<Vec<String>>,
    /// Where its keys are.
    pub keys: KeySource,
    /// The secret of HS256 tokens, 32 bytes at least.
    pub hs256_secret: Option<Secret>,
    /// Keys are fresh for this long.
    pub cache_ttl: Duration,
    /// Keys are usable for this long after the last success; not shorter than `cache_ttl`.
    pub stale_ttl: Duration,
    /// One fetch attempt.
    pub refresh_timeout: Duration,
    /// Further attempts in one refresh.
    pub refresh_retries: u32,
    /// Certificate authorities in PEM, trusted besides the system's.
    pub ca_file: Option<PathBuf>,
}

/// Where keys come from.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum KeySource {
    /// A key set at an address.
    JwksUrl {
        /// The address.
        url: String,
        /// Whether plain http is allowed beyond loopback.
        allow_http: bool,
    },
    /// `OpenID` Connect Discovery 1.0.
    Discovery {
        /// The issuer; the document must name exactly this one.
        issuer_url: String,
        /// Whether plain http is allowed beyond loopback.
        allow_http: bool,
    },
    /// A key set in a file.
    File(PathBuf),
    /// Keys written in the configuration, as JWKs.
    Static(Vec<Json>),
    /// None but the HS256 secret.
    None,
}

/// How keys are fetched and for how long they are used, where an issuer does not say otherwise.
pub(super) struct Fetching {
    pub(super) cache_ttl: Duration,
    pub(super) stale_ttl: Duration,
    pub(super) refresh_timeout: Duration,
    pub(super) refresh_retries: u32,
}

impl Fetching {
    pub(super) fn load(loader: &mut Loader<'_>) -> Result<Self, ConfigError> {
        let cache_ttl = loader.value(&settings::CACHE_TTL, Duration::from_secs(300), cache_ttl)?;
        let stale_ttl = loader.value(&settings::STALE_TTL, Duration::from_secs(3600), stale_ttl)?;
        if stale_ttl < cache_ttl {
            let at = loader.place(&settings::STALE_TTL)?;
            return Err(too_short(&at, stale_ttl, "JWKS_CACHE_TTL_SECONDS", cache_ttl));
        }
        Ok(Self {
            cache_ttl,
            stale_ttl,
            refresh_timeout: loader.value(&settings::REFRESH_TIMEOUT, Duration::from_secs(5), refresh_timeout)?,
            refresh_retries: loader.value(&settings::REFRESH_RETRIES, 3, refresh_retries)?,
        })
    }
}

fn cache_ttl(raw: &Raw) -> Result<Duration, ConfigError> {
    values::seconds(raw, 1..=86_400)
}

fn stale_ttl(raw: &Raw) -> Result<Duration, ConfigError> {
    values::seconds(raw, 1..=604_800)
}

fn refresh_timeout(raw: &Raw) -> Result<Duration, ConfigError> {
    values::fractional_seconds(raw, 0.05..=60.0)
}

fn refresh_retries(raw: &Raw) -> Result<u32, ConfigError> {
    values::whole(raw, "attempts", 0..=10).map(|number| u32::try_from(number).unwrap_or(u32::MAX))
}

fn too_short(at: &Source, stale_ttl: Duration, ttl_name: &str, ttl: Duration) -> ConfigError {
    let ttl = ttl.as_secs();
    let problem = format!("is shorter than {ttl_name}, which is {ttl}");
    ConfigError::invalid(at, Some(stale_ttl.as_secs().to_string()), problem, format!("{ttl} to 604800"))
}

/// Every issuer: the one of the variables, then those of the file.
pub(super) fn load(
    loader: &mut Loader<'_>,
    supabase: Option<IssuerSettings>,
    fetching: &Fetching,
) -> Result<Vec<IssuerSettings>, ConfigError> {
    let mut issuers: Vec<IssuerSettings> = supabase.into_iter().collect();
    let Some(raw) = loader.file.get("issuers").cloned() else { return Ok(issuers) };
    for raw in raw.array()? {
        let issuer = Reader { loader, raw, table: raw.table()?, name: String::new(), fetching }.issuer(&issuers)?;
        issuers.push(issuer);
    }
    Ok(issuers)
}

/// Reads one `[[issuers]]` entry and records what it says.
struct Reader<'a, 'l> {
    loader: &'a mut Loader<'l>,
    raw: &'a Raw,
    table: &'a Table,
    name: String,
    fetching: &'a Fetching,
}

impl Reader<'_, '_> {
    fn issuer(mut self, others: &[IssuerSettings]) -> Result<IssuerSettings, ConfigError> {
        self.name = self.read_name(others)?;
        let rule =
            HttpRule { allowed: self.get("allow_http").map_or(Ok(false), values::boolean)?, allowed_by: "allow_http" };
        let issuers = self.required("issuer", values::list)?;
        for issuer in &issuers {
            urls::issuer(self.require("issuer")?, issuer, rule)?;
        }
        let secret = self.optional("hs256_secret", None, Source::Default, |raw| hs256_secret(raw).map(Some))?;
        let keys = self.keys(&issuers, secret.is_some(), rule)?;
        let audiences = self.required("audiences", values::list)?;
        let algorithms =
            self.optional("algorithms", None, Source::Default, |raw| algorithms(raw, secret.is_some()).map(Some))?;
        self.optional("allow_http", false, Source::Default, values::boolean)?;
        let ca_file = self.optional("ca_file", None, Source::Default, |raw| values::path(raw).map(Some))?;
        let (cache_ttl, stale_ttl) = self.lifetimes()?;
        let fetching = self.fetching;
        let timeout = Source::Derived("JWKS_REFRESH_TIMEOUT_SECONDS");
        let refresh_timeout =
            self.optional("refresh_timeout_seconds", fetching.refresh_timeout, timeout, refresh_timeout)?;
        let retries = Source::Derived("JWKS_REFRESH_RETRIES");
        let refresh_retries = self.optional("refresh_retries", fetching.refresh_retries, retries, refresh_retries)?;
        self.table.refuse_unknown(KEYS)?;
        Ok(IssuerSettings {
            name: self.name,
            issuers,
            ignore_trailing_slash: false,
            audiences,
            algorithms,
            keys,
            hs256_secret: secret,
            cache_ttl,
            stale_ttl,
            refresh_timeout,
            refresh_retries,
            ca_file,
        })
    }

    fn read_name(&self, others: &[IssuerSettings]) -> Result<String, ConfigError> {
        let raw = self.require("name")?;
        let name = name(raw)?;
        match others.iter().find(|other| other.name == name) {
            None => Ok(name),
            Some(_) if name == SUPABASE => Err(raw.error(
                "is the name of the issuer that SUPABASE_URL and its like describe",
                "another name, or none of those variables",
            )),
            Some(_) => Err(raw.error("names two issuers", "a name of its own")),
        }
    }

    fn lifetimes(&mut self) -> Result<(Duration, Duration), ConfigError> {
        let source = Source::Derived("JWKS_CACHE_TTL_SECONDS");
        let ttl = self.optional("cache_ttl_seconds", self.fetching.cache_ttl, source, cache_ttl)?;
        let source = Source::Derived("JWKS_STALE_TTL_SECONDS");
        let stale = self.optional("stale_ttl_seconds", self.fetching.stale_ttl, source, stale_ttl)?;
        if stale >= ttl {
            return Ok((ttl, stale));
        }
        // One of the two was set here, or the defaults would already have been refused.
        let at = self.get("stale_ttl_seconds").or_else(|| self.get("cache_ttl_seconds")).unwrap_or(self.raw);
        Err(ConfigError::Invalid {
            at: Box::new(at.source.clone()),
            value: Some(format!("stale_ttl_seconds = {}", stale.as_secs())),
            problem: format!("is shorter than cache_ttl_seconds = {}", ttl.as_secs()),
            accepted: "a stale_ttl_seconds of at least cache_ttl_seconds".to_owned(),
        })
    }

    /// The one source of keys.
    fn keys(&mut self, issuers: &[String], has_secret: bool, rule: HttpRule) -> Result<KeySource, ConfigError> {
        let mut said = Vec::new();
        for key in SOURCES {
            // `discovery = false` says nothing.
            match self.get(key) {
                Some(raw) if key == "discovery" && !values::boolean(raw)? => {}
                Some(_) => said.push(key),
                None => {}
            }
        }
        match said[..] {
            [] if has_secret => Ok(KeySource::None),
            [] => Err(self.wrong("has no keys", "one of discovery = true, jwks_url, jwks_file, keys")),
            ["discovery"] => self.discovery(issuers, rule),
            ["jwks_url"] => {
                let url = self.required("jwks_url", |raw| urls::fetch_url(raw, rule).map(|url| url.to_string()))?;
                Ok(KeySource::JwksUrl { url, allow_http: rule.allowed })
            }
            ["jwks_file"] => self.required("jwks_file", values::path).map(KeySource::File),
            ["keys"] => self.static_keys(),
            _ => Err(self.wrong(&format!("has several sources of keys: {}", said.join(", ")), "exactly one of them")),
        }
    }

    fn discovery(&mut self, issuers: &[String], rule: HttpRule) -> Result<KeySource, ConfigError> {
        let raw = self.require("issuer")?;
        let [issuer_url] = issuers else {
            return Err(
                raw.error("names several issuers, with discovery = true", "one issuer, or another source of keys")
            );
        };
        // OpenID Connect Discovery 1.0 section 2: no query, no fragment.
        let url = reqwest::Url::parse(issuer_url).ok().filter(|url| url.query().is_none() && url.fragment().is_none());
        if url.is_none_or(|url| !matches!(url.scheme(), "https" | "http")) {
            return Err(raw.error("cannot be discovered", "an https URL without query and fragment"));
        }
        self.required("discovery", values::boolean)?;
        Ok(KeySource::Discovery { issuer_url: issuer_url.clone(), allow_http: rule.allowed })
    }

    fn static_keys(&mut self) -> Result<KeySource, ConfigError> {
        let raw = self.require("keys")?;
        let keys = raw.array()?.iter().map(static_key).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            return Err(raw.error("has no key", "at least one JWK"));
        }
        let kids: Vec<&str> = keys.iter().map(|key| key["kid"].as_str().unwrap_or("(no kid)")).collect();
        let source = raw.source.clone();
        self.loader.show(self.full("keys"), json!(kids), source);
        Ok(KeySource::Static(keys))
    }

    fn required<T: Shown>(
        &mut self,
        key: &str,
        parse: impl FnOnce(&Raw) -> Result<T, ConfigError>,
    ) -> Result<T, ConfigError> {
        let raw = self.require(key)?;
        let value = parse(raw)?;
        let source = raw.source.clone();
        self.loader.show(self.full(key), value.shown(), source);
        Ok(value)
    }

    fn optional<T: Shown>(
        &mut self,
        key: &str,
        default: T,
        default_source: Source,
        parse: impl FnOnce(&Raw) -> Result<T, ConfigError>,
    ) -> Result<T, ConfigError> {
        let (value, source) = match self.get(key) {
            Some(raw) => (parse(raw)?, raw.source.clone()),
            None => (default, default_source),
        };
        self.loader.show(self.full(key), value.shown(), source);
        Ok(value)
    }

    fn full(&self, key: &str) -> String {
        format!("issuers.{}.{key}", self.name)
    }

    fn wrong(&self, problem: &str, accepted: &str) -> ConfigError {
        let what = if self.name.is_empty() { "an issuer".to_owned() } else { format!("the issuer {:?}", self.name) };
        ConfigError::invalid(&self.raw.source, Some(what), problem, accepted)
    }
}

impl<'a> Reader<'a, '_> {
    fn get(&self, key: &str) -> Option<&'a Raw> {
        self.table.get(key)
    }

    fn require(&self, key: &str) -> Result<&'a Raw, ConfigError> {
        self.get(key).ok_or_else(|| self.wrong(&format!("has no {key}"), &format!("{key} = …")))
    }
}

/// A name of an issuer or a policy.
pub(super) fn name(raw: &Raw) -> Result<String, ConfigError> {
    let name = values::text(raw)?;
    if is_name(&name) { Ok(name) } else { Err(raw.error("is not a name", NAME)) }
}

pub(super) const NAME: &str = "1 to 64 of a-z, 0-9, _ and -";

pub(super) fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
}

/// Names of algorithms. Those with a secret need one.
pub(super) fn algorithms(raw: &Raw, has_secret: bool) -> Result<Vec<String>, ConfigError> {
    let names = values::list(raw)?;
    for name in &names {
        if !ALGORITHMS.contains(&name.as_str()) {
            return Err(ConfigError::invalid(
                &raw.source,
                Some(format!("{name:?}")),
                "is not a known algorithm",
                ALGORITHMS.join(", "),
            ));
        }
        if name.starts_with("HS") && !has_secret {
            let value = Some(format!("{name:?}"));
            return Err(ConfigError::invalid(
                &raw.source,
                value,
                "needs a secret, and there is none",
                "asymmetric algorithms",
            ));
        }
    }
    Ok(names)
}

/// A public JWK. Errors do not show it: it may be a private one.
fn static_key(raw: &Raw) -> Result<Json, ConfigError> {
    let jwk = values::to_json(raw)?;
    let Some(kty) = jwk["kty"].as_str() else {
        return Err(raw.secret_error("is not a JWK", "a table with kty"));
    };
    if kty == "oct" {
        return Err(raw.secret_error("is a symmetric key", "public keys; a secret goes to hs256_secret"));
    }
    match PRIVATE_MEMBERS.iter().find(|member| jwk.get(**member).is_some()) {
        Some(member) => Err(raw.secret_error(format!("is a private key: it has {member}"), "the public key only")),
        None => Ok(jwk),
    }
}
