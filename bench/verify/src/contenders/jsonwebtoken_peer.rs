//! `jsonwebtoken` on aws-lc-rs.

use std::hint::black_box;

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};

use super::Verify;
use crate::issuer::{AUD, Alg, ISS, Issuer, LEEWAY};

#[derive(serde::Deserialize)]
#[expect(dead_code, reason = "read from the token, as an application would have it")]
struct Claims {
    iss: String,
    sub: String,
    exp: u64,
    iat: u64,
    role: Option<String>,
    email: Option<String>,
    session_id: Option<String>,
    aal: Option<String>,
    is_anonymous: Option<bool>,
}

pub(super) fn new(issuer: &Issuer) -> Verify {
    let algorithm = match issuer.alg() {
        Alg::RS256 => Algorithm::RS256,
        Alg::ES256 => Algorithm::ES256,
        Alg::EdDSA => Algorithm::EdDSA,
        Alg::HS256 => Algorithm::HS256,
    };
    let key = match issuer.jwk() {
        Some(jwk) => DecodingKey::from_jwk(&serde_json::from_value(jwk).expect("a JWK")).expect("a key"),
        None => DecodingKey::from_secret(issuer.secret()),
    };
    let mut validation = Validation::new(algorithm);
    validation.leeway = LEEWAY;
    validation.validate_nbf = true;
    validation.set_issuer(&[ISS]);
    validation.set_audience(&[AUD]);
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    Box::new(move |token| decode::<Claims>(black_box(token), &key, &validation).map(black_box).is_ok())
}
