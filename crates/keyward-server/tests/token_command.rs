//! `keyward token` as a process: what it explains, its exit codes, and what it never shows.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod command;

use command::{AT, Draft, EMAIL, ISSUER, NOW, PHONE, SECRET, Said, Sets, jwk, keyward};
use serde_json::{Value, json};

const PROJECT: (&str, &str) = ("SUPABASE_URL", "https://abc.supabase.co");
const WITH_SECRET: (&str, &str) = ("SUPABASE_JWT_SECRET", SECRET);

/// Verifies at [`NOW`] with the keys `a` (seed 1) and `b` (seed 2), for the Supabase project `abc`.
fn verify(token: &str, more: &[&str], variables: &[(&str, &str)]) -> Said {
    let sets = Sets::new();
    let set = sets.write("set.json", &[jwk(1, "a"), jwk(2, "b")]);
    let args = [&["token", "verify", "--at", AT, "--jwks", &set, "-"], more].concat();
    let variables = [&[PROJECT], variables].concat();
    keyward(&args, &variables, token)
}

fn inspect(input: &str, more: &[&str]) -> Said {
    keyward(&[&["token", "inspect", "--at", AT, "-"], more].concat(), &[], input)
}

fn check<'a>(report: &'a Value, name: &str) -> &'a Value {
    report["checks"].as_array().unwrap().iter().find(|check| check["name"] == name).unwrap()
}

#[test]
fn a_valid_token_is_explained_check_by_check() {
    insta::assert_snapshot!(verify(&Draft::valid().sign(1), &[], &[]).all());
}

#[test]
fn json_has_the_same_content_as_text() {
    let said = verify(&Draft::valid().claim("aud", "anon").sign(1), &["--format", "json"], &[]);
    insta::assert_snapshot!(said.all());
}

#[test]
fn an_expired_token_is_refused_with_the_times_compared() {
    insta::assert_snapshot!(verify(&Draft::valid().claim("exp", NOW - 720).sign(1), &[], &[]).all());
}

#[test]
fn an_unknown_kid_is_compared_with_those_of_the_set() {
    insta::assert_snapshot!(verify(&Draft::valid().header("kid", "c").sign(1), &[], &[]).all());
}

