//! `/v1/me`: who the token says the caller is.

use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use super::answer;
use super::error::ApiError;
use super::extract::User;
use crate::jobs::Timestamp;

/// The verified identity, under the names of the `X-Auth-…` headers.
#[derive(Debug, Serialize)]
struct Me<'a> {
    subject: &'a str,
    role: Option<&'a str>,
    email: Option<&'a str>,
    session: Option<&'a str>,
    /// The configured name.
    issuer: &'a str,
    /// The claim.
    iss: &'a str,
    assurance: Option<&'a str>,
    anonymous: bool,
    token_id: Option<&'a str>,
    issued_at: Option<Timestamp>,
    expires_at: Timestamp,
}

pub(super) async fn show(User { token, owner }: User) -> Result<Response, ApiError> {
    let timestamp = |time: keyward::time::UnixTime| Timestamp::from_unix_millis(time.as_millis());
    let me = Me {
        subject: &owner.subject,
        role: token.role(),
        email: token.email(),
        session: token.session(),
        issuer: token.issuer(),
        iss: token.iss(),
        assurance: token.assurance(),
        anonymous: token.is_anonymous(),
        token_id: token.token_id(),
        issued_at: token.issued_at().map(timestamp),
        expires_at: timestamp(token.expires()),
    };
    answer::json(StatusCode::OK, &me)
}
