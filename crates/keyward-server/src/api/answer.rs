//! What every answer has in common.

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use keyward_tower::CorrelationId;
use serde::Serialize;

use super::error::ApiError;

/// Around every route: writes errors out as problems, and keeps answers out of caches.
pub(super) async fn finish(request: Request, next: Next) -> Response {
    let id = correlation_id(&request);
    let mut answer = next.run(request).await;
    if let Some(error) = answer.extensions_mut().remove::<ApiError>() {
        answer = error.answer(&id);
    }
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// The id the request came in with, or a new one when no layer has given it any.
pub(super) fn correlation_id(request: &Request) -> CorrelationId {
    CorrelationId::given(request.extensions(), request.headers())
}

/// A success with `value` as its body.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Result<Response, ApiError> {
    let body = serde_json::to_vec(value).map_err(|error| ApiError::Unwritable(error.to_string()))?;
    let mut answer = Response::new(Body::from(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(answer)
}
