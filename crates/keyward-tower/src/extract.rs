//! Extractors for axum.

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use keyward::rejection::Detail;
use keyward::{Reason, Rejection, VerifiedToken};
use serde::de::DeserializeOwned;

use crate::correlation::CorrelationId;
use crate::problem::Problem;

/// Who the request comes from. Behind an [`AuthLayer`](crate::AuthLayer); without one the answer is 500.
#[derive(Clone, Debug)]
pub struct Identity(pub VerifiedToken);

/// The claims of the request's token, in a type of yours. A token whose claims do not fit it is refused as
/// [`Reason::InvalidClaim`].
#[derive(Clone, Debug)]
pub struct Claims<T>(pub T);

impl<S: Sync> FromRequestParts<S> for Identity {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Response> {
        parts.extensions.get::<VerifiedToken>().cloned().map(Self).ok_or_else(|| {
            let why = "the route is not behind an authentication layer";
            refuse(parts, &Rejection::new(Reason::Internal).with_detail(Detail::Because(why)))
        })
    }
}

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Claims<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let Identity(token) = Identity::from_request_parts(parts, state).await?;
        let why = "the token's claims do not have the expected shape";
        token
            .claims()
            .map(Self)
            .map_err(|_| refuse(parts, &Rejection::new(Reason::InvalidClaim).with_detail(Detail::Because(why))))
    }
}

fn refuse(parts: &Parts, rejection: &Rejection) -> Response {
    let id = CorrelationId::given(&parts.extensions, &parts.headers);
    Problem::refuse(rejection, &id).map(axum::body::Body::new).into_response()
}
