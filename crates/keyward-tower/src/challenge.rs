//! The challenge of a refused request (RFC 6750 section 3).

use http::HeaderValue;
use keyward::{Fault, Reason, Rejection};

/// The `WWW-Authenticate` value for a refusal; `None` where another token would not help.
///
/// A request without a token gets a challenge without `error`, as the RFC asks.
#[must_use]
pub fn challenge(rejection: &Rejection) -> Option<HeaderValue> {
    let error = match (rejection.reason(), rejection.fault()) {
        (Reason::MissingToken, _) => return Some(HeaderValue::from_static("Bearer")),
        (Reason::MultipleCredentials, _) => "invalid_request",
        (_, Fault::Credential) => "invalid_token",
        (_, Fault::Permission) => "insufficient_scope",
        _ => return None,
    };
    let description = quotable(&rejection.to_string());
    HeaderValue::try_from(format!(r#"Bearer error="{error}", error_description="{description}""#)).ok()
}

/// Only what the RFC allows in a description: printable ASCII without quotation marks and backslashes.
fn quotable(text: &str) -> String {
    text.chars().filter(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_say_what_the_rfc_says() {
        let value = |rejection: Rejection| challenge(&rejection).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(value(Reason::MissingToken.into()).as_deref(), Some("Bearer"));
        let expired = value(Reason::Expired.into()).unwrap();
        assert_eq!(expired, r#"Bearer error="invalid_token", error_description="the token has expired""#);
        assert!(value(Reason::InsufficientRole.into()).unwrap().contains(r#"error="insufficient_scope""#));
        assert!(value(Reason::MultipleCredentials.into()).unwrap().contains(r#"error="invalid_request""#));
        assert_eq!(value(Reason::KeysUnavailable.into()), None);
        assert_eq!(value(Rejection::new(Reason::UnknownKid).unavailable(3)), None);
        assert_eq!(value(Reason::Internal.into()), None);
    }
}
