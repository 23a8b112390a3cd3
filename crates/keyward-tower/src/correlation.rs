//! One id for a request, in its answer and in every log line about it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

pub(crate) const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What correlates a request with its answer and its log lines: the client's `X-Correlation-ID`, else its
/// `X-Request-ID`, if that has 1 to 128 characters of `A-Z a-z 0-9 . _ -`; a new UUIDv7 otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorrelationId(Arc<str>);

impl CorrelationId {
    /// The id of a request with these headers.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let sent = [CORRELATION_ID, REQUEST_ID].iter().find_map(|name| usable(headers.get(name)?));
        sent.map_or_else(Self::new, |id| Self(id.into()))
    }

    /// The id that a request was given by a [`CorrelationLayer`], else that of its headers.
    #[must_use]
    pub fn given(extensions: &Extensions, headers: &HeaderMap) -> Self {
        extensions.get::<Self>().cloned().unwrap_or_else(|| Self::of(headers))
    }

    /// A new id.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "every id is another one")]
    pub fn new() -> Self {
        Self(uuid::Uuid::now_v7().to_string().into())
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn usable(value: &HeaderValue) -> Option<&str> {
    let text = value.to_str().ok()?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    ((1..=128).contains(&text.len()) && text.bytes().all(allowed)).then_some(text)
}

/// Gives every request a [`CorrelationId`] in its extensions, and its answer the header `X-Correlation-ID`.
#[derive(Clone, Copy, Debug, Default)]
pub struct CorrelationLayer;

impl<S> Layer<S> for CorrelationLayer {
    type Service = CorrelationService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        CorrelationService { inner }
    }
}

/// The service of [`CorrelationLayer`].
#[derive(Clone, Debug)]
pub struct CorrelationService<S> {
    inner: S,
}

impl<S, B, R> Service<Request<B>> for CorrelationService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Correlated<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let id = CorrelationId::given(request.extensions(), request.headers());
        request.extensions_mut().insert(id.clone());
        Correlated { future: self.inner.call(request), id }
    }
}

pin_project! {
    /// The answer of a [`CorrelationService`].
    pub struct Correlated<F> {
        #[pin]
        future: F,
        id: CorrelationId,
    }
}

impl<F, R, E> Future for Correlated<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<R>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut answer = ready!(this.future.poll(cx))?;
        if let Ok(value) = HeaderValue::from_str(this.id.as_str()) {
            answer.headers_mut().insert(CORRELATION_ID, value);
        }
        answer.extensions_mut().insert(this.id.clone());
        Poll::Ready(Ok(answer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(pairs: &[(&'static str, &str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        CorrelationId::of(&headers).as_str().to_owned()
    }

    #[test]
    fn a_usable_id_is_kept_and_anything_else_replaced() {
        assert_eq!(id(&[("x-correlation-id", "Ab-1_2.3")]), "Ab-1_2.3");
        assert_eq!(id(&[("x-request-id", "r")]), "r");
        assert_eq!(id(&[("x-correlation-id", "c"), ("x-request-id", "r")]), "c");
        assert_eq!(id(&[("x-correlation-id", "not usable"), ("x-request-id", "r")]), "r");
        let longest = "a".repeat(128);
        assert_eq!(id(&[("x-correlation-id", &longest)]), longest);
        for bad in ["", "a b", "a\"b", "é", &"a".repeat(129), "a/b"] {
            let made = id(&[("x-correlation-id", bad)]);
            let uuid = uuid::Uuid::parse_str(&made).unwrap();
            assert_eq!(uuid.get_version_num(), 7, "{bad:?}");
        }
    }
}
