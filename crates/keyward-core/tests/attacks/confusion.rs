//! The `alg` of the header (RFC 8725 sections 2.1 and 3.1): `none`, a public key as a secret, another key's algorithm.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::signature::KeyPair as _;

use super::*;
use crate::support::encode;

#[test]
fn no_spelling_of_none_is_an_algorithm() {
    let world = world();
    for alg in ["none", "None", "NONE", "nOnE", "NoNe", " none", "none ", "no\u{0}ne", "nоne", "", "null"] {
        for kid in [r#","kid":"rsa""#, r#","kid":"ec""#, ""] {
            let header = format!(r#"{{"alg":{}{kid}}}"#, serde_json::Value::from(alg));
            let unsigned = format!("{}.{}.", encode(&header), encode(payload(&[])));
            let signed = world.signed(&header, &payload(&[]));
            for token in [&unsigned, &signed] {
                check(&header, token, Reason::UnsupportedAlg);
                assert_eq!(outcome(&world.with_secret, &world.keys, token), Some(Reason::UnsupportedAlg), "{header}");
            }
        }
    }
    let two_parts = format!("{}.{}", encode(r#"{"alg":"none"}"#), encode(payload(&[])));
    check("none with two parts", &two_parts, Reason::MalformedToken);
    for raw in ["null", "0", "[]", "{}", r#"["ES256"]"#, "true"] {
        let token = world.signed(&format!(r#"{{"alg":{raw},"kid":"ec"}}"#), &payload(&[]));
        check(raw, &token, Reason::MalformedToken);
    }
    check("no alg", &world.signed(r#"{"kid":"ec"}"#, &payload(&[])), Reason::MalformedToken);
}

#[test]
fn names_that_are_no_algorithm_of_ours_are_unsupported() {
    for alg in [
        "rs256",
        "Rs256",
        "RS256 ",
        "ES256K",
        "ES257",
        "HS1",
        "RS1",
        "Ed448",
        "ML-DSA-65",
        "dir",
        "A128GCM",
        "RSA-OAEP",
        "\u{ff32}S256",
        "\u{415}S256",
        "ES256\u{200d}",
        "ES256,none",
        "ES256\n",
    ] {
        let header = format!(r#"{{"alg":{},"kid":"ec"}}"#, serde_json::Value::from(alg));
        check(&header, &world().signed(&header, &payload(&[])), Reason::UnsupportedAlg);
    }
    check_accepted("escapes", &world().signed(r#"{"\u0061lg":"\u0045S256","kid":"ec"}"#, &payload(&[])));
}

/// Every text in which a public key gets around, with the whitespace that copying adds.
fn public_keys_as_secrets() -> Vec<(String, Vec<u8>)> {
    let world = world();
    let spki = |signer: &Signer| -> Vec<u8> {
        let der: PublicKeyX509Der<'_> = match signer {
            Signer::Rsa(key) => key.public_key().as_der().unwrap(),
            Signer::Ec(_, key) => key.public_key().as_der().unwrap(),
            Signer::Ed25519(key) => key.public_key().as_der().unwrap(),
            Signer::Secret(_) => panic!("no public key"),
        };
        der.as_ref().to_vec()
    };
    let pem = |label: &str, der: &[u8]| {
        let base64 = base64_simd::STANDARD.encode_to_string(der);
        let lines: Vec<&str> = base64.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----", lines.join("\n"))
    };
    let mut secrets = Vec::new();
    for (name, signer) in [("rsa", &world.rsa), ("ec", &world.ec), ("ed", &world.ed)] {
        let (spki, bare) = (spki(signer), signer.public());
        let texts = [
            pem("PUBLIC KEY", &spki),
            pem("RSA PUBLIC KEY", &bare),
            signer.jwk(&format!(r#""kid":"{name}""#)),
            format!("{{{}}}", signer.material()),
            world.keys.to_json(),
            encode(&spki),
            base64_simd::STANDARD.encode_to_string(&spki),
            encode(&bare),
            world.keys.keys().iter().find(|key| key.kid() == Some(name)).unwrap().thumbprint().to_string(),
        ];
        for (n, text) in texts.iter().enumerate() {
            let crlf = text.replace('\n', "\r\n");
            for variant in [
                text.clone(),
                format!("{text}\n"),
                crlf.clone(),
                format!("{crlf}\r\n"),
                format!(" {text} "),
                text.replace('\n', ""),
                format!("{text}\0"),
            ] {
                secrets.push((format!("{name} text {n}"), variant.into_bytes()));
            }
        }
        secrets.push((format!("{name} SPKI"), spki));
        // PKCS #1, point, or the bare x.
        secrets.push((format!("{name} bare"), bare.clone()));
        // The x coordinate alone, or the modulus alone.
        secrets.push((
            format!("{name} x"),
            if name == "rsa" { signer.modulus() } else { bare[bare.len() % 32..][..32].to_vec() },
        ));
    }
    secrets.push(("empty".to_owned(), Vec::new()));
    secrets.push(("zero".to_owned(), vec![0; 32]));
    secrets
}

#[test]
fn a_public_key_is_never_a_secret() {
    let world = world();
    let secrets = public_keys_as_secrets();
    assert!(secrets.len() >= 200, "{}", secrets.len());
    for (name, secret) in secrets {
        let forger = Signer::Secret(secret);
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            for kid in ["rsa", "ec", "ed"] {
                let token =
                    forger.token(algorithm, &format!(r#"{{"alg":"{algorithm}","kid":"{kid}"}}"#), &payload(&[]));
                check(&name, &token, Reason::UnsupportedAlg);
                let expected = if algorithm == Algorithm::HS256 { Reason::AlgMismatch } else { Reason::UnsupportedAlg };
                assert_eq!(outcome(&world.with_secret, &world.keys, &token), Some(expected), "{name}, {kid}");
            }
        }
        for header in [r#"{"alg":"HS256"}"#, r#"{"alg":"HS256","kid":"legacy"}"#] {
            let token = forger.token(Algorithm::HS256, header, &payload(&[]));
            check(&name, &token, Reason::UnsupportedAlg);
            assert_eq!(outcome(&world.with_secret, &world.keys, &token), Some(Reason::InvalidSignature), "{name}");
        }
    }
}

#[test]
fn a_key_is_used_with_the_algorithms_it_is_pinned_to_only() {
    let world = world();
    let token = |signer: &Signer, algorithm, kid: &str| {
        signer.token(algorithm, &format!(r#"{{"alg":"{algorithm}","kid":"{kid}"}}"#), &payload(&[]))
    };
    // The JWK of "rsa" says RS256.
    for algorithm in [Algorithm::RS384, Algorithm::RS512, Algorithm::PS256, Algorithm::PS384, Algorithm::PS512] {
        check("pinned by alg", &token(&world.rsa, algorithm, "rsa"), Reason::AlgMismatch);
    }
    for (signer, algorithm, kid) in [
        (&world.ec, Algorithm::ES256, "rsa"),
        (&world.ec, Algorithm::ES256, "ed"),
        (&world.rsa, Algorithm::RS256, "ec"),
        (&world.ed, Algorithm::Ed25519, "ec"),
        (&world.ec, Algorithm::ES384, "ec"),
        (&world.ec, Algorithm::ES512, "ec"),
    ] {
        check(kid, &token(signer, algorithm, kid), Reason::AlgMismatch);
    }
    // Without a kid, the algorithm finds the only key of its kind, and no other.
    let other = world.rsa.token(Algorithm::PS256, r#"{"alg":"PS256"}"#, &payload(&[]));
    check("no key of this algorithm", &other, Reason::UnknownKid);
    let two = KeySet::from_jwks([&*world.ec.jwk(r#""kid":"a""#), &*world.attacker.jwk(r#""kid":"b""#)]);
    let unnamed = world.ec.token(Algorithm::ES256, r#"{"alg":"ES256"}"#, &payload(&[]));
    assert_eq!(outcome(&world.verifier, &two, &unnamed), Some(Reason::AmbiguousKey));
}

#[test]
fn an_algorithm_that_is_not_accepted_here_is_unsupported_even_with_its_key() {
    let world = world();
    let only_es256 = builder().algorithms([Algorithm::ES256]).build().unwrap();
    let token = world.rsa.token(Algorithm::RS256, r#"{"alg":"RS256","kid":"rsa"}"#, &payload(&[]));
    assert_eq!(outcome(&only_es256, &world.keys, &token), Some(Reason::UnsupportedAlg));
}
