//! The compact serialization of a JWS and its JOSE header (RFC 7515 sections 3.1, 4 and 7.1).
//!
//! Nothing here is verified: [`Unverified`] only says what a token claims to be.

use std::borrow::Cow;

use crate::alg::Algorithm;
use crate::claims::ClaimSpans;
use crate::json;
use crate::rejection::{Claimed, Detail, Reason, Rejection};

/// A token taken apart: well-formed, and not to be trusted.
pub struct Unverified<'t> {
    token: &'t str,
    signing_input: &'t str,
    payload_start: usize,
    pub(crate) header: Header,
    pub(crate) payload: String,
    pub(crate) claims: ClaimSpans,
    pub(crate) signature: Vec<u8>,
}

impl<'t> Unverified<'t> {
    /// Takes a token apart. Costs no more than its length, whatever is in it.
    ///
    /// # Errors
    ///
    /// [`Reason::TokenTooLarge`] over `max_bytes`; [`Reason::ApiKeyAsBearer`] for a Supabase API key;
    /// [`Reason::MalformedToken`] for anything but three parts of canonical base64url without padding, of which the
    /// first two are JSON objects whose members are unique.
    pub fn parse(token: &'t str, max_bytes: usize) -> Result<Self, Rejection> {
        if token.len() > max_bytes {
            return Err(Reason::TokenTooLarge.into());
        }
        if token.starts_with("sb_publishable_") || token.starts_with("sb_secret_") {
            return Err(Reason::ApiKeyAsBearer.into());
        }
        let (header, rest) =
            token.split_once('.').ok_or_else(|| malformed("the token has no dots: it is not a JWT"))?;
        let (payload, signature) = rest.split_once('.').ok_or_else(|| malformed("the token has only two parts"))?;
        if signature.contains('.') {
            return Err(malformed("the token has more than three parts: an encrypted token is not accepted"));
        }
        let signing_input = &token[..header.len() + 1 + payload.len()];
        let header = Header::parse(decode_text(header)?)?;
        let payload_text = decode_text(payload)?;
        let claims = ClaimSpans::parse(&payload_text)
            .map_err(|_| malformed("the payload is not a JSON object with unique members"))?;
        Ok(Self {
            token,
            signing_input,
            payload_start: signing_input.len() - payload.len(),
            header,
            payload: payload_text,
            claims,
            signature: decode(signature)?,
        })
    }

    /// The token as it was sent.
    #[must_use]
    pub fn token(&self) -> &'t str {
        self.token
    }

    /// What the signature is over: header, dot, payload.
    pub(crate) fn signing_input(&self) -> &'t [u8] {
        self.signing_input.as_bytes()
    }

    /// Where the payload begins and ends in the token.
    pub(crate) fn payload_range(&self) -> std::ops::Range<usize> {
        self.payload_start..self.signing_input.len()
    }

    /// The header's `kid`.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.header.kid.as_deref()
    }

    /// The header's `alg`, if it is one that Keyward knows.
    #[must_use]
    pub fn algorithm(&self) -> Option<Algorithm> {
        self.header.algorithm
    }

    /// The `iss` claim, if it is a string.
    #[must_use]
    pub fn issuer(&self) -> Option<Cow<'_, str>> {
        self.claims.issuer.of(&self.payload).and_then(json::as_str)
    }

    /// The JOSE header as it was sent, as JSON.
    #[must_use]
    pub fn header_json(&self) -> &str {
        &self.header.text
    }

    /// The payload as it was sent, as JSON.
    #[must_use]
    pub fn payload_json(&self) -> &str {
        &self.payload
    }

    /// What the token says of itself, shortened, for logs and the console.
    #[must_use]
    pub fn claimed(&self) -> Claimed {
        let text = |raw: Option<&str>| raw.and_then(json::as_str).map(|text| shorten(&text));
        Claimed {
            kid: self.kid().map(shorten),
            alg: Some(shorten(&self.header.alg)),
            issuer: text(self.claims.issuer.of(&self.payload)),
            audience: self.claims.audience.of(&self.payload).and_then(crate::claims::audiences).map(|list| {
                let joined = list.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join(",");
                shorten(&joined)
            }),
            subject: text(self.claims.subject.of(&self.payload)),
        }
    }
}

/// The members of a JOSE header that decide something.
pub(crate) struct Header {
    text: String,
    alg: String,
    pub(crate) algorithm: Option<Algorithm>,
    pub(crate) kid: Option<String>,
    pub(crate) typ: Option<String>,
    pub(crate) has_crit: bool,
    pub(crate) has_cty: bool,
}

impl Header {
    fn parse(text: String) -> Result<Self, Rejection> {
        let (mut alg, mut kid, mut typ) = (None, None, None);
        let (mut has_crit, mut has_cty) = (false, false);
        let string = |raw| json::as_str(raw).map(|text| Some(text.into_owned())).ok_or("not a string");
        json::for_each_member(&text, |name, raw| {
            match name {
                "alg" => alg = string(raw)?,
                "kid" => kid = string(raw)?,
                "typ" => typ = string(raw)?,
                "crit" => has_crit = true,
                "cty" => has_cty = true,
                "zip" => return Err("compressed content"),
                _ => {}
            }
            Ok(())
        })
        .map_err(|_| malformed("the header is not a JSON object with unique members of the right types"))?;
        let alg = alg.ok_or_else(|| malformed("the header has no alg"))?;
        Ok(Self { text, algorithm: Algorithm::from_name(&alg), alg, kid, typ, has_crit, has_cty })
    }
}

