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
    if values.next().is_some() || value.as_bytes().contains(&b',') {
        return Err(Reason::MultipleCredentials.into());
    }
    let value = value.to_str().map_err(|_| Reason::MalformedToken)?.trim();
    // Scheme names are case-insensitive (RFC 9110 section 11.1).
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    let token = token.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
        return Err(Reason::MissingToken.into());
    }
    if token.contains([' ', '\t']) {
        return Err(Reason::MalformedToken.into());
    }
    Ok(token)
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
