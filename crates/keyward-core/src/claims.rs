//! The claims that decide whether a token is accepted (RFC 7519 section 4.1, and those Supabase Auth adds).

use std::borrow::Cow;

use crate::json;
use crate::rejection::{Detail, Reason, Rejection};
use crate::time::UnixTime;

/// Where something stands in a text: the raw value of a claim in the payload, or what is kept of it.
#[derive(Clone, Copy, Default)]
pub(crate) struct Span(Option<(u32, u32)>);

impl Span {
    fn new(payload: &str, raw: &str) -> Self {
        // `raw` is a part of `payload`, which is no longer than a token may be.
        let start = raw.as_ptr() as usize - payload.as_ptr() as usize;
        Self::at(start..start + raw.len())
    }

    pub(crate) fn at(range: std::ops::Range<usize>) -> Self {
        let to_u32 = |at: usize| u32::try_from(at).ok();
        Self(to_u32(range.start).zip(to_u32(range.end)))
    }

    /// What stands there in the text it was taken from.
    pub(crate) fn of(self, text: &str) -> Option<&str> {
        self.0.and_then(|(start, end)| text.get(start as usize..end as usize))
    }

    pub(crate) const fn is_present(self) -> bool {
        self.0.is_some()
    }

    /// In bytes; zero where there is nothing.
    pub(crate) fn len(self) -> usize {
        self.0.map_or(0, |(start, end)| (end - start) as usize)
    }
}

/// The places of the claims that Keyward looks at. Their values are judged later, in the order of the pipeline.
#[derive(Clone, Copy, Default)]
pub(crate) struct ClaimSpans {
    pub(crate) issuer: Span,
    pub(crate) subject: Span,
    pub(crate) audience: Span,
    pub(crate) expires: Span,
    pub(crate) not_before: Span,
    pub(crate) issued_at: Span,
    pub(crate) token_id: Span,
    pub(crate) role: Span,
    pub(crate) session: Span,
    pub(crate) email: Span,
    pub(crate) assurance: Span,
    pub(crate) anonymous: Span,
    pub(crate) project_ref: Span,
}

impl ClaimSpans {
    pub(crate) fn parse(payload: &str) -> Result<Self, serde_json::Error> {
        let mut spans = Self::default();
        json::for_each_member(payload, |name, raw| {
            let place = match name {
                "iss" => &mut spans.issuer,
                "sub" => &mut spans.subject,
                "aud" => &mut spans.audience,
                "exp" => &mut spans.expires,
                "nbf" => &mut spans.not_before,
                "iat" => &mut spans.issued_at,
                "jti" => &mut spans.token_id,
                "role" => &mut spans.role,
                "session_id" => &mut spans.session,
                "email" => &mut spans.email,
                "aal" => &mut spans.assurance,
                "is_anonymous" => &mut spans.anonymous,
                "ref" => &mut spans.project_ref,
                _ => return Ok(()),
            };
            *place = Span::new(payload, raw);
            Ok(())
        })?;
        Ok(spans)
    }
}

/// A NumericDate (RFC 7519 section 2): seconds since 1970, a fraction allowed, from 1970 to the end of the year 9999.
pub(crate) fn numeric_date(raw: &str, claim: &'static str) -> Result<UnixTime, Rejection> {
    const END_OF_9999: i64 = 253_402_300_799;
    if let Ok(secs) = raw.parse::<i64>()
        && (0..=END_OF_9999).contains(&secs)
        && raw != "-0"
    {
        return Ok(UnixTime::from_secs(secs));
    }
    let number: f64 = serde_json::from_str(raw).map_err(|_| invalid(claim))?;
    #[expect(clippy::cast_precision_loss, reason = "the bound is far below 2^53")]
    if !(0.0..=END_OF_9999 as f64).contains(&number) || raw.starts_with('-') {
        return Err(invalid(claim));
    }
    #[expect(clippy::cast_possible_truncation, reason = "checked to be within the range just above")]
    Ok(UnixTime::from_millis((number * 1000.0).floor() as i64))
}

