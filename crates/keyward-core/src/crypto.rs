//! Verification keys over aws-lc-rs: the only place that calls into cryptography.
//!
//! Whatever can be prepared when a key arrives is prepared here, once. A faster verification of a prepared key would
//! go behind [`VerificationKey::verify`] and nothing outside this module would change.

use std::fmt;

use aws_lc_rs::hmac;
use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{self as sig, ParsedPublicKey, RsaParameters};

use crate::alg::{Algorithm, AlgorithmSet};

/// The material is not a key of its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The RSA modulus and exponent are no usable key.
    #[error("the RSA modulus and exponent do not form a key")]
    InvalidRsa,
    /// The RSA modulus is shorter than 2048 or longer than 8192 bits.
    #[error("the RSA modulus has {bits} bits (accepted: 2048 to 8192)")]
    RsaLength {
        /// The length of the modulus.
        bits: usize,
    },
    /// The point is not on the curve, or not a public point.
    #[error("the coordinates are not a point on the curve")]
    InvalidPoint,
    /// A shared secret shorter than RFC 7518 section 3.2 allows.
    #[error("the secret has {bytes} bytes (needed for {algorithm}: {needed} at least)")]
    ShortSecret {
        /// The algorithm it was meant for.
        algorithm: Algorithm,
        /// Its length.
        bytes: usize,
        /// What the algorithm needs.
        needed: usize,
    },
}

/// A public key or shared secret, ready to verify, pinned to its algorithms.
pub struct VerificationKey {
    prepared: Vec<(Algorithm, Prepared)>,
}

enum Prepared {
    Public(ParsedPublicKey),
    Secret(hmac::Key),
}

impl VerificationKey {
    /// An RSA key for those of `algorithms` that are RSA's. `n` and `e` are big-endian.
    ///
    /// # Errors
    ///
    /// When the modulus has less than 2048 or more than 8192 bits, or `n` and `e` are not a key.
    pub fn rsa(n: &[u8], e: &[u8], algorithms: AlgorithmSet) -> Result<Self, KeyError> {
        let (n, e) = (without_leading_zeros(n), without_leading_zeros(e));
        let bits = n.len() * 8 - n.first().map_or(0, |byte| byte.leading_zeros() as usize);
        if !(2048..=8192).contains(&bits) {
            return Err(KeyError::RsaLength { bits });
        }
        let components = PublicKeyComponents { n, e };
        let prepare = |algorithm| {
            let key = components.to_parsed_public_key(rsa_parameters(algorithm)?).map_err(|_| KeyError::InvalidRsa);
            Some(key.map(|key| (algorithm, Prepared::Public(key))))
        };
        let prepared = algorithms.iter().filter_map(prepare).collect::<Result<_, _>>()?;
        Ok(Self { prepared })
    }

    /// An elliptic curve key for `algorithm`, from coordinates of the curve's full length.
    ///
    /// # Errors
    ///
    /// [`KeyError::InvalidPoint`] when they are not a point on the curve of `algorithm`.
    pub fn ec(algorithm: Algorithm, x: &[u8], y: &[u8]) -> Result<Self, KeyError> {
        let verification = match algorithm {
            Algorithm::ES256 => &sig::ECDSA_P256_SHA256_FIXED,
            Algorithm::ES384 => &sig::ECDSA_P384_SHA384_FIXED,
            Algorithm::ES512 => &sig::ECDSA_P521_SHA512_FIXED,
            _ => return Err(KeyError::InvalidPoint),
        };
        const UNCOMPRESSED: u8 = 4;
        let point: Vec<u8> = std::iter::once(UNCOMPRESSED).chain(x.iter().copied()).chain(y.iter().copied()).collect();
        let key = ParsedPublicKey::new(verification, point).map_err(|_| KeyError::InvalidPoint)?;
        Ok(Self { prepared: vec![(algorithm, Prepared::Public(key))] })
    }

    /// An Ed25519 key.
    ///
    /// # Errors
    ///
    /// [`KeyError::InvalidPoint`] when `x` is not the 32 bytes of a point.
    pub fn ed25519(x: &[u8]) -> Result<Self, KeyError> {
        let key = ParsedPublicKey::new(&sig::ED25519, x).map_err(|_| KeyError::InvalidPoint)?;
        Ok(Self { prepared: vec![(Algorithm::Ed25519, Prepared::Public(key))] })
    }

