//! Error answers of Supabase Auth, in both of their shapes.

use axum::{
    Json,
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header::HeaderName};
use serde_json::{Value, json};

use crate::{error::MintError, tokens::TokenError};

pub(crate) const API_VERSION: HeaderName = HeaderName::from_static("x-supabase-api-version");
pub(crate) const ERROR_CODE: HeaderName = HeaderName::from_static("x-sb-error-code");

/// The version from which errors are `{code, message}`.
const CODED_ERRORS: &str = "2024-01-01";

/// A refusal with the real server's error code. It travels in the response's extensions until [`shape`] knows which
/// shape the client wants.
#[derive(Clone, Debug)]
pub(crate) struct AuthError {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    /// Why a password is too weak.
    pub(crate) reasons: Option<&'static [&'static str]>,
}

impl AuthError {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), reasons: None }
    }

    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "validation_failed", message)
    }

    pub(crate) fn weak_password(minimum: usize) -> Self {
        let message = format!("Password should be at least {minimum} characters.");
        Self { reasons: Some(&["length"]), ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "weak_password", message) }
    }

    pub(crate) fn session_not_found() -> Self {
        let message = "Session from session_id claim in JWT does not exist";
        Self::new(StatusCode::FORBIDDEN, "session_not_found", message)
    }

    pub(crate) fn internal() -> Self {
        let message = "Unexpected failure, please check server logs for more information";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "unexpected_failure", message)
    }

    fn to_json(&self, coded: bool) -> Value {
        let mut body = if coded {
            json!({"code": self.code, "message": self.message})
        } else {
            json!({"code": self.status.as_u16(), "error_code": self.code, "msg": self.message})
        };
        if let Some(reasons) = self.reasons {
            body["weak_password"] = json!({"reasons": reasons});
        }
        body
    }
}

impl From<TokenError> for AuthError {
    fn from(error: TokenError) -> Self {
        let message = format!("invalid JWT: unable to parse or verify signature, {error}");
        Self::new(StatusCode::FORBIDDEN, "bad_jwt", message)
    }
}

impl From<MintError> for AuthError {
    fn from(error: MintError) -> Self {
        tracing::warn!(%error, "the issuer could not sign an access token");
        Self::internal()
    }
}

impl IntoResponse for AuthError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Gives an [`AuthError`] the shape that the request's API version asks for.
pub(crate) async fn shape(request: Request, next: Next) -> Response {
    let coded = wants_coded_errors(request.headers());
    let response = next.run(request).await;
    let Some(error) = response.extensions().get::<AuthError>() else {
        return response;
    };
    let mut shaped = (error.status, Json(error.to_json(coded))).into_response();
    let headers = shaped.headers_mut();
    headers.insert(ERROR_CODE, HeaderValue::from_static(error.code));
    if coded {
        headers.insert(API_VERSION, HeaderValue::from_static(CODED_ERRORS));
    }
    shaped
}

/// Dates of the form `2024-01-01` compare as text; anything else counts as the oldest version.
fn wants_coded_errors(headers: &HeaderMap) -> bool {
    let version = headers.get(API_VERSION).and_then(|value| value.to_str().ok());
    version.is_some_and(|version| {
        let digits = version.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
        version.len() == CODED_ERRORS.len() && digits && version >= CODED_ERRORS
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_date_from_2024_on_gets_the_newer_shape() {
        for (version, coded) in [
            ("2024-01-01", true),
            ("2025-06-30", true),
            ("2023-12-31", false),
            ("2024-1-1", false),
            ("9", false),
            ("", false),
            ("2024-01-01x", false),
        ] {
            let headers = HeaderMap::from_iter([(API_VERSION, version.parse().unwrap())]);
            assert_eq!(wants_coded_errors(&headers), coded, "{version:?}");
        }
        assert!(!wants_coded_errors(&HeaderMap::new()));
    }
}
