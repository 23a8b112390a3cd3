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
    Secret(Box<hmac::Key>),
}

impl VerificationKey {
    /// An RSA key for those of `algorithms` that are RSA's. `n` and `e` are big-endian.
    ///
    /// # Errors
    ///
    /// When the modulus has less than 2048 or more than 8192 bits, or `n` and `e` are not a key. Neither is factored:
    /// an odd modulus that is no product of two primes is only noticed by signatures that do not verify.
    pub fn rsa(n: &[u8], e: &[u8], algorithms: AlgorithmSet) -> Result<Self, KeyError> {
        let (n, e) = (without_leading_zeros(n), without_leading_zeros(e));
        let bits = n.len() * 8 - n.first().map_or(0, |byte| byte.leading_zeros() as usize);
        if !(2048..=8192).contains(&bits) {
            return Err(KeyError::RsaLength { bits });
        }
        // Checked by aws-lc only when it verifies; a key that can verify nothing is to be known at load.
        if n.last().is_none_or(|byte| byte % 2 == 0) {
            return Err(KeyError::InvalidRsa);
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
    /// [`KeyError::InvalidPoint`] when `x` has not 32 bytes, or is a point of small order. Bytes that are no point at
    /// all make a key that verifies nothing: only decompression could tell, and aws-lc does that when it verifies.
    pub fn ed25519(x: &[u8]) -> Result<Self, KeyError> {
        // aws-lc-rs would also take a longer SubjectPublicKeyInfo.
        if x.len() != 32 || has_small_order(x) {
            return Err(KeyError::InvalidPoint);
        }
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
            Some(Ok((algorithm, Prepared::Secret(Box::new(hmac::Key::new(hash, secret))))))
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

/// Whether an Ed25519 public key is one of the eight points whose order divides the cofactor, in any encoding that a
/// verifier decompresses. Under such a key anybody can make signatures (RFC 8032 section 5.1.7 does not exclude them).
fn has_small_order(x: &[u8]) -> bool {
    const Y_OF_ORDER_8: [&[u8; 32]; 2] = [
        b"\x26\xe8\x95\x8f\xc2\xb2\x27\xb0\x45\xc3\xf4\x89\xf2\xef\x98\xf0\xd5\xdf\xac\x05\xd3\xc6\x33\x39\xb1\x38\x02\x88\x6d\x53\xfc\x05",
        b"\xc7\x17\x6a\x70\x3d\x4d\xd8\x4f\xba\x3c\x0b\x76\x0d\x10\x67\x0f\x2a\x20\x53\xfa\x2c\x39\xcc\xc6\x4e\xc7\xfd\x77\x92\xac\x03\x7a",
    ];
    let [first, middle @ .., last] = x else { return false };
    // The top bit is the sign of the other coordinate.
    let last = last & 0x7f;
    // y = 0 and 1, and y = -1, 0 and 1 written as p - 1, p and p + 1, where p = 2^255 - 19.
    let near_zero = matches!(first, 0 | 1) && middle.iter().all(|byte| *byte == 0) && last == 0;
    let near_p = matches!(first, 0xec..=0xee) && middle.iter().all(|byte| *byte == 0xff) && last == 0x7f;
    near_zero || near_p || Y_OF_ORDER_8.iter().any(|y| y[..31] == x[..31] && y[31] == last)
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
    fn an_even_modulus_is_no_key() {
        let key =
            |last| VerificationKey::rsa(&[&[0xff; 255][..], &[last]].concat(), &[1, 0, 1], AlgorithmSet::asymmetric());
        assert!(matches!(key(0xfe), Err(KeyError::InvalidRsa)));
        assert!(key(0xff).is_ok());
    }

    #[test]
    fn points_of_small_order_are_no_keys() {
        // Proof that it matters: under each of these keys a signature is found that is by nobody. Encodings that
        // aws-lc does not decompress are refused as well, and can forge nothing.
        let mut forgeable = 0;
        for x in small_order_encodings() {
            assert!(VerificationKey::ed25519(&x).is_err(), "{x:02x?}");
            let bare = ParsedPublicKey::new(&sig::ED25519, x).unwrap();
            let forged = |(r, message): ([u8; 32], u8)| bare.verify_sig(&[message], &[r, [0; 32]].concat()).is_ok();
            let tries = small_order_encodings().into_iter().flat_map(|r| (0..=255).map(move |message| (r, message)));
            forgeable += usize::from(tries.into_iter().any(forged));
        }
        assert!(forgeable >= 8, "only {forgeable} of the listed encodings are points of small order");
    }

    /// Both signs of each y, of which some are not canonical.
    fn small_order_encodings() -> Vec<[u8; 32]> {
        let near_p = |first| {
            let mut y = [0xff; 32];
            (y[0], y[31]) = (first, 0x7f);
            y
        };
        let near_zero = |first| {
            let mut y = [0; 32];
            y[0] = first;
            y
        };
        let of_order_8 = *b"\x26\xe8\x95\x8f\xc2\xb2\x27\xb0\x45\xc3\xf4\x89\xf2\xef\x98\xf0\xd5\xdf\xac\x05\xd3\xc6\x33\x39\xb1\x38\x02\x88\x6d\x53\xfc\x05";
        // p - y: subtract from 2^256 - 1 and from the top bit, and correct by 18.
        let mut other = of_order_8.map(|byte| !byte);
        other[0] -= 18;
        other[31] &= 0x7f;
        let ys = [near_zero(0), near_zero(1), near_p(0xec), near_p(0xed), near_p(0xee), of_order_8, other];
        let negated = |mut y: [u8; 32]| {
            y[31] |= 0x80;
            y
        };
        ys.into_iter().flat_map(|y| [y, negated(y)]).collect()
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
