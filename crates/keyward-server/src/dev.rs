//! Development mode: an issuer of one's own, two users, and a worker.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use keyward_issuer::{Issuer, IssuerConfig, IssuerError, SeedUser};

mod worker;
pub use worker::Worker;

/// Where the development issuer listens.
pub const ISSUER_ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9999);
/// What clients call `SUPABASE_URL` in development mode.
pub const ISSUER_URL: &str = "http://127.0.0.1:9999";

const USERS: [&str; 2] = ["alice@example.com", "bob@example.com"];
const PASSWORD: &str = "keyward-dev";
/// Keys, users and sessions of the issuer: tokens stay valid over a restart.
const STATE_FILE: &str = "dev-issuer.json";

/// Starts the development issuer with its two users.
///
/// # Errors
///
/// When its port is taken, or its state cannot be read.
pub async fn start_issuer(data_dir: &Path) -> Result<Issuer, IssuerError> {
    // Without a place for its state the issuer starts anew each time, which is good enough for development.
    let keeps_state = std::fs::create_dir_all(data_dir).is_ok();
    Issuer::start(IssuerConfig {
        listen: ISSUER_ADDRESS,
        base_url: Some(ISSUER_URL.to_owned()),
        users: USERS.iter().map(|email| SeedUser::new(*email, PASSWORD)).collect(),
        state_file: keeps_state.then(|| data_dir.join(STATE_FILE)),
        ..IssuerConfig::default()
    })
    .await
}

/// Whether this `iss` is the development issuer's.
#[must_use]
pub fn is_own_iss(iss: &str) -> bool {
    iss.trim_end_matches('/') == format!("{ISSUER_URL}/auth/v1")
}

/// What to know when the configuration accepts another project's tokens instead.
#[must_use]
pub fn other_project(api: SocketAddr) -> String {
    format!(
        "\nKeyward is up on http://{api}, for the project that the configuration names: tokens of the development issuer on \
         {ISSUER_URL}\nare not accepted. Unset SUPABASE_URL and the other SUPABASE_ variables to use it.\n"
    )
}

/// What to paste next.
#[must_use]
pub fn welcome(api: SocketAddr) -> String {
    let user = USERS[0];
    format!(
        r#"
Keyward is up on http://{api}, with a development issuer on {ISSUER_URL} (users {USERS}, password {PASSWORD}).
In another terminal, sign in, submit a job, see it succeed:

TOKEN=$(curl -s '{ISSUER_URL}/auth/v1/token?grant_type=password' -H 'content-type: application/json' -d '{{"email":"{user}","password":"{PASSWORD}"}}' | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
curl -s http://{api}/v1/jobs -H "authorization: Bearer $TOKEN" -H 'content-type: application/json' -d '{{"kind":"echo","payload":{{"hello":"world"}}}}'
sleep 1; curl -s http://{api}/v1/jobs -H "authorization: Bearer $TOKEN"

Ctrl-C stops it.
"#,
        USERS = USERS.join(" and "),
    )
}
