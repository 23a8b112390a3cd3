//! `jwt-simple` with its pure Rust back end.

use std::hint::black_box;

use jwt_simple::prelude::*;

use super::Verify;
use crate::issuer::{AUD, Alg, ISS, Issuer, LEEWAY};

/// Beside the registered claims, which the crate reads itself.
#[derive(serde::Deserialize)]
#[expect(dead_code, reason = "read from the token, as an application would have it")]
struct Claims {
    role: Option<String>,
    email: Option<String>,
    session_id: Option<String>,
    aal: Option<String>,
    is_anonymous: Option<bool>,
}

pub(super) fn new(issuer: &Issuer) -> Verify {
    // The crate takes the options by value: an application clones them for every token.
    let options = VerificationOptions {
        allowed_issuers: Some([ISS.to_owned()].into()),
        allowed_audiences: Some([AUD.to_owned()].into()),
        time_tolerance: Some(Duration::from_secs(LEEWAY)),
        ..VerificationOptions::default()
    };
    let jwk = issuer.jwk().map(|jwk| jwk.to_string()).unwrap_or_default();
    match issuer.alg() {
        Alg::RS256 => {
            let key = RS256PublicKey::from_jwk(&jwk).expect("a key");
            boxed(move |token| key.verify_token(token, Some(options.clone())))
        }
        Alg::ES256 => {
            let key = ES256PublicKey::from_jwk(&jwk).expect("a key");
            boxed(move |token| key.verify_token(token, Some(options.clone())))
        }
        Alg::EdDSA => {
            let key = Ed25519PublicKey::from_jwk(&jwk).expect("a key");
            boxed(move |token| key.verify_token(token, Some(options.clone())))
        }
        Alg::HS256 => {
            let key = HS256Key::from_bytes(issuer.secret());
            boxed(move |token| key.verify_token(token, Some(options.clone())))
        }
    }
}

fn boxed(verify: impl Fn(&str) -> Result<JWTClaims<Claims>, jwt_simple::Error> + Send + Sync + 'static) -> Verify {
    Box::new(move |token| verify(black_box(token)).map(black_box).is_ok())
}
