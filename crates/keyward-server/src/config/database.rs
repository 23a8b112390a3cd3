//! Where jobs are kept.

use std::path::PathBuf;

use reqwest::Url;
use serde_json::{Value as Json, json};

use super::file::Raw;
use super::secret::REDACTED;
use super::values::{self, Shown};
use super::{ConfigError, Secret};

const ACCEPTED: &str = "sqlite://PATH or postgres://USER:PASSWORD@HOST/DATABASE";

/// The database of the jobs API.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Database {
    /// A SQLite file, made when it does not exist.
    Sqlite {
        /// The file.
        path: PathBuf,
    },
    /// A PostgreSQL server.
    Postgres {
        /// The whole URL; it may hold a password.
        url: Secret,
    },
}

/// Reads `KEYWARD_DATABASE_URL`. Errors do not show the value: it may hold a password.
pub(crate) fn database(raw: &Raw) -> Result<Database, ConfigError> {
    let text = values::secret(raw)?;
    let text = text.reveal().trim();
    if let Some(path) = text.strip_prefix("sqlite://") {
        if path.is_empty() || path.contains('?') {
            return Err(raw.secret_error("names no SQLite file", ACCEPTED));
        }
        return Ok(Database::Sqlite { path: PathBuf::from(path) });
    }
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "postgres" | "postgresql") => {
            Ok(Database::Postgres { url: Secret::new(text) })
        }
        _ => Err(raw.secret_error("is not a database URL", ACCEPTED)),
    }
}

impl Shown for Database {
    fn shown(&self) -> Json {
        match self {
            Self::Sqlite { path } => json!(format!("sqlite://{}", path.display())),
            Self::Postgres { url } => json!(without_secrets(url.reveal())),
        }
    }
}

/// The URL without its password and without its query, which may hold one too.
fn without_secrets(text: &str) -> String {
    let Ok(url) = Url::parse(text) else { return REDACTED.to_owned() };
    let user = match (url.username(), url.password()) {
        ("", None) => String::new(),
        (user, None) => format!("{user}@"),
        (user, Some(_)) => format!("{user}:{REDACTED}@"),
    };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let query = if url.query().is_some() { format!("?{REDACTED}") } else { String::new() };
    format!("{}://{user}{}{port}{}{query}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}
