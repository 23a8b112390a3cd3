//! Salted password hashes: PBKDF2 with HMAC-SHA-256 (RFC 8018).

use std::num::NonZeroU32;

use aws_lc_rs::{pbkdf2, rand};
use base64_simd::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::{error::KeyError, keys::base64url};

/// Enough for passwords of a development machine, and cheap enough for tests that seed many users.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(60_000).expect("not zero");

/// The hash of one password, with what is needed to check another against it.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct PasswordHash {
    iterations: NonZeroU32,
    salt: String,
    hash: String,
}

impl PasswordHash {
    /// Takes tens of milliseconds: keep it off the event loop.
    pub(crate) fn new(password: &str) -> Result<Self, KeyError> {
        let (mut salt, mut hash) = ([0; 16], [0; 32]);
        rand::fill(&mut salt).map_err(|_| KeyError::Refused)?;
        let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
        pbkdf2::derive(algorithm, ITERATIONS, &salt, password.as_bytes(), &mut hash);
        Ok(Self { iterations: ITERATIONS, salt: base64url(&salt), hash: base64url(&hash) })
    }

    /// As slow as [`Self::new`].
    pub(crate) fn matches(&self, password: &str) -> bool {
        let Ok(salt) = URL_SAFE_NO_PAD.decode_to_vec(&self.salt) else {
            return false;
        };
        let Ok(hash) = URL_SAFE_NO_PAD.decode_to_vec(&self.hash) else {
            return false;
        };
        let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
        pbkdf2::verify(algorithm, self.iterations, &salt, password.as_bytes(), &hash).is_ok()
    }
}
