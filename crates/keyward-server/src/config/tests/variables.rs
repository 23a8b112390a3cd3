use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::super::{Config, Database, Flags, LogFormat, settings};
use super::{PROJECT, check_errors, error, load, load_with};

#[test]
fn the_defaults_are_those_of_the_contract() {
    let config = load(&[PROJECT], "").unwrap();
    assert_eq!(config.listen.to_string(), "0.0.0.0:8000");
    assert_eq!(config.admin_listen.to_string(), "127.0.0.1:8001");
    assert_eq!((config.ops_listen, config.grpc_listen, &config.admin_token), (None, None, &None));
    assert_eq!(config.data_dir, Path::new("./keyward-data"));
    assert_eq!(config.database, Database::Sqlite { path: "./keyward-data/keyward.db".into() });
    assert_eq!(config.max_token_bytes, 16384);
    assert_eq!(config.leeway, Duration::from_secs(30));
    assert_eq!((config.log_filter.as_str(), config.log_format), ("info", LogFormat::Auto));
    let supabase = config.issuer("supabase");
    assert_eq!(supabase.cache_ttl, Duration::from_secs(300));
    assert_eq!(supabase.stale_ttl, Duration::from_secs(3600));
    assert_eq!(supabase.refresh_timeout, Duration::from_secs(5));
    assert_eq!(supabase.refresh_retries, 3);
    assert_eq!(config.warnings(), [] as [&str; 0]);
}

#[test]
fn a_flag_overrides_a_variable_and_a_variable_overrides_the_file() {
    let file = "listen = '127.0.0.1:1'\nadmin_listen = '127.0.0.1:2'\n[log]\nlevel = 'warn'\n";
    let variables = [("KEYWARD_LISTEN", "127.0.0.1:3"), ("KEYWARD_LOG", "error")];
    let mut flags = Flags::new();
    flags.set(&settings::LOG, Some("debug"));
    let config = load_with(&flags, &variables, file).unwrap();
    assert_eq!((config.listen.port(), config.admin_listen.port()), (3, 2));
    assert_eq!(config.log_filter, "debug");
    let source = |name| config.row(name).source.to_string();
    assert_eq!(source("KEYWARD_LISTEN"), "environment KEYWARD_LISTEN");
    assert_eq!(source("KEYWARD_ADMIN_LISTEN"), "keyward.toml:2 admin_listen");
    assert_eq!(source("KEYWARD_LOG"), "flag --log");
    assert_eq!(source("KEYWARD_DATA_DIR"), "default");
    assert_eq!(source("KEYWARD_DATABASE_URL"), "derived from KEYWARD_DATA_DIR");
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let config = load(&[PROJECT, ("KEYWARD_LISTEN", ""), ("JWKS_CACHE_TTL_SECONDS", "")], "").unwrap();
    assert_eq!(config.listen.to_string(), "0.0.0.0:8000");
    assert_eq!(config.row("KEYWARD_LISTEN").source.to_string(), "default");
}