    /// A shared secret for those of `algorithms` that are HMAC's.
    ///
    /// # Errors
    ///
    /// [`KeyError::ShortSecret`] when it is shorter than the output of the hash (RFC 7518 section 3.2).
    pub fn hmac(secret: &[u8], algorithms: AlgorithmSet) -> Result<Self, KeyError> {
        let prepare = |algorithm| {
            let (hash, needed) = hmac_hash(algorithm)?;
            if secret.len() < needed {
                return Some(Err(KeyError::ShortSecret { algorithm, bytes: secret.len(), needed }));
            }
            Some(Ok((algorithm, Prepared::Secret(hmac::Key::new(hash, secret)))))
        };
        let prepared = algorithms.iter().filter_map(prepare).collect::<Result<_, _>>()?;
        Ok(Self { prepared })
    }

    /// The algorithms this key is pinned to.
    #[must_use]
    pub fn algorithms(&self) -> AlgorithmSet {
        self.prepared.iter().map(|(algorithm, _)| *algorithm).collect()
    }

    /// Whether `signature` is by this key over `message` with `algorithm`; never true for an algorithm that the key
    /// is not pinned to.
    #[must_use]
    pub fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        match self.prepared.iter().find(|(pinned, _)| *pinned == algorithm) {
            Some((_, Prepared::Public(key))) => key.verify_sig(message, signature).is_ok(),
            Some((_, Prepared::Secret(key))) => hmac::verify(key, message, signature).is_ok(),
            None => false,
        }
    }
}

impl fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerificationKey").field("algorithms", &self.algorithms()).finish_non_exhaustive()
    }
}

/// SHA-256, for thumbprints (RFC 7638) and integrity checks.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref());
    hash
}

fn rsa_parameters(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::RS256 => Some(&sig::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::RS384 => Some(&sig::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::RS512 => Some(&sig::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::PS256 => Some(&sig::RSA_PSS_2048_8192_SHA256),
        Algorithm::PS384 => Some(&sig::RSA_PSS_2048_8192_SHA384),
        Algorithm::PS512 => Some(&sig::RSA_PSS_2048_8192_SHA512),
        _ => None,
    }
}

fn hmac_hash(algorithm: Algorithm) -> Option<(hmac::Algorithm, usize)> {
    match algorithm {
        Algorithm::HS256 => Some((hmac::HMAC_SHA256, 32)),
        Algorithm::HS384 => Some((hmac::HMAC_SHA384, 48)),
        Algorithm::HS512 => Some((hmac::HMAC_SHA512, 64)),
        _ => None,
    }
}

fn without_leading_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_secrets_and_short_moduli_are_no_keys() {
        let hs256 = AlgorithmSet::EMPTY.with(Algorithm::HS256);
        assert!(VerificationKey::hmac(&[7; 32], hs256).is_ok());
        assert!(matches!(VerificationKey::hmac(&[7; 31], hs256), Err(KeyError::ShortSecret { needed: 32, .. })));
        let all = AlgorithmSet::asymmetric();
        assert!(matches!(VerificationKey::rsa(&[0xff; 128], &[1, 0, 1], all), Err(KeyError::RsaLength { bits: 1024 })));
        assert!(matches!(VerificationKey::rsa(&[0xff; 1025], &[1, 0, 1], all), Err(KeyError::RsaLength { .. })));
        assert!(matches!(VerificationKey::rsa(&[], &[], all), Err(KeyError::RsaLength { bits: 0 })));
    }

    #[test]
    fn points_off_the_curve_are_no_keys() {
        for (algorithm, length) in [(Algorithm::ES256, 32), (Algorithm::ES384, 48), (Algorithm::ES512, 66)] {
            for byte in [0, 1, 0xff] {
                let coordinate = vec![byte; length];
                assert!(VerificationKey::ec(algorithm, &coordinate, &coordinate).is_err(), "{algorithm} {byte}");
            }
        }
        assert!(VerificationKey::ed25519(&[1; 31]).is_err());
    }

    #[test]
    fn a_key_never_verifies_under_an_algorithm_it_is_not_pinned_to() {
        let key = VerificationKey::hmac(&[7; 64], AlgorithmSet::EMPTY.with(Algorithm::HS256)).unwrap();
        let tag = |hash| hmac::sign(&hmac::Key::new(hash, &[7; 64]), b"message");
        assert!(key.verify(Algorithm::HS256, b"message", tag(hmac::HMAC_SHA256).as_ref()));
        assert!(!key.verify(Algorithm::HS512, b"message", tag(hmac::HMAC_SHA512).as_ref()));
        assert!(!key.verify(Algorithm::RS256, b"message", tag(hmac::HMAC_SHA256).as_ref()));
    }
}