#[test]
fn every_refusal_has_its_reason_its_check_and_its_hint() {
    let valid = Draft::valid;
    let legacy = Draft {
        header: json!({"alg": "HS256", "typ": "JWT"}),
        claims: json!({"iss": "supabase", "ref": "abc", "role": "anon", "iat": 1, "exp": NOW + 9}),
    };
    for (token, reason, step, hint) in [
        (valid().sign(2), "invalid_signature", "signature", ""),
        (valid().header("crit", json!(["x"])).sign(1), "unsupported_crit", "header", ""),
        (valid().header("alg", "none").sign(1), "unsupported_alg", "algorithm", ""),
        (valid().header("alg", "HS256").sign_with(SECRET), "unsupported_alg", "algorithm", "SUPABASE_JWT_SECRET"),
        (valid().header("alg", "ES256").sign(1), "alg_mismatch", "key", ""),
        (valid().header("kid", "c").sign(1), "unknown_kid", "key", "10 minutes"),
        (valid().claim("nbf", NOW + 99).sign(1), "not_yet_valid", "nbf", "clock"),
        (valid().claim("iat", NOW + 99).sign(1), "issued_in_future", "iat", "clock"),
        (
            valid().claim("exp", NOW * 1000).sign(1),
            "invalid_claim",
            "exp",
            "milliseconds (then it is 2023-11-14T22:13:20Z)",
        ),
        (valid().claim("exp", "1700000000").sign(1), "invalid_claim", "exp", "text"),
        (valid().without(&["exp"]).sign(1), "missing_claim", "exp", ""),
        (valid().claim("iss", "https://abc.supabase.co/auth/v2").sign(1), "wrong_issuer", "iss", ""),
        (valid().claim("iss", "http://abc.supabase.co/auth/v1").sign(1), "wrong_issuer", "iss", "scheme"),
        (valid().claim("aud", "Authenticated").sign(1), "wrong_audience", "aud", "capital letters"),
        (valid().claim("aud", json!([])).sign(1), "wrong_audience", "aud", "no audience"),
        (valid().claim("role", 7).sign(1), "invalid_claim", "claims", ""),
        (valid().without(&["sub"]).sign(1), "missing_claim", "policy", ""),
        (legacy.sign_with(SECRET), "legacy_api_key", "algorithm", "legacy anon key of the project \"abc\""),
        ("sb_publishable_abcdef".to_owned(), "api_key_as_bearer", "shape", ""),
        (format!("{}x", "a".repeat(17_000)), "token_too_large", "size", ""),
        (format!("{}\n{}", &valid().sign(1)[..40], &valid().sign(1)[40..]), "malformed_token", "shape", "line breaks"),
        (r#"{"access_token":"x"}"#.to_owned(), "malformed_token", "shape", "access_token"),
    ] {
        let text = verify(&token, &[], &[]);
        assert_eq!(text.code, 1, "{reason} {}", text.all());
        assert!(text.out.starts_with(&format!("refused: {reason}\n")), "{reason} {}", text.out);
        assert!(text.err.contains(hint), "{hint} {}", text.err);
        let json = verify(&token, &["--format", "json"], &[]);
        let report = json.json();
        assert_eq!((json.code, json.err.as_str(), &report["reason"]), (1, "", &json!(reason)));
        assert_eq!(check(&report, step)["result"], "fail", "{reason}");
        let reached = |check: &&Value| check["result"] == "ok";
        let failed = report["checks"].as_array().unwrap().iter().position(|check| check["name"] == step).unwrap();
        assert_eq!(report["checks"].as_array().unwrap().iter().filter(reached).count(), failed, "{reason}");
    }
}

#[test]
fn the_whole_default_policy_is_applied() {
    let sets = Sets::new();
    let config = sets.write_text("keyward.toml", "[policies.default]\nroles = [\"admin\"]\naal = \"aal1\"\n");
    let refused = verify(&Draft::valid().sign(1), &["--config", &config], &[]);
    assert!(refused.code == 1 && refused.out.starts_with("refused: insufficient_role\n"), "{}", refused.all());
    let admin = Draft::valid().claim("role", "admin").claim("aal", "aal2").sign(1);
    let accepted = verify(&admin, &["--config", &config], &[]);
    assert_eq!(accepted.code, 0, "{}", accepted.all());
}

#[test]
fn a_token_typed_on_the_command_line_is_not_repeated() {
    let token = Draft::valid().sign(1);
    let said = keyward(&["token", "verify", "-", &token], &[], "");
    assert_eq!(said.code, 2);
    assert!(!said.all().contains(&token) && said.err.contains("standard input"), "{}", said.all());
}

#[test]
fn issuers_that_differ_a_little_are_told_apart_with_a_hint() {
    let token = Draft::valid().sign(1);
    for (issuer, hint) in [
        ("https://abc.supabase.co", "the accepted issuer lacks /auth/v1"),
        ("https://abc.supabase.co/auth/v1/auth/v1", "the token's issuer lacks /auth/v1"),
        ("https://ABC.supabase.co/auth/v1", "capital letters"),
    ] {
        let said = verify(&token, &["--issuer", issuer], &[]);
        assert!(said.code == 1 && said.out.starts_with("refused: wrong_issuer"), "{}", said.all());
        assert!(said.err.contains(hint), "{}", said.err);
    }
    // The configured Supabase issuer ignores the slash; one that nobody configured does not.
    let sets = Sets::new();
    let set = sets.write("set.json", &[jwk(1, "a")]);
    let slash = format!("{ISSUER}/");
    let args = ["token", "verify", "--at", AT, "--jwks", &set, "--issuer", &slash, "-"];
    assert_eq!(keyward(&args, &[PROJECT], &token).code, 0);
    let said = keyward(&args, &[], &token);
    assert!(said.code == 1 && said.err.contains("slash"), "{}", said.all());
}

#[test]
fn without_issuer_and_audience_any_is_accepted_and_said_to_be() {
    let sets = Sets::new();
    let set = sets.write("set.json", &[jwk(1, "a")]);
    let token = Draft::valid().claim("iss", "https://other.example").claim("aud", json!(["x", "y"]));
    let args = ["token", "verify", "--at", AT, "--jwks", &set, "--format", "json", "-"];
    let said = keyward(&args, &[], &token.sign(1));
    let report = said.json();
    assert_eq!((said.code, &report["verdict"]), (0, &json!("valid")), "{}", said.all());
    for (name, flag) in [("iss", "no --issuer given"), ("aud", "no --audience given")] {
        let check = check(&report, name);
        assert_eq!(check["result"], "not_checked");
        assert!(check["detail"].as_str().unwrap().contains(flag));
    }
    let without = keyward(&args, &[], &token.without(&["iss"]).sign(1));
    assert_eq!((without.code, &without.json()["reason"]), (1, &json!("missing_claim")), "the engine wants one");
}

#[test]
fn a_secret_of_the_configuration_is_honoured() {
    let hs256 = Draft::valid().header("alg", "HS256").header("kid", "legacy");
    let said = verify(&hs256.sign_with(SECRET), &[], &[WITH_SECRET]);
    assert!(said.code == 0 && said.out.contains("the configured secret (SUPABASE_JWT_SECRET)"), "{}", said.all());
    let said = verify(&hs256.sign_with("another secret that is as long as it must be"), &[], &[WITH_SECRET]);
    assert!(said.code == 1 && said.err.contains("not decoded from base64"), "{}", said.all());
    // The kid of a public key: confusion, not a token under the secret.
    let confused = Draft::valid().header("alg", "HS256").sign_with(SECRET);
    let said = verify(&confused, &[], &[WITH_SECRET]);
    assert!(said.code == 1 && said.out.starts_with("refused: alg_mismatch"), "{}", said.all());
}

#[test]
fn the_issuer_is_chosen_by_the_token_among_those_of_the_file() {
    let sets = Sets::new();
    let set = sets.write("partner.json", &[jwk(3, "p")]);
    let other = sets.write("other.json", &[jwk(4, "o")]);
    let entry = |name: &str, set: &str| {
        format!(
            "[[issuers]]\nname = '{name}'\nissuer = ['https://{name}.example']\njwks_file = '{set}'\naudiences = ['orders']\n"
        )
    };
    let file = sets.write_text("keyward.toml", &(entry("other", &other) + &entry("partner", &set)));
    let args = ["token", "verify", "--at", AT, "--config", &file, "-"];
    let partner = Draft::valid().header("kid", "p").claim("iss", "https://partner.example").claim("aud", "orders");
    let said = keyward(&args, &[], &partner.sign(3));
    assert!(said.code == 0 && said.out.contains("from issuer partner"), "{}", said.all());
    // A token of nobody's is judged by the issuer that has its key, and refused for its iss.
    let nobody = partner.claim("iss", "https://nobody.example");
    let said = keyward(&args, &[], &nobody.sign(3));
    assert!(
        said.out.starts_with("refused: wrong_issuer") && said.out.contains("from issuer partner"),
        "{}",
        said.all()
    );
}

#[test]
fn keys_and_issuer_of_somebody_else_are_not_judged_by_what_is_configured() {
    let sets = Sets::new();
    let set = sets.write("set.json", &[jwk(3, "p")]);
    let file = sets.write_text("keyward.toml", "[supabase]\nalgorithms = ['ES256']\n");
    let token =
        Draft::valid().header("kid", "p").claim("iss", "https://partner.example").claim("aud", "orders").sign(3);
    let args = ["token", "verify", "--at", AT, "--config", &file, "--jwks", &set, "-"];
    let said = keyward(&args, &[PROJECT], &token);
    assert!(said.out.starts_with("refused: unsupported_alg"), "{}", said.all());
    let said = keyward(&[&args[..], &["--issuer", "https://partner.example"]].concat(), &[PROJECT], &token);
    assert_eq!(said.code, 0, "{}", said.all());
}

#[test]
fn what_is_pasted_along_is_left_out_and_noted() {
    let token = Draft::valid().sign(1);
    for (input, note) in [
        (format!("  {token}\n"), ""),
        (format!("Bearer {token}\r\n"), "note: the prefix \"Bearer\" was left out"),
        (format!("\"{token}\""), "note: the quotes"),
        (format!("Authorization: bearer {token}"), "note: the header's name"),
    ] {
        let said = verify(&input, &[], &[]);
        assert!(said.code == 0 && said.err.starts_with(note), "{}", said.all());
    }
}

#[test]
fn a_key_set_that_cannot_be_had_leaves_the_token_undecided() {
    let token = Draft::valid().sign(1);
    let sets = Sets::new();
    let (empty, garbage) = (sets.write("empty.json", &[]), sets.write_text("garbage.json", "<html>"));
    // Port 9 (discard) of this machine: nobody listens there.
    for (set, said_so) in
        [("http://127.0.0.1:9/rest/v1/jwks", "PostgREST"), (&empty, "legacy shared secret"), (&garbage, "")]
    {
        let said = verify_with(set, &token);
        assert!(said.code == 3 && said.out.starts_with("undecided: keys_unavailable\n"), "{}", said.all());
        assert!(said.err.contains(said_so), "{}", said.all());
    }
    // What is refused before its key is looked for is refused all the same.
    let unsigned = Draft::valid().header("alg", "none").sign(1);
    assert_eq!(verify_with("http://127.0.0.1:9/", &unsigned).code, 1);
}

fn verify_with(set: &str, token: &str) -> Said {
    keyward(&["token", "verify", "--at", AT, "--jwks", set, "-"], &[], token)
}

#[test]
fn mistakes_of_the_command_line_are_exit_code_2_and_print_nothing_on_stdout() {
    let token = Draft::valid().sign(1);
    let cases: [(&[&str], &str); 9] = [
        (&["verify", "-"], "--jwks"),
        (&["verify", "--jwks", "no/such/set.json", "-"], "no such file"),
        (&["verify", "--jwks", "http://login.example/jwks", "-"], "--allow-http"),
        (&["verify", "--jwks", "-", "-"], "standard input"),
        (&["verify", "--at", "1700000000000", "-"], "milliseconds"),
        (&["verify", "--at", "tomorrow", "-"], "RFC 3339"),
        (&["verify", "no/such/token"], "cannot be read"),
        (&["verify", &token], "as an argument"),
        (&["inspect", "--at", "x", "-"], "RFC 3339"),
    ];
    for (args, expected) in cases {
        let said = keyward(&[&["token"], args].concat(), &[], &token);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{args:?} {}", said.all());
        assert!(said.err.contains(expected) && !said.err.contains(&token), "{}", said.err);
    }
    for command in ["verify", "inspect"] {
        let said = keyward(&["token", command, "-"], &[], " \n");
        assert_eq!((said.code, said.err.as_str()), (2, "standard input: there is no token\n"));
    }
}

#[test]
fn inspecting_shows_a_token_without_believing_it() {
    insta::assert_snapshot!(inspect(&Draft::valid().sign(1), &[]).all());
}

#[test]
fn inspecting_in_json_has_the_same_content() {
    insta::assert_snapshot!(inspect(&Draft::valid().sign(1), &["--format", "json"]).all());
}

#[test]
fn inspecting_says_what_keys_are() {
    let legacy = Draft {
        header: json!({"alg": "HS256", "typ": "JWT"}),
        claims: json!({"iss": "supabase", "ref": "abcdefgh", "role": "service_role", "iat": 1, "exp": NOW + 9}),
    };
    let said = inspect(&legacy.sign_with(SECRET), &[]);
    assert!(said.code == 0 && said.out.starts_with("NOT VERIFIED: legacy API key"), "{}", said.all());
    assert!(said.out.contains("legacy service_role key of the project \"abcdefgh\""), "{}", said.out);
    for (key, kind) in [("sb_secret_abcdef", "secret API key"), ("sb_publishable_abcdef", "publishable API key")] {
        let said = inspect(key, &[]);
        assert!(
            said.code == 1 && said.out.starts_with("api_key_as_bearer: ") && said.out.contains(kind),
            "{}",
            said.all()
        );
        assert!(!said.out.contains("abcdef"));
    }
}

#[test]
fn help_tells_the_exit_codes() {
    for command in ["verify", "inspect"] {
        let said = keyward(&["token", command, "--help"], &[], "");
        assert!(said.code == 0 && said.out.contains("Exit codes:") && said.err.is_empty(), "{}", said.all());
    }
}

/// Accepted and refused tokens, through both commands and both formats: nothing of what must not be seen is.
#[test]
fn neither_token_nor_signature_nor_person_nor_secret_is_ever_shown() {
    let valid = Draft::valid;
    let embedded = valid().sign(2);
    let tokens = [
        valid().sign(1),
        valid().sign(2),
        valid().header("alg", "HS256").header("kid", "s").sign_with(SECRET),
        valid().header("kid", EMAIL).claim("sub", EMAIL).sign(1),
        valid().claim("iss", format!("https://x.example/{EMAIL}")).sign(1),
        valid().claim("aud", json!([EMAIL, embedded])).sign(1),
        valid().claim("sub", embedded.as_str()).sign(1),
        valid().header("jku", embedded.as_str()).header("typ", embedded.as_str()).sign(1),
        valid().claim("exp", NOW - 720).claim("contact", json!({"mail": [EMAIL]})).sign(1),
        valid().claim("exp", EMAIL).sign(1),
        format!("Bearer \"{}\"", valid().sign(1)),
        format!("{}.{}", valid().sign(1), valid().sign(1)),
        valid().sign(1).replace('.', " . "),
        format!("sb_secret_{}", "k".repeat(40)),
    ];
    for token in &tokens {
        for format in ["text", "json"] {
            let said = [
                verify(token, &["--format", format], &[WITH_SECRET]),
                verify(token, &["--format", format], &[]),
                inspect(token, &["--format", format]),
            ];
            for said in said {
                assert!(matches!(said.code, 0 | 1), "{}", said.all());
                assert_nothing_of(token, &said);
                assert_nothing_of(&embedded, &said);
            }
        }
    }
}

fn assert_nothing_of(token: &str, said: &Said) {
    let all = said.all();
    let signature = token.rsplit('.').next().unwrap_or_default().trim_matches(['"', ' ']);
    let payload = token.split('.').nth(1).unwrap_or(token);
    let secrets = [token, signature, &payload[..payload.len().min(40)], EMAIL, "alice", PHONE, SECRET, "hunter2"];
    for secret in secrets.into_iter().filter(|secret| secret.len() >= 5) {
        assert!(!all.contains(secret), "{secret} in {all}");
    }
}
