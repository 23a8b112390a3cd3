//! Keys and instructions that a token brings along (RFC 8725 sections 2.3, 3.9 and 3.10, RFC 7515 section 4.1).

use super::*;
use crate::support::encode;

#[test]
fn a_key_that_comes_with_the_token_is_not_used() {
    let world = world();
    let (ec, rsa) = (&world.attacker, &world.attacker_rsa);
    let own = ec.jwk(r#""kid":"mine""#);
    let own_rsa = rsa.jwk(r#""kid":"mine""#);
    let bring = |signer: &Signer, algorithm: Algorithm, brought: &str, expected| {
        let as_the_issuers = if algorithm == Algorithm::ES256 { "ec" } else { "rsa" };
        for (kid, expected) in [
            (format!(r#""kid":"{as_the_issuers}","#), Reason::InvalidSignature),
            (String::new(), expected),
            (r#""kid":"mine","#.to_owned(), Reason::UnknownKid),
        ] {
            let header = format!(r#"{{"alg":"{algorithm}",{kid}{brought}}}"#);
            check(&header, &signer.token(algorithm, &header, &payload(&[])), expected);
        }
    };
    for brought in [
        format!(r#""jwk":{own}"#),
        format!(r#""jwk":"{}""#, encode(&own)),
        format!(r#""jwks":{{"keys":[{own}]}}"#),
        r#""jku":"https://evil.example/jwks.json""#.to_owned(),
        r#""jku":"https://project.supabase.example@evil.example/jwks.json""#.to_owned(),
        r#""jku":"file:///etc/passwd","x5u":"http://169.254.169.254/""#.to_owned(),
        r#""x5u":"https://evil.example/cert.pem""#.to_owned(),
        format!(r#""x5c":["{}"]"#, base64_simd::STANDARD.encode_to_string(ec.public())),
        r#""x5t":"AAAA","x5t#S256":"AAAA""#.to_owned(),
    ] {
        bring(ec, Algorithm::ES256, &brought, Reason::InvalidSignature);
    }
    bring(rsa, Algorithm::RS256, &format!(r#""jwk":{own_rsa}"#), Reason::InvalidSignature);
}

#[test]
fn a_kid_is_compared_and_never_interpreted() {
    for kid in [
        "../../../../dev/null",
        "/dev/null",
        "C:\\NUL",
        "file:///dev/null",
        "https://evil.example/k",
        "' OR '1'='1",
        "x' UNION SELECT 'secret' --",
        "ec; rm -rf /",
        "$(id)",
        "`id`",
        "|id",
        "${jndi:ldap://x}",
        "%00",
        "ec\0",
        "\0",
        "ec\n",
        "\nec",
        "ec\r\nX-Injected: 1",
        " ec",
        "ec ",
        "EC",
        "e",
        "ecc",
        "\u{435}c",
        "e\u{200b}c",
        "*",
        "%",
        "",
        "\u{202e}ce",
        "\"",
        "\\",
        "{}",
        "0",
        "null",
        "undefined",
        "__proto__",
        "ec,rsa",
    ] {
        let header = format!(r#"{{"alg":"ES256","kid":{}}}"#, serde_json::Value::from(kid));
        check(&header, &world().signed(&header, &payload(&[])), Reason::UnknownKid);
    }
    for raw in ["null", "1", "true", r#"["ec"]"#, r#"{"kid":"ec"}"#, r#""\ud800""#] {
        let header = format!(r#"{{"alg":"ES256","kid":{raw}}}"#);
        check(&header, &world().signed(&header, &payload(&[])), Reason::MalformedToken);
    }
    let long = format!(r#"{{"alg":"ES256","kid":"{}"}}"#, "ec".repeat(5000));
    check("a long kid", &world().signed(&long, &payload(&[])), Reason::UnknownKid);
}

#[test]
fn the_right_kid_of_another_issuer_is_of_no_use() {
    let world = world();
    let by_attacker = |changes: &[(&str, &str)]| world.attacker.token(Algorithm::ES256, EC_HEADER, &payload(changes));
    check("same kid, same claims, another key", &by_attacker(&[]), Reason::InvalidSignature);
    let theirs = by_attacker(&[("iss", r#""https://evil.example""#)]);
    check("same kid, their issuer", &theirs, Reason::InvalidSignature);
    // With the attacker's own key set, which is not asked: the issuer still decides.
    let their_keys = KeySet::from_jwks([&*world.attacker.jwk(r#""kid":"ec""#)]);
    assert_eq!(outcome(&world.verifier, &their_keys, &theirs), Some(Reason::WrongIssuer));
    let ours = world.signed_payload(&payload(&[("iss", r#""https://evil.example""#)]));
    check("our key, their issuer", &ours, Reason::WrongIssuer);
}

#[test]
fn crit_is_refused_in_every_form() {
    for crit in [
        r#"["unknown"]"#,
        "[]",
        r#"["b64"]"#,
        r#"["alg"]"#,
        r#"["exp","exp"]"#,
        r#"[""]"#,
        "[1]",
        r#""b64""#,
        "null",
        "{}",
        "true",
        "0",
        r#"["crit"]"#,
    ] {
        for more in ["", r#","b64":false"#, r#","b64":true"#, r#","unknown":1"#, r#","exp":1"#] {
            let header = format!(r#"{{"alg":"ES256","kid":"ec","crit":{crit}{more}}}"#);
            check(&header, &world().signed(&header, &payload(&[])), Reason::UnsupportedCrit);
        }
    }
    // RFC 7797: an unencoded payload is not read, whether crit warns of it or not.
    let unencoded = |header: &str| {
        let input = format!("{}.{}", encode(header), payload(&[]).replace('.', ""));
        let signature = encode(world().ec.sign(Algorithm::ES256, input.as_bytes()));
        format!("{input}.{signature}")
    };
    check("b64, crit", &unencoded(r#"{"alg":"ES256","b64":false,"crit":["b64"]}"#), Reason::MalformedToken);
    check("b64", &unencoded(r#"{"alg":"ES256","b64":false}"#), Reason::MalformedToken);
}

#[test]
fn tokens_of_other_kinds_are_refused() {
    let world = world();
    let five = format!("{}.{}.{}.{}.{}", encode(r#"{"alg":"RSA-OAEP","enc":"A256GCM"}"#), "AA", "AA", "AA", "AA");
    check("JWE", &five, Reason::MalformedToken);
    check(
        "JWE with alg dir",
        &format!("{}..AA.AA.AA", encode(r#"{"alg":"dir","enc":"A256GCM"}"#)),
        Reason::MalformedToken,
    );
    let inner = world.signed_payload(&payload(&[]));
    check("nested", &world.signed(r#"{"alg":"ES256","kid":"ec","cty":"JWT"}"#, &inner), Reason::MalformedToken);
    check("nested as text", &world.signed(EC_HEADER, &format!(r#""{inner}""#)), Reason::MalformedToken);
    for cty in [r#""JWT""#, r#""jwt""#, r#""application/jwt""#, r#""""#, "null"] {
        let header = format!(r#"{{"alg":"ES256","kid":"ec","cty":{cty}}}"#);
        check(&header, &world.signed(&header, &payload(&[])), Reason::WrongType);
    }
    for zip in [r#""DEF""#, r#""GZ""#, "null", r#""""#] {
        let header = format!(r#"{{"alg":"ES256","kid":"ec","zip":{zip}}}"#);
        check(&header, &world.signed(&header, &payload(&[])), Reason::MalformedToken);
    }
    for typ in ["id+jwt", "logout+jwt", "secevent+jwt", "dpop+jwt", "JWE", "JOSE+JSON", ""] {
        let header = format!(r#"{{"alg":"ES256","kid":"ec","typ":"{typ}"}}"#);
        check(&header, &world.signed(&header, &payload(&[])), Reason::WrongType);
    }
    for raw in ["null", "1", r#"["JWT"]"#] {
        let header = format!(r#"{{"alg":"ES256","kid":"ec","typ":{raw}}}"#);
        check(&header, &world.signed(&header, &payload(&[])), Reason::MalformedToken);
    }
    // JSON serializations (RFC 7515 section 7.2).
    let mut parts = inner.split('.');
    let [header, body, signature] = [parts.next(), parts.next(), parts.next()].map(Option::unwrap);
    let json = format!(r#"{{"protected":"{header}","payload":"{body}","signature":"{signature}"}}"#);
    check("flattened JSON", &json, Reason::MalformedToken);
    check("API key", "sb_publishable_0123456789abcdef", Reason::ApiKeyAsBearer);
    check("secret API key", "sb_secret_0123456789abcdef", Reason::ApiKeyAsBearer);
    let legacy =
        r#"{"iss":"supabase","ref":"abcdefghijklmnopqrst","role":"service_role","iat":1700000000,"exp":2000000000}"#;
    let header = r#"{"alg":"HS256","typ":"JWT"}"#;
    let legacy = Signer::Secret(SECRET.to_vec()).token(Algorithm::HS256, header, legacy);
    check("legacy key", &legacy, Reason::LegacyApiKey);
    assert_eq!(outcome(&world.with_secret, &world.keys, &legacy), Some(Reason::LegacyApiKey));
}
