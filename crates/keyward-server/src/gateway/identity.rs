//! The identity headers: always all of them, empty when there is nothing to say, so that none can be forged through a
//! proxy that adds ours to a client's.

use std::fmt::Write;

use http::{HeaderMap, HeaderName, HeaderValue};
use keyward::{Rejection, VerifiedToken};

const SUBJECT: HeaderName = HeaderName::from_static("x-auth-subject");
const ROLE: HeaderName = HeaderName::from_static("x-auth-role");
const EMAIL: HeaderName = HeaderName::from_static("x-auth-email");
const SESSION: HeaderName = HeaderName::from_static("x-auth-session");
const ISSUER: HeaderName = HeaderName::from_static("x-auth-issuer");
const ASSURANCE: HeaderName = HeaderName::from_static("x-auth-assurance");
const ANONYMOUS: HeaderName = HeaderName::from_static("x-auth-anonymous");
const REASON: HeaderName = HeaderName::from_static("x-auth-reason");
const ALL: [HeaderName; 8] = [SUBJECT, ROLE, EMAIL, SESSION, ISSUER, ASSURANCE, ANONYMOUS, REASON];

/// A longer value is left empty: proxies have room for a few kilobytes of headers, and half a name is another name.
const MAX_VALUE_BYTES: usize = 512;

/// Whether the identity headers were set.
pub(super) fn is_set(headers: &HeaderMap) -> bool {
    ALL.iter().all(|name| headers.contains_key(name))
}

/// Sets every identity header to what became of a request's credential; `None` when it needed none.
pub(super) fn set(headers: &mut HeaderMap, verdict: Option<&Result<VerifiedToken, Rejection>>) {
    for name in ALL {
        headers.insert(name, HeaderValue::from_static(""));
    }
    match verdict {
        None => {}
        Some(Err(rejection)) => {
            headers.insert(REASON, HeaderValue::from_static(rejection.reason().as_str()));
        }
        Some(Ok(token)) => {
            let mut say = |name, text: Option<&str>| headers.insert(name, encoded(text.unwrap_or_default()));
            say(SUBJECT, token.subject());
            say(ROLE, token.role());
            say(EMAIL, token.email());
            say(SESSION, token.session());
            say(ISSUER, Some(token.iss()));
            say(ASSURANCE, token.assurance());
            say(ANONYMOUS, Some(if token.is_anonymous() { "true" } else { "false" }));
        }
    }
}

/// Bytes outside `!` to `~`, and `%` itself, percent-encoded: what is left cannot end a line or a list.
fn encoded(text: &str) -> HeaderValue {
    let mut value = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'!'..=b'~' if byte != b'%' => value.push(char::from(byte)),
            _ => {
                // Writing to a String cannot fail.
                let _ = write!(value, "%{byte:02X}");
            }
        }
    }
    if value.len() > MAX_VALUE_BYTES {
        return HeaderValue::from_static("");
    }
    HeaderValue::from_str(&value).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_cannot_break_out_of_their_header() {
        for (text, expected) in [
            ("alice@example.com", "alice@example.com"),
            ("a b", "a%20b"),
            ("100%", "100%25"),
            ("a\r\nX-Auth-Role: admin", "a%0D%0AX-Auth-Role:%20admin"),
            ("é", "%C3%A9"),
            ("\0\x7f", "%00%7F"),
            ("a,b", "a,b"),
        ] {
            assert_eq!(encoded(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_too_long_is_left_empty() {
        assert_eq!(encoded(&"a".repeat(512)).len(), 512);
        assert_eq!(encoded(&"a".repeat(513)), "");
        assert_eq!(encoded(&" ".repeat(171)), "", "encoding counts");
    }

    #[test]
    fn a_refusal_leaves_every_identity_header_empty() {
        let mut headers = HeaderMap::new();
        headers.append(SUBJECT, HeaderValue::from_static("forged"));
        headers.append(SUBJECT, HeaderValue::from_static("twice"));
        set(&mut headers, Some(&Err(keyward::Reason::Expired.into())));
        for name in ALL {
            let values: Vec<_> = headers.get_all(&name).iter().collect();
            assert_eq!(values, [if name == REASON { "expired" } else { "" }], "{name}");
        }
        set(&mut headers, None);
        assert!(ALL.iter().all(|name| headers[name].is_empty()));
    }
}
