//! Well-known mistakes about tokens.

use keyward::jws::Unverified;
use keyward::{Reason, Rejection};
use serde_json::Value;

use super::accepted::Accepted;
use super::claims::{Members, moment, moment_in_millis};
use super::moment as moments;
use crate::commands::output::quoted;

/// What a Supabase API key is, without showing it.
pub(super) fn api_key(token: &str) -> &'static str {
    if token.starts_with("sb_secret_") {
        "a Supabase secret API key (sb_secret_…), not a token: it opens everything, belongs to servers only, and goes \
         into the apikey header"
    } else {
        "a Supabase publishable API key (sb_publishable_…), not a token: it goes into the apikey header; the bearer \
         token is the access_token of the user's session"
    }
}

/// What a legacy API key is for, if these are the claims of one.
pub(super) fn legacy_api_key(claims: &Members) -> Option<String> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let (role, project) = (text("role")?, text("ref")?);
    let is_key = text("iss") == Some("supabase") && matches!(role, "anon" | "service_role");
    if !is_key || claims.get("sub").is_some() || claims.get("aud").is_some() {
        return None;
    }
    let project = quoted(project);
    Some(format!(
        "the legacy {role} key of the project {project}: it says nothing about a user, and goes into the apikey header"
    ))
}

/// What is probably wrong with a text that is no token.
pub(super) fn shape(token: &str) -> Vec<String> {
    let hint = if token.starts_with('{') || token.starts_with('[') {
        "this is JSON: give the value of its access_token alone"
    } else if token.starts_with("base64-") {
        "this is the cookie of supabase-ssr: base64url of a session, which has the token as its access_token"
    } else if token.contains(['"', '\'', '`']) {
        "there are quotes in it"
    } else if token.contains(char::is_whitespace) {
        "there are blanks or line breaks in it: it was cut into lines, or is more than one token"
    } else if token.contains('%') {
        "it is percent-encoded, as in a URL or a cookie"
    } else if token.contains('…') || token.contains("...") {
        "it was shortened when it was copied"
    } else if token.matches('.').count() == 4 {
        "five parts make an encrypted token (JWE)"
    } else if token.ends_with('=') || token.contains(['+', '/']) {
        "this is base64 with padding or of the other alphabet: a token is base64url without padding"
    } else if !token.contains('.') && token.len() < 64 {
        "an opaque text such as a refresh token is no access token"
    } else {
        return Vec::new();
    };
    vec![hint.to_owned()]
}

/// What is probably wrong with a token that was refused.
pub(super) fn refusal(
    rejection: &Rejection,
    token: &Unverified<'_>,
    claims: &Members,
    accepted: &Accepted,
) -> Vec<String> {
    let mut hints = Vec::new();
    match rejection.reason() {
        Reason::LegacyApiKey => hints.extend(legacy_api_key(claims).map(|key| format!("this is {key}"))),
        Reason::UnsupportedAlg => hints.extend(algorithm(token, accepted)),
        Reason::InvalidSignature if token.algorithm().is_some_and(|one| one.is_symmetric()) => hints.push(
            "the configured secret is not the one it was signed with; Supabase's is used as the text that it is, not \
             decoded from base64"
                .to_owned(),
        ),
        Reason::AlgMismatch if token.algorithm().is_some_and(|one| one.is_symmetric()) => {
            hints.push("a shared-secret algorithm with the kid of a public key: no honest issuer does that".to_owned());
        }
        Reason::UnknownKid => hints.extend(unknown_kid(token, accepted)),
        Reason::WrongIssuer => hints.extend(token.issuer().and_then(|iss| issuer(&iss, accepted))),
        Reason::WrongAudience => hints.extend(audience(claims, accepted)),
        Reason::InvalidClaim => hints.extend(milliseconds(claims)),
        Reason::Expired => {
            hints.push("a client renews its token before it expires: look at its clock and its session".to_owned());
        }
        Reason::NotYetValid | Reason::IssuedInFuture => {
            hints.push("the clock of the issuer, or of this machine, is wrong".to_owned());
        }
        _ => {}
    }
    hints
}

fn algorithm(token: &Unverified<'_>, accepted: &Accepted) -> Option<String> {
    let algorithm = token.algorithm()?;
    (algorithm.is_symmetric() && !accepted.has_secret).then(|| {
        format!(
            "the project still signs with its legacy shared secret ({algorithm}): move it to signing keys, or set \
             SUPABASE_JWT_SECRET until it has moved"
        )
    })
}

fn unknown_kid(token: &Unverified<'_>, accepted: &Accepted) -> Option<String> {
    match token.issuer() {
        Some(iss) if !accepted.any_issuer && !accepted.accepts_issuer(&iss) => {
            Some(format!("the token is by {}, so its key is in another set", quoted(&iss)))
        }
        _ => Some(
            "either the key set is older than the key (Supabase's edge keeps it for 10 minutes), or the key was \
             withdrawn, or the token is of another project"
                .to_owned(),
        ),
    }
}

fn issuer(iss: &str, accepted: &Accepted) -> Option<String> {
    let bare = |text: &str| text.trim_end_matches('/').to_owned();
    let host = |text: &str| text.split_once("://").map(|(_, rest)| bare(rest).to_ascii_lowercase());
    accepted.issuers.iter().find_map(|accepted| {
        let accepted: &str = accepted;
        if bare(iss) == bare(accepted) {
            Some("they differ in the slash at the end only".to_owned())
        } else if bare(iss) == format!("{}/auth/v1", bare(accepted)) {
            Some(format!("the accepted issuer lacks /auth/v1: Supabase's is {}", quoted(iss)))
        } else if format!("{}/auth/v1", bare(iss)) == bare(accepted) {
            Some("the token's issuer lacks /auth/v1, which Supabase's has".to_owned())
        } else if host(iss).is_some() && host(iss) == host(accepted) {
            Some("they differ in the scheme or in capital letters only".to_owned())
        } else {
            None
        }
    })
}

fn audience(claims: &Members, accepted: &Accepted) -> Option<String> {
    let aud = claims.get("aud")?;
    let claimed: Vec<&str> = match aud {
        Value::String(one) => vec![one],
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let alike = |a: &str, b: &str| a.trim().trim_end_matches('/').eq_ignore_ascii_case(b.trim().trim_end_matches('/'));
    let near = accepted.audiences.iter().any(|accepted| claimed.iter().any(|claimed| alike(claimed, accepted)));
    if near {
        return Some("they differ in capital letters, blanks or a slash at the end only".to_owned());
    }
    claimed.is_empty().then(|| "the token names no audience".to_owned())
}

fn milliseconds(claims: &Members) -> Option<String> {
    ["exp", "nbf", "iat"].into_iter().find_map(|name| {
        let value = claims.get(name).filter(|value| moment(value).is_none())?;
        if value.is_string() {
            return Some(format!("{name} is a text: it must be a number of seconds since 1970"));
        }
        let meant = moments::absolute(moment_in_millis(value)?);
        Some(format!("{name} counts milliseconds (then it is {meant}): it must count seconds since 1970"))
    })
}
