//! `exp`, `nbf` and `iat` to the millisecond (RFC 7519 sections 4.1.4 to 4.1.6).

use super::*;

fn at(millis_after_now: i64) -> UnixTime {
    UnixTime::from_millis(NOW * 1000 + millis_after_now)
}

fn reason_at(verifier: &Verifier, draft: &Draft, millis_after_now: i64) -> Option<Reason> {
    verifier.verify(&draft.token(), &keys(), at(millis_after_now)).err().map(|rejection| rejection.reason())
}

#[test]
fn a_token_expires_exactly_a_leeway_after_its_exp() {
    let draft = Draft::valid().claim("exp", (NOW + 100).to_string());
    assert_eq!(reason_at(&verifier(), &draft, 129_999), None);
    assert_eq!(reason_at(&verifier(), &draft, 130_000), Some(Reason::Expired));
    let none = builder().leeway(Duration::ZERO).build().unwrap();
    assert_eq!(reason_at(&none, &draft, 99_999), None);
    assert_eq!(reason_at(&none, &draft, 100_000), Some(Reason::Expired));
}

#[test]
fn a_token_becomes_valid_exactly_a_leeway_before_its_nbf_and_iat() {
    for (claim, early) in [("nbf", Reason::NotYetValid), ("iat", Reason::IssuedInFuture)] {
        let draft = Draft::valid().claim(claim, (NOW + 100).to_string());
        assert_eq!(reason_at(&verifier(), &draft, 69_999), Some(early));
        assert_eq!(reason_at(&verifier(), &draft, 70_000), None);
        let none = builder().leeway(Duration::ZERO).build().unwrap();
        assert_eq!(reason_at(&none, &draft, 99_999), Some(early));
        assert_eq!(reason_at(&none, &draft, 100_000), None);
    }
}

#[test]
fn fractions_of_a_second_count() {
    let none = builder().leeway(Duration::ZERO).build().unwrap();
    let draft = Draft::valid().claim("exp", format!("{}.25", NOW + 1)).claim("iat", format!("{NOW}.5"));
    assert_eq!(reason_at(&none, &draft, 499), Some(Reason::IssuedInFuture));
    assert_eq!(reason_at(&none, &draft, 500), None);
    assert_eq!(reason_at(&none, &draft, 1249), None);
    assert_eq!(reason_at(&none, &draft, 1250), Some(Reason::Expired));
}

#[test]
fn a_verified_token_is_timely_exactly_while_it_would_be_accepted() {
    let draft =
        Draft::valid().claim("exp", (NOW + 100).to_string()).claim("nbf", (NOW + 10).to_string()).claim("iat", "5");
    let token = draft.verified();
    for millis in [-20_001, -20_000, 0, 129_999, 130_000] {
        let accepted = reason_at(&verifier(), &draft, millis).is_none();
        assert_eq!(token.is_timely(at(millis)), accepted, "{millis} ms");
    }
    assert!(!token.is_timely(at(-20_001)) && token.is_timely(at(-20_000)));
}

#[test]
fn times_at_the_ends_of_the_calendar_do_not_wrap_around() {
    let forever = builder().leeway(Duration::MAX).build().unwrap();
    let draft = Draft::valid().claim("exp", "0").claim("nbf", "253402300799").claim("iat", "253402300799");
    assert_eq!(reason_at(&forever, &draft, 0), None);
    let last = Draft::valid().claim("exp", "253402300799");
    assert_eq!(reason_at(&verifier(), &last, 0), None);
    let ends = |now| verifier().verify(&last.token(), &keys(), now).err().map(|rejection| rejection.reason());
    assert_eq!(ends(UnixTime::from_millis(i64::MAX)), Some(Reason::Expired));
    assert_eq!(ends(UnixTime::from_millis(i64::MIN)), Some(Reason::IssuedInFuture));
}

#[test]
fn a_refusal_says_by_how_much() {
    let verify = |draft: Draft| verifier().verify(&draft.token(), &keys(), now()).unwrap_err().to_string();
    assert_eq!(verify(Draft::valid().claim("exp", (NOW - 90).to_string())), "the token expired 90 s ago");
    let early = verify(Draft::valid().claim("iat", (NOW + 90).to_string()));
    assert_eq!(early, "the claim iat lies 90 s in the future");
}
