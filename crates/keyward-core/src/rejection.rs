//! Why a request was refused: one stable reason, the same in the answer, the log, the metric and the console.

use std::fmt;
use std::sync::Arc;

use crate::jws::Unverified;
use crate::time::UnixTime;

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal, $fault:ident;)+) => {
        /// The stable name of a refusal.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason { $($(#[doc = $doc])+ $variant,)+ }

        impl Reason {
            /// Every reason, in the order of their declaration; `reason as usize` is its index.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name in answers, logs and metrics.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// Whose fault it is, unless the circumstances say otherwise (see [`Rejection::fault`]).
            #[must_use]
            pub const fn fault(self) -> Fault {
                match self { $(Self::$variant => Fault::$fault,)+ }
            }
        }
    };
}

reasons! {
    /// No credential was sent.
    MissingToken = "missing_token", Credential;
    /// More than one credential was sent.
    MultipleCredentials = "multiple_credentials", Request;
    /// Not a compact JWS with JSON objects in it (RFC 7515 section 7.1).
    MalformedToken = "malformed_token", Credential;
    /// Longer than the configured bound.
    TokenTooLarge = "token_too_large", Credential;
    /// The `alg` is unknown, or not accepted from this issuer.
    UnsupportedAlg = "unsupported_alg", Credential;
    /// The `alg` is accepted, but not the one the named key is pinned to.
    AlgMismatch = "alg_mismatch", Credential;
    /// The header has `crit` (RFC 7515 section 4.1.11); no extension is understood.
    UnsupportedCrit = "unsupported_crit", Credential;
    /// The `typ` or `cty` says that this is not an access token.
    WrongType = "wrong_type", Credential;
    /// No key of the issuer has this `kid`.
    UnknownKid = "unknown_kid", Credential;
    /// No `kid`, and more than one key fits.
    AmbiguousKey = "ambiguous_key", Credential;
    /// The signature is not by this key over this content.
    InvalidSignature = "invalid_signature", Credential;
    /// A required claim is absent.
    MissingClaim = "missing_claim", Credential;
    /// A claim is of the wrong type or outside what it can be.
    InvalidClaim = "invalid_claim", Credential;
    /// `exp` has passed.
    Expired = "expired", Credential;
    /// `nbf` is still to come.
    NotYetValid = "not_yet_valid", Credential;
    /// `iat` is still to come.
    IssuedInFuture = "issued_in_future", Credential;
    /// `iss` is not an accepted one.
    WrongIssuer = "wrong_issuer", Credential;
    /// `aud` has no accepted one.
    WrongAudience = "wrong_audience", Credential;
    /// A Supabase publishable or secret key was sent as a bearer token.
    ApiKeyAsBearer = "api_key_as_bearer", Credential;
    /// A legacy Supabase `anon` or `service_role` key was sent as a bearer token.
    LegacyApiKey = "legacy_api_key", Credential;
    /// The session, subject or token was revoked, or the key that signed it was denied.
    Revoked = "revoked", Credential;
    /// The token's role is not among those required.
    InsufficientRole = "insufficient_role", Permission;
    /// The policy does not allow this token.
    PolicyDenied = "policy_denied", Permission;
    /// There are no keys to verify with.
    KeysUnavailable = "keys_unavailable", Unavailable;
    /// The path means different things raw and normalised.
    AmbiguousPath = "ambiguous_path", Request;
    /// The application behind the proxy could not be reached.
    UpstreamUnreachable = "upstream_unreachable", Upstream;
    /// The application behind the proxy did not answer in time.
    UpstreamTimeout = "upstream_timeout", UpstreamTimeout;
    /// A defect of Keyward's own.
    Internal = "internal", Internal;
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whose fault a refusal is. "Your token is bad" and "we cannot tell right now" are never confused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The credential: another one is needed.
    Credential,
    /// The credential is good, but does not allow this.
    Permission,
    /// The request, before any credential was looked at.
    Request,
    /// Keyward cannot tell right now: the same token may be accepted later.
    Unavailable,
    /// The application behind the proxy is not there.
    Upstream,
    /// The application behind the proxy is too slow.
    UpstreamTimeout,
    /// Keyward itself.
    Internal,
}

