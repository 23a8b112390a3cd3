//! The issuer that the variables describe.

use std::time::Duration;

use reqwest::Url;

use super::file::Raw;
use super::issuers::{Fetching, IssuerSettings, KeySource, SUPABASE, algorithms};
use super::load::Loader;
use super::urls::{self, HttpRule};
use super::values::{self, Shown};
use super::{ConfigError, Secret, Source, settings};

const JWKS_PATH: &str = "/auth/v1/.well-known/jwks.json";
const PROJECT_URL: &str = "the project URL, such as https://abcdefgh.supabase.co";
/// HS256 needs a key as long as its hash (RFC 7518 section 3.2).
const SECRET_BYTES: usize = 32;
/// The APIs of a project: a URL that ends in one of them is not the project's own.
const APIS: [&str; 6] = ["/auth/v1", "/rest/v1", "/storage/v1", "/functions/v1", "/realtime/v1", "/graphql/v1"];

/// The issuer `supabase` when there is one, how keys are fetched, and the leeway.
pub(super) fn load(loader: &mut Loader<'_>) -> Result<(Option<IssuerSettings>, Fetching, Duration), ConfigError> {
    let rule = HttpRule {
        allowed: loader.raw(&settings::ALLOW_HTTP)?.map_or(Ok(false), |raw| values::boolean(&raw))?,
        allowed_by: settings::ALLOW_HTTP.name(),
    };
    let project = project(loader, rule)?;
    let jwks = jwks_url(loader, project.as_deref(), rule)?;
    let issuers = issuers(loader, project.as_deref(), jwks.as_deref(), rule)?;
    let audiences = loader.value(&settings::AUDIENCE, vec!["authenticated".to_owned()], values::list)?;
    let secret = loader.value(&settings::JWT_SECRET, None, |raw| hs256_secret(raw).map(Some))?;
    warn_about_blanks(loader, secret.as_ref());
    let algorithms = loader.value(&settings::ALGORITHMS, None, |raw| algorithms(raw, secret.is_some()).map(Some))?;
    let allow_http = loader.value(&settings::ALLOW_HTTP, false, values::boolean)?;
    let ca_file = loader.value(&settings::CA_FILE, None, |raw| values::path(raw).map(Some))?;
    let fetching = Fetching::load(loader)?;
    let leeway = loader.value(&settings::LEEWAY, Duration::from_secs(30), |raw| values::seconds(raw, 0..=600))?;
    let keys = match jwks {
        Some(url) => KeySource::JwksUrl { url, allow_http },
        None if secret.is_some() => KeySource::None,
        None => {
            refuse_lone_issuer(loader)?;
            return Ok((None, fetching, leeway));
        }
    };
    if issuers.is_empty() {
        return Err(ConfigError::Missing {
            message: "SUPABASE_JWT_ISSUER is not set, and there is no SUPABASE_URL to derive it from: set either, so \
                      that tokens of other projects are refused"
                .to_owned(),
        });
    }
    let issuer = IssuerSettings {
        name: SUPABASE.to_owned(),
        issuers,
        ignore_trailing_slash: true,
        audiences,
        algorithms,
        keys,
        hs256_secret: secret,
        cache_ttl: fetching.cache_ttl,
        stale_ttl: fetching.stale_ttl,
        refresh_timeout: fetching.refresh_timeout,
        refresh_retries: fetching.refresh_retries,
        ca_file,
    };
    Ok((Some(issuer), fetching, leeway))
}

/// The project URL without a slash at its end.
fn project(loader: &mut Loader<'_>, rule: HttpRule) -> Result<Option<String>, ConfigError> {
    let mut default = None;
    if let Some(dev) = loader.flags.dev_issuer.clone() {
        let described = [&settings::JWKS_URL, &settings::ISSUER, &settings::JWT_SECRET];
        let mut silent = true;
        for setting in described {
            silent &= loader.raw(setting)?.is_none();
        }
        default = silent.then(|| dev.trim_end_matches('/').to_owned());
    }
    let source = if default.is_some() { Source::DevDefault } else { Source::Default };
    loader.value_or(&settings::SUPABASE_URL, default, source, |raw| project_url(raw, rule).map(Some))
}

