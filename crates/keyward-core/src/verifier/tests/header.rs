//! `typ`, `cty`, `crit`, and the keys that Supabase projects had before.

use super::*;

#[test]
fn types_of_access_tokens_are_accepted_in_any_case_and_with_the_prefix() {
    let typed = |typ: &str| Draft::valid().header("typ", typ).token();
    let strict = builder().access_tokens_only(true).build().unwrap();
    for (typ, by_default, when_strict) in [
        ("", true, false),
        (r#""JWT""#, true, false),
        (r#""jwt""#, true, false),
        (r#""application/jwt""#, true, false),
        (r#""at+jwt""#, true, true),
        (r#""AT+JWT""#, true, true),
        (r#""Application/at+jwt""#, true, true),
        (r#""""#, false, false),
        (r#""application/""#, false, false),
        (r#""application/application/jwt""#, false, false),
        (r#""JWT ""#, false, false),
        (r#""JWT; charset=utf-8""#, false, false),
        (r#""JWE""#, false, false),
        (r#""JOSE""#, false, false),
        (r#""id+jwt""#, false, false),
        (r#""logout+jwt""#, false, false),
        (r#""dpop+jwt""#, false, false),
        (r#""secevent+jwt""#, false, false),
        (r#""éééééé/at+jwt""#, false, false),
    ] {
        let expected = |accepted: bool| (!accepted).then_some(Reason::WrongType);
        assert_eq!(reason(&verifier(), &typed(typ), &keys()), expected(by_default), "{typ}");
        assert_eq!(reason(&strict, &typed(typ), &keys()), expected(when_strict), "{typ}, access tokens only");
    }
}

#[test]
fn a_nested_token_is_of_the_wrong_type_whatever_cty_says() {
    for cty in [r#""JWT""#, r#""json""#, r#""""#, "null", "7"] {
        assert_eq!(Draft::valid().header("cty", cty).reason(), Some(Reason::WrongType), "{cty}");
    }
}

#[test]
fn crit_is_refused_in_every_form() {
    for crit in [r#"["exp"]"#, r#"["b64"]"#, r#"["alg"]"#, "[]", r#""b64""#, "{}", "null", "false", "7", r#"[["x"]]"#] {
        assert_eq!(Draft::valid().header("crit", crit).reason(), Some(Reason::UnsupportedCrit), "{crit}");
    }
    let unencoded = Draft::valid().header("b64", "false").header("crit", r#"["b64"]"#);
    assert_eq!(unencoded.reason(), Some(Reason::UnsupportedCrit));
}

#[test]
fn unknown_header_parameters_are_ignored() {
    // RFC 7515 section 4.2; b64 without crit too, since RFC 7797 section 6 lets it change nothing then.
    for name in ["x-custom", "jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256", "b64", "nonce", "url"] {
        for raw in ["null", "false", r#""text""#, r#"{"kty":"oct"}"#, r#"["a"]"#] {
            assert_eq!(Draft::valid().header(name, raw).reason(), None, "{name}: {raw}");
        }
    }
}

#[test]
fn a_legacy_api_key_is_recognised_and_nothing_else_is() {
    let legacy = |role: &str| {
        let header = Draft::valid().header("alg", r#""HS256""#).header("kid", "").claim("sub", "").claim("aud", "");
        header.claim("iss", r#""supabase""#).claim("ref", r#""abcdefghijklmnop""#).claim("role", role)
    };
    let with_secret = builder().issuer("supabase").secret(SECRET).build().unwrap();
    for role in [r#""anon""#, r#""service_role""#] {
        for verifier in [&verifier(), &with_secret] {
            let token = legacy(role).token_under(SECRET);
            assert_eq!(reason(verifier, &token, &keys()), Some(Reason::LegacyApiKey), "{role}");
        }
    }
    for (near_miss, expected) in [
        (legacy(r#""authenticated""#), Reason::MissingClaim),
        (legacy(r#""anon""#).claim("ref", ""), Reason::MissingClaim),
        (legacy(r#""anon""#).claim("aud", r#""other""#), Reason::WrongAudience),
        (legacy(r#""anon""#).claim("sub", r#""someone""#), Reason::MissingClaim),
        (legacy(r#""anon""#).claim("iss", r#""https://x""#), Reason::WrongIssuer),
    ] {
        assert_eq!(reason(&with_secret, &near_miss.token_under(SECRET), &keys()), Some(expected));
    }
}

#[test]
fn both_names_of_ed25519_are_accepted() {
    assert_eq!(Draft::valid().header("alg", r#""Ed25519""#).reason(), None);
    assert_eq!(Draft::valid().header("alg", r#""EdDSA""#).reason(), None);
    assert_eq!(Draft::valid().header("alg", r#""ed25519""#).reason(), Some(Reason::UnsupportedAlg));
}

#[test]
fn a_public_key_is_never_taken_for_the_secret() {
    let jwk = r#" {"kty":"EC","crv":"P-256","x":"AAAA","y":"BBBB","kid":"public"}"#;
    let pem = "\n-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----\n";
    for text in [jwk, pem] {
        assert_eq!(builder().secret(text).build().unwrap_err(), VerifierError::PublicSecret);
    }
    assert!(builder().secret("{not a JWK, but a secret of many characters}").build().is_ok());
}

#[test]
fn a_secret_that_no_algorithm_uses_is_a_mistake() {
    let unused = builder().secret(SECRET).algorithms([Algorithm::ES256]).build();
    assert_eq!(unused.unwrap_err(), VerifierError::UnusedSecret);
    assert!(builder().secret(SECRET).algorithms([Algorithm::ES256, Algorithm::HS256]).build().is_ok());
}
