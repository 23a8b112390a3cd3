//! The verification pipeline (RFC 7515 section 5.2, RFC 7519 section 7.2, RFC 8725).
//!
//! The order is fixed, so that a reason always means the same: size, shape, header, algorithm, key, signature, claims
//! (`exp`, `nbf`, `iat`, `iss`, `aud`, then those that say who it is). Policy and revocation follow in the caller.
//!
//! ```
//! use keyward_core::jwk::KeySet;
//! use keyward_core::time::UnixTime;
//! use keyward_core::verifier::Verifier;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let verifier = Verifier::builder("login")
//!     .issuer("https://login.example.com")
//!     .audience("orders")
//!     .build()?;
//! let keys = KeySet::parse(br#"{"keys":[]}"#)?;
//! let refused = verifier.verify("not a token", &keys, UnixTime::from_secs(1_700_000_000)).unwrap_err();
//! assert_eq!(refused.reason().as_str(), "malformed_token");
//! # Ok(())
//! # }
//! ```

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use crate::alg::{Algorithm, AlgorithmSet};
use crate::claims::{self, missing};
use crate::crypto::{KeyError, VerificationKey};
use crate::json;
use crate::jwk::{Found, Key, KeySet};
use crate::jws::Unverified;
use crate::rejection::{Detail, Reason, Rejection};
use crate::time::UnixTime;
use crate::token::{Identity, Texts, Verified, VerifiedToken};

mod builder;
pub use builder::{VerifierBuilder, VerifierError};

/// Verifies the tokens of one issuer. Synchronous, without a clock and without IO.
#[derive(Debug)]
pub struct Verifier {
    name: Arc<str>,
    issuers: Vec<Box<str>>,
    ignore_trailing_slash: bool,
    audiences: Vec<Box<str>>,
    algorithms: AlgorithmSet,
    secret: Option<VerificationKey>,
    leeway: Duration,
    max_token_bytes: usize,
    access_tokens_only: bool,
}

/// A token's times, judged.
struct Times {
    expires: UnixTime,
    issued_at: Option<UnixTime>,
    valid_from: UnixTime,
    valid_until: UnixTime,
}

impl Verifier {
    /// Starts a verifier; `name` is what the issuer is called in logs and metrics.
    pub fn builder(name: impl Into<Arc<str>>) -> VerifierBuilder {
        VerifierBuilder::new(name.into())
    }

    /// The issuer's configured name.
    #[must_use]
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The accepted algorithms.
    #[must_use]
    pub const fn algorithms(&self) -> AlgorithmSet {
        self.algorithms
    }

    /// The accepted values of `iss`.
    #[must_use]
    pub fn issuers(&self) -> &[Box<str>] {
        &self.issuers
    }

    /// The accepted audiences.
    #[must_use]
    pub fn audiences(&self) -> &[Box<str>] {
        &self.audiences
    }

    /// The longest token that is looked at, in bytes.
    #[must_use]
    pub const fn max_token_bytes(&self) -> usize {
        self.max_token_bytes
    }

    /// Whether tokens can be verified without any key set, with a configured secret.
    #[must_use]
    pub const fn has_secret(&self) -> bool {
        self.secret.is_some()
    }

    /// Verifies a token against `keys` at `now`.
    ///
    /// # Errors
    ///
    /// The first step of the pipeline that the token fails.
    pub fn verify(&self, token: &str, keys: &KeySet, now: UnixTime) -> Result<VerifiedToken, Rejection> {
        let token = Unverified::parse(token, self.max_token_bytes)?;
        self.verify_parsed(&token, Some(keys), now)
    }

    /// Verifies a token that was taken apart already. `keys` is `None` when there are none that may be used; a token
    /// that needs one is then refused as [`Reason::KeysUnavailable`].
    ///
    /// # Errors
    ///
    /// The first step of the pipeline that the token fails.
    pub fn verify_parsed(
        &self,
        token: &Unverified<'_>,
        keys: Option<&KeySet>,
        now: UnixTime,
    ) -> Result<VerifiedToken, Rejection> {
        self.run(token, keys, now).map_err(|rejection| rejection.claimed_by(token).by_issuer(&self.name))
    }

