//! A verified token.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::alg::Algorithm;
use crate::claims::Span;
use crate::jwk::Key;
use crate::time::UnixTime;

/// A token that has passed the whole pipeline. There is no other way to make one.
///
/// Cloning is cheap: clones share their content. `Debug` shows the identity, never the token.
#[derive(Clone)]
pub struct VerifiedToken(pub(crate) Arc<Verified>);

pub(crate) struct Verified {
    pub(crate) token: Box<str>,
    pub(crate) payload: Range<usize>,
    pub(crate) issuer: Arc<str>,
    pub(crate) algorithm: Algorithm,
    /// `None` for a token under a configured secret.
    pub(crate) key: Option<Arc<Key>>,
    pub(crate) claims: Identity,
    pub(crate) expires: UnixTime,
    pub(crate) issued_at: Option<UnixTime>,
    pub(crate) valid_from: UnixTime,
    pub(crate) valid_until: UnixTime,
}

/// The claims that say who it is.
pub(crate) struct Identity {
    pub(crate) iss: Span,
    pub(crate) subject: Span,
    pub(crate) role: Span,
    pub(crate) email: Span,
    pub(crate) session: Span,
    pub(crate) assurance: Span,
    pub(crate) token_id: Span,
    pub(crate) anonymous: bool,
    /// What the spans are of: one allocation for all, as a token cache makes and drops many.
    pub(crate) texts: Texts,
}

/// Texts that are kept together.
pub(crate) struct Texts(String);

impl Texts {
    /// With room for texts of this length in all.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(String::with_capacity(bytes))
    }

    pub(crate) fn keep(&mut self, text: Option<Cow<'_, str>>) -> Span {
        let Some(text) = text else { return Span::default() };
        let start = self.0.len();
        self.0.push_str(&text);
        Span::at(start..self.0.len())
    }
}

/// The claims do not have the shape that was asked for.
#[derive(Debug, thiserror::Error)]
#[error("the token's claims do not have the expected shape: {0}")]
pub struct ClaimsError(String);

impl VerifiedToken {
    fn text(&self, span: Span) -> Option<&str> {
        span.of(&self.0.claims.texts.0)
    }

    /// The configured name of the issuer whose key verified it.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// The `iss` claim.
    #[must_use]
    pub fn iss(&self) -> &str {
        self.text(self.0.claims.iss).unwrap_or_default()
    }

    /// The `sub` claim: who the token is about. Unique within its issuer only.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.text(self.0.claims.subject)
    }

    /// The `role` claim of Supabase Auth.
    #[must_use]
    pub fn role(&self) -> Option<&str> {
        self.text(self.0.claims.role)
    }

    /// The `email` claim; `None` also when it is empty.
    #[must_use]
    pub fn email(&self) -> Option<&str> {
        self.text(self.0.claims.email)
    }

    /// The `session_id` claim of Supabase Auth.
    #[must_use]
    pub fn session(&self) -> Option<&str> {
        self.text(self.0.claims.session)
    }

    /// The `aal` claim: the authenticator assurance level.
    #[must_use]
    pub fn assurance(&self) -> Option<&str> {
        self.text(self.0.claims.assurance)
    }

    /// The `jti` claim.
    #[must_use]
    pub fn token_id(&self) -> Option<&str> {
        self.text(self.0.claims.token_id)
    }

    /// The `is_anonymous` claim: a user without credentials.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.0.claims.anonymous
    }

    /// The `exp` claim.
    #[must_use]
    pub fn expires(&self) -> UnixTime {
        self.0.expires
    }

    /// The `iat` claim.
    #[must_use]
    pub fn issued_at(&self) -> Option<UnixTime> {
        self.0.issued_at
    }

    /// The algorithm it was verified with.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.0.algorithm
    }

    /// The key it was verified with; `None` when that was a configured secret.
    #[must_use]
    pub fn key(&self) -> Option<&Arc<Key>> {
        self.0.key.as_ref()
    }

    /// Whether its times still allow it at `now`, the leeway included.
    #[must_use]
    pub fn is_timely(&self, now: UnixTime) -> bool {
        self.0.valid_from <= now && now < self.0.valid_until
    }

    /// All its claims, in a type of yours or as a [`serde_json::Value`]. They are read anew from the token at each call.
    ///
    /// # Errors
    ///
    /// When the claims do not fit the type. The message names a field or a position, never a claim's content.
    pub fn claims<T: DeserializeOwned>(&self) -> Result<T, ClaimsError> {
        let payload = base64_simd::URL_SAFE_NO_PAD
            .decode_to_vec(&self.0.token[self.0.payload.clone()])
            .map_err(|_| ClaimsError("not readable".to_owned()))?;
        serde_json::from_slice(&payload).map_err(|error| ClaimsError(without_content(&error)))
    }

    /// The token itself: a secret. For handing it on to a service that the user means to reach, and for nothing else.
    #[must_use]
    pub fn expose_token(&self) -> &str {
        &self.0.token
    }

    /// About how many bytes of memory it holds.
    #[must_use]
    pub fn memory(&self) -> usize {
        // An allocation costs about 16 bytes beyond its content.
        let allocated = |bytes: usize| bytes + 16;
        size_of::<Verified>() + allocated(self.0.token.len()) + allocated(self.0.claims.texts.0.capacity())
    }
}

/// A description of `error` that quotes nothing of what was read.
fn without_content(error: &serde_json::Error) -> String {
    let text = error.to_string();
    // These two name a field of the type that was asked for; an unknown field would be a name out of the token.
    let named = ["missing field", "duplicate field"];
    if named.iter().any(|start| text.starts_with(start)) {
        return text;
    }
    format!("not what the type asks for at line {} column {}", error.line(), error.column())
}

impl fmt::Debug for VerifiedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedToken")
            .field("issuer", &self.0.issuer)
            .field("subject", &self.subject())
            .field("role", &self.role())
            .field("expires", &self.0.expires)
            .finish_non_exhaustive()
    }
}
