//! Tokens that are long, deep or full: refused for their size, and where the bound was raised, read in a time that
//! grows with their length and no faster.

use std::time::Duration;

use super::*;
use crate::support::encode;

const MAX: usize = 20 << 20;
const MANY: usize = 10 << 20;

fn raised() -> Verifier {
    builder().max_token_bytes(MAX).build().unwrap()
}

/// What a verifier without a bound that matters says, within a time that only a cost beyond linear would exceed, in
/// a build without optimisation and on a busy machine.
#[expect(clippy::disallowed_methods, reason = "the test measures how long the verification takes")]
fn check_raised(name: &str, token: &str, expected: Option<Reason>) {
    let world = world();
    assert!(token.len() <= MAX, "{name}: {}", token.len());
    let start = std::time::Instant::now();
    assert_eq!(outcome(&raised(), &world.keys, token), expected, "{name}");
    let took = start.elapsed();
    println!("{name}: {} bytes, {took:?}", token.len());
    assert!(took < Duration::from_secs(10), "{name} took {took:?}");
}

fn check_both(name: &str, token: &str, expected: Option<Reason>) {
    check(name, token, Reason::TokenTooLarge);
    check_raised(name, token, expected);
}

#[test]
fn the_bound_is_exact() {
    let bytes = |bytes: usize| builder().max_token_bytes(bytes).build().unwrap();
    let token = world().signed_payload(&payload(&[]));
    assert_eq!(outcome(&bytes(token.len()), &world().keys, &token), None);
    assert_eq!(outcome(&bytes(token.len() - 1), &world().keys, &token), Some(Reason::TokenTooLarge));
    assert_eq!(outcome(&bytes(0), &world().keys, "."), Some(Reason::TokenTooLarge));
}

#[test]
fn text_without_end_is_refused() {
    for (name, token) in [
        ("letters", "A".repeat(MANY)),
        ("dots", ".".repeat(1_000_000)),
        ("empty parts", format!("{}.", "A.".repeat(MANY / 2))),
        ("padding", "=".repeat(MANY)),
        ("spaces", " ".repeat(MANY)),
        ("zeros", "\0".repeat(MANY)),
        ("other letters", "é".repeat(MANY / 2)),
        ("header", format!("{}.AA.AA", "A".repeat(MANY))),
        ("payload", format!("{}.{}.AA", encode(EC_HEADER), "A".repeat(MANY))),
    ] {
        check_both(name, &token, Some(Reason::MalformedToken));
    }
    let signature = format!("{}.{}.{}", encode(EC_HEADER), encode(payload(&[])), "A".repeat(MANY));
    check_both("signature", &signature, Some(Reason::InvalidSignature));
}

#[test]
fn json_that_nests_without_end_is_refused() {
    let world = world();
    for depth in [102, 128, 1000, 100_000, 3_000_000] {
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}"), (r#"[{"a":"#, "}]"), (" [ ", " ] ")] {
            if open.len() * depth > 12 << 20 {
                continue;
            }
            let nested = format!("{}0{}", open.repeat(depth), close.repeat(depth));
            let unclosed = open.repeat(depth);
            for value in [nested, unclosed] {
                let in_claims = world.signed_payload(&payload(&[("app_metadata", &value)]));
                check_if_fits("claims", &in_claims);
                let as_claim = world.signed_payload(&payload(&[("aud", &value)]));
                check_if_fits("audience", &as_claim);
                let in_header = world.signed(&format!(r#"{{"alg":"ES256","kid":"ec","x":{value}}}"#), &payload(&[]));
                check_if_fits("header", &in_header);
                check_if_fits("all of it", &world.signed_payload(&value));
            }
        }
    }
    let deepest = format!("{}0{}", "[".repeat(100), "]".repeat(100));
    check_accepted("as deep as is allowed", &world.signed_payload(&payload(&[("x", &deepest)])));
    let deeper = format!("[{deepest}]");
    check("one deeper", &world.signed_payload(&payload(&[("x", &deeper)])), Reason::MalformedToken);
}

