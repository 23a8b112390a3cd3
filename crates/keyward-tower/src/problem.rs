//! Answers that say what went wrong (RFC 9457).

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;
use keyward::Rejection;
use serde::Serialize;

use crate::challenge::challenge;
use crate::correlation::{CORRELATION_ID, CorrelationId};

/// The body of an answer that is not a success: `application/problem+json`.
#[derive(Clone, Debug, Serialize)]
pub struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
    reason: String,
    correlation_id: String,
}

impl Problem {
    /// A problem with a stable `reason` and an explanation for the caller.
    #[must_use]
    pub fn new(status: StatusCode, reason: impl Into<String>, detail: impl Into<String>, id: &CorrelationId) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into(),
            reason: reason.into(),
            correlation_id: id.as_str().to_owned(),
        }
    }

    /// The answer to a refused request: status, challenge, `Retry-After` and body. The refusal itself goes along in
    /// the extensions, so that an outer layer can count and log it.
    #[must_use]
    pub fn refuse(rejection: &Rejection, id: &CorrelationId) -> Response<Full<Bytes>> {
        let status = StatusCode::from_u16(rejection.fault().status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut answer = Self::new(status, rejection.reason().as_str(), rejection.to_string(), id).into_answer();
        let headers = answer.headers_mut();
        if let Some(challenge) = challenge(rejection) {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        if let Some(secs) = rejection.retry_after_secs() {
            headers.insert(RETRY_AFTER, HeaderValue::from(secs));
        }
        answer.extensions_mut().insert(rejection.clone());
        answer
    }

    /// The answer with this body, its correlation id also in the header `X-Correlation-ID`.
    #[must_use]
    pub fn into_answer(self) -> Response<Full<Bytes>> {
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut answer = Response::new(Full::from(body));
        *answer.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Ok(id) = HeaderValue::from_str(&self.correlation_id) {
            headers.insert(CORRELATION_ID, id);
        }
        answer
    }
}

#[cfg(feature = "axum")]
impl axum::response::IntoResponse for Problem {
    fn into_response(self) -> axum::response::Response {
        self.into_answer().map(axum::body::Body::new)
    }
}
