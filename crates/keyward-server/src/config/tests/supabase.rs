use serde_json::json;

use super::super::KeySource;
use super::{PROJECT, check_errors, error, load};

#[test]
fn the_project_url_gives_the_issuers_and_the_address_of_the_keys() {
    for url in ["https://abc.supabase.co", "https://abc.supabase.co/", "https://ABC.supabase.co//"] {
        let config = load(&[("SUPABASE_URL", url)], "").unwrap();
        let supabase = config.issuer("supabase");
        assert_eq!(supabase.issuers, ["https://abc.supabase.co/auth/v1", "https://abc.supabase.co"]);
        let jwks = "https://abc.supabase.co/auth/v1/.well-known/jwks.json".to_owned();
        assert_eq!(supabase.keys, KeySource::JwksUrl { url: jwks, allow_http: false });
        assert_eq!(supabase.audiences, ["authenticated"]);
        assert!(supabase.ignore_trailing_slash);
        assert_eq!(config.row("SUPABASE_JWT_ISSUER").source.to_string(), "derived from SUPABASE_URL");
        assert_eq!(config.row("SUPABASE_JWT_JWKS_URL").source.to_string(), "derived from SUPABASE_URL");
    }
}

#[test]
fn what_is_given_is_not_derived() {
    let variables = [
        PROJECT,
        ("SUPABASE_JWT_JWKS_URL", "http://localhost:54321/keys"),
        ("SUPABASE_JWT_ISSUER", " https://a.example/auth/v1/ ,, https://b.example "),
        ("SUPABASE_JWT_AUDIENCE", "authenticated, api"),
    ];
    let config = load(&variables, "").unwrap();
    let supabase = config.issuer("supabase");
    assert_eq!(supabase.issuers, ["https://a.example/auth/v1/", "https://b.example"]);
    assert_eq!(supabase.audiences, ["authenticated", "api"]);
    assert_eq!(supabase.keys, KeySource::JwksUrl { url: "http://localhost:54321/keys".to_owned(), allow_http: false });
}

#[test]
fn the_address_of_the_keys_alone_gives_the_issuer() {
    let url = "https://abc.supabase.co/auth/v1/.well-known/jwks.json";
    let config = load(&[("SUPABASE_JWT_JWKS_URL", url)], "").unwrap();
    assert_eq!(config.issuer("supabase").issuers, ["https://abc.supabase.co/auth/v1"]);
    assert_eq!(config.row("SUPABASE_JWT_ISSUER").source.to_string(), "derived from SUPABASE_JWT_JWKS_URL");
}

#[test]
fn a_secret_and_an_issuer_are_enough() {
    let secret = ("SUPABASE_JWT_SECRET", "0123456789abcdef0123456789abcdef");
    let config = load(&[secret, ("SUPABASE_JWT_ISSUER", "https://abc.supabase.co/auth/v1")], "").unwrap();
    assert_eq!(config.issuer("supabase").keys, KeySource::None);
    assert!(error(&[secret], "").starts_with("SUPABASE_JWT_ISSUER is not set"));
}

#[test]
fn an_issuer_without_keys_is_refused() {
    assert_eq!(
        error(&[("SUPABASE_JWT_ISSUER", "https://abc.supabase.co/auth/v1")], ""),
        "SUPABASE_JWT_ISSUER: there are no keys for this issuer: set SUPABASE_URL, SUPABASE_JWT_JWKS_URL or SUPABASE_JWT_SECRET"
    );
}