fn check_if_fits(name: &str, token: &str) {
    if token.len() <= 16_384 {
        check(name, token, Reason::MalformedToken);
    } else if token.len() <= MAX {
        check_raised(name, token, Some(Reason::MalformedToken));
    }
}

#[test]
fn objects_and_strings_without_end_cost_their_length() {
    let world = world();
    let members = |count: usize, name: fn(usize) -> String| {
        let list: Vec<String> = (0..count).map(|n| format!(r#""{}":0"#, name(n))).collect();
        list.join(",")
    };
    let with = |more: &str| payload(&[]).replacen('{', &format!("{{{more},"), 1);
    let in_claim = |claim: &str, raw: &str| world.signed_payload(&payload(&[(claim, raw)]));
    let million_names = members(1_000_000, |n| n.to_string());
    check_both("a million names", &world.signed_payload(&with(&million_names)), None);
    // Names that differ at their end only.
    let long_names = members(10_000, |n| format!("{}{n}", "x".repeat(1000)));
    check_both("long names", &world.signed_payload(&with(&long_names)), None);
    let escaped = members(500_000, |n| format!(r"\u0061{n}"));
    check_both("escaped names", &world.signed_payload(&with(&escaped)), None);
    let twice = format!(r#"{million_names},"999999":0"#);
    check_both("the last name again", &world.signed_payload(&with(&twice)), Some(Reason::MalformedToken));
    let in_header = format!(r#"{{"alg":"ES256","kid":"ec",{million_names}}}"#);
    check_both("names in the header", &world.signed(&in_header, &payload(&[])), None);

    let text = format!(r#""{}""#, "x".repeat(MANY));
    let escapes = format!(r#""{}""#, r"\u0041".repeat(MANY / 6));
    let audiences = format!("[{}]", vec![r#""x""#; 2_000_000].join(","));
    let digits = "9".repeat(MANY);
    let fraction = format!("1700003600.{}", "0".repeat(MANY));
    for (claim, raw, expected) in [
        ("x", &text, None),
        ("x", &digits, None),
        ("sub", &text, None),
        ("sub", &escapes, None),
        ("iss", &text, Some(Reason::WrongIssuer)),
        ("iss", &escapes, Some(Reason::WrongIssuer)),
        ("aud", &text, Some(Reason::WrongAudience)),
        ("aud", &audiences, Some(Reason::WrongAudience)),
        ("exp", &digits, Some(Reason::InvalidClaim)),
        ("exp", &fraction, None),
        ("role", &audiences, Some(Reason::InvalidClaim)),
    ] {
        check_both(claim, &in_claim(claim, raw), expected);
    }
    let kid = format!(r#"{{"alg":"ES256","kid":{text}}}"#);
    check_both("kid", &world.signed(&kid, &payload(&[])), Some(Reason::UnknownKid));
    let alg = format!(r#"{{"alg":{text},"kid":"ec"}}"#);
    check_both("alg", &world.signed(&alg, &payload(&[])), Some(Reason::UnsupportedAlg));
    let spaces = format!("{}{}", payload(&[]), " ".repeat(MANY));
    check_both("spaces", &world.signed_payload(&spaces), None);
}

#[test]
fn what_is_told_of_a_refused_token_is_short() {
    let long = "x".repeat(1 << 20);
    let audiences = format!("[{}]", vec![r#""someone""#; 100_000].join(","));
    let changes = [("sub", format!(r#""{long}""#)), ("iss", format!(r#""{long}""#)), ("aud", audiences)];
    let changes: Vec<(&str, &str)> = changes.iter().map(|(name, raw)| (*name, raw.as_str())).collect();
    let header = format!(r#"{{"alg":"ES256","kid":"{long}"}}"#);
    let token = world().signed(&header, &payload(&changes));
    let refused = raised().verify(&token, &world().keys, UnixTime::from_secs(NOW)).unwrap_err();
    assert_eq!(refused.reason(), Reason::UnknownKid);
    assert!(format!("{refused:?}{refused}").len() < 2000);
    let claimed = refused.claimed().unwrap();
    for text in [&claimed.kid, &claimed.issuer, &claimed.audience, &claimed.subject] {
        assert_eq!(text.as_ref().unwrap().chars().count(), 129);
    }
}