#[test]
fn a_wrong_value_names_the_variable_the_value_and_what_is_accepted() {
    let cases = [
        (
            "JWKS_CACHE_TTL_SECONDS=abc",
            r#"JWKS_CACHE_TTL_SECONDS: "abc" is not a whole number of seconds (accepted: 1 to 86400)"#,
        ),
        ("JWKS_CACHE_TTL_SECONDS=0", r#"JWKS_CACHE_TTL_SECONDS: "0" is out of range (accepted: 1 to 86400)"#),
        (
            "JWKS_CACHE_TTL_SECONDS=-1",
            r#"JWKS_CACHE_TTL_SECONDS: "-1" is not a whole number of seconds (accepted: 1 to 86400)"#,
        ),
        (
            "JWKS_STALE_TTL_SECONDS=60",
            "JWKS_STALE_TTL_SECONDS: 60 is shorter than JWKS_CACHE_TTL_SECONDS, which is 300 (accepted: 300 to 604800)",
        ),
        (
            "JWKS_CACHE_TTL_SECONDS=7200",
            "JWKS_STALE_TTL_SECONDS: 3600 is shorter than JWKS_CACHE_TTL_SECONDS, which is 7200 (accepted: 7200 to 604800)",
        ),
        (
            "JWKS_REFRESH_TIMEOUT_SECONDS=NaN",
            r#"JWKS_REFRESH_TIMEOUT_SECONDS: "NaN" is not a number of seconds (accepted: 0.05 to 60)"#,
        ),
        (
            "JWKS_REFRESH_TIMEOUT_SECONDS=0",
            r#"JWKS_REFRESH_TIMEOUT_SECONDS: "0" is out of range (accepted: 0.05 to 60)"#,
        ),
        (
            "JWKS_REFRESH_RETRIES=1.5",
            r#"JWKS_REFRESH_RETRIES: "1.5" is not a whole number of attempts (accepted: 0 to 10)"#,
        ),
        ("JWT_LEEWAY_SECONDS=601", r#"JWT_LEEWAY_SECONDS: "601" is out of range (accepted: 0 to 600)"#),
        (
            "JWT_MAX_TOKEN_BYTES=16k",
            r#"JWT_MAX_TOKEN_BYTES: "16k" is not a whole number of bytes (accepted: 256 to 1048576)"#,
        ),
        (
            "KEYWARD_LISTEN=8000",
            r#"KEYWARD_LISTEN: "8000" is not an address to listen on (accepted: an IP address and a port, such as 127.0.0.1:8000 or [::]:8000)"#,
        ),
        (
            "KEYWARD_OPS_LISTEN=localhost:8002",
            r#"KEYWARD_OPS_LISTEN: "localhost:8002" is not an address to listen on (accepted: an IP address and a port, such as 127.0.0.1:8000 or [::]:8000)"#,
        ),
        (
            "KEYWARD_GRPC_LISTEN=on",
            r#"KEYWARD_GRPC_LISTEN: "on" is not an address to listen on (accepted: an IP address and a port, such as 127.0.0.1:8000 or [::]:8000)"#,
        ),
        (
            "KEYWARD_ADMIN_LISTEN=0.0.0.0:8001",
            r#"KEYWARD_ADMIN_LISTEN: "0.0.0.0:8001" is beyond loopback, and KEYWARD_ADMIN_TOKEN is not set (accepted: a loopback address, or any address once KEYWARD_ADMIN_TOKEN is set)"#,
        ),
        ("KEYWARD_LOG_FORMAT=xml", r#"KEYWARD_LOG_FORMAT: "xml" is not a log format (accepted: json, pretty or auto)"#),
        (
            "KEYWARD_LOG=inof",
            r#"KEYWARD_LOG: "inof" is not a log filter (accepted: off, error, warn, info, debug, trace, or directives such as info,hyper=warn)"#,
        ),
        (
            "KEYWARD_LOG=info,hyper=loud",
            r#"KEYWARD_LOG: "info,hyper=loud" is not a log filter (accepted: off, error, warn, info, debug, trace, or directives such as info,hyper=warn)"#,
        ),
        (
            "KEYWARD_DATABASE_URL=mysql://u:hunter2@h/d",
            "KEYWARD_DATABASE_URL: the value is not a database URL (accepted: sqlite://PATH or postgres://USER:PASSWORD@HOST/DATABASE)",
        ),
        (
            "SUPABASE_JWT_AUDIENCE= , ",
            r#"SUPABASE_JWT_AUDIENCE: " , " has no element (accepted: a list of at least one text)"#,
        ),
    ];
    check_errors(&cases, |input| error(&[PROJECT, input.split_once('=').unwrap()], ""));
}

#[test]
fn a_value_with_control_characters_or_of_great_length_stays_one_short_line() {
    let message = error(&[("KEYWARD_LISTEN", "a\nb\u{1b}[2J")], "");
    assert!(message.starts_with(r#"KEYWARD_LISTEN: "a\nb\u{1b}[2J" is not"#), "{message}");
    assert!(error(&[("KEYWARD_LISTEN", &"x".repeat(100_000))], "").len() < 400);
}

#[test]
fn secrets_are_shown_nowhere() {
    let secret = "hunter2hunter2hunter2hunter2hunter2";
    let variables = [
        PROJECT,
        ("SUPABASE_JWT_SECRET", secret),
        ("KEYWARD_ADMIN_TOKEN", secret),
        ("KEYWARD_DATABASE_URL", "postgres://kw:hunter2hunter2@db:5432/kw?sslpassword=hunter2hunter2"),
    ];
    let config = load(&variables, "").unwrap();
    assert_eq!(config.issuer("supabase").hs256_secret.as_ref().unwrap().reveal(), secret);
    assert!(!format!("{config:?}").contains("hunter2"));
    assert_eq!(config.row("SUPABASE_JWT_SECRET").value, json!("<redacted>"));
    assert_eq!(config.row("KEYWARD_ADMIN_TOKEN").value, json!("<redacted>"));
    let database = &config.row("KEYWARD_DATABASE_URL").value;
    assert_eq!(database, &json!("postgres://kw:<redacted>@db:5432/kw?<redacted>"));
    assert_eq!(config.admin_token.as_ref().unwrap().to_string(), "<redacted>");
    assert_eq!(json!(config.admin_token), json!("<redacted>"));
    assert_eq!(
        error(&[PROJECT, ("SUPABASE_JWT_SECRET", "hunter2")], ""),
        "SUPABASE_JWT_SECRET: the value has 7 bytes (accepted: at least 32 bytes)"
    );
    assert_eq!(
        error(&[("KEYWARD_ADMIN_TOKEN", "hunter2 hunter2")], ""),
        "KEYWARD_ADMIN_TOKEN: the value cannot be sent in a header (accepted: visible ASCII characters without blanks)"
    );
}

#[test]
fn the_operators_address_may_be_beyond_loopback_with_a_token_and_not_the_apis_own() {
    let token = ("KEYWARD_ADMIN_TOKEN", "a-long-enough-token");
    let config = load(&[("KEYWARD_ADMIN_LISTEN", "[::]:8001"), token], "").unwrap();
    assert_eq!(config.admin_listen.to_string(), "[::]:8001");
    assert_eq!(config.warnings(), [] as [&str; 0]);
    let warned = load(&[("KEYWARD_ADMIN_TOKEN", "short")], "").unwrap();
    assert_eq!(warned.warnings(), ["KEYWARD_ADMIN_TOKEN is shorter than 16 bytes: it can be guessed"]);
    let same = [("KEYWARD_LISTEN", "127.0.0.1:8001")];
    assert_eq!(
        error(&same, ""),
        r#"KEYWARD_ADMIN_LISTEN: "127.0.0.1:8001" is also KEYWARD_LISTEN (accepted: an address of its own)"#
    );
    let any_port = [("KEYWARD_LISTEN", "127.0.0.1:0"), ("KEYWARD_ADMIN_LISTEN", "127.0.0.1:0")];
    assert!(load(&any_port, "").is_ok());
}

#[test]
fn health_on_the_apis_own_address_needs_no_second_listener() {
    let same = load(&[("KEYWARD_LISTEN", "127.0.0.1:9"), ("KEYWARD_OPS_LISTEN", "127.0.0.1:9")], "").unwrap();
    assert_eq!(same.ops_listen, None);
    let other = load(&[("KEYWARD_OPS_LISTEN", "127.0.0.1:9")], "").unwrap();
    assert_eq!(other.ops_listen.unwrap().port(), 9);
}

#[test]
fn a_fractional_timeout_and_tracing_directives_are_accepted() {
    let variables =
        [PROJECT, ("JWKS_REFRESH_TIMEOUT_SECONDS", "0.25"), ("KEYWARD_LOG", "warn,hyper=trace,[span{kid=a}]=debug")];
    let config = load(&variables, "").unwrap();
    assert_eq!(config.issuer("supabase").refresh_timeout, Duration::from_millis(250));
    assert_eq!(config.row("JWKS_REFRESH_TIMEOUT_SECONDS").value, json!(0.25));
}

#[test]
fn development_mode_listens_on_loopback_and_knows_its_own_issuer_unless_told_otherwise() {
    let mut flags = Flags::new();
    flags.dev_issuer = Some("http://127.0.0.1:9999/".to_owned());
    let config = load_with(&flags, &[], "").unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:8000");
    assert_eq!(config.row("KEYWARD_LISTEN").source.to_string(), "default of --dev");
    assert_eq!(config.issuer("supabase").issuers[0], "http://127.0.0.1:9999/auth/v1");
    let told = load_with(&flags, &[PROJECT, ("KEYWARD_LISTEN", "0.0.0.0:80")], "").unwrap();
    assert_eq!(told.listen.to_string(), "0.0.0.0:80");
    assert_eq!(told.issuer("supabase").issuers[0], "https://abc.supabase.co/auth/v1");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let message = Config::read(&Flags::new(), Some(Path::new("no/such/file.toml"))).unwrap_err().to_string();
    assert!(message.starts_with("no/such/file.toml: cannot be read: "), "{message}");
}

#[test]
fn serving_needs_an_issuer() {
    let message = load(&[], "").unwrap().require_issuers().unwrap_err().to_string();
    assert!(message.contains("SUPABASE_URL") && message.contains("--dev") && message.contains("[[issuers]]"));
    assert!(load(&[PROJECT], "").unwrap().require_issuers().is_ok());
}