fn malformed(why: &'static str) -> Rejection {
    Rejection::new(Reason::MalformedToken).with_detail(Detail::Because(why))
}

/// Canonical base64url without padding: no other spelling of the same bytes is accepted.
fn decode(part: &str) -> Result<Vec<u8>, Rejection> {
    base64_simd::URL_SAFE_NO_PAD
        .decode_to_vec(part)
        .map_err(|_| malformed("a part of the token is not canonical base64url without padding"))
}

fn decode_text(part: &str) -> Result<String, Rejection> {
    String::from_utf8(decode(part)?).map_err(|_| malformed("a part of the token is not UTF-8"))
}

/// At most 128 characters.
fn shorten(text: &str) -> String {
    const MAX: usize = 128;
    match text.char_indices().nth(MAX) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str, payload: &str) -> String {
        let encode = |text: &str| base64_simd::URL_SAFE_NO_PAD.encode_to_string(text);
        format!("{}.{}.{}", encode(header), encode(payload), encode("signature"))
    }

    fn reason(token: &str) -> Option<Reason> {
        Unverified::parse(token, 16_384).err().map(|rejection| rejection.reason())
    }

    const HEADER: &str = r#"{"alg":"ES256","kid":"a"}"#;

    #[test]
    fn a_token_is_taken_apart() {
        let text = token(HEADER, r#"{"iss":"https://x","aud":["a","b"],"sub":"s"}"#);
        let token = Unverified::parse(&text, 16_384).unwrap();
        assert_eq!((token.kid(), token.algorithm()), (Some("a"), Some(Algorithm::ES256)));
        assert_eq!(token.issuer().as_deref(), Some("https://x"));
        assert_eq!(token.claimed().audience.as_deref(), Some("a,b"));
        assert_eq!(token.signature, b"signature");
        let payload = &text[token.payload_range()];
        assert_eq!(decode_text(payload).unwrap(), token.payload_json());
    }

    #[test]
    fn shapes_that_are_not_a_compact_jws_are_malformed() {
        let good = token(HEADER, "{}");
        let cases = [
            String::new(),
            "abc".to_owned(),
            "a.b".to_owned(),
            "..".to_owned(),
            ".".repeat(10_000),
            format!("{good}.{good}"),
            format!("{good}="),
            format!(" {good}"),
            format!("{good}\n"),
            good.replacen('.', ". ", 1),
            good.replacen('.', "=.", 1),
            format!("{good}*"),
            format!("{good}é"),
        ];
        for case in cases {
            assert_eq!(reason(&case), Some(Reason::MalformedToken), "{case:.40?}");
        }
        assert_eq!(reason(&good), None);
    }

    #[test]
    fn another_spelling_of_the_same_bytes_is_malformed() {
        // 'signature' ends in a whole group; one byte less leaves bits that must be zero.
        let good = token(HEADER, "{}");
        let cut = good.trim_end_matches(|c| c != '.').to_owned();
        assert_eq!(reason(&format!("{cut}YQ")), None);
        assert_eq!(reason(&format!("{cut}YR")), Some(Reason::MalformedToken));
        assert_eq!(reason(&format!("{cut}YQ==")), Some(Reason::MalformedToken));
        assert_eq!(reason(&format!("{cut}Y+/_")), Some(Reason::MalformedToken));
    }

    #[test]
    fn headers_that_two_readers_could_read_differently_are_malformed() {
        for header in [
            r#"{"alg":"none","alg":"ES256"}"#,
            r#"{"alg":1}"#,
            r#"{"kid":"a"}"#,
            r#"{"alg":"ES256","kid":7}"#,
            r#"{"alg":"ES256","kid":null}"#,
            r#"{"alg":"ES256","zip":"DEF"}"#,
            r#"["alg"]"#,
            "",
        ] {
            assert_eq!(reason(&token(header, "{}")), Some(Reason::MalformedToken), "{header}");
        }
    }

    #[test]
    fn payloads_that_are_no_object_are_malformed() {
        let deep = format!(r#"{{"a":{}1{}}}"#, "[".repeat(2000), "]".repeat(2000));
        for payload in ["", "[]", "null", r#""text""#, r#"{"exp":1,"exp":2}"#, r#"{"exp":NaN}"#, &deep] {
            assert_eq!(reason(&token(HEADER, payload)), Some(Reason::MalformedToken), "{payload:.40}");
        }
    }

    #[test]
    fn api_keys_and_long_tokens_are_told_apart_before_anything_is_read() {
        assert_eq!(reason("sb_publishable_abc"), Some(Reason::ApiKeyAsBearer));
        assert_eq!(reason("sb_secret_abc"), Some(Reason::ApiKeyAsBearer));
        assert_eq!(reason(&"x".repeat(16_385)), Some(Reason::TokenTooLarge));
        assert_eq!(reason(&"x".repeat(16_384)), Some(Reason::MalformedToken));
    }

    #[test]
    fn what_a_token_claims_is_shortened() {
        let long = "k".repeat(5000);
        let text = token(&format!(r#"{{"alg":"{long}","kid":"{long}"}}"#), "{}");
        let claimed = Unverified::parse(&text, 16_384).unwrap().claimed();
        assert_eq!(claimed.kid.map(|kid| kid.chars().count()), Some(129));
        assert_eq!(claimed.alg.map(|alg| alg.chars().count()), Some(129));
    }
}
