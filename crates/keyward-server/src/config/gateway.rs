//! How proxies ask, and what they are believed.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::{Value as Json, json};

use super::file::Raw;
use super::load::Loader;
use super::values::{self, Shown};
use super::{ConfigError, settings};

/// The section `[gateway]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatewaySettings {
    /// The peers whose `X-Forwarded-*` headers are believed. Default none, this machine neither.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether CORS preflights pass without a token. Default false.
    pub preflight: bool,
    /// The cookie that a token is taken from when there is no `Authorization` header. Default none.
    pub cookie: Option<String>,
}

pub(super) fn load(loader: &mut Loader<'_>) -> Result<GatewaySettings, ConfigError> {
    Ok(GatewaySettings {
        trusted_proxies: loader.value(&settings::TRUSTED_PROXIES, Vec::new(), networks)?,
        preflight: loader.value(&settings::PREFLIGHT, false, values::boolean)?,
        cookie: loader.value(&settings::COOKIE, None, |raw| cookie(raw).map(Some))?,
    })
}

fn networks(raw: &Raw) -> Result<Vec<IpNet>, ConfigError> {
    let network = |text: &String| {
        let address = || text.parse::<IpAddr>().map(IpNet::from);
        text.parse::<IpNet>().or_else(|_| address()).map_err(|_| {
            raw.error(
                format!("has {text:?}, which is not a network"),
                "addresses and networks such as 10.0.0.0/8 or ::1",
            )
        })
    };
    values::list(raw)?.iter().map(network).collect()
}

/// A cookie's name is a token (RFC 6265 section 4.1.1, RFC 9110 section 5.6.2).
fn cookie(raw: &Raw) -> Result<String, ConfigError> {
    let name = values::text(raw)?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.bytes().all(allowed) {
        Ok(name)
    } else {
        Err(raw.error("is not a cookie's name", "sb-abcdefgh-auth-token"))
    }
}

impl Shown for Vec<IpNet> {
    fn shown(&self) -> Json {
        json!(self.iter().map(ToString::to_string).collect::<Vec<_>>())
    }
}
