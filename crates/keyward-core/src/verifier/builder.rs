use std::sync::Arc;
use std::time::Duration;

use super::Verifier;
use crate::alg::{Algorithm, AlgorithmSet};
use crate::crypto::{KeyError, VerificationKey};

/// Configures a [`Verifier`].
#[derive(Debug)]
pub struct VerifierBuilder {
    name: Arc<str>,
    issuers: Vec<Box<str>>,
    ignore_trailing_slash: bool,
    audiences: Vec<Box<str>>,
    algorithms: Option<AlgorithmSet>,
    secret: Option<Secret>,
    leeway: Duration,
    max_token_bytes: usize,
    access_tokens_only: bool,
}

/// A shared secret that does not show in `Debug`.
struct Secret(Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<redacted>")
    }
}

/// The verifier cannot be what it is configured to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifierError {
    /// No value of `iss` would be accepted.
    #[error("no issuer is accepted: name at least one")]
    NoIssuer,
    /// No audience would be accepted.
    #[error("no audience is accepted: name at least one")]
    NoAudience,
    /// No algorithm would be accepted.
    #[error("no algorithm is accepted: name at least one")]
    NoAlgorithm,
    /// An algorithm with a shared secret is accepted, and there is no secret.
    #[error("{0} needs a configured secret")]
    NoSecret(Algorithm),
    /// There is a secret, and no accepted algorithm uses it.
    #[error("there is a secret, but none of the accepted algorithms uses one: add HS256 to them, or drop the secret")]
    UnusedSecret,
    /// A public key was given where the secret belongs: everybody could sign tokens with it.
    #[error("the secret is the text of a public key or certificate, which everybody knows")]
    PublicSecret,
    /// The secret is unusable.
    #[error(transparent)]
    Secret(KeyError),
}

impl VerifierBuilder {
    pub(super) fn new(name: Arc<str>) -> Self {
        Self {
            name,
            issuers: Vec::new(),
            ignore_trailing_slash: false,
            audiences: Vec::new(),
            algorithms: None,
            secret: None,
            leeway: Duration::from_secs(30),
            max_token_bytes: 16_384,
            access_tokens_only: false,
        }
    }

    /// Accepts this `iss`, compared byte for byte. Needed once at least.
    #[must_use]
    pub fn issuer(mut self, iss: impl Into<Box<str>>) -> Self {
        self.issuers.push(iss.into());
        self
    }

    /// Whether one trailing slash of an `iss` is ignored. Default no.
    #[must_use]
    pub const fn ignore_trailing_slash(mut self, ignore: bool) -> Self {
        self.ignore_trailing_slash = ignore;
        self
    }

    /// Accepts this audience, compared byte for byte. Needed once at least.
    #[must_use]
    pub fn audience(mut self, aud: impl Into<Box<str>>) -> Self {
        self.audiences.push(aud.into());
        self
    }

    /// Accepts these algorithms. Default: all that use a public key, and HS256 when there is a secret.
    #[must_use]
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.algorithms = Some(algorithms.into_iter().collect());
        self
    }

    /// Accepts tokens under this shared secret.
    #[must_use]
    pub fn secret(mut self, secret: impl Into<Vec<u8>>) -> Self {
        self.secret = Some(Secret(secret.into()));
        self
    }

    /// The clock skew that is tolerated on `exp`, `nbf` and `iat`. Default 30 s.
    #[must_use]
    pub const fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// The longest token that is looked at. Default 16384 bytes.
    #[must_use]
    pub const fn max_token_bytes(mut self, bytes: usize) -> Self {
        self.max_token_bytes = bytes;
        self
    }

    /// Whether only tokens of type `at+jwt` are accepted (RFC 9068). Default no: Supabase Auth and many others write
    /// `JWT`.
    #[must_use]
    pub const fn access_tokens_only(mut self, only: bool) -> Self {
        self.access_tokens_only = only;
        self
    }

    /// The verifier.
    ///
    /// # Errors
    ///
    /// When it could accept no token, or its secret is missing or too short.
    pub fn build(self) -> Result<Verifier, VerifierError> {
        if self.issuers.is_empty() {
            return Err(VerifierError::NoIssuer);
        }
        if self.audiences.is_empty() {
            return Err(VerifierError::NoAudience);
        }
        let algorithms = self.algorithms.unwrap_or_else(|| {
            let asymmetric = AlgorithmSet::asymmetric();
            if self.secret.is_some() { asymmetric.with(Algorithm::HS256) } else { asymmetric }
        });
        if algorithms.is_empty() {
            return Err(VerifierError::NoAlgorithm);
        }
        let symmetric: AlgorithmSet = algorithms.iter().filter(|algorithm| algorithm.is_symmetric()).collect();
        let secret = match (&self.secret, symmetric.iter().next()) {
            (None, Some(algorithm)) => return Err(VerifierError::NoSecret(algorithm)),
            (Some(secret), Some(_)) if is_public(&secret.0) => return Err(VerifierError::PublicSecret),
            (Some(secret), Some(_)) => Some(VerificationKey::hmac(&secret.0, symmetric)?),
            (Some(_), None) => return Err(VerifierError::UnusedSecret),
            (None, None) => None,
        };
        Ok(Verifier {
            name: self.name,
            issuers: self.issuers,
            ignore_trailing_slash: self.ignore_trailing_slash,
            audiences: self.audiences,
            algorithms,
            secret,
            leeway: self.leeway,
            max_token_bytes: self.max_token_bytes,
            access_tokens_only: self.access_tokens_only,
        })
    }
}

/// Whether it is text that says of itself that it is a key or certificate in PEM, or a JWK.
fn is_public(secret: &[u8]) -> bool {
    let text = secret.trim_ascii_start();
    let is_jwk = || serde_json::from_slice::<serde_json::Value>(text).is_ok_and(|json| json.get("kty").is_some());
    text.starts_with(b"-----BEGIN ") || (text.starts_with(b"{") && is_jwk())
}
