//! Attacks that a verifier must survive: each is refused, for the reason that is documented for it.
//!
//! Every table runs against one issuer with real keys, and begins with tokens that are accepted, so that a refusal
//! is never due to the setting.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../support/mod.rs"]
mod support;

mod claims;
mod confusion;
mod encoding;
mod header;
mod keys;
mod signatures;
mod size;

use std::sync::OnceLock;

use keyward_core::alg::Algorithm;
use keyward_core::jwk::KeySet;
use keyward_core::rejection::Reason;
use keyward_core::time::UnixTime;
use keyward_core::verifier::{Verifier, VerifierBuilder};
use support::{AUDIENCE, ISSUER, NOW, Signer, payload};

/// The issuer under attack, and the attacker's own key.
struct World {
    rsa: Signer,
    ec: Signer,
    ed: Signer,
    attacker: Signer,
    attacker_rsa: Signer,
    keys: KeySet,
    verifier: Verifier,
    /// The same, for a project that still signs with a secret as well.
    with_secret: Verifier,
}

const SECRET: &[u8] = b"the secret of a project that is migrating to keys";

fn builder() -> VerifierBuilder {
    Verifier::builder("login").issuer(ISSUER).audience(AUDIENCE)
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let rsa = Signer::generate(Algorithm::RS256);
        let ec = Signer::generate(Algorithm::ES256);
        let ed = Signer::generate(Algorithm::Ed25519);
        let jwks = [rsa.jwk(r#""kid":"rsa","alg":"RS256""#), ec.jwk(r#""kid":"ec""#), ed.jwk(r#""kid":"ed""#)];
        let keys = KeySet::from_jwks(jwks.iter().map(String::as_str));
        assert_eq!(keys.keys().len(), 3);
        World {
            rsa,
            ec,
            ed,
            attacker: Signer::generate(Algorithm::ES256),
            attacker_rsa: Signer::generate(Algorithm::RS256),
            keys,
            verifier: builder().build().unwrap(),
            with_secret: builder().secret(SECRET).build().unwrap(),
        }
    })
}

impl World {
    /// A token of the issuer's EC key.
    fn signed(&self, header: &str, payload: &str) -> String {
        self.ec.token(Algorithm::ES256, header, payload)
    }

    /// A token of the issuer's EC key whose header is in order.
    fn signed_payload(&self, payload: &str) -> String {
        self.signed(EC_HEADER, payload)
    }
}

const EC_HEADER: &str = r#"{"alg":"ES256","kid":"ec","typ":"JWT"}"#;

fn outcome(verifier: &Verifier, keys: &KeySet, token: &str) -> Option<Reason> {
    verifier.verify(token, keys, UnixTime::from_secs(NOW)).err().map(|rejection| rejection.reason())
}

fn check(name: &str, token: &str, expected: Reason) {
    let world = world();
    assert_eq!(outcome(&world.verifier, &world.keys, token), Some(expected), "{name}");
}

fn check_accepted(name: &str, token: &str) {
    let world = world();
    assert_eq!(outcome(&world.verifier, &world.keys, token), None, "{name}");
}

#[test]
fn tokens_of_the_issuer_are_accepted() {
    let world = world();
    for (signer, algorithm, kid) in [
        (&world.rsa, Algorithm::RS256, "rsa"),
        (&world.ec, Algorithm::ES256, "ec"),
        (&world.ed, Algorithm::Ed25519, "ed"),
    ] {
        let named = signer.token(algorithm, &format!(r#"{{"alg":"{algorithm}","kid":"{kid}"}}"#), &payload(&[]));
        let unnamed = signer.token(algorithm, &format!(r#"{{"alg":"{algorithm}"}}"#), &payload(&[]));
        check_accepted(kid, &named);
        check_accepted(kid, &unnamed);
        assert_eq!(outcome(&world.with_secret, &world.keys, &named), None);
    }
    let secret = Signer::Secret(SECRET.to_vec());
    let token = secret.token(Algorithm::HS256, r#"{"alg":"HS256","kid":"legacy"}"#, &payload(&[]));
    assert_eq!(outcome(&world.with_secret, &world.keys, &token), None);
}
