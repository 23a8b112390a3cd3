//! Signing keys: made, loaded, used, and shown as public JWKs.

use aws_lc_rs::{
    encoding::AsDer,
    hmac,
    rand::SystemRandom,
    rsa,
    signature::{
        self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RsaEncoding, UnparsedPublicKey,
        VerificationAlgorithm,
    },
};
use base64_simd::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::{
    algorithm::{Alg, Family, SigningAlgorithm},
    error::KeyError,
};

/// A private key with its `kid` and the algorithm it is published for.
pub(crate) struct SigningKey {
    pub(crate) kid: String,
    pub(crate) alg: Alg,
    material: Material,
}

enum Material {
    Ecdsa(EcdsaKeyPair),
    Rsa(rsa::KeyPair),
    Ed25519(Ed25519KeyPair),
    Hmac(Vec<u8>),
}

impl SigningKey {
    /// A new key for this algorithm; a symmetric one uses the secret that the algorithm carries.
    pub(crate) fn generate(kid: String, algorithm: &SigningAlgorithm) -> Result<Self, KeyError> {
        let alg = algorithm.alg();
        let material = match alg.family() {
            Family::Ed25519 => Material::Ed25519(Ed25519KeyPair::generate().map_err(refused)?),
            Family::Rsa => Material::Rsa(rsa::KeyPair::generate(rsa::KeySize::Rsa2048).map_err(refused)?),
            Family::Hmac => Material::Hmac(algorithm.secret().unwrap_or_default().as_bytes().to_vec()),
            Family::P256 | Family::P384 | Family::P521 => {
                Material::Ecdsa(EcdsaKeyPair::generate(ecdsa_signing(alg)).map_err(refused)?)
            }
        };
        Ok(Self { kid, alg, material })
    }

    /// Loads what [`Self::to_document`] gave.
    pub(crate) fn from_document(kid: String, alg: Alg, document: &[u8]) -> Result<Self, KeyError> {
        let material = match alg.family() {
            Family::Ed25519 => Material::Ed25519(Ed25519KeyPair::from_pkcs8(document).map_err(refused)?),
            Family::Rsa => Material::Rsa(rsa::KeyPair::from_pkcs8(document).map_err(refused)?),
            Family::Hmac => Material::Hmac(document.to_vec()),
            Family::P256 | Family::P384 | Family::P521 => {
                Material::Ecdsa(EcdsaKeyPair::from_pkcs8(ecdsa_signing(alg), document).map_err(refused)?)
            }
        };
        Ok(Self { kid, alg, material })
    }

    /// The private key: PKCS#8, or the bare secret of a symmetric key.
    pub(crate) fn to_document(&self) -> Result<Vec<u8>, KeyError> {
        match &self.material {
            Material::Ecdsa(pair) => Ok(pair.to_pkcs8v1().map_err(refused)?.as_ref().to_vec()),
            Material::Rsa(pair) => Ok(pair.as_der().map_err(refused)?.as_ref().to_vec()),
            Material::Ed25519(pair) => Ok(pair.to_pkcs8().map_err(refused)?.as_ref().to_vec()),
            Material::Hmac(secret) => Ok(secret.clone()),
        }
    }

    /// The JWS signature of `input` under `alg`, which must be one this key can do.
    pub(crate) fn sign(&self, alg: Alg, input: &[u8]) -> Result<Vec<u8>, KeyError> {
        if alg.family() != self.alg.family() {
            return Err(KeyError::WrongAlgorithm);
        }
        match &self.material {
            Material::Ecdsa(pair) => Ok(pair.sign(&SystemRandom::new(), input).map_err(refused)?.as_ref().to_vec()),
            Material::Rsa(pair) => sign_rsa(pair, alg, input),
            Material::Ed25519(pair) => Ok(pair.sign(input).as_ref().to_vec()),
            Material::Hmac(secret) => hmac_sign(alg, secret, input),
        }
    }

    /// Whether this is the key's signature of `input` under the algorithm it is published for.
    pub(crate) fn verifies(&self, input: &[u8], signature: &[u8]) -> bool {
        let (public_key, algorithm): (&[u8], &'static dyn VerificationAlgorithm) = match &self.material {
            Material::Ecdsa(pair) => (pair.public_key().as_ref(), ecdsa_verification(self.alg)),
            Material::Rsa(pair) => (pair.public_key().as_ref(), rsa_verification(self.alg)),
            Material::Ed25519(pair) => (pair.public_key().as_ref(), &signature::ED25519),
            Material::Hmac(secret) => {
                let key = hmac::Key::new(hmac_algorithm(self.alg), secret);
                return hmac::verify(&key, input, signature).is_ok();
            }
        };
        UnparsedPublicKey::new(algorithm, public_key).verify(input, signature).is_ok()
    }

