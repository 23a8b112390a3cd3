//! `keyward jwks` as a process: what it shows, what it compares, and its exit codes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod command;

use command::{Said, Sets, jwk, keyward};
use keyward_issuer::{Fault, Issuer, IssuerConfig, Rotate};
use serde_json::{Value, json};

// RFC 7638 section 3.1 and RFC 7517 appendix A.1.
const RSA_N: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";

fn mixed() -> Vec<Value> {
    vec![
        jwk(1, "a"),
        json!({"kty": "RSA", "n": RSA_N, "e": "AQAB", "kid": "rsa", "alg": "RS256", "use": "sig"}),
        json!({"kty": "EC", "crv": "P-256", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
               "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}),
        json!({"kty": "AKP", "alg": "ML-DSA-65", "kid": "pq"}),
        json!({"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0", "kid": "leaked"}),
        json!({"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA", "kid": "\u{1b}[2J"}),
    ]
}

fn show(source: &str, more: &[&str]) -> Said {
    keyward(&[&["jwks", "show", source], more].concat(), &[], "")
}

fn diff(old: &str, new: &str, more: &[&str]) -> Said {
    keyward(&[&["jwks", "diff", old, new], more].concat(), &[], "")
}

async fn issuer() -> Issuer {
    let config = IssuerConfig { listen: ([127, 0, 0, 1], 0).into(), ..IssuerConfig::default() };
    Issuer::start(config).await.unwrap()
}

#[test]
fn keys_are_shown_and_why_any_is_unusable() {
    let set = Sets::new();
    let said = show(&set.write("set.json", &mixed()), &[]);
    assert!(!said.out.contains("c2VjcmV0"), "a leaked secret is not repeated");
    insta::assert_snapshot!(said.all());
}

#[test]
fn json_has_the_same_content() {
    let set = Sets::new();
    insta::assert_snapshot!(show(&set.write("set.json", &mixed()), &["--format", "json"]).all());
}

#[test]
fn a_set_without_a_usable_key_is_exit_code_1_with_the_reason_supabase_has() {
    let set = Sets::new();
    let said = show(&set.write("set.json", &[]), &[]);
    assert_eq!((said.code, said.out.as_str()), (1, "0 usable keys, 0 unusable\n"));
    assert!(said.err.contains("HS256"), "{}", said.err);
    let said = show(&set.write("set.json", &[json!({"kty": "oct", "k": "AAAA"})]), &["--format", "json"]);
    assert_eq!((said.code, said.json()["unusable"].as_array().unwrap().len()), (1, 1));
}

#[test]
fn standard_input_is_a_source_too() {
    let said = keyward(&["jwks", "show", "-"], &[], &json!({"keys": [jwk(1, "a")]}).to_string());
    assert!(said.code == 0 && said.out.contains("\"a\""), "{}", said.all());
    let said = keyward(&["jwks", "show", "-"], &[], "<html>");
    assert_eq!((said.code, said.err.as_str()), (3, "standard input: not a JWK Set: it is not a JSON object\n"));
}

#[test]
fn mistakes_are_exit_code_2() {
    let cases: [(&[&str], &str); 7] = [
        (&["show", "no/such/file"], "no/such/file: there is no such file\n"),
        (&["show", "abc.supabase.co/auth/v1/.well-known/jwks.json"], "https://abc.supabase.co/auth/v1"),
        (&["show", "http://login.example/jwks"], "--allow-http"),
        (&["show", "ftp://login.example/jwks"], "the scheme ftp is not supported"),
        (&["show", "https://user:hunter2@login.example/jwks"], "https://login.example/jwks: a user name"),
        (&["show", "x", "--timeout-seconds", "0"], "--timeout-seconds: 0 is out of range (accepted: 0.05 to 60)"),
        (&["diff", "-", "-"], "only one of the two"),
    ];
    for (args, expected) in cases {
        let said = keyward(&[&["jwks"], args].concat(), &[], "{}");
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{args:?} {}", said.all());
        assert!(said.err.contains(expected) && !said.err.contains("hunter2"), "{}", said.err);
    }
}

#[test]
fn sets_are_compared_by_key_whatever_their_order() {
    let sets = Sets::new();
    let old = sets.write("old.json", &[jwk(1, "a"), jwk(2, "b"), jwk(3, "c")]);
    let shuffled = sets.write("shuffled.json", &[jwk(3, "c"), jwk(1, "a"), jwk(2, "b")]);
    let new = sets.write("new.json", &[jwk(5, "d"), jwk(4, "b"), jwk(1, "a"), json!({"kty": "AKP", "kid": "pq"})]);
    let said = diff(&old, &shuffled, &[]);
    assert_eq!((said.code, said.out.lines().next().unwrap()), (0, "same: 3 same, 0 added, 0 removed, 0 replaced"));
    insta::assert_snapshot!(diff(&old, &new, &[]).all());
    let said = diff(&old, &new, &["--format", "json"]);
    let difference = said.json();
    let kid = |list: &str| difference[list][0]["kid"].as_str().map(str::to_owned);
    assert_eq!(said.code, 1);
    assert_eq!([kid("same"), kid("added"), kid("removed")], ["a", "d", "c"].map(|kid| Some(kid.to_owned())));
    assert_eq!(difference["replaced"][0]["old"]["kid"], "b");
    assert_eq!(difference["unusable"]["only_in_b"][0]["kid"], "pq");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_set_is_fetched_and_a_rotation_is_seen() {
    let issuer = issuer().await;
    let url = issuer.jwks_url();
    let first = issuer.signing_kid();
    let said = show(&url, &["--format", "json"]);
    assert_eq!((said.code, said.json()["usable"][0]["kid"].as_str()), (0, Some(first.as_str())), "{}", said.all());

    let sets = Sets::new();
    let text = json!({"keys": []}).to_string();
    let nothing = sets.write_text("nothing.json", &text);
    let added = diff(&nothing, &url, &["--format", "json"]);
    assert_eq!(added.json()["added"][0]["kid"].as_str(), Some(first.as_str()));
    let second = issuer.rotate(Rotate::default());
    assert!(show(&url, &[]).out.contains(&second));

    // The issuer's own token, verified with the set it publishes.
    let token = issuer.mint(keyward_issuer::Mint::new());
    let args = ["token", "verify", "--jwks", &url, "--issuer", &issuer.issuer(), "--audience", "authenticated", "-"];
    let said = keyward(&args, &[], &token);
    assert_eq!(said.code, 0, "{}", said.all());
    issuer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_is_no_key_set_is_exit_code_3_with_a_hint_where_it_should_be() {
    let issuer = issuer().await;
    let (url, base) = (issuer.jwks_url(), issuer.url().to_owned());
    for wrong in ["", "/rest/v1/.well-known/jwks.json?apikey=hunter2", "/auth/v1/jwks", "/auth/v1"] {
        let said = show(&format!("{base}{wrong}"), &[]);
        assert_eq!((said.code, said.out.as_str()), (3, ""), "{wrong} {}", said.all());
        assert!(said.err.contains(&format!("is at {url}")) && !said.err.contains("hunter2"), "{}", said.err);
    }
    issuer.set_fault(Some(Fault::status(503)));
    let said = show(&url, &[]);
    assert_eq!((said.code, said.err), (3, format!("{url}: the endpoint answered with status 503\n")));
    issuer.stop().await;
    assert_eq!(show(&url, &[]).code, 3, "nobody listens any more");
}