    fn run(&self, token: &Unverified<'_>, keys: Option<&KeySet>, now: UnixTime) -> Result<VerifiedToken, Rejection> {
        self.check_header(token)?;
        let algorithm = self.check_algorithm(token)?;
        let key = self.check_signature(token, algorithm, keys)?;
        let times = self.check_times(token, now)?;
        let iss = self.check_issuer(token)?;
        self.check_audience(token)?;
        let identity = identity(token, iss)?;
        if let Some(key) = &key {
            key.mark_used(now);
        }
        Ok(VerifiedToken(Arc::new(Verified {
            token: token.token().into(),
            payload: token.payload_range(),
            issuer: Arc::clone(&self.name),
            algorithm,
            key,
            claims: identity,
            expires: times.expires,
            issued_at: times.issued_at,
            valid_from: times.valid_from,
            valid_until: times.valid_until,
        })))
    }

    /// Whether a token could be accepted if only its key were there: everything that can be told without one says so.
    #[must_use]
    pub fn is_plausible(&self, token: &Unverified<'_>, now: UnixTime) -> bool {
        self.check_header(token).is_ok()
            && self.check_algorithm(token).is_ok_and(|algorithm| !algorithm.is_symmetric())
            && self.check_times(token, now).is_ok()
            && self.check_issuer(token).is_ok()
            && self.check_audience(token).is_ok()
    }

    /// Whether this is an `iss` that is accepted here.
    #[must_use]
    pub fn accepts_issuer(&self, iss: &str) -> bool {
        let trimmed = |text: &str| text.strip_suffix('/').unwrap_or(text).len();
        self.issuers.iter().any(|accepted| {
            **accepted == *iss || (self.ignore_trailing_slash && accepted[..trimmed(accepted)] == iss[..trimmed(iss)])
        })
    }

    fn check_header(&self, token: &Unverified<'_>) -> Result<(), Rejection> {
        let header = &token.header;
        if header.has_crit {
            return Err(Reason::UnsupportedCrit.into());
        }
        if header.has_cty {
            return Err(because(Reason::WrongType, "the token contains another token"));
        }
        let Some(typ) = header.typ.as_deref() else {
            return if self.access_tokens_only { Err(Reason::WrongType.into()) } else { Ok(()) };
        };
        // RFC 7515 section 4.1.9: a media type, whose prefix "application/" may be left out.
        const PREFIX: &str = "application/";
        let short = match typ.get(..PREFIX.len()) {
            Some(start) if start.eq_ignore_ascii_case(PREFIX) => &typ[PREFIX.len()..],
            _ => typ,
        };
        let accepted =
            short.eq_ignore_ascii_case("at+jwt") || (!self.access_tokens_only && short.eq_ignore_ascii_case("JWT"));
        if accepted { Ok(()) } else { Err(Reason::WrongType.into()) }
    }

    fn check_algorithm(&self, token: &Unverified<'_>) -> Result<Algorithm, Rejection> {
        if is_legacy_api_key(token) {
            return Err(Reason::LegacyApiKey.into());
        }
        match token.algorithm() {
            Some(algorithm) if self.algorithms.contains(algorithm) => Ok(algorithm),
            Some(Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512) if self.secret.is_none() => {
                Err(because(Reason::UnsupportedAlg, "the token is signed with a shared secret, and none is configured"))
            }
            _ => Err(Reason::UnsupportedAlg.into()),
        }
    }

    /// The key that signed it; `None` when that was the configured secret.
    fn check_signature(
        &self,
        token: &Unverified<'_>,
        algorithm: Algorithm,
        keys: Option<&KeySet>,
    ) -> Result<Option<Arc<Key>>, Rejection> {
        if algorithm.is_symmetric() {
            return self.check_secret(token, algorithm, keys).map(|()| None);
        }
        let keys = keys.ok_or(Reason::KeysUnavailable)?;
        let candidates = match keys.find(token.kid(), algorithm) {
            Found::Keys(candidates) => candidates,
            Found::OtherAlgorithm => return Err(Reason::AlgMismatch.into()),
            Found::Denied => return Err(because(Reason::Revoked, "the key that signed the token is denied")),
            Found::Ambiguous => return Err(Reason::AmbiguousKey.into()),
            Found::Nothing => return Err(Reason::UnknownKid.into()),
        };
        let signed_by = |key: &&Arc<Key>| key.verification().verify(algorithm, token.signing_input(), &token.signature);
        let key = candidates.iter().find(signed_by).ok_or(Reason::InvalidSignature)?;
        Ok(Some(Arc::clone(key)))
    }

    fn check_secret(
        &self,
        token: &Unverified<'_>,
        algorithm: Algorithm,
        keys: Option<&KeySet>,
    ) -> Result<(), Rejection> {
        if let (Some(kid), Some(keys)) = (token.kid(), keys) {
            if keys.denied().contains(kid) {
                return Err(because(Reason::Revoked, "the key that signed the token is denied"));
            }
            // The kid of a key that has another algorithm: somebody tries to pass a public key off as the secret.
            if keys.has_kid(kid) {
                return Err(Reason::AlgMismatch.into());
            }
        }
        let secret = self.secret.as_ref().ok_or(Reason::UnsupportedAlg)?;
        if secret.verify(algorithm, token.signing_input(), &token.signature) {
            Ok(())
        } else {
            Err(Reason::InvalidSignature.into())
        }
    }

