//! The layer that lets only verified requests through.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Method, Request, Response};
use http_body::Body;
use http_body_util::{Either, Full};
use keyward::time::Instant;
use keyward::{Attempt, Authenticator, PendingKey, Reason};
use tower_layer::Layer;
use tower_service::Service;

use crate::correlation::CorrelationId;
use crate::credential::bearer_token;
use crate::problem::Problem;
use crate::record::AuthRecord;

/// Where a layer gets its engine: an [`Authenticator`], or something that can be told to use another one.
pub trait Engine: Clone + Send + Sync + 'static {
    /// The engine for the next request.
    fn authenticator(&self) -> Authenticator;
}

impl Engine for Authenticator {
    fn authenticator(&self) -> Authenticator {
        self.clone()
    }
}

/// Verifies the bearer token of every request under a policy. A verified request goes on with its [`VerifiedToken`](keyward::VerifiedToken) in
/// the extensions; any other is answered with a problem.
#[derive(Clone, Debug)]
pub struct AuthLayer<E = Authenticator> {
    engine: E,
    policy: Arc<str>,
}

impl<E: Engine> AuthLayer<E> {
    /// Verifies with `engine` under the policy `default`.
    #[must_use]
    pub fn new(engine: E) -> Self {
        Self { engine, policy: "default".into() }
    }

    /// The same under the policy of this name. While there is no such policy every request is refused.
    #[must_use]
    pub fn policy(mut self, name: impl Into<Arc<str>>) -> Self {
        self.policy = name.into();
        self
    }
}

impl<S, E: Engine> Layer<S> for AuthLayer<E> {
    type Service = AuthService<S, E>;

    fn layer(&self, inner: S) -> Self::Service {
        AuthService { inner, layer: self.clone() }
    }
}

/// The service of [`AuthLayer`].
#[derive(Clone, Debug)]
pub struct AuthService<S, E = Authenticator> {
    inner: S,
    layer: AuthLayer<E>,
}

type Answer<R> = Response<Either<Full<Bytes>, R>>;

impl<S, E, B, R> Service<Request<B>> for AuthService<S, E>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    E: Engine,
    B: Send + 'static,
    R: Body<Data = Bytes>,
{
    type Response = Answer<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // The clone is not known to be ready; the service that was polled is.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let begun = self.layer.begin(request.headers());
        Box::pin(async move {
            let record = begun.end().await;
            let mut answer = match &*record.verdict {
                Ok(token) => {
                    request.extensions_mut().insert(token.clone());
                    inner.call(request).await?.map(Either::Right)
                }
                Err(rejection) => {
                    let id = CorrelationId::given(request.extensions(), request.headers());
                    let answer = Problem::refuse(rejection, &id);
                    let answer = if request.method() == Method::HEAD { without_body(answer) } else { answer };
                    answer.map(Either::Left)
                }
            };
            // An inner layer's record is about a stricter policy, and says why the request went no further.
            if answer.extensions().get::<AuthRecord>().is_none() {
                answer.extensions_mut().insert(record);
            }
            Ok(answer)
        })
    }
}

/// The answer to HEAD: the same head, the length included (RFC 9110 section 9.3.2).
fn without_body(mut answer: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
    if let Some(length) = answer.body().size_hint().exact() {
        answer.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    answer.map(|_| Full::default())
}

/// A verification that has begun: nearly always it has also ended.
enum Begun {
    Ended(AuthRecord),
    Waiting { authenticator: Authenticator, token: String, pending: PendingKey, since: Instant },
}

impl<E: Engine> AuthLayer<E> {
    fn begin(&self, headers: &HeaderMap) -> Begun {
        let token = match bearer_token(headers) {
            Ok(token) => token,
            Err(rejection) => return Begun::Ended(AuthRecord::without_token(rejection)),
        };
        let authenticator = self.engine.authenticator();
        let since = authenticator.clock().now().instant;
        let Some(policy) = authenticator.policy(&self.policy) else {
            return Begun::Ended(AuthRecord::looked_at(&authenticator, since, Err(Reason::PolicyDenied.into())));
        };
        match authenticator.try_verify(policy, token) {
            Attempt::Done(verdict) => Begun::Ended(AuthRecord::looked_at(&authenticator, since, verdict)),
            Attempt::Pending(pending) => Begun::Waiting { authenticator, token: token.to_owned(), pending, since },
        }
    }
}

impl Begun {
    async fn end(self) -> AuthRecord {
        match self {
            Self::Ended(record) => record,
            Self::Waiting { authenticator, token, pending, since } => {
                // Boxed, so that requests that do not wait are not made as large as those that do.
                let verdict = Box::pin(pending.resolve(&token)).await;
                AuthRecord::looked_at(&authenticator, since, verdict)
            }
        }
    }
}
