use std::path::PathBuf;

use super::*;
use crate::config::{Flags, settings};
use serde_json::json as value;

const FILE: &str = r#"
listen = "127.0.0.1:9000"

[supabase]
cache_ttl_seconds = 60

[[issuers]]
name = "partner"
issuer = ["https://login.partner.example"]
discovery = true
audiences = ["orders", "billing"]

[policies.staff]
issuers = ["supabase"]
aal = "aal2"
claims = [{ path = "app_metadata.roles", contains = "admin" }]
"#;

fn config() -> Config {
    let env = |name: &str| match name {
        "SUPABASE_URL" => Some("https://abc.supabase.co".to_owned()),
        "SUPABASE_JWT_SECRET" => Some("hunter2hunter2hunter2hunter2hunter2".to_owned()),
        _ => None,
    };
    let mut flags = Flags::new();
    flags.set(&settings::LOG, Some("debug"));
    Config::load(&flags, &env, Some((PathBuf::from("keyward.toml"), FILE.to_owned()))).unwrap()
}

#[test]
fn every_value_is_shown_with_its_source_and_secrets_are_not() {
    insta::assert_snapshot!("text", text(&config()));
}

#[test]
fn json_has_the_same_content() {
    insta::assert_snapshot!("json", json(&config()));
}

#[test]
fn control_characters_do_not_reach_the_terminal() {
    assert_eq!(plain(&value!(["a\nb", "\u{1b}[2J", "ü"])), "a\\nb, \\u{1b}[2J, ü");
}