    fn check_times(&self, token: &Unverified<'_>, now: UnixTime) -> Result<Times, Rejection> {
        let date =
            |span: claims::Span, claim| span.of(&token.payload).map(|raw| claims::numeric_date(raw, claim)).transpose();
        let expires = date(token.claims.expires, "exp")?.ok_or_else(|| missing("exp"))?;
        if now >= expires + self.leeway {
            return Err(Rejection::new(Reason::Expired).with_detail(Detail::Expired { at: expires, now }));
        }
        let early = |reason, claim, at| Err(Rejection::new(reason).with_detail(Detail::Early { claim, at, now }));
        let not_before = date(token.claims.not_before, "nbf")?;
        if let Some(at) = not_before.filter(|at| *at > now + self.leeway) {
            return early(Reason::NotYetValid, "nbf", at);
        }
        let issued_at = date(token.claims.issued_at, "iat")?;
        if let Some(at) = issued_at.filter(|at| *at > now + self.leeway) {
            return early(Reason::IssuedInFuture, "iat", at);
        }
        let latest_start = not_before.max(issued_at).unwrap_or(UnixTime::from_secs(0));
        let valid_from = latest_start - self.leeway;
        Ok(Times { expires, issued_at, valid_from, valid_until: expires + self.leeway })
    }

    fn check_issuer<'a>(&self, token: &'a Unverified<'_>) -> Result<Cow<'a, str>, Rejection> {
        let raw = token.claims.issuer.of(&token.payload).ok_or_else(|| missing("iss"))?;
        let iss = json::as_str(raw).ok_or_else(|| claims::invalid("iss"))?;
        if self.accepts_issuer(&iss) { Ok(iss) } else { Err(Reason::WrongIssuer.into()) }
    }

    fn check_audience(&self, token: &Unverified<'_>) -> Result<(), Rejection> {
        let raw = token.claims.audience.of(&token.payload).ok_or_else(|| missing("aud"))?;
        if claims::audience_accepted(raw, &self.audiences)? { Ok(()) } else { Err(Reason::WrongAudience.into()) }
    }
}

fn identity(token: &Unverified<'_>, iss: Cow<'_, str>) -> Result<Identity, Rejection> {
    let (spans, payload) = (&token.claims, token.payload.as_str());
    let subject = claims::optional_text(spans.subject.of(payload), "sub")?.filter(|subject| !subject.is_empty());
    // No text is longer than it is written.
    let kept = [spans.issuer, spans.subject, spans.role, spans.email, spans.session, spans.assurance, spans.token_id];
    let mut texts = Texts::with_capacity(kept.map(claims::Span::len).iter().sum());
    Ok(Identity {
        iss: texts.keep(Some(iss)),
        subject: texts.keep(subject),
        role: texts.keep(claims::nullable_text(spans.role.of(payload), "role")?),
        email: texts.keep(claims::nullable_text(spans.email.of(payload), "email")?),
        session: texts.keep(claims::nullable_text(spans.session.of(payload), "session_id")?),
        assurance: texts.keep(claims::nullable_text(spans.assurance.of(payload), "aal")?),
        token_id: texts.keep(claims::optional_text(spans.token_id.of(payload), "jti")?),
        anonymous: claims::flag(spans.anonymous.of(payload), "is_anonymous")?,
        texts,
    })
}

/// The `anon` and `service_role` keys of a Supabase project are JWTs under its old shared secret. They say which
/// project they are for, and about nobody.
fn is_legacy_api_key(token: &Unverified<'_>) -> bool {
    let (spans, payload) = (&token.claims, token.payload.as_str());
    spans.project_ref.is_present()
        && !spans.subject.is_present()
        && !spans.audience.is_present()
        && spans.issuer.of(payload) == Some(r#""supabase""#)
        && matches!(spans.role.of(payload), Some(r#""anon""# | r#""service_role""#))
}

fn because(reason: Reason, why: &'static str) -> Rejection {
    Rejection::new(reason).with_detail(Detail::Because(why))
}

impl From<KeyError> for VerifierError {
    fn from(error: KeyError) -> Self {
        Self::Secret(error)
    }
}

#[cfg(test)]
mod tests;
