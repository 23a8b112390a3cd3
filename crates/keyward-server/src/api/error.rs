//! What can go wrong, and what the caller is told.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT, ACCEPT_ENCODING, RETRY_AFTER};
use http::{HeaderName, HeaderValue, StatusCode};
use keyward::{Reason, Rejection};
use keyward_tower::{CorrelationId, Problem};

use crate::jobs::InvalidInput;
use crate::store::StoreError;

/// When to try again while the store is unavailable, in seconds.
const STORE_RETRY_AFTER: &str = "5";
/// Longest explanation, in bytes: parsers quote what they were sent.
const MAX_DETAIL_BYTES: usize = 512;

/// Why a call was not carried out.
///
/// As a response it is but a mark in the extensions, which [`finish`](super::answer::finish) writes out: the
/// correlation id is known there.
#[derive(Clone, Debug)]
pub(super) enum ApiError {
    /// A parameter, header field or member is not what it must be.
    Invalid(InvalidInput),
    /// The body ended early, or its framing is broken.
    UnreadableBody,
    /// The body is longer than any that could be accepted.
    BodyTooLarge,
    /// The body is not declared as JSON.
    UnsupportedMediaType,
    /// The body is compressed.
    UnsupportedEncoding,
    /// There is no such thing, or it is somebody else's.
    NotFound(&'static str),
    /// The route does not know the method.
    MethodNotAllowed,
    /// The key stands for another submission.
    IdempotencyConflict,
    /// The lease is not held any more.
    LeaseLost,
    /// The job had ended otherwise before.
    AlreadyFinished,
    /// The token is good, but not for this.
    Refused(Rejection),
    /// The store failed.
    Store(StoreError),
    /// The answer cannot be written: a defect.
    Unwritable(String),
}

impl From<InvalidInput> for ApiError {
    fn from(error: InvalidInput) -> Self {
        Self::Invalid(error)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut marked = StatusCode::INTERNAL_SERVER_ERROR.into_response();
        marked.extensions_mut().insert(self);
        marked
    }
}

impl ApiError {
    /// The problem that tells the caller.
    pub(super) fn answer(self, id: &CorrelationId) -> Response {
        self.log(id);
        if let Self::Refused(rejection) = &self {
            return Problem::refuse(rejection, id).map(Body::new);
        }
        if self.status() == StatusCode::INTERNAL_SERVER_ERROR {
            return Problem::refuse(&Reason::Internal.into(), id).map(Body::new);
        }
        let mut answer = Problem::new(self.status(), self.reason(), self.detail(), id).into_response();
        if let Some((name, value)) = self.header() {
            answer.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        answer
    }

    /// What the operator needs and the caller must not see.
    fn log(&self, id: &CorrelationId) {
        let correlation_id = id.as_str();
        match self {
            Self::Store(error) => tracing::error!(%error, correlation_id, "the job store failed"),
            Self::Unwritable(error) => tracing::error!(%error, correlation_id, "an answer cannot be written"),
            _ => {}
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Invalid(InvalidInput::TooLarge { .. }) | Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Invalid(_) | Self::UnreadableBody => StatusCode::BAD_REQUEST,
            Self::UnsupportedMediaType | Self::UnsupportedEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::IdempotencyConflict | Self::LeaseLost | Self::AlreadyFinished => StatusCode::CONFLICT,
            Self::Store(error) if error.is_temporary() => StatusCode::SERVICE_UNAVAILABLE,
            Self::Refused(_) | Self::Store(_) | Self::Unwritable(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Invalid(InvalidInput::TooLarge { .. }) | Self::BodyTooLarge => "payload_too_large",
            Self::Invalid(_) | Self::UnreadableBody => "invalid_request",
            Self::UnsupportedMediaType | Self::UnsupportedEncoding => "unsupported_media_type",
            Self::NotFound(_) => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::IdempotencyConflict => "idempotency_conflict",
            Self::LeaseLost => "lease_lost",
            Self::AlreadyFinished => "already_finished",
            Self::Store(error) if error.is_temporary() => "store_unavailable",
            Self::Refused(rejection) => rejection.reason().as_str(),
            Self::Store(_) | Self::Unwritable(_) => Reason::Internal.as_str(),
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::Invalid(error) => shortened(error.to_string()),
            Self::UnreadableBody => "the body cannot be read to its end".to_owned(),
            Self::BodyTooLarge => format!("the body is longer than {} bytes", crate::jobs::MAX_BODY_BYTES),
            Self::UnsupportedMediaType => "the body must be application/json".to_owned(),
            Self::UnsupportedEncoding => "the body must not have a content coding".to_owned(),
            Self::NotFound(what) => format!("there is no such {what}"),
            Self::MethodNotAllowed => "the route does not support this method".to_owned(),
            Self::IdempotencyConflict => "the Idempotency-Key was used for another submission".to_owned(),
            Self::LeaseLost => "the lease is not held any more".to_owned(),
            Self::AlreadyFinished => "the job has succeeded or failed already".to_owned(),
            Self::Store(_) => "jobs cannot be read or written right now".to_owned(),
            Self::Refused(_) | Self::Unwritable(_) => String::new(),
        }
    }

    /// What goes along with the answer.
    fn header(&self) -> Option<(HeaderName, &'static str)> {
        match self {
            Self::Store(_) => Some((RETRY_AFTER, STORE_RETRY_AFTER)),
            // In an answer, what the request should have been (RFC 9110, section 15.5.16).
            Self::UnsupportedMediaType => Some((ACCEPT, "application/json")),
            Self::UnsupportedEncoding => Some((ACCEPT_ENCODING, "identity")),
            _ => None,
        }
    }
}

fn shortened(mut detail: String) -> String {
    if detail.len() > MAX_DETAIL_BYTES {
        detail.truncate(detail.floor_char_boundary(MAX_DETAIL_BYTES));
        detail.push('…');
    }
    detail
}
