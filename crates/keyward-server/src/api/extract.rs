//! What requests bring, as types that only valid ones make.

use std::error::Error;
use std::sync::Arc;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use keyward::rejection::Detail;
use keyward::{Reason, Rejection, VerifiedToken};
use keyward_tower::Identity;
use serde::de::DeserializeOwned;

use super::error::ApiError;
use crate::jobs::{IdempotencyKey, InvalidInput, JobId, MAX_BODY_BYTES, Owner, parse_body};

/// A JSON object in the body, of [`MAX_BODY_BYTES`] at most.
pub(super) struct JsonBody<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(ApiError::UnsupportedMediaType);
        }
        if !is_uncoded(request.headers()) {
            return Err(ApiError::UnsupportedEncoding);
        }
        Ok(Self(parse_body(&read(request.into_body()).await?)?))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let declared = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = declared.split_once(';').map_or(declared, |(essence, _)| essence);
    essence.trim().eq_ignore_ascii_case("application/json")
}

fn is_uncoded(headers: &HeaderMap) -> bool {
    headers.get_all(CONTENT_ENCODING).iter().all(|value| value.as_bytes().eq_ignore_ascii_case(b"identity"))
}

async fn read(body: Body) -> Result<Bytes, ApiError> {
    // What is declared too long is not waited for; what is not declared is counted as it arrives.
    if body.size_hint().lower() > MAX_BODY_BYTES as u64 {
        return Err(ApiError::BodyTooLarge);
    }
    match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ApiError::BodyTooLarge),
        Err(_) => Err(ApiError::UnreadableBody),
    }
}

/// The parameters of the query, each once at most.
pub(super) struct Params<T>(pub(super) T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(params)) => Ok(Self(params)),
            Err(rejection) => {
                let why = rejection.source().map_or_else(|| "not readable".to_owned(), ToString::to_string);
                Err(InvalidInput::Body(format!("the query: {why}")).into())
            }
        }
    }
}

/// The job that the path names.
pub(super) struct JobPath(pub(super) JobId);

impl<S: Send + Sync> FromRequestParts<S> for JobPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        const NO_SUCH_JOB: ApiError = ApiError::NotFound("job");
        let Path(text) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| NO_SUCH_JOB)?;
        // A UUID has other spellings, without hyphens or in braces. A job has one address.
        if text.len() != 36 {
            return Err(NO_SUCH_JOB);
        }
        text.parse().map(Self).map_err(|_| NO_SUCH_JOB)
    }
}

/// The `Idempotency-Key`, if there is one.
pub(super) struct Repeatable(pub(super) Option<IdempotencyKey>);

impl<S: Sync> FromRequestParts<S> for Repeatable {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let mut values = parts.headers.get_all("idempotency-key").iter();
        let key = values.next().map(|value| IdempotencyKey::new(value.as_bytes())).transpose()?;
        if values.next().is_some() {
            return Err(InvalidInput::field("Idempotency-Key", "at most one of them").into());
        }
        Ok(Self(key))
    }
}

/// The user a request comes from. A token without a subject is nobody's: its jobs could not be told from others'.
pub(super) struct User {
    /// Who the issuer says it is.
    pub(super) token: VerifiedToken,
    /// Whose jobs are the user's.
    pub(super) owner: Owner,
}

impl<S: Sync> FromRequestParts<S> for User {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let Identity(token) = Identity::from_request_parts(parts, state).await?;
        let Some(subject) = token.subject() else {
            let issuer = Arc::from(token.issuer());
            let refusal = Rejection::new(Reason::MissingClaim).with_detail(Detail::Claim("sub")).by_issuer(&issuer);
            return Err(ApiError::Refused(refusal).into_response());
        };
        let owner = Owner::new(token.issuer(), subject);
        Ok(Self { token, owner })
    }
}
