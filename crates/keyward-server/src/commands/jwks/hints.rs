//! Well-known mistakes about key sets.

use keyward::jwk::KeySet;
use reqwest::Url;

const JWKS_PATH: &str = "/auth/v1/.well-known/jwks.json";

/// What was probably meant by an address that gave no key set.
pub(in crate::commands) fn address(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let (path, origin) = (url.path().trim_end_matches('/'), url.origin().ascii_serialization());
    let is_dashboard =
        matches!(url.host_str(), Some("supabase.com" | "app.supabase.com" | "supabase.io" | "app.supabase.io"));
    if is_dashboard && let Some((_, rest)) = path.split_once("/project/") {
        let reference = rest.split('/').next().unwrap_or_default();
        return Some(format!("this is the dashboard; the key set is at https://{reference}.supabase.co{JWKS_PATH}"));
    }
    let why = if path.starts_with("/rest/v1") {
        "/rest/v1 leads to PostgREST, which has no key set"
    } else if path == "/auth/v1/jwks" || path.ends_with("/auth/v1/jwks.json") {
        "Supabase Auth has no such path"
    } else if path.is_empty() {
        "this is the project's address"
    } else if path == "/auth/v1" || path == "/auth/v1/.well-known" {
        "this is the issuer's address"
    } else if path == "/.well-known/jwks.json" && url.host_str().is_some_and(|host| host.ends_with(".supabase.co")) {
        "the path lacks /auth/v1"
    } else if path.ends_with("/openid-configuration") {
        return Some("this is the issuer's metadata; the key set is where its jwks_uri points to".to_owned());
    } else {
        return None;
    };
    Some(format!("{why}; the key set of a Supabase project is at {origin}{JWKS_PATH}"))
}

/// What a set without usable keys probably means.
pub(in crate::commands) fn no_usable_key(set: &KeySet) -> Option<String> {
    if !set.keys().is_empty() {
        return None;
    }
    Some(if set.unusable().is_empty() {
        "an empty set from Supabase means that the project still signs with its legacy shared secret (HS256): create \
         signing keys in the dashboard, or set SUPABASE_JWT_SECRET until then"
            .to_owned()
    } else {
        "no key of this set can verify a token; each says why".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_mistakes_lead_to_the_right_address() {
        let right = "https://abc.supabase.co/auth/v1/.well-known/jwks.json";
        for wrong in [
            "https://abc.supabase.co",
            "https://abc.supabase.co/",
            "https://abc.supabase.co/rest/v1/.well-known/jwks.json?apikey=secret",
            "https://abc.supabase.co/auth/v1/jwks",
            "https://abc.supabase.co/auth/v1/",
            "https://abc.supabase.co/.well-known/jwks.json",
            "https://supabase.com/dashboard/project/abc/settings/api",
        ] {
            let hint = address(wrong).unwrap();
            assert!(hint.ends_with(right) && !hint.contains("secret"), "{wrong}: {hint}");
        }
        assert_eq!(address(right), None);
        assert_eq!(address("https://login.example.com/keys"), None);
        assert!(address("https://login.example.com/.well-known/openid-configuration").unwrap().contains("jwks_uri"));
    }
}