    /// The public key as the real server lists it (RFC 7517), `None` for a symmetric key.
    pub(crate) fn to_jwk(&self) -> Option<Value> {
        let mut jwk = match &self.material {
            Material::Ecdsa(pair) => ecdsa_jwk(self.alg, pair.public_key().as_ref()),
            Material::Rsa(pair) => rsa_jwk(pair.public_key().as_ref())?,
            Material::Ed25519(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": base64url(pair.public_key().as_ref())})
            }
            Material::Hmac(_) => return None,
        };
        jwk["alg"] = self.alg.name().into();
        jwk["kid"] = self.kid.as_str().into();
        jwk["use"] = "sig".into();
        jwk["key_ops"] = json!(["verify"]);
        jwk["ext"] = true.into();
        Some(jwk)
    }
}

/// The HMAC of `input`; `alg` must be symmetric.
pub(crate) fn hmac_sign(alg: Alg, secret: &[u8], input: &[u8]) -> Result<Vec<u8>, KeyError> {
    if alg.family() != Family::Hmac {
        return Err(KeyError::WrongAlgorithm);
    }
    let key = hmac::Key::new(hmac_algorithm(alg), secret);
    Ok(hmac::sign(&key, input).as_ref().to_vec())
}

pub(crate) fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode_to_string(bytes)
}

fn refused<E>(_: E) -> KeyError {
    KeyError::Refused
}

fn sign_rsa(pair: &rsa::KeyPair, alg: Alg, input: &[u8]) -> Result<Vec<u8>, KeyError> {
    let encoding: &'static dyn RsaEncoding = match alg {
        Alg::RS256 => &signature::RSA_PKCS1_SHA256,
        Alg::RS384 => &signature::RSA_PKCS1_SHA384,
        Alg::RS512 => &signature::RSA_PKCS1_SHA512,
        Alg::PS256 => &signature::RSA_PSS_SHA256,
        Alg::PS384 => &signature::RSA_PSS_SHA384,
        Alg::PS512 => &signature::RSA_PSS_SHA512,
        _ => return Err(KeyError::WrongAlgorithm),
    };
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(encoding, &SystemRandom::new(), input, &mut signature).map_err(refused)?;
    Ok(signature)
}

fn ecdsa_signing(alg: Alg) -> &'static EcdsaSigningAlgorithm {
    match alg.family() {
        Family::P384 => &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
        Family::P521 => &signature::ECDSA_P521_SHA512_FIXED_SIGNING,
        _ => &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
    }
}

fn ecdsa_verification(alg: Alg) -> &'static dyn VerificationAlgorithm {
    match alg.family() {
        Family::P384 => &signature::ECDSA_P384_SHA384_FIXED,
        Family::P521 => &signature::ECDSA_P521_SHA512_FIXED,
        _ => &signature::ECDSA_P256_SHA256_FIXED,
    }
}

fn rsa_verification(alg: Alg) -> &'static dyn VerificationAlgorithm {
    match alg {
        Alg::RS384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Alg::RS512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Alg::PS256 => &signature::RSA_PSS_2048_8192_SHA256,
        Alg::PS384 => &signature::RSA_PSS_2048_8192_SHA384,
        Alg::PS512 => &signature::RSA_PSS_2048_8192_SHA512,
        _ => &signature::RSA_PKCS1_2048_8192_SHA256,
    }
}

fn hmac_algorithm(alg: Alg) -> hmac::Algorithm {
    match alg {
        Alg::HS384 => hmac::HMAC_SHA384,
        Alg::HS512 => hmac::HMAC_SHA512,
        _ => hmac::HMAC_SHA256,
    }
}

/// From an uncompressed point (SEC 1 section 2.3.3): 0x04, x, y.
fn ecdsa_jwk(alg: Alg, point: &[u8]) -> Value {
    let (x, y) = point[1..].split_at((point.len() - 1) / 2);
    let curve = match alg.family() {
        Family::P384 => "P-384",
        Family::P521 => "P-521",
        _ => "P-256",
    };
    json!({"kty": "EC", "crv": curve, "x": base64url(x), "y": base64url(y)})
}

/// From the DER of an `RSAPublicKey` (RFC 8017 appendix A.1.1): a sequence of two integers.
fn rsa_jwk(der: &[u8]) -> Option<Value> {
    let (sequence, _) = der_value(der, 0x30)?;
    let (modulus, rest) = der_value(sequence, 0x02)?;
    let (exponent, _) = der_value(rest, 0x02)?;
    Some(json!({"kty": "RSA", "n": base64url(unsigned(modulus)), "e": base64url(unsigned(exponent))}))
}

/// Splits the value with this tag from what follows it.
fn der_value(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = der.split_first()?;
    let (&length, rest) = rest.split_first()?;
    let (length, rest) = if length < 0x80 {
        (usize::from(length), rest)
    } else {
        let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
        let length = bytes.iter().fold(0, |sum, byte| (sum << 8) | usize::from(*byte));
        (length, rest)
    };
    (first == tag).then(|| rest.split_at_checked(length))?
}

/// An INTEGER starts with a zero octet when its top bit is set; Base64urlUInt does not (RFC 7518 section 2).
fn unsigned(integer: &[u8]) -> &[u8] {
    match integer {
        [0, rest @ ..] if !rest.is_empty() => rest,
        _ => integer,
    }
}
