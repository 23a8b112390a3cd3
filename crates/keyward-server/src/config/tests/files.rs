use serde_json::json;

use super::super::KeySource;
use super::{PROJECT, check_errors, error, load};

const PARTNER: &str = r#"
[[issuers]]
name = "partner"
issuer = ["https://login.partner.example"]
discovery = true
audiences = ["orders"]
"#;

fn partner(more: &str) -> String {
    format!("{PARTNER}{more}\n")
}

/// An issuer with these lines besides its name.
fn issuer(lines: &str) -> String {
    format!("[[issuers]]\nname = \"p\"\n{lines}\n")
}

#[test]
fn the_file_names_further_issuers() {
    let lines = "algorithms = [\"ES256\", \"RS256\"]\ncache_ttl_seconds = 60\nrefresh_timeout_seconds = 1";
    let config = load(&[PROJECT, ("JWKS_REFRESH_RETRIES", "1")], &partner(lines)).unwrap();
    let partner = config.issuer("partner");
    assert_eq!(config.issuers[0].name, "supabase");
    assert_eq!(partner.issuers, ["https://login.partner.example"]);
    let issuer_url = "https://login.partner.example".to_owned();
    assert_eq!(partner.keys, KeySource::Discovery { issuer_url, allow_http: false });
    assert!(!partner.ignore_trailing_slash);
    assert_eq!(partner.algorithms.as_ref().unwrap().len(), 2);
    assert_eq!((partner.cache_ttl.as_secs(), partner.stale_ttl.as_secs()), (60, 3600));
    assert_eq!((partner.refresh_timeout.as_secs(), partner.refresh_retries), (1, 1));
    let row = config.row("issuers.partner.cache_ttl_seconds");
    assert_eq!(
        (&row.value, row.source.to_string().as_str()),
        (&json!(60), "keyward.toml:8 issuers[0].cache_ttl_seconds")
    );
    let row = config.row("issuers.partner.refresh_retries");
    assert_eq!(row.source.to_string(), "derived from JWKS_REFRESH_RETRIES");
}

#[test]
fn keys_come_from_an_address_a_file_or_the_configuration() {
    let file = r#"
        [[issuers]]
        name = "a"
        issuer = "https://a.example"
        jwks_url = "http://keys.internal/jwks"
        allow_http = true
        audiences = ["api"]
        [[issuers]]
        name = "b"
        issuer = "urn:b"
        jwks_file = "b.json"
        audiences = ["api"]
        [[issuers]]
        name = "c"
        issuer = "c"
        discovery = false
        keys = [{ kty = "OKP", crv = "Ed25519", kid = "k1", x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }]
        audiences = ["api"]
        [[issuers]]
        name = "d"
        issuer = "d"
        hs256_secret = "0123456789abcdef0123456789abcdef"
        algorithms = ["HS256"]
        audiences = ["api"]
    "#;
    let config = load(&[], file).unwrap();
    let url = "http://keys.internal/jwks".to_owned();
    assert_eq!(config.issuer("a").keys, KeySource::JwksUrl { url, allow_http: true });
    assert_eq!(config.issuer("b").keys, KeySource::File("b.json".into()));
    let KeySource::Static(keys) = &config.issuer("c").keys else { panic!() };
    assert_eq!(keys[0]["kid"], "k1");
    assert_eq!(config.row("issuers.c.keys").value, json!(["k1"]));
    assert_eq!(config.issuer("d").keys, KeySource::None);
    assert_eq!(config.row("issuers.d.hs256_secret").value, json!("<redacted>"));
}