#[test]
fn what_is_not_a_project_url_is_refused_with_the_right_one() {
    let cases = [
        (
            "https://abc.supabase.co/rest/v1/",
            r#"SUPABASE_URL: "https://abc.supabase.co/rest/v1/" is the address of one of the project's APIs (accepted: the project URL alone, here https://abc.supabase.co)"#,
        ),
        (
            "https://abc.supabase.co/auth/v1",
            r#"SUPABASE_URL: "https://abc.supabase.co/auth/v1" is the address of one of the project's APIs (accepted: the project URL alone, here https://abc.supabase.co)"#,
        ),
        (
            "https://supabase.com/dashboard/project/abc/settings",
            r#"SUPABASE_URL: "https://supabase.com/dashboard/project/abc/settings" is the dashboard's address (accepted: the project URL, here https://abc.supabase.co)"#,
        ),
        (
            "abc.supabase.co",
            r#"SUPABASE_URL: "abc.supabase.co" is not a URL: relative URL without a base (accepted: an https URL)"#,
        ),
        ("ftp://abc", r#"SUPABASE_URL: "ftp://abc" is neither http nor https (accepted: an https URL)"#),
        (
            "http://abc.supabase.co",
            r#"SUPABASE_URL: "http://abc.supabase.co" is http beyond loopback (accepted: https, or http with supabase.allow_http = true)"#,
        ),
        (
            "https://user:hunter2@abc",
            "SUPABASE_URL: the value holds a user name or a password (accepted: a URL without credentials)",
        ),
    ];
    check_errors(&cases, |input| error(&[("SUPABASE_URL", input)], ""));
}

#[test]
fn plain_http_is_for_loopback_or_where_it_was_allowed() {
    for url in ["http://127.0.0.1:9999", "http://localhost:54321", "http://[::1]:1"] {
        assert!(load(&[("SUPABASE_URL", url)], "").is_ok(), "{url}");
    }
    for url in ["http://127.0.0.1.example.com", "http://localhost.example.com", "http://10.0.0.1"] {
        assert!(error(&[("SUPABASE_URL", url)], "").contains("is http beyond loopback"), "{url}");
    }
    let config = load(&[("SUPABASE_URL", "http://kong:8000")], "[supabase]\nallow_http = true").unwrap();
    let url = "http://kong:8000/auth/v1/.well-known/jwks.json".to_owned();
    assert_eq!(config.issuer("supabase").keys, KeySource::JwksUrl { url, allow_http: true });
    assert!(
        error(&[PROJECT, ("SUPABASE_JWT_ISSUER", "http://abc.supabase.co/auth/v1")], "")
            .contains("http beyond loopback")
    );
}

#[test]
fn an_address_without_keys_that_circulates_is_warned_about() {
    for path in ["/rest/v1/.well-known/jwks.json", "/auth/v1/jwks"] {
        let url = format!("https://abc.supabase.co{path}");
        let config = load(&[PROJECT, ("SUPABASE_JWT_JWKS_URL", &url)], "").unwrap();
        let [warning] = config.warnings() else { panic!("{:?}", config.warnings()) };
        assert!(warning.ends_with("it is at https://abc.supabase.co/auth/v1/.well-known/jwks.json"), "{warning}");
    }
}

#[test]
fn the_file_describes_the_issuer_as_the_variables_do() {
    let file = r#"
        [supabase]
        url = "https://abc.supabase.co"
        issuer = ["https://abc.supabase.co/auth/v1"]
        audience = "authenticated"
        algorithms = ["ES256"]
        jwt_secret = "0123456789abcdef0123456789abcdef"
        cache_ttl_seconds = 60
        stale_ttl_seconds = 600
        refresh_timeout_seconds = 2.5
        refresh_retries = 0
        leeway_seconds = 5
        ca_file = "ca.pem"
    "#;
    let config = load(&[("JWKS_CACHE_TTL_SECONDS", "90")], file).unwrap();
    let supabase = config.issuer("supabase");
    assert_eq!(supabase.algorithms.as_deref(), Some(&["ES256".to_owned()][..]));
    assert_eq!((supabase.cache_ttl.as_secs(), supabase.stale_ttl.as_secs()), (90, 600));
    assert_eq!((supabase.refresh_timeout.as_millis(), supabase.refresh_retries), (2500, 0));
    assert_eq!(supabase.ca_file.as_deref().unwrap().to_str(), Some("ca.pem"));
    assert_eq!(config.leeway.as_secs(), 5);
    assert_eq!(config.row("supabase.algorithms").value, json!(["ES256"]));
}

#[test]
fn a_secret_with_a_line_break_is_warned_about() {
    let config = load(&[PROJECT, ("SUPABASE_JWT_SECRET", "0123456789abcdef0123456789abcdef\n")], "").unwrap();
    assert!(config.warnings()[0].starts_with("SUPABASE_JWT_SECRET begins or ends with a blank"));
}