impl Fault {
    /// The HTTP status that says so.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Credential => 401,
            Self::Permission => 403,
            Self::Request => 400,
            Self::Unavailable => 503,
            Self::Upstream => 502,
            Self::UpstreamTimeout => 504,
            Self::Internal => 500,
        }
    }
}

/// A refusal: its reason, what a person needs to know about it, and what the token claimed.
///
/// It holds no byte of a signature and no token.
#[derive(Clone, Debug)]
pub struct Rejection {
    reason: Reason,
    fault: Fault,
    detail: Detail,
    claimed: Option<Box<Claimed>>,
    issuer: Option<Arc<str>>,
    retry_after_secs: Option<u32>,
}

/// What is particular about a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Detail {
    /// Nothing beyond the reason.
    None,
    /// A fixed explanation.
    Because(&'static str),
    /// About the claim of this name.
    Claim(&'static str),
    /// `exp` was `at`; it was looked at `now`.
    Expired {
        /// The `exp` of the token.
        at: UnixTime,
        /// When it was looked at.
        now: UnixTime,
    },
    /// The claim `claim` lies in the future: it says `at`, and it was looked at `now`.
    Early {
        /// `nbf` or `iat`.
        claim: &'static str,
        /// What it says.
        at: UnixTime,
        /// When it was looked at.
        now: UnixTime,
    },
}

/// What a refused token says of itself: unverified, shortened to 128 characters each, for logs and the console only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claimed {
    /// The header's `kid`.
    pub kid: Option<String>,
    /// The header's `alg`.
    pub alg: Option<String>,
    /// The `iss` claim.
    pub issuer: Option<String>,
    /// The `aud` claim, joined by commas when there are several.
    pub audience: Option<String>,
    /// The `sub` claim.
    pub subject: Option<String>,
}

impl Rejection {
    /// A refusal for `reason`.
    #[must_use]
    pub const fn new(reason: Reason) -> Self {
        Self {
            reason,
            fault: reason.fault(),
            detail: Detail::None,
            claimed: None,
            issuer: None,
            retry_after_secs: None,
        }
    }

    /// The same with what is particular about it.
    #[must_use]
    pub fn with_detail(mut self, detail: Detail) -> Self {
        self.detail = detail;
        self
    }

    /// The same, as a statement about us rather than about the token: "we cannot tell right now".
    #[must_use]
    pub fn unavailable(mut self, retry_after_secs: u32) -> Self {
        self.fault = Fault::Unavailable;
        self.retry_after_secs = Some(retry_after_secs);
        self
    }

    /// The same as the fault of something else: where only some answers are understood.
    #[must_use]
    pub const fn blaming(mut self, fault: Fault) -> Self {
        self.fault = fault;
        self
    }

    /// The same with what the token claims.
    #[must_use]
    pub fn claimed_by(mut self, token: &Unverified<'_>) -> Self {
        self.claimed = Some(Box::new(token.claimed()));
        self
    }

    /// The same with the configured name of the issuer whose keys the token was tried with.
    #[must_use]
    pub fn by_issuer(mut self, name: &Arc<str>) -> Self {
        self.issuer = Some(Arc::clone(name));
        self
    }

    /// The stable reason.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// Whose fault it is. An unknown `kid` is the credential's fault while the key set can be trusted, and
    /// [`Fault::Unavailable`] while refreshes fail.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        self.fault
    }

    /// What is particular about it.
    #[must_use]
    pub const fn detail(&self) -> &Detail {
        &self.detail
    }

    /// What the token claims of itself, when it could be read.
    #[must_use]
    pub fn claimed(&self) -> Option<&Claimed> {
        self.claimed.as_deref()
    }

    /// The configured name of the issuer whose keys the token was tried with; `None` when it did not come to that.
    #[must_use]
    pub const fn issuer(&self) -> Option<&Arc<str>> {
        self.issuer.as_ref()
    }

    /// In how many seconds to try again, for [`Fault::Unavailable`].
    #[must_use]
    pub fn retry_after_secs(&self) -> Option<u32> {
        match self.fault {
            Fault::Unavailable => Some(self.retry_after_secs.unwrap_or(1)),
            _ => None,
        }
    }
}

