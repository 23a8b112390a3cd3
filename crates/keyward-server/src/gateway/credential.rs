//! The token of a request that a proxy asks about.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use keyward::{Reason, Rejection};
use keyward_tower::bearer_token;

use super::cookie;

/// The bearer token, else the one in the configured cookie.
pub(super) fn token<'h>(headers: &'h HeaderMap, cookie: Option<&str>) -> Result<Cow<'h, str>, Rejection> {
    match cookie {
        Some(name) if !headers.contains_key(AUTHORIZATION) => {
            cookie::token(headers, name)?.map(Cow::Owned).ok_or_else(|| Reason::MissingToken.into())
        }
        _ => bearer_token(headers).map(Cow::Borrowed),
    }
}