fn project_url(raw: &Raw, rule: HttpRule) -> Result<String, ConfigError> {
    let url = urls::fetch_url(raw, rule)?;
    if url.query().is_some() {
        return Err(raw.error("has a query", PROJECT_URL));
    }
    if let Some(reference) = dashboard_project(&url) {
        return Err(
            raw.error("is the dashboard's address", format!("the project URL, here https://{reference}.supabase.co"))
        );
    }
    let project = url.as_str().trim_end_matches('/').to_owned();
    match APIS.iter().filter_map(|api| project.find(api)).min() {
        None => Ok(project),
        Some(at) => Err(raw.error(
            "is the address of one of the project's APIs",
            format!("the project URL alone, here {}", &project[..at]),
        )),
    }
}

fn dashboard_project(url: &Url) -> Option<&str> {
    let ours = matches!(url.host_str(), Some("supabase.com" | "app.supabase.com" | "supabase.io" | "app.supabase.io"));
    let mut segments = url.path_segments().filter(|_| ours)?;
    segments.find(|segment| *segment == "project")?;
    segments.next().filter(|reference| !reference.is_empty())
}

fn jwks_url(loader: &mut Loader<'_>, project: Option<&str>, rule: HttpRule) -> Result<Option<String>, ConfigError> {
    let default = project.map(|project| format!("{project}{JWKS_PATH}"));
    let source = derived(project.is_some(), "SUPABASE_URL");
    let url = loader.value_or(&settings::JWKS_URL, default, source, |raw| {
        urls::fetch_url(raw, rule).map(|url| Some(url.to_string()))
    })?;
    // Both addresses circulate in runbooks; neither serves a key set.
    if let Some(url) = &url
        && let Some(at) = url.find("/rest/v1/").or_else(|| url.find("/auth/v1/jwks"))
    {
        loader.warnings.push(format!(
            "SUPABASE_JWT_JWKS_URL is {url:?}, where Supabase serves no key set: it is at {}{JWKS_PATH}",
            &url[..at]
        ));
    }
    Ok(url)
}

/// Accepted `iss`: as configured, or from the project, or from where its key set is.
fn issuers(
    loader: &mut Loader<'_>,
    project: Option<&str>,
    jwks: Option<&str>,
    rule: HttpRule,
) -> Result<Vec<String>, ConfigError> {
    let from_jwks =
        jwks.and_then(|url| url.strip_suffix("/.well-known/jwks.json")).filter(|url| url.ends_with("/auth/v1"));
    let (default, source) = match (project, from_jwks) {
        (Some(project), _) => (vec![format!("{project}/auth/v1"), project.to_owned()], derived(true, "SUPABASE_URL")),
        (None, Some(issuer)) => (vec![issuer.to_owned()], derived(true, "SUPABASE_JWT_JWKS_URL")),
        (None, None) => (Vec::new(), Source::Default),
    };
    match loader.raw(&settings::ISSUER)? {
        None if default.is_empty() => {
            loader.show(settings::ISSUER.name(), serde_json::Value::Null, source);
            Ok(default)
        }
        None => {
            loader.show(settings::ISSUER.name(), default.shown(), source);
            Ok(default)
        }
        Some(raw) => {
            let issuers = values::list(&raw)?;
            for issuer in &issuers {
                urls::issuer(&raw, issuer, rule)?;
            }
            loader.show(settings::ISSUER.name(), issuers.shown(), raw.source);
            Ok(issuers)
        }
    }
}

fn derived(is: bool, from: &'static str) -> Source {
    if is { Source::Derived(from) } else { Source::Default }
}

/// A secret long enough for HS256.
pub(super) fn hs256_secret(raw: &Raw) -> Result<Secret, ConfigError> {
    let secret = values::secret(raw)?;
    match secret.reveal().len() {
        SECRET_BYTES.. => Ok(secret),
        length => Err(raw.secret_error(format!("has {length} bytes"), format!("at least {SECRET_BYTES} bytes"))),
    }
}

fn warn_about_blanks(loader: &mut Loader<'_>, secret: Option<&Secret>) {
    if secret.is_some_and(|secret| secret.reveal().trim().len() != secret.reveal().len()) {
        let warning = "SUPABASE_JWT_SECRET begins or ends with a blank or a line break, which is taken as part of it";
        loader.warnings.push(warning.to_owned());
    }
}

/// An accepted `iss` without any key to verify with is a variable forgotten.
fn refuse_lone_issuer(loader: &Loader<'_>) -> Result<(), ConfigError> {
    match loader.raw(&settings::ISSUER)? {
        None => Ok(()),
        Some(raw) => Err(ConfigError::Missing {
            message: format!(
                "{}: there are no keys for this issuer: set SUPABASE_URL, SUPABASE_JWT_JWKS_URL or SUPABASE_JWT_SECRET",
                raw.source.place()
            ),
        }),
    }
}
