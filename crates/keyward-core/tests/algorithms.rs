//! Every algorithm signs with aws-lc-rs and verifies here, with the key in the form an issuer publishes it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::sync::OnceLock;

use keyward_core::alg::{Algorithm, AlgorithmSet};
use keyward_core::jwk::KeySet;
use keyward_core::rejection::Reason;
use keyward_core::time::UnixTime;
use keyward_core::token::VerifiedToken;
use keyward_core::verifier::{Verifier, VerifierBuilder};
use support::{AUDIENCE, ISSUER, NOW, Signer, payload};

const PUBLIC: [Algorithm; 10] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::ES512,
    Algorithm::Ed25519,
];

fn builder() -> VerifierBuilder {
    Verifier::builder("login").issuer(ISSUER).audience(AUDIENCE)
}

fn verify(verifier: &Verifier, keys: &KeySet, token: &str) -> Result<VerifiedToken, Reason> {
    verifier.verify(token, keys, UnixTime::from_secs(NOW)).map_err(|rejection| rejection.reason())
}

fn signer(algorithm: Algorithm) -> &'static Signer {
    static SIGNERS: [OnceLock<Signer>; 5] = [const { OnceLock::new() }; 5];
    let index = match algorithm {
        Algorithm::ES256 => 0,
        Algorithm::ES384 => 1,
        Algorithm::ES512 => 2,
        Algorithm::Ed25519 => 3,
        _ => 4,
    };
    SIGNERS[index].get_or_init(|| Signer::generate(algorithm))
}

/// The names under which tokens and keys name the algorithm.
fn names(algorithm: Algorithm) -> &'static [&'static str] {
    match algorithm {
        Algorithm::Ed25519 => &["EdDSA", "Ed25519"],
        _ => std::slice::from_ref(NAMES.iter().find(|name| Algorithm::from_name(name) == Some(algorithm)).unwrap()),
    }
}

const NAMES: [&str; 12] =
    ["HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"];

#[test]
fn every_public_key_algorithm_verifies_under_each_of_its_names() {
    let verifier = builder().build().unwrap();
    let mut verified = 0;
    for algorithm in PUBLIC {
        let signer = signer(algorithm);
        for token_name in names(algorithm) {
            let token = signer.token(algorithm, &format!(r#"{{"alg":"{token_name}","kid":"k"}}"#), &payload(&[]));
            let mut jwks = vec![signer.jwk(r#""kid":"k""#), signer.jwk(r#""kid":"k","use":"sig","ext":true"#)];
            for key_name in names(algorithm) {
                jwks.push(signer.jwk(&format!(r#""kid":"k","alg":"{key_name}","key_ops":["verify"]"#)));
            }
            for jwk in jwks {
                let keys = KeySet::from_jwks([jwk.as_str()]);
                let outcome = verify(&verifier, &keys, &token);
                let accepted = outcome.unwrap_or_else(|reason| panic!("{token_name} under {jwk}: {reason}"));
                assert_eq!(accepted.algorithm(), algorithm);
                assert_eq!(accepted.key().unwrap().thumbprint(), keys.keys()[0].thumbprint());
                verified += 1;
            }
        }
    }
    assert_eq!(verified, 9 * 3 + 2 * 4);
}

#[test]
fn every_secret_algorithm_verifies_when_it_is_configured() {
    for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
        let signer = Signer::generate(algorithm);
        let Signer::Secret(secret) = &signer else { panic!("no secret") };
        let token = signer.token(algorithm, &format!(r#"{{"alg":"{algorithm}","kid":"k"}}"#), &payload(&[]));
        let verifier = builder().secret(secret.clone()).algorithms([algorithm]).build().unwrap();
        assert_eq!(verify(&verifier, &KeySet::default(), &token).unwrap().algorithm(), algorithm);
        let without = builder().build().unwrap();
        assert_eq!(verify(&without, &KeySet::default(), &token).unwrap_err(), Reason::UnsupportedAlg);
        // The same secret as a key of the set is not used.
        let published = KeySet::from_jwks([signer.jwk(r#""kid":"k""#).as_str()]);
        assert_eq!(verify(&without, &published, &token).unwrap_err(), Reason::UnsupportedAlg);
    }
}

#[test]
fn each_public_key_algorithm_can_be_the_only_one_that_is_accepted() {
    let jwks: Vec<String> = PUBLIC
        .iter()
        .map(|algorithm| signer(*algorithm).jwk(&format!(r#""kid":"{algorithm}","alg":"{algorithm}""#)))
        .collect();
    let keys = KeySet::from_jwks(jwks.iter().map(String::as_str));
    assert_eq!(keys.keys().len(), PUBLIC.len());
    for used in PUBLIC {
        let token = signer(used).token(used, &format!(r#"{{"alg":"{used}","kid":"{used}"}}"#), &payload(&[]));
        for accepted in PUBLIC {
            let verifier = builder().algorithms([accepted]).build().unwrap();
            let expected = (used != accepted).then_some(Reason::UnsupportedAlg);
            assert_eq!(verify(&verifier, &keys, &token).err(), expected, "{used} where {accepted} is accepted");
        }
    }
}

#[test]
fn a_key_without_alg_is_pinned_to_those_of_its_type() {
    for algorithm in PUBLIC {
        let keys = KeySet::from_jwks([signer(algorithm).jwk(r#""kid":"k""#).as_str()]);
        let pinned: Vec<Algorithm> = keys.keys()[0].algorithms().iter().collect();
        if names(algorithm)[0].starts_with(['R', 'P']) {
            assert_eq!(pinned, PUBLIC[..6]);
        } else {
            assert_eq!(pinned, [algorithm]);
        }
    }
    assert_eq!(AlgorithmSet::asymmetric().iter().collect::<Vec<_>>(), PUBLIC);
}

#[test]
fn no_algorithm_verifies_a_token_of_another_key_of_its_kind() {
    let verifier = builder().build().unwrap();
    for algorithm in PUBLIC {
        let token = signer(algorithm).token(algorithm, &format!(r#"{{"alg":"{algorithm}","kid":"k"}}"#), &payload(&[]));
        let other = KeySet::from_jwks([Signer::generate(algorithm).jwk(r#""kid":"k""#).as_str()]);
        assert_eq!(verify(&verifier, &other, &token).unwrap_err(), Reason::InvalidSignature, "{algorithm}");
    }
}
