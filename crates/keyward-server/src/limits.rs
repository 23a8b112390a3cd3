//! How much of a request's headers is accepted: the same over every version of HTTP.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use keyward_tower::{CorrelationId, Problem};

/// At most this many headers.
pub const MAX_HEADERS: usize = 256;
/// At most this many bytes of headers.
pub const MAX_HEADER_BYTES: usize = 64 * 1024;

/// `: ` and the line's end.
const AROUND: usize = 4;

/// Answers a request that has more headers with 431 (RFC 6585 section 5). What is far beyond is not read at all, see
/// [`crate::server`].
pub async fn limit_headers(request: Request, next: Next) -> Response {
    if are_within(request.headers()) {
        return next.run(request).await;
    }
    let id = CorrelationId::given(request.extensions(), request.headers());
    let detail = format!("at most {MAX_HEADERS} headers and {MAX_HEADER_BYTES} bytes of them are accepted");
    Problem::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large", detail, &id).into_response()
}

fn are_within(headers: &HeaderMap) -> bool {
    let bytes = |(name, value): (&http::HeaderName, &http::HeaderValue)| name.as_str().len() + value.len() + AROUND;
    headers.len() <= MAX_HEADERS && headers.iter().map(bytes).sum::<usize>() <= MAX_HEADER_BYTES
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(count: usize, value_bytes: usize) -> HeaderMap {
        let value = HeaderValue::from_str(&"a".repeat(value_bytes)).unwrap();
        (0..count).map(|n| (HeaderName::try_from(format!("x-{n:03}")).unwrap(), value.clone())).collect()
    }

    #[test]
    fn the_bounds_are_exact() {
        assert!(are_within(&headers(256, 0)) && !are_within(&headers(257, 0)));
        // 5 bytes of name, 4 around.
        assert!(are_within(&headers(1, MAX_HEADER_BYTES - 9)) && !are_within(&headers(1, MAX_HEADER_BYTES - 8)));
        assert!(are_within(&headers(64, 1024 - 9)) && !are_within(&headers(64, 1024 - 8)));
    }
}
