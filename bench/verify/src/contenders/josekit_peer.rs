//! `josekit` on OpenSSL.

use std::hint::black_box;

use josekit::jwk::Jwk;
use josekit::jws::{ES256, EdDSA, HS256, JwsVerifier, RS256};
use josekit::jwt::{self, JwtPayloadValidator};

use super::Verify;
use crate::issuer::{AUD, Alg, ISS, Issuer};

pub(super) fn new(issuer: &Issuer) -> Verify {
    let jwk = issuer.jwk().map(|jwk| Jwk::from_bytes(jwk.to_string()).expect("a JWK"));
    let jwk = || jwk.as_ref().expect("a public key");
    let verifier: Box<dyn JwsVerifier> = match issuer.alg() {
        Alg::RS256 => Box::new(RS256.verifier_from_jwk(jwk()).expect("a key")),
        Alg::ES256 => Box::new(ES256.verifier_from_jwk(jwk()).expect("a key")),
        Alg::EdDSA => Box::new(EdDSA.verifier_from_jwk(jwk()).expect("a key")),
        Alg::HS256 => Box::new(HS256.verifier_from_bytes(issuer.secret()).expect("a key")),
    };
    // The crate knows no leeway.
    let mut validator = JwtPayloadValidator::new();
    validator.set_issuer(ISS);
    validator.set_audience(AUD);
    Box::new(move |token| {
        jwt::decode_with_verifier(black_box(token), &*verifier)
            .and_then(|(payload, _)| validator.validate(&payload).map(|()| payload))
            .map(black_box)
            .is_ok()
    })
}
