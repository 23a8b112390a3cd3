//! `iss`, `aud` and the claims that say who it is.

use super::*;

#[test]
fn an_issuer_is_compared_byte_for_byte() {
    for iss in [
        "https://project.supabase.example/auth/v1/",
        "https://project.supabase.example/auth/v",
        "https://PROJECT.supabase.example/auth/v1",
        "http://project.supabase.example/auth/v1",
        "https://project.supabase.example/auth/v1?",
        "https://project.supabase.example:443/auth/v1",
        " https://project.supabase.example/auth/v1",
        "https://project.supabase.example/auth/./v1",
        "https://project.supabase.example/auth/v1\u{200b}",
        "",
        "/",
    ] {
        let raw = serde_json::Value::from(iss).to_string();
        assert_eq!(Draft::valid().claim("iss", raw).reason(), Some(Reason::WrongIssuer), "{iss}");
    }
    // An escape is another spelling of the same string.
    let escaped = Draft::valid().claim("iss", r#""https:\/\/project.supabase.example\/auth\/v\u0031""#);
    assert_eq!(escaped.reason(), None);
}

#[test]
fn one_trailing_slash_is_ignored_when_that_was_configured() {
    for configured in [ISSUER.to_owned(), format!("{ISSUER}/")] {
        let lenient = Verifier::builder("x").issuer(&*configured).ignore_trailing_slash(true).audience("a").build();
        let lenient = lenient.unwrap();
        assert!(lenient.accepts_issuer(ISSUER));
        assert!(lenient.accepts_issuer(&format!("{ISSUER}/")));
        assert!(!lenient.accepts_issuer(&format!("{ISSUER}//")));
        assert!(!lenient.accepts_issuer(&format!("/{ISSUER}")));
        assert!(!lenient.accepts_issuer(""));
        assert!(!lenient.accepts_issuer("/"));
    }
    assert!(!verifier().accepts_issuer(&format!("{ISSUER}/")));
}

#[test]
fn several_issuers_and_audiences_can_be_accepted() {
    let both = Verifier::builder("x").issuer(ISSUER).issuer("https://old").audience("authenticated").audience("orders");
    let both = both.build().unwrap();
    let check = |iss: &str, aud: &str| {
        let draft = Draft::valid().claim("iss", format!(r#""{iss}""#)).claim("aud", aud);
        reason(&both, &draft.token(), &keys())
    };
    assert_eq!(check(ISSUER, r#""orders""#), None);
    assert_eq!(check("https://old", r#"["x","orders"]"#), None);
    assert_eq!(check("https://old", r#"["x"]"#), Some(Reason::WrongAudience));
    assert_eq!(check("https://new", r#""orders""#), Some(Reason::WrongIssuer));
}

#[test]
fn an_audience_is_compared_byte_for_byte() {
    for aud in [r#""""#, r#""authenticate""#, r#""Authenticated""#, r#""authenticated ""#, "[]", r#"["","x"]"#] {
        assert_eq!(Draft::valid().claim("aud", aud).reason(), Some(Reason::WrongAudience), "{aud}");
    }
    for aud in [r#""authenticat\u0065d""#, r#"["x","authenticated"]"#, r#"["authenticated","authenticated"]"#] {
        assert_eq!(Draft::valid().claim("aud", aud).reason(), None, "{aud}");
    }
}

#[test]
fn what_issuers_write_for_nothing_is_nothing() {
    for (name, raw) in
        [("role", "null"), ("email", r#""""#), ("session_id", "null"), ("aal", "null"), ("role", r#""""#)]
    {
        let token = Draft::valid().claim("role", "").claim(name, raw).verified();
        assert_eq!((token.role(), token.email(), token.session(), token.assurance()), (None, None, None, None));
    }
    assert_eq!(Draft::valid().claim("sub", r#""""#).verified().subject(), None);
    assert!(!Draft::valid().claim("is_anonymous", "null").verified().is_anonymous());
}

#[test]
fn claims_come_in_the_type_that_is_asked_for() {
    #[derive(serde::Deserialize)]
    struct Mine {
        sub: String,
        app_metadata: std::collections::BTreeMap<String, Vec<String>>,
    }
    let token = Draft::valid().claim("app_metadata", r#"{"roles":["admin","ops"]}"#).verified();
    let mine: Mine = token.claims().unwrap();
    assert_eq!(mine.sub, token.subject().unwrap());
    assert_eq!(mine.app_metadata["roles"], ["admin", "ops"]);
    let all: serde_json::Value = token.claims().unwrap();
    assert_eq!(all["exp"], NOW + 3600);
}