#[test]
fn a_wrong_issuer_is_one_line_with_its_place() {
    let valid = "issuer = \"https://p.example\"\naudiences = [\"a\"]\n";
    let cases = [
        (
            issuer(&format!("{valid}discovery = true\njwks_url = \"https://p.example/jwks\"")),
            r#"keyward.toml:1: issuers[0]: the issuer "p" has several sources of keys: discovery, jwks_url (accepted: exactly one of them)"#,
        ),
        (
            issuer(valid),
            r#"keyward.toml:1: issuers[0]: the issuer "p" has no keys (accepted: one of discovery = true, jwks_url, jwks_file, keys)"#,
        ),
        (
            issuer("issuer = \"https://p.example\"\ndiscovery = true"),
            r#"keyward.toml:1: issuers[0]: the issuer "p" has no audiences (accepted: audiences = …)"#,
        ),
        (
            issuer("issuer = []\ndiscovery = true"),
            "keyward.toml:3: issuers[0].issuer: [] has no element (accepted: a list of at least one text)",
        ),
        (
            issuer("issuer = \"http://p.example\"\ndiscovery = true"),
            r#"keyward.toml:3: issuers[0].issuer: "http://p.example" is http beyond loopback (accepted: https, or http with allow_http = true)"#,
        ),
        (
            issuer("issuer = \"p.example\"\ndiscovery = true"),
            r#"keyward.toml:3: issuers[0].issuer: "p.example" cannot be discovered (accepted: an https URL without query and fragment)"#,
        ),
        (
            issuer(&format!("{valid}jwks_url = \"http://p.example/jwks\"")),
            r#"keyward.toml:5: issuers[0].jwks_url: "http://p.example/jwks" is http beyond loopback (accepted: https, or http with allow_http = true)"#,
        ),
        (
            issuer(&format!("{valid}discovery = true\nalgorithms = [\"none\"]")),
            r#"keyward.toml:6: issuers[0].algorithms: "none" is not a known algorithm (accepted: RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA, Ed25519, HS256, HS384, HS512)"#,
        ),
        (
            issuer(&format!("{valid}discovery = true\nalgorithms = [\"HS256\"]")),
            r#"keyward.toml:6: issuers[0].algorithms: "HS256" needs a secret, and there is none (accepted: asymmetric algorithms)"#,
        ),
        (
            issuer(&format!("{valid}discovery = true\njwks_uri = \"x\"")),
            "keyward.toml:6: issuers[0].jwks_uri: unknown key (did you mean jwks_url?)",
        ),
        (
            issuer(&format!("{valid}discovery = true\ncache_ttl_seconds = \"60\"")),
            r#"keyward.toml:6: issuers[0].cache_ttl_seconds: "60" is not a whole number of seconds (accepted: 1 to 86400)"#,
        ),
        (
            issuer(&format!("{valid}discovery = true\nstale_ttl_seconds = 60")),
            "keyward.toml:6: issuers[0].stale_ttl_seconds: stale_ttl_seconds = 60 is shorter than cache_ttl_seconds = 300 (accepted: a stale_ttl_seconds of at least cache_ttl_seconds)",
        ),
        (
            issuer(&format!("{valid}keys = [{{ kty = \"EC\", d = \"hunter2\" }}]")),
            "keyward.toml:5: issuers[0].keys[0]: the value is a private key: it has d (accepted: the public key only)",
        ),
        (
            issuer(&format!("{valid}keys = [{{ kty = \"oct\", k = \"hunter2\" }}]")),
            "keyward.toml:5: issuers[0].keys[0]: the value is a symmetric key (accepted: public keys; a secret goes to hs256_secret)",
        ),
        (
            issuer(&format!("{valid}hs256_secret = \"hunter2\"")),
            "keyward.toml:5: issuers[0].hs256_secret: the value has 7 bytes (accepted: at least 32 bytes)",
        ),
        (
            "[[issuers]]\nissuer = \"x\"".to_owned(),
            "keyward.toml:1: issuers[0]: an issuer has no name (accepted: name = …)",
        ),
        (
            "[[issuers]]\nname = \"Partner\"".to_owned(),
            r#"keyward.toml:2: issuers[0].name: "Partner" is not a name (accepted: 1 to 64 of a-z, 0-9, _ and -)"#,
        ),
        (
            format!("{PARTNER}{PARTNER}"),
            r#"keyward.toml:9: issuers[1].name: "partner" names two issuers (accepted: a name of its own)"#,
        ),
        ("issuers = 3".to_owned(), "keyward.toml:1: issuers: 3 is not an array (accepted: an array)"),
    ];
    for (file, expected) in cases {
        assert_eq!(error(&[], &file), expected, "for {file}");
    }
}

#[test]
fn the_name_supabase_belongs_to_the_variables_when_they_describe_an_issuer() {
    let file = PARTNER.replace("partner\"", "supabase\"");
    assert_eq!(
        error(&[PROJECT], &file),
        r#"keyward.toml:3: issuers[0].name: "supabase" is the name of the issuer that SUPABASE_URL and its like describe (accepted: another name, or none of those variables)"#
    );
    assert!(!load(&[], &file).unwrap().issuer("supabase").ignore_trailing_slash);
}

#[test]
fn an_unknown_key_is_named_with_the_one_that_was_meant() {
    let cases = [
        ("lisen = '127.0.0.1:1'", "keyward.toml:1: lisen: unknown key (did you mean listen?)"),
        (
            "\n[supabase]\nurl = 'https://a.example'\njwks_uri = 'x'",
            "keyward.toml:4: supabase.jwks_uri: unknown key (did you mean jwks_url?)",
        ),
        ("[policy.staff]\naal = 'aal2'", "keyward.toml:1: policy: unknown key (did you mean policies?)"),
        ("[proxy]\nupstream = 'http://127.0.0.1:3000'", "keyward.toml:1: proxy: unknown key"),
        (
            "[token_cache]\nmax_entrys = 1",
            "keyward.toml:2: token_cache.max_entrys: unknown key (did you mean max_entries?)",
        ),
        ("supabase = 1", "keyward.toml:1: supabase: 1 is not a table (accepted: a table)"),
        (
            "listen = 8000",
            "keyward.toml:1: listen: 8000 is not an address to listen on (accepted: an IP address and a port, such as 127.0.0.1:8000 or [::]:8000)",
        ),
        (
            "[token_cache]\nenabled = 'yes'",
            r#"keyward.toml:2: token_cache.enabled: "yes" is not a truth value (accepted: true or false)"#,
        ),
        (
            "max_token_bytes = 99999999999999999999",
            "keyward.toml:1: max_token_bytes: 99999999999999999999 is out of range (accepted: a 64-bit number)",
        ),
    ];
    check_errors(&cases, |file| error(&[], file));
}

#[test]
fn what_is_not_toml_is_named_by_its_line() {
    let message = error(&[], "listen = '127.0.0.1:1'\nadmin_listen = \n");
    assert!(message.starts_with("keyward.toml:2: not TOML: "), "{message}");
    let message = error(&[], "listen = '127.0.0.1:1'\nlisten = '127.0.0.1:2'\n");
    assert!(message.starts_with("keyward.toml:2: not TOML: duplicate key"), "{message}");
}