impl From<Reason> for Rejection {
    fn from(reason: Reason) -> Self {
        Self::new(reason)
    }
}

impl std::error::Error for Rejection {}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.detail, self.fault) {
            (Detail::Because(why), _) => f.write_str(why),
            (Detail::Claim(claim), _) if self.reason == Reason::MissingClaim => {
                write!(f, "the claim {claim} is required")
            }
            (Detail::Claim(claim), _) => write!(f, "the claim {claim} is not what it must be"),
            (Detail::Expired { at, now }, _) => {
                write!(f, "the token expired {} s ago", now.since(*at).as_secs())
            }
            (Detail::Early { claim, at, now }, _) => {
                write!(f, "the claim {claim} lies {} s in the future", at.since(*now).as_secs())
            }
            (Detail::None, Fault::Unavailable) if self.reason == Reason::UnknownKid => {
                f.write_str("no key with this kid is known, and the key set cannot be refreshed right now")
            }
            (Detail::None, _) => f.write_str(self.reason.sentence()),
        }
    }
}

impl Reason {
    /// The reason in words, for the caller.
    const fn sentence(self) -> &'static str {
        match self {
            Self::MissingToken => "no bearer token was sent",
            Self::MultipleCredentials => "more than one credential was sent",
            Self::MalformedToken => "the token is not a well-formed signed JWT",
            Self::TokenTooLarge => "the token is too long",
            Self::UnsupportedAlg => "the token's algorithm is not accepted",
            Self::AlgMismatch => "the token's algorithm is not that of the key it names",
            Self::UnsupportedCrit => "the token requires an extension that is not supported",
            Self::WrongType => "the token is of a type that is not accepted here",
            Self::UnknownKid => "no key with this kid is known",
            Self::AmbiguousKey => "the token names no key, and more than one fits",
            Self::InvalidSignature => "the signature does not verify",
            Self::MissingClaim => "a required claim is absent",
            Self::InvalidClaim => "a claim is not what it must be",
            Self::Expired => "the token has expired",
            Self::NotYetValid => "the token is not valid yet",
            Self::IssuedInFuture => "the token was issued in the future",
            Self::WrongIssuer => "the token's issuer is not accepted",
            Self::WrongAudience => "the token is meant for another audience",
            Self::ApiKeyAsBearer => {
                "an API key was sent where a user's access token belongs: send it in the apikey header"
            }
            Self::LegacyApiKey => {
                "a legacy API key was sent where a user's access token belongs: send it in the apikey header"
            }
            Self::Revoked => "the token has been revoked",
            Self::InsufficientRole => "the token's role does not allow this",
            Self::PolicyDenied => "the token does not satisfy the policy",
            Self::KeysUnavailable => "there are no keys to verify the token with right now",
            Self::AmbiguousPath => "the path is ambiguous",
            Self::UpstreamUnreachable => "the application could not be reached",
            Self::UpstreamTimeout => "the application did not answer in time",
            Self::Internal => "something went wrong on our side",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_of_a_reason_is_its_place() {
        for (index, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, index);
        }
    }

    #[test]
    fn an_unknown_kid_that_cannot_be_settled_is_our_fault() {
        let settled = Rejection::new(Reason::UnknownKid);
        let unsettled = Rejection::new(Reason::UnknownKid).unavailable(7);
        assert_eq!((settled.fault().status(), settled.retry_after_secs()), (401, None));
        assert_eq!((unsettled.fault().status(), unsettled.retry_after_secs()), (503, Some(7)));
    }
}
