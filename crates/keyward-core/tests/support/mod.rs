//! Keys that sign, and tokens made with them.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{self as sig, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use keyward_core::alg::Algorithm;

pub(crate) const NOW: i64 = 1_700_000_000;
pub(crate) const ISSUER: &str = "https://project.supabase.example/auth/v1";
pub(crate) const AUDIENCE: &str = "authenticated";

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes)
}

pub(crate) fn decode(text: &str) -> Vec<u8> {
    base64_simd::URL_SAFE_NO_PAD.decode_to_vec(text).unwrap()
}

/// A key pair or secret.
pub(crate) enum Signer {
    Rsa(RsaKeyPair),
    Ec(Algorithm, EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Secret(Vec<u8>),
}

impl Signer {
    /// A new key for `algorithm`.
    pub(crate) fn generate(algorithm: Algorithm) -> Self {
        let ec = |signing| Self::Ec(algorithm, EcdsaKeyPair::generate(signing).unwrap());
        match algorithm {
            Algorithm::ES256 => ec(&sig::ECDSA_P256_SHA256_FIXED_SIGNING),
            Algorithm::ES384 => ec(&sig::ECDSA_P384_SHA384_FIXED_SIGNING),
            Algorithm::ES512 => ec(&sig::ECDSA_P521_SHA512_FIXED_SIGNING),
            Algorithm::Ed25519 => Self::Ed25519(Ed25519KeyPair::generate().unwrap()),
            Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => {
                let mut secret = vec![0; 64];
                aws_lc_rs::rand::fill(&mut secret).unwrap();
                Self::Secret(secret)
            }
            _ => Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()),
        }
    }

    /// Signs with this key and `algorithm`, whether or not that is allowed.
    pub(crate) fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Rsa(key) => {
                let encoding: &'static dyn sig::RsaEncoding = match algorithm {
                    Algorithm::RS384 => &sig::RSA_PKCS1_SHA384,
                    Algorithm::RS512 => &sig::RSA_PKCS1_SHA512,
                    Algorithm::PS256 => &sig::RSA_PSS_SHA256,
                    Algorithm::PS384 => &sig::RSA_PSS_SHA384,
                    Algorithm::PS512 => &sig::RSA_PSS_SHA512,
                    _ => &sig::RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(encoding, &SystemRandom::new(), message, &mut signature).unwrap();
                signature
            }
            Self::Ec(_, key) => key.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Self::Ed25519(key) => key.sign(message).as_ref().to_vec(),
            Self::Secret(secret) => {
                let hash = match algorithm {
                    Algorithm::HS384 => hmac::HMAC_SHA384,
                    Algorithm::HS512 => hmac::HMAC_SHA512,
                    _ => hmac::HMAC_SHA256,
                };
                hmac::sign(&hmac::Key::new(hash, secret), message).as_ref().to_vec()
            }
        }
    }

    /// The public key in the form the library gives it: PKCS #1, an uncompressed point, or 32 bytes.
    pub(crate) fn public(&self) -> Vec<u8> {
        match self {
            Self::Rsa(key) => key.public_key().as_ref().to_vec(),
            Self::Ec(_, key) => key.public_key().as_ref().to_vec(),
            Self::Ed25519(key) => key.public_key().as_ref().to_vec(),
            Self::Secret(_) => panic!("a secret has no public key"),
        }
    }

    /// The modulus of an RSA key of 2048 bits with the exponent 65537.
    pub(crate) fn modulus(&self) -> Vec<u8> {
        let pkcs1 = self.public();
        // SEQUENCE { INTEGER of 257 bytes with a leading zero, INTEGER 65537 } has one encoding only.
        assert_eq!(pkcs1[..9], [0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00]);
        assert_eq!(pkcs1[265..], [0x02, 0x03, 0x01, 0x00, 0x01]);
        pkcs1[9..265].to_vec()
    }

    /// The members of the public JWK that make the key.
    pub(crate) fn material(&self) -> String {
        match self {
            Self::Rsa(_) => format!(r#""kty":"RSA","n":"{}","e":"AQAB""#, encode(self.modulus())),
            Self::Ec(algorithm, _) => {
                let curve = match algorithm {
                    Algorithm::ES256 => "P-256",
                    Algorithm::ES384 => "P-384",
                    _ => "P-521",
                };
                let point = self.public();
                let (x, y) = point[1..].split_at(point.len() / 2);
                format!(r#""kty":"EC","crv":"{curve}","x":"{}","y":"{}""#, encode(x), encode(y))
            }
            Self::Ed25519(_) => format!(r#""kty":"OKP","crv":"Ed25519","x":"{}""#, encode(self.public())),
            Self::Secret(secret) => format!(r#""kty":"oct","k":"{}""#, encode(secret)),
        }
    }

    /// The public JWK; `more` is added as it is, e.g. `"kid":"a"`.
    pub(crate) fn jwk(&self, more: &str) -> String {
        format!("{{{},{more}}}", self.material())
    }

    /// A token with this header and payload, both JSON texts.
    pub(crate) fn token(&self, algorithm: Algorithm, header: &str, payload: &str) -> String {
        let input = format!("{}.{}", encode(header), encode(payload));
        let signature = encode(self.sign(algorithm, input.as_bytes()));
        format!("{input}.{signature}")
    }
}

/// A payload that is accepted, with claims set to raw JSON values; an empty value takes the claim out.
pub(crate) fn payload(changes: &[(&str, &str)]) -> String {
    let (exp, iat) = ((NOW + 3600).to_string(), NOW.to_string());
    let (iss, aud) = (format!(r#""{ISSUER}""#), format!(r#""{AUDIENCE}""#));
    let usual = [
        ("iss", iss.as_str()),
        ("aud", &aud),
        ("exp", &exp),
        ("iat", &iat),
        ("sub", r#""8d2f3a52-6f0e-4d5c-9d4b-000000000001""#),
        ("role", r#""authenticated""#),
    ];
    let kept = usual.iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    let members = kept.chain(changes.iter().filter(|(_, raw)| !raw.is_empty()));
    let members: Vec<String> = members.map(|(name, raw)| format!(r#""{name}":{raw}"#)).collect();
    format!("{{{}}}", members.join(","))
}
