//! Tokens as Supabase Auth issues them, about 1 KB long, under fresh keys.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256};
use serde_json::{Value, json};

/// The `iss` of every token.
pub const ISS: &str = "https://abcdefghijklmnopqrst.supabase.co/auth/v1";
/// The `aud` of every token.
pub const AUD: &str = "authenticated";
/// How much the clocks may differ, in seconds.
pub const LEEWAY: u64 = 30;

const KID: &str = "0f5b3b52-7f0e-4bd6-9c5a-0e2a6b8f9d11";
const SECRET: &[u8; 40] = b"a-secret-of-forty-bytes-for-measurements";

/// The algorithms that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alg {
    /// RSA of 2048 bits, PKCS #1 v1.5.
    RS256,
    /// ECDSA on P-256.
    ES256,
    /// Ed25519.
    EdDSA,
    /// HMAC with a shared secret.
    HS256,
}

impl Alg {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::RS256, Self::ES256, Self::EdDSA, Self::HS256];

    /// The name in a JOSE header.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::ES256 => "ES256",
            Self::EdDSA => "EdDSA",
            Self::HS256 => "HS256",
        }
    }
}

enum Signer {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Secret(Box<hmac::Key>),
}

/// Signs tokens under a key of its own.
pub struct Issuer {
    alg: Alg,
    signer: Signer,
    issued_at: u64,
}

impl Issuer {
    /// An issuer with a new key; its tokens were issued a minute before `now`, in seconds since 1970, and are good for
    /// a day.
    ///
    /// # Panics
    ///
    /// When no key can be made.
    #[must_use]
    pub fn new(alg: Alg, now: u64) -> Self {
        let signer = match alg {
            Alg::RS256 => Signer::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).expect("an RSA key")),
            Alg::ES256 => Signer::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("an EC key")),
            Alg::EdDSA => Signer::Ed(Ed25519KeyPair::generate().expect("an Ed25519 key")),
            Alg::HS256 => Signer::Secret(Box::new(hmac::Key::new(hmac::HMAC_SHA256, SECRET))),
        };
        Self { alg, signer, issued_at: now - 60 }
    }

    /// The algorithm.
    #[must_use]
    pub const fn alg(&self) -> Alg {
        self.alg
    }

    /// The shared secret, for [`Alg::HS256`].
    #[must_use]
    pub const fn secret(&self) -> &'static [u8] {
        SECRET
    }

    /// The public key as a JWK; `None` for a secret.
    #[must_use]
    pub fn jwk(&self) -> Option<Value> {
        let encode = |bytes: &[u8]| base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes);
        let mut jwk = match &self.signer {
            Signer::Rsa(pair) => {
                let PublicKeyComponents { n, e } = PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({"kty": "RSA", "n": encode(&n), "e": encode(&e)})
            }
            Signer::Ec(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({"kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y)})
            }
            Signer::Ed(pair) => json!({"kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key().as_ref())}),
            Signer::Secret(_) => return None,
        };
        jwk["alg"] = self.alg.name().into();
        jwk["use"] = "sig".into();
        jwk["kid"] = KID.into();
        Some(jwk)
    }

    /// The raw public key, as aws-lc-rs parses it. Empty for a secret.
    #[must_use]
    pub fn public_key(&self) -> Vec<u8> {
        match &self.signer {
            Signer::Rsa(pair) => pair.public_key().as_ref().to_vec(),
            Signer::Ec(pair) => pair.public_key().as_ref().to_vec(),
            Signer::Ed(pair) => pair.public_key().as_ref().to_vec(),
            Signer::Secret(_) => Vec::new(),
        }
    }

    /// The token of the user with this number.
    ///
    /// # Panics
    ///
    /// When it cannot be signed.
    #[must_use]
    pub fn token(&self, user: usize) -> String {
        let header = format!(r#"{{"alg":"{}","kid":"{KID}","typ":"JWT"}}"#, self.alg.name());
        let encode = |bytes: &[u8]| base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes);
        let signing_input = format!("{}.{}", encode(header.as_bytes()), encode(self.claims(user).as_bytes()));
        let signature = self.sign(signing_input.as_bytes());
        format!("{signing_input}.{}", encode(&signature))
    }

    /// Every claim of Supabase Auth, in its order, of the same length for every user below ten million.
    fn claims(&self, user: usize) -> String {
        let (iat, exp) = (self.issued_at, self.issued_at + 86_400);
        let sub = format!("{:08x}-5c1b-4e0f-9d3a-{user:012x}", user.wrapping_mul(0x9E37_79B1) & 0xFFFF_FFFF);
        let session = format!("{:08x}-8f60-4b7d-a1c2-{user:012x}", user.wrapping_mul(0x85EB_CA6B) & 0xFFFF_FFFF);
        let email = format!("user.{user:07}@mail.example.com");
        format!(
            concat!(
                r#"{{"iss":"{}","sub":"{}","aud":"{}","exp":{},"iat":{},"email":"{}","phone":"","#,
                r#""app_metadata":{{"provider":"email","providers":["email"]}},"#,
                r#""user_metadata":{{"email":"{}","email_verified":true,"full_name":"A. User of Example","#,
                r#""locale":"en","phone_verified":false,"sub":"{}"}},"#,
                r#""role":"authenticated","aal":"aal1","amr":[{{"method":"password","timestamp":{}}}],"#,
                r#""session_id":"{}","is_anonymous":false}}"#
            ),
            ISS, sub, AUD, exp, iat, email, email, sub, iat, session
        )
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.signer {
            Signer::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).expect("a signature");
                signature
            }
            Signer::Ec(pair) => pair.sign(&random, message).expect("a signature").as_ref().to_vec(),
            Signer::Ed(pair) => pair.sign(message).as_ref().to_vec(),
            Signer::Secret(key) => hmac::sign(key, message).as_ref().to_vec(),
        }
    }
}
