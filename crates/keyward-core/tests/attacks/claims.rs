//! Claims that are not what they must be, all signed by the issuer's own key (RFC 7519 sections 2 and 4.1).

use super::*;

fn check_claim(name: &str, raw: &str, expected: Option<Reason>) {
    let token = world().signed_payload(&payload(&[(name, raw)]));
    assert_eq!(outcome(&world().verifier, &world().keys, &token), expected, "{name}: {raw}");
}

#[test]
fn times_that_are_no_times_are_invalid() {
    for claim in ["exp", "nbf", "iat"] {
        for raw in [
            "null",
            "true",
            "false",
            "[]",
            "{}",
            r#""1700000000""#,
            r#""2099-01-01T00:00:00Z""#,
            r#""""#,
            "[1800000000]",
            "-1",
            "-0",
            "-0.0",
            "-1e-9",
            "-1700000000",
            "1e400",
            "-1e400",
            "1e999999999",
            "1e12",
            "253402300800",
            "18446744073709551615",
            "9223372036854775807",
            "99999999999999999999999999999999999999",
        ] {
            check_claim(claim, raw, Some(Reason::InvalidClaim));
        }
        for raw in [
            "NaN",
            "Infinity",
            "-Infinity",
            "0x7fffffff",
            "+1",
            "01",
            "1.",
            ".5",
            "1_000",
            "1e",
            "١٧٠٠٠٠٠٠٠٠",
            "undefined",
        ] {
            check_claim(claim, raw, Some(Reason::MalformedToken));
        }
    }
}

#[test]
fn times_with_a_fraction_or_an_exponent_are_times() {
    for (claim, raw, expected) in [
        ("exp", "1700003600.999", None),
        ("exp", "1.7000036e9", None),
        ("exp", "17000036E+2", None),
        ("exp", "1699999970.001", None),
        ("exp", "1699999970.0", Some(Reason::Expired)),
        ("exp", "1699999969.999999", Some(Reason::Expired)),
        ("exp", "1e-400", Some(Reason::Expired)),
        ("exp", "0", Some(Reason::Expired)),
        ("exp", "0.0", Some(Reason::Expired)),
        ("nbf", "1700000030.0", None),
        ("nbf", "1700000030.5", Some(Reason::NotYetValid)),
        ("iat", "1700000030.5", Some(Reason::IssuedInFuture)),
        ("iat", "1.7000036e9", Some(Reason::IssuedInFuture)),
        // Milliseconds instead of seconds, a mistake of many issuers: the year 55840.
        ("exp", "1700003600000", Some(Reason::InvalidClaim)),
        ("exp", "", Some(Reason::MissingClaim)),
        ("nbf", "", None),
        ("iat", "", None),
    ] {
        check_claim(claim, raw, expected);
    }
}

#[test]
fn an_audience_and_an_issuer_are_strings() {
    for (claim, raw, expected) in [
        ("aud", "", Reason::MissingClaim),
        ("aud", "null", Reason::InvalidClaim),
        ("aud", "true", Reason::InvalidClaim),
        ("aud", "1", Reason::InvalidClaim),
        ("aud", r#"{"authenticated":true}"#, Reason::InvalidClaim),
        ("aud", r#"["authenticated",null]"#, Reason::InvalidClaim),
        ("aud", r#"[["authenticated"]]"#, Reason::InvalidClaim),
        ("aud", r#"["authenticated",{}]"#, Reason::InvalidClaim),
        ("aud", r#""\ud800""#, Reason::InvalidClaim),
        ("aud", "[]", Reason::WrongAudience),
        ("aud", r#""""#, Reason::WrongAudience),
        ("aud", r#""authenticated\u0000""#, Reason::WrongAudience),
        ("aud", r#""authenticated,other""#, Reason::WrongAudience),
        ("aud", r#""authenticated other""#, Reason::WrongAudience),
        ("aud", r#""аuthenticated""#, Reason::WrongAudience),
        ("aud", r#""*""#, Reason::WrongAudience),
        ("iss", "", Reason::MissingClaim),
        ("iss", "null", Reason::InvalidClaim),
        ("iss", "7", Reason::InvalidClaim),
        ("iss", "{}", Reason::InvalidClaim),
        ("iss", r#"["https://project.supabase.example/auth/v1"]"#, Reason::InvalidClaim),
        ("iss", r#""https://project.supabase.example/auth/v1\ud800""#, Reason::InvalidClaim),
        ("iss", r#""https://project.supabase.example/auth/v1\u0000""#, Reason::WrongIssuer),
        ("iss", r#""https://project.supabase.example/auth/v1/../v1""#, Reason::WrongIssuer),
        ("iss", r#""https://project.supabase.example.evil.example/auth/v1""#, Reason::WrongIssuer),
        ("iss", r#""https://projеct.supabase.example/auth/v1""#, Reason::WrongIssuer),
        ("iss", r#""""#, Reason::WrongIssuer),
    ] {
        check_claim(claim, raw, Some(expected));
    }
}

#[test]
fn claims_about_a_person_have_their_types() {
    for claim in ["sub", "role", "email", "session_id", "aal", "jti"] {
        for raw in ["1", "0", "true", "false", "[]", "{}", r#"["service_role"]"#, r#""\ud800""#, r#""\udc00\ud800""#] {
            check_claim(claim, raw, Some(Reason::InvalidClaim));
        }
    }
    check_claim("sub", "null", Some(Reason::InvalidClaim));
    check_claim("jti", "null", Some(Reason::InvalidClaim));
    for raw in [r#""true""#, r#""false""#, "0", "1", "[]", "{}", r#""""#, "[true]"] {
        check_claim("is_anonymous", raw, Some(Reason::InvalidClaim));
    }
}

#[test]
fn names_that_only_look_like_a_claim_are_other_claims() {
    for (claim, look_alike) in [
        ("exp", "еxp"),
        ("exp", "Exp"),
        ("exp", "exp "),
        ("exp", "e\u{200b}xp"),
        ("exp", "\u{ff45}xp"),
        ("iss", "\u{456}ss"),
        ("iss", "ISS"),
        ("aud", "аud"),
        ("aud", "audience"),
    ] {
        let value = if claim == "exp" { "1800000000".to_owned() } else { format!(r#""{ISSUER}""#) };
        let token = world().signed_payload(&payload(&[(claim, ""), (look_alike, &value)]));
        check(look_alike, &token, Reason::MissingClaim);
    }
    // Inside another object they are no claims at all.
    let nested = payload(&[("exp", ""), ("app_metadata", r#"{"exp":1800000000}"#)]);
    check("nested", &world().signed_payload(&nested), Reason::MissingClaim);
}
