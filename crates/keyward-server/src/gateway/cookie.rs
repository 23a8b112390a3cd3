//! The token in a Supabase session cookie, as `@supabase/ssr` writes it: a JSON object with `access_token`, often in
//! base64url behind `base64-`, cut into chunks `NAME.0`, `NAME.1`, … when it is long.

use http::HeaderMap;
use http::header::COOKIE;
use keyward::rejection::Detail;
use keyward::{Reason, Rejection};

/// Browsers keep 4 KiB a cookie, and proxies pass a few of them.
const MAX_CHUNKS: usize = 16;
const PREFIX: &str = "base64-";

/// The access token in the cookie `name`; `None` without the cookie.
///
/// # Errors
///
/// [`Reason::MalformedToken`] when the cookie is there and no token can be found in it, and
/// [`Reason::MultipleCredentials`] when it is there twice with different values.
pub(super) fn token(headers: &HeaderMap, name: &str) -> Result<Option<String>, Rejection> {
    let cookies = Cookies::of(headers);
    let whole = cookies.value(name)?;
    let value = match whole {
        Some(whole) => whole.to_owned(),
        None => match cookies.chunks(name)? {
            Some(joined) => joined,
            None => return Ok(None),
        },
    };
    access_token(&value).map(Some)
}

struct Cookies<'a> {
    pairs: Vec<(&'a str, &'a str)>,
}

impl<'a> Cookies<'a> {
    fn of(headers: &'a HeaderMap) -> Self {
        // Each by itself: another application's cookie may hold anything.
        let parts = headers.get_all(COOKIE).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b';'));
        let pairs = parts.filter_map(|part| std::str::from_utf8(part).ok()?.split_once('='));
        Self { pairs: pairs.map(|(name, value)| (name.trim(), value.trim().trim_matches('"'))).collect() }
    }

    fn value(&self, name: &str) -> Result<Option<&'a str>, Rejection> {
        // An empty cookie is what signing out may leave behind.
        let named = self.pairs.iter().filter(|(known, value)| *known == name && !value.is_empty());
        let mut values = named.map(|(_, value)| *value);
        let Some(first) = values.next() else { return Ok(None) };
        // Set for two paths or domains: which of them the application would believe cannot be known.
        if values.any(|value| value != first) { Err(Reason::MultipleCredentials.into()) } else { Ok(Some(first)) }
    }

    fn chunks(&self, name: &str) -> Result<Option<String>, Rejection> {
        let mut joined = None::<String>;
        for index in 0..MAX_CHUNKS {
            let Some(chunk) = self.value(&format!("{name}.{index}"))? else { break };
            joined.get_or_insert_default().push_str(chunk);
        }
        Ok(joined)
    }
}

fn access_token(value: &str) -> Result<String, Rejection> {
    let unreadable = || {
        let why = "the session cookie has no access token that can be read";
        Rejection::new(Reason::MalformedToken).with_detail(Detail::Because(why))
    };
    let text = match value.strip_prefix(PREFIX) {
        Some(encoded) => {
            let bytes = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(encoded.trim_end_matches('='));
            String::from_utf8(bytes.map_err(|_| unreadable())?).map_err(|_| unreadable())?
        }
        // The whole of it is encoded or nothing: a name in a session that is not may hold a percent sign.
        None if value.starts_with('%') => percent_decoded(value).ok_or_else(unreadable)?,
        None => value.to_owned(),
    };
    if text.starts_with("eyJ") {
        // The token itself.
        return Ok(text);
    }
    let session: serde_json::Value = serde_json::from_str(&text).map_err(|_| unreadable())?;
    // Before 2023 the client wrote an array that begins with the access token.
    let token = session.get("access_token").or_else(|| session.get(0)).and_then(serde_json::Value::as_str);
    token.map(str::to_owned).ok_or_else(unreadable)
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte == b'%' {
            let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &rest[2..];
        } else {
            bytes.push(*byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "sb-abc-auth-token";
    const TOKEN: &str = "eyJhbGciOiJub25lIn0.e30.c2ln";

    fn found(cookies: &[&str]) -> Result<Option<String>, Reason> {
        let mut headers = HeaderMap::new();
        for cookie in cookies {
            headers.append(COOKIE, cookie.parse().unwrap());
        }
        token(&headers, NAME).map_err(|rejection| rejection.reason())
    }

    fn session() -> String {
        format!(r#"{{"access_token":"{TOKEN}","token_type":"bearer","user":{{"id":"x"}}}}"#)
    }

    fn encoded() -> String {
        format!("{PREFIX}{}", base64_simd::URL_SAFE_NO_PAD.encode_to_string(session()))
    }

    #[test]
    fn every_way_in_which_the_client_writes_a_session_is_read() {
        let percent: String = session().bytes().map(|byte| format!("%{byte:02X}")).collect();
        let array = format!(r#"["{TOKEN}","refresh",null]"#);
        let named = format!(r#"{{"access_token":"{TOKEN}","user":{{"name":"100%"}}}}"#);
        for value in [encoded(), session(), percent, array, named, TOKEN.to_owned(), format!("\"{TOKEN}\"")] {
            let cookie = format!("other=1; {NAME}={value}; {NAME}-code-verifier=no");
            assert_eq!(found(&[&cookie]), Ok(Some(TOKEN.to_owned())), "{cookie}");
        }
    }

    #[test]
    fn chunks_are_put_together_in_order_also_over_several_headers() {
        let value = encoded();
        let (first, rest) = value.split_at(40);
        let (second, third) = rest.split_at(30);
        let one = format!("{NAME}.2={third}; {NAME}.0={first}");
        let two = format!("a=b; {NAME}.1={second}");
        assert_eq!(found(&[&one, &two]), Ok(Some(TOKEN.to_owned())));
        assert_eq!(found(&[&one]), Err(Reason::MalformedToken), "a chunk is missing");
        let emptied = format!("{NAME}=; {NAME}.0={value}");
        assert_eq!(found(&[&emptied]), Ok(Some(TOKEN.to_owned())), "the session has become longer");
    }

    #[test]
    fn another_cookie_in_any_bytes_does_not_hide_the_session() {
        let mut headers = HeaderMap::new();
        let cookie = [b"theme=\xe9\xff; ".as_slice(), NAME.as_bytes(), b"=", TOKEN.as_bytes()].concat();
        headers.insert(COOKIE, http::HeaderValue::from_bytes(&cookie).unwrap());
        assert_eq!(token(&headers, NAME).unwrap().as_deref(), Some(TOKEN));
    }

    #[test]
    fn no_cookie_is_no_credential_and_a_broken_one_is_malformed() {
        assert_eq!(found(&[]), Ok(None));
        assert_eq!(found(&["a=b; sb-abc-auth-token2=x; xsb-abc-auth-token=y"]), Ok(None));
        assert_eq!(found(&[&format!("{NAME}=; {NAME}.0=")]), Ok(None), "signed out");
        for value in ["base64-", "base64-!!!", "base64-AAAA", "{}", "[]", "null", "%7", "%zz", r#"{"access_token":7}"#]
        {
            assert_eq!(found(&[&format!("{NAME}={value}")]), Err(Reason::MalformedToken), "{value}");
        }
    }

    #[test]
    fn two_different_sessions_are_two_credentials() {
        let cookie = format!("{NAME}={}; {NAME}={TOKEN}x", encoded());
        assert_eq!(found(&[&cookie]), Err(Reason::MultipleCredentials));
        let same = format!("{NAME}={TOKEN}; {NAME}={TOKEN}");
        assert_eq!(found(&[&same]), Ok(Some(TOKEN.to_owned())));
    }
}
