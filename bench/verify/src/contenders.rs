//! Those who verify. Each has its key prepared once, is configured as its documentation says, and asks the same:
//! the signature, `iss`, `aud`, `exp`, `nbf`, 30 seconds of leeway; and hands out the claims that Keyward does.

use std::hint::black_box;
use std::time::Duration;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, VerificationAlgorithm,
};
use keyward::clock::{Clock as _, SystemClock};
use keyward::jwk::KeySet;
use keyward::{Attempt, Authenticator, IssuerConfig, KeySource, PolicyId, TokenCacheConfig, Verifier};

use crate::issuer::{AUD, Alg, ISS, Issuer, LEEWAY};

mod josekit_peer;
mod jsonwebtoken_peer;
mod jwt_simple_peer;

/// Verifies a token; whether it was accepted.
pub type Verify = Box<dyn Fn(&str) -> bool + Send + Sync>;

/// A contender and what it is called.
pub struct Contender {
    /// The name in the tables.
    pub name: &'static str,
    /// How it verifies.
    pub verify: Verify,
}

/// Everybody who takes tokens: Keyward first, then the peers.
#[must_use]
pub fn uncached(issuer: &Issuer) -> Vec<Contender> {
    vec![
        Contender { name: "keyward: Verifier", verify: verifier(issuer) },
        Contender { name: "keyward: Authenticator, no cache", verify: authenticator(issuer, None) },
        Contender { name: "jsonwebtoken", verify: jsonwebtoken_peer::new(issuer) },
        Contender { name: "jwt-simple", verify: jwt_simple_peer::new(issuer) },
        Contender { name: "josekit", verify: josekit_peer::new(issuer) },
    ]
}

/// The signature check alone: a signature that is decoded already, by a key that is parsed already.
pub struct Bare {
    key: BareKey,
    tokens: Vec<(Vec<u8>, Vec<u8>)>,
}

enum BareKey {
    Public(Box<ParsedPublicKey>),
    Secret(Box<hmac::Key>),
}

impl Bare {
    /// Takes `tokens` apart.
    ///
    /// # Panics
    ///
    /// When a token is not one of the issuer's.
    #[must_use]
    pub fn new(issuer: &Issuer, tokens: &[String]) -> Self {
        let public = |algorithm: &'static dyn VerificationAlgorithm| {
            let key = match algorithm_key(algorithm, issuer) {
                Ok(key) => key,
                Err(why) => panic!("no public key: {why}"),
            };
            BareKey::Public(Box::new(key))
        };
        let key = match issuer.alg() {
            Alg::RS256 => public(&RSA_PKCS1_2048_8192_SHA256),
            Alg::ES256 => public(&ECDSA_P256_SHA256_FIXED),
            Alg::EdDSA => public(&ED25519),
            Alg::HS256 => BareKey::Secret(Box::new(hmac::Key::new(hmac::HMAC_SHA256, issuer.secret()))),
        };
        let split = |token: &String| {
            let (message, signature) = token.rsplit_once('.').expect("a token");
            let signature = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(signature).expect("a signature");
            (message.as_bytes().to_vec(), signature)
        };
        Self { key, tokens: tokens.iter().map(split).collect() }
    }

    /// Checks the signature of the token with this number; numbers wrap around.
    #[must_use]
    pub fn verify(&self, number: usize) -> bool {
        let (message, signature) = &self.tokens[number % self.tokens.len()];
        match &self.key {
            BareKey::Public(key) => key.verify_sig(message, signature).is_ok(),
            BareKey::Secret(key) => hmac::verify(key, message, signature).is_ok(),
        }
    }
}

fn algorithm_key(
    algorithm: &'static dyn VerificationAlgorithm,
    issuer: &Issuer,
) -> Result<ParsedPublicKey, aws_lc_rs::error::KeyRejected> {
    ParsedPublicKey::new(algorithm, issuer.public_key())
}

/// Keyward's pure core with the machine's clock.
fn verifier(issuer: &Issuer) -> Verify {
    let verifier = keyward_verifier(issuer);
    let keys = match keyward_keys(issuer) {
        KeySource::Static(keys) => keys,
        _ => KeySet::default(),
    };
    Box::new(move |token| verifier.verify(black_box(token), &keys, SystemClock.now().unix).map(black_box).is_ok())
}

/// Keyward's engine, with this token cache. Needs a tokio runtime around it.
///
/// # Panics
///
/// When there is no such runtime.
#[must_use]
pub fn authenticator(issuer: &Issuer, cache: Option<TokenCacheConfig>) -> Verify {
    let engine = engine(issuer, cache, 0);
    Box::new(move |token| accepted(engine.try_verify(PolicyId::DEFAULT, black_box(token))))
}

/// Keyward's engine with this token cache and, beside `default`, this many policies named by number. Needs a tokio
/// runtime around it.
///
/// # Panics
///
/// When there is no such runtime.
#[must_use]
pub fn engine(issuer: &Issuer, cache: Option<TokenCacheConfig>, policies: usize) -> Authenticator {
    let config = IssuerConfig::new(keyward_verifier(issuer), keyward_keys(issuer));
    let builder = Authenticator::builder().issuer(config).token_cache(cache);
    let named = |builder: keyward::AuthenticatorBuilder, number: usize| {
        builder.policy(keyward::Policy::named(number.to_string()))
    };
    (0..policies).fold(builder, named).build().expect("an engine")
}

/// Whether the token was accepted.
#[must_use]
pub fn accepted(attempt: Attempt) -> bool {
    matches!(black_box(attempt), Attempt::Done(Ok(_)))
}

fn keyward_verifier(issuer: &Issuer) -> Verifier {
    let builder = Verifier::builder("supabase").issuer(ISS).audience(AUD);
    let builder = match issuer.alg() {
        Alg::HS256 => builder.secret(issuer.secret()),
        _ => builder,
    };
    builder.leeway(Duration::from_secs(LEEWAY)).build().expect("a verifier")
}

fn keyward_keys(issuer: &Issuer) -> KeySource {
    let Some(jwk) = issuer.jwk() else { return KeySource::None };
    let set = serde_json::json!({ "keys": [jwk] }).to_string();
    KeySource::Static(KeySet::parse(set.as_bytes()).expect("a key set"))
}
