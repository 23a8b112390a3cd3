//! The bearer token of a request (RFC 6750 section 2.1).

use http::HeaderMap;
use http::header::AUTHORIZATION;
use keyward::{Reason, Rejection};

/// The token of the `Authorization` header. Only this header is looked at: tokens in a query end up in logs.
///
/// # Errors
///
/// [`Reason::MissingToken`] without the header, with another scheme or an empty token;
/// [`Reason::MultipleCredentials`] for two headers, or two credentials joined by a comma, where a proxy and the
/// application could each believe another one; [`Reason::MalformedToken`] for what is no token at all.
pub fn bearer_token(headers: &HeaderMap) -> Result<&str, Rejection> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(Reason::MissingToken)?;
    if values.next().is_some() {
        return Err(Reason::MultipleCredentials.into());
    }
    let value = value.to_str().map_err(|_| Reason::MalformedToken)?.trim();
    let (first, others) = value.split_once(',').unwrap_or((value, ""));
    let (token, is_other) = (bearer(first), others.split(',').any(|other| bearer(other).is_some()));
    if is_other || (token.is_some() && value.contains(',')) {
        return Err(Reason::MultipleCredentials.into());
    }
    let token = token.filter(|token| !token.is_empty()).ok_or(Reason::MissingToken)?;
    if token.contains([' ', '\t']) {
        return Err(Reason::MalformedToken.into());
    }
    Ok(token)
}

/// What follows the scheme `Bearer`, whose name is case-insensitive (RFC 9110 section 11.1). Another scheme's parameters
/// may be parted by commas too (section 11.2): they are not a second credential.
fn bearer(credential: &str) -> Option<&str> {
    let (scheme, token) = credential.trim().split_once(' ').unwrap_or((credential.trim(), ""));
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(values: &[&str]) -> Result<String, Reason> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        bearer_token(&headers).map(str::to_owned).map_err(|rejection| rejection.reason())
    }

    #[test]
    fn the_scheme_is_case_insensitive_and_spaces_do_not_count() {
        for value in ["Bearer abc", "bearer abc", "BEARER   abc", " Bearer abc "] {
            assert_eq!(token(&[value]).as_deref(), Ok("abc"), "{value:?}");
        }
    }

    #[test]
    fn no_credential_is_missing_two_are_multiple_and_nonsense_is_malformed() {
        for values in [&[][..], &["Basic YWxhZGRpbjpvcGVu"], &["Bearer"], &["Bearer "], &["Bearerabc"], &["abc"], &[""]]
        {
            assert_eq!(token(values), Err(Reason::MissingToken), "{values:?}");
        }
        for values in
            [&["Bearer a", "Bearer b"][..], &["Bearer a, Bearer b"], &["Bearer a,b"], &["Basic x", "Bearer a"]]
        {
            assert_eq!(token(values), Err(Reason::MultipleCredentials), "{values:?}");
        }
        for values in [&["Bearer a b"][..], &["Bearer a\tb"], &["Bearer é"]] {
            assert_eq!(token(values), Err(Reason::MalformedToken), "{values:?}");
        }
    }
}
