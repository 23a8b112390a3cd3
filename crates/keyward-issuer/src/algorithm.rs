//! Signature algorithms the issuer can sign with.

use std::fmt;

/// What the issuer signs access tokens with (RFC 7518 section 3, RFC 8037).
///
/// The variants are named as the `alg` header parameter spells them. The symmetric ones carry their secret,
/// taken as the UTF-8 bytes of the string, as Supabase does with its legacy JWT secret; they are never
/// listed in the key set.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SigningAlgorithm {
    /// ECDSA on P-256 with SHA-256: the default, as in Supabase.
    #[default]
    ES256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
    /// ECDSA on P-521 with SHA-512.
    ES512,
    /// RSASSA-PKCS1-v1_5 with SHA-256, 2048-bit key.
    RS256,
    /// RSASSA-PKCS1-v1_5 with SHA-384, 2048-bit key.
    RS384,
    /// RSASSA-PKCS1-v1_5 with SHA-512, 2048-bit key.
    RS512,
    /// RSASSA-PSS with SHA-256, 2048-bit key.
    PS256,
    /// RSASSA-PSS with SHA-384, 2048-bit key.
    PS384,
    /// RSASSA-PSS with SHA-512, 2048-bit key.
    PS512,
    /// Ed25519 under the name of RFC 8037.
    EdDSA,
    /// Ed25519 under the name of RFC 9864.
    Ed25519,
    /// HMAC with SHA-256 under this secret.
    HS256(String),
    /// HMAC with SHA-384 under this secret.
    HS384(String),
    /// HMAC with SHA-512 under this secret.
    HS512(String),
}

impl SigningAlgorithm {
    /// The algorithm of this name; `secret` is needed for, and only used by, the symmetric ones.
    /// `None` when the name is unknown or the secret is missing.
    pub fn from_name(name: &str, secret: Option<&str>) -> Option<Self> {
        let alg = Alg::from_name(name)?;
        Some(match alg {
            Alg::ES256 => Self::ES256,
            Alg::ES384 => Self::ES384,
            Alg::ES512 => Self::ES512,
            Alg::RS256 => Self::RS256,
            Alg::RS384 => Self::RS384,
            Alg::RS512 => Self::RS512,
            Alg::PS256 => Self::PS256,
            Alg::PS384 => Self::PS384,
            Alg::PS512 => Self::PS512,
            Alg::EdDSA => Self::EdDSA,
            Alg::Ed25519 => Self::Ed25519,
            Alg::HS256 => Self::HS256(secret?.to_owned()),
            Alg::HS384 => Self::HS384(secret?.to_owned()),
            Alg::HS512 => Self::HS512(secret?.to_owned()),
        })
    }

    /// The value of the `alg` header parameter.
    pub fn name(&self) -> &'static str {
        self.alg().name()
    }

    pub(crate) fn secret(&self) -> Option<&str> {
        match self {
            Self::HS256(secret) | Self::HS384(secret) | Self::HS512(secret) => Some(secret),
            _ => None,
        }
    }

    pub(crate) fn alg(&self) -> Alg {
        match self {
            Self::ES256 => Alg::ES256,
            Self::ES384 => Alg::ES384,
            Self::ES512 => Alg::ES512,
            Self::RS256 => Alg::RS256,
            Self::RS384 => Alg::RS384,
            Self::RS512 => Alg::RS512,
            Self::PS256 => Alg::PS256,
            Self::PS384 => Alg::PS384,
            Self::PS512 => Alg::PS512,
            Self::EdDSA => Alg::EdDSA,
            Self::Ed25519 => Alg::Ed25519,
            Self::HS256(_) => Alg::HS256,
            Self::HS384(_) => Alg::HS384,
            Self::HS512(_) => Alg::HS512,
        }
    }
}

/// Shows the name only: the symmetric algorithms carry a secret.
impl fmt::Debug for SigningAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A [`SigningAlgorithm`] without its secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alg {
    ES256,
    ES384,
    ES512,
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    EdDSA,
    Ed25519,
    HS256,
    HS384,
    HS512,
}

impl Alg {
    const ALL: [Self; 14] = [
        Self::ES256,
        Self::ES384,
        Self::ES512,
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::EdDSA,
        Self::Ed25519,
        Self::HS256,
        Self::HS384,
        Self::HS512,
    ];

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|alg| alg.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::ES512 => "ES512",
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::EdDSA => "EdDSA",
            Self::Ed25519 => "Ed25519",
            Self::HS256 => "HS256",
            Self::HS384 => "HS384",
            Self::HS512 => "HS512",
        }
    }

    pub(crate) fn family(self) -> Family {
        match self {
            Self::ES256 => Family::P256,
            Self::ES384 => Family::P384,
            Self::ES512 => Family::P521,
            Self::EdDSA | Self::Ed25519 => Family::Ed25519,
            Self::HS256 | Self::HS384 | Self::HS512 => Family::Hmac,
            _ => Family::Rsa,
        }
    }
}

/// Algorithms that can share one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    P256,
    P384,
    P521,
    Rsa,
    Ed25519,
    Hmac,
}