/// The audiences of an `aud` value: one string, or an array of strings (RFC 7519 section 4.1.3).
pub(crate) fn audiences(raw: &str) -> Option<Vec<Cow<'_, str>>> {
    if let Some(one) = json::as_str(raw) {
        return Some(vec![one]);
    }
    if !raw.starts_with('[') {
        return None;
    }
    let several: Vec<String> = serde_json::from_str(raw).ok()?;
    Some(several.into_iter().map(Cow::Owned).collect())
}

/// Whether `aud` names one of `accepted`.
pub(crate) fn audience_accepted(raw: &str, accepted: &[Box<str>]) -> Result<bool, Rejection> {
    let accepts = |audience: &str| accepted.iter().any(|one| **one == *audience);
    if let Some(one) = json::as_str(raw) {
        return Ok(accepts(&one));
    }
    let several = audiences(raw).ok_or_else(|| invalid("aud"))?;
    Ok(several.iter().any(|audience| accepts(audience)))
}

/// A claim that must be a string if it is there.
pub(crate) fn optional_text<'a>(raw: Option<&'a str>, claim: &'static str) -> Result<Option<Cow<'a, str>>, Rejection> {
    raw.map(|raw| json::as_str(raw).ok_or_else(|| invalid(claim))).transpose()
}

/// The same for claims that issuers also write as `null` or `""` when there is nothing to say.
pub(crate) fn nullable_text<'a>(raw: Option<&'a str>, claim: &'static str) -> Result<Option<Cow<'a, str>>, Rejection> {
    let text = optional_text(raw.filter(|raw| *raw != "null"), claim)?;
    Ok(text.filter(|text| !text.is_empty()))
}

/// A claim that must be `true` or `false` if it is there; `false` when it is not.
pub(crate) fn flag(raw: Option<&str>, claim: &'static str) -> Result<bool, Rejection> {
    match raw {
        None | Some("false" | "null") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(invalid(claim)),
    }
}

pub(crate) fn missing(claim: &'static str) -> Rejection {
    Rejection::new(Reason::MissingClaim).with_detail(Detail::Claim(claim))
}

pub(crate) fn invalid(claim: &'static str) -> Rejection {
    Rejection::new(Reason::InvalidClaim).with_detail(Detail::Claim(claim))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numeric_dates() {
        let millis = |raw| numeric_date(raw, "exp").ok().map(UnixTime::as_millis);
        for (raw, expected) in [
            ("0", Some(0)),
            ("1700000000", Some(1_700_000_000_000)),
            ("1700000000.75", Some(1_700_000_000_750)),
            ("17e8", Some(1_700_000_000_000)),
            ("253402300799", Some(253_402_300_799_000)),
            ("253402300800", None),
            ("-1", None),
            ("-0", None),
            ("-0.5", None),
            ("1e400", None),
            ("99999999999999999999999999", None),
            ("9223372036854775807", None),
            (r#""1700000000""#, None),
            ("null", None),
            ("true", None),
            ("[1700000000]", None),
            ("{}", None),
        ] {
            assert_eq!(millis(raw), expected, "{raw}");
        }
    }

    #[test]
    fn an_audience_is_a_string_or_strings() {
        let accepted = [Box::from("authenticated"), Box::from("b")];
        let check = |raw| audience_accepted(raw, &accepted).ok();
        for (raw, expected) in [
            (r#""authenticated""#, Some(true)),
            (r#""authenticate""#, Some(false)),
            (r#""Authenticated""#, Some(false)),
            (r#"["x","b"]"#, Some(true)),
            (r#"["x"]"#, Some(false)),
            ("[]", Some(false)),
            (r#"["authenticated",1]"#, None),
            (r#"[["authenticated"]]"#, None),
            (r#"{"authenticated":true}"#, None),
            ("null", None),
            ("7", None),
        ] {
            assert_eq!(check(raw), expected, "{raw}");
        }
    }

    #[test]
    fn spans_lead_back_to_the_raw_values() {
        let payload = r#"{ "exp" : 1e400, "x": {"iss":"no"}, "iss":"yes" }"#;
        let spans = ClaimSpans::parse(payload).unwrap();
        assert_eq!(spans.expires.of(payload), Some("1e400"));
        assert_eq!(spans.issuer.of(payload), Some(r#""yes""#));
        assert_eq!(spans.subject.of(payload), None);
    }
}
