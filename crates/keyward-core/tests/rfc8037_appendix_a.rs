//! The Ed25519 example of RFC 8037 appendix A.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use keyward_core::alg::Algorithm;
use keyward_core::jwk::KeySet;
use keyward_core::rejection::Reason;
use keyward_core::time::UnixTime;
use keyward_core::verifier::Verifier;
use support::decode;

const A_2_KEY: &str = include_str!("data/rfc8037/appendix_a_2.jwk.json");
const A_4: &str = include_str!("data/rfc8037/appendix_a_4.jws");

#[test]
fn appendix_a_3_thumbprint() {
    let keys = KeySet::from_jwks([A_2_KEY]);
    assert_eq!(keys.keys()[0].thumbprint().to_string(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn appendix_a_4_and_a_5_ed25519() {
    let keys = KeySet::from_jwks([A_2_KEY]);
    let key = keys.keys()[0].verification();
    let (input, signature) = A_4.trim_end().rsplit_once('.').unwrap();
    let signature = decode(signature);
    assert!(key.verify(Algorithm::Ed25519, input.as_bytes(), &signature));
    for bit in 0..signature.len() * 8 {
        let mut changed = signature.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(!key.verify(Algorithm::Ed25519, input.as_bytes(), &changed), "bit {bit}");
    }
    assert!(!key.verify(Algorithm::Ed25519, &input.as_bytes()[1..], &signature));
}

#[test]
fn a_payload_that_is_no_claims_set_is_no_token_whoever_signed_it() {
    let verifier = Verifier::builder("x").issuer("x").audience("x").build().unwrap();
    let refused = verifier.verify(A_4.trim_end(), &KeySet::from_jwks([A_2_KEY]), UnixTime::from_secs(0)).unwrap_err();
    assert_eq!(refused.reason(), Reason::MalformedToken);
}
