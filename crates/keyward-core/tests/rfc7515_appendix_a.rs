//! The examples of RFC 7515 appendix A.
//!
//! They are no access tokens of today: none has an audience. So a signature that verifies leads to the refusal
//! `missing_claim`, which is a later step of the pipeline, and one that does not leads to `invalid_signature`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use keyward_core::alg::{Algorithm, AlgorithmSet};
use keyward_core::crypto::VerificationKey;
use keyward_core::jwk::KeySet;
use keyward_core::rejection::{Detail, Reason, Rejection};
use keyward_core::time::UnixTime;
use keyward_core::verifier::Verifier;
use support::{decode, encode};

const A_1: &str = include_str!("data/rfc7515/appendix_a_1.jws");
const A_1_KEY: &str = include_str!("data/rfc7515/appendix_a_1.jwk.json");
const A_2: &str = include_str!("data/rfc7515/appendix_a_2.jws");
const A_2_KEY: &str = include_str!("data/rfc7515/appendix_a_2.jwk.json");
const A_3: &str = include_str!("data/rfc7515/appendix_a_3.jws");
const A_3_KEY: &str = include_str!("data/rfc7515/appendix_a_3.jwk.json");
const A_4: &str = include_str!("data/rfc7515/appendix_a_4.jws");
const A_4_KEY: &str = include_str!("data/rfc7515/appendix_a_4.jwk.json");
const A_5: &str = include_str!("data/rfc7515/appendix_a_5.jws");

/// The `exp` of the examples.
const EXP: i64 = 1_300_819_380;

fn secret() -> Vec<u8> {
    let jwk: serde_json::Value = serde_json::from_str(A_1_KEY).unwrap();
    decode(jwk["k"].as_str().unwrap())
}

fn refused(jws: &str, keys: &KeySet, secret: Option<Vec<u8>>, now: i64) -> Rejection {
    let mut builder = Verifier::builder("joe").issuer("joe").audience("anybody");
    if let Some(secret) = secret {
        builder = builder.secret(secret);
    }
    builder.build().unwrap().verify(jws.trim_end(), keys, UnixTime::from_secs(now)).unwrap_err()
}

/// Everything up to the audience is in order; a second too late it has expired; with one bit changed it is forged.
fn check(jws: &str, keys: &KeySet, secret: Option<Vec<u8>>) {
    let outcome = |jws: &str, now| {
        let refused = refused(jws, keys, secret.clone(), now);
        (refused.reason(), refused.detail().clone())
    };
    assert_eq!(outcome(jws, EXP - 1), (Reason::MissingClaim, Detail::Claim("aud")));
    assert_eq!(outcome(jws, EXP + 30).0, Reason::Expired);
    let (input, signature) = jws.trim_end().rsplit_once('.').unwrap();
    let mut signature = decode(signature);
    signature[7] ^= 1;
    assert_eq!(outcome(&format!("{input}.{}", encode(signature)), EXP - 1).0, Reason::InvalidSignature);
}

#[test]
fn appendix_a_1_hs256() {
    check(A_1, &KeySet::default(), Some(secret()));
    assert_eq!(refused(A_1, &KeySet::default(), None, EXP - 1).reason(), Reason::UnsupportedAlg);
    let published = KeySet::from_jwks([A_1_KEY]);
    assert!(published.keys().is_empty(), "a published secret is none");
}

#[test]
fn appendix_a_2_rs256() {
    check(A_2, &KeySet::from_jwks([A_2_KEY]), None);
}

#[test]
fn appendix_a_3_es256() {
    check(A_3, &KeySet::from_jwks([A_3_KEY]), None);
}

#[test]
fn appendix_a_4_es512() {
    // Its payload is the word Payload, so there is no JWT to verify: the key alone is put to the test.
    let keys = KeySet::from_jwks([A_4_KEY]);
    assert_eq!(refused(A_4, &keys, None, EXP - 1).reason(), Reason::MalformedToken);
    let (input, signature) = A_4.trim_end().rsplit_once('.').unwrap();
    let key = keys.keys()[0].verification();
    let mut signature = decode(signature);
    assert!(key.verify(Algorithm::ES512, input.as_bytes(), &signature));
    signature[131] ^= 1;
    assert!(!key.verify(Algorithm::ES512, input.as_bytes(), &signature));
}

#[test]
fn appendix_a_5_unsecured() {
    let keys = KeySet::from_jwks([A_2_KEY, A_3_KEY, A_4_KEY]);
    assert_eq!(keys.keys().len(), 3);
    assert_eq!(refused(A_5, &keys, Some(secret()), EXP - 1).reason(), Reason::UnsupportedAlg);
}

#[test]
fn the_examples_without_a_kid_find_their_key_by_their_algorithm() {
    let keys = KeySet::from_jwks([A_2_KEY, A_3_KEY, A_4_KEY]);
    check(A_2, &keys, None);
    check(A_3, &keys, None);
}

#[test]
fn the_secret_of_appendix_a_1_verifies_under_hs256_only() {
    let (input, signature) = A_1.trim_end().rsplit_once('.').unwrap();
    let all = [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512].into_iter().collect::<AlgorithmSet>();
    let key = VerificationKey::hmac(&secret(), all).unwrap();
    let verifies = |algorithm| key.verify(algorithm, input.as_bytes(), &decode(signature));
    assert!(verifies(Algorithm::HS256) && !verifies(Algorithm::HS384) && !verifies(Algorithm::HS512));
}
