//! The order of the pipeline: a reason always means that everything before it was in order.

use super::*;

type Fault = (Reason, fn(Draft) -> Draft);

/// One fault for each step, in the order of the pipeline.
const FAULTS: [Fault; 14] = [
    (Reason::TokenTooLarge, |draft| draft.claim("filler", format!(r#""{}""#, "x".repeat(20_000)))),
    (Reason::MalformedToken, |mut draft| {
        draft.suffix = "=";
        draft
    }),
    (Reason::UnsupportedCrit, |draft| draft.header("crit", r#"["exp"]"#)),
    (Reason::WrongType, |draft| draft.header("cty", r#""JWT""#)),
    (Reason::LegacyApiKey, |draft| {
        let about_nobody = draft.claim("sub", "").claim("aud", "");
        about_nobody.claim("iss", r#""supabase""#).claim("ref", r#""abc""#).claim("role", r#""anon""#)
    }),
    (Reason::UnsupportedAlg, |draft| draft.header("alg", r#""none""#)),
    (Reason::UnknownKid, |draft| draft.header("kid", r#""nobody's""#)),
    (Reason::InvalidSignature, |mut draft| {
        draft.seed = [9; 32];
        draft
    }),
    (Reason::Expired, |draft| draft.claim("exp", "1")),
    (Reason::NotYetValid, |draft| draft.claim("nbf", (NOW + 1000).to_string())),
    (Reason::IssuedInFuture, |draft| draft.claim("iat", (NOW + 1000).to_string())),
    (Reason::WrongIssuer, |draft| draft.claim("iss", r#""https://evil.example""#)),
    (Reason::WrongAudience, |draft| draft.claim("aud", r#""other""#)),
    (Reason::InvalidClaim, |draft| draft.claim("email", "7")),
];

#[test]
fn each_fault_alone_has_its_reason() {
    for (reason, fault) in FAULTS {
        assert_eq!(fault(Draft::valid()).reason(), Some(reason));
    }
}

#[test]
fn of_two_faults_the_earlier_one_is_the_reason() {
    for (earlier, (reason, fault)) in FAULTS.iter().enumerate() {
        for (later_reason, later_fault) in &FAULTS[earlier + 1..] {
            // The earlier fault last, so that the later one cannot heal it.
            let both = fault(later_fault(Draft::valid()));
            assert_eq!(both.reason(), Some(*reason), "with {later_reason}");
        }
    }
}

#[test]
fn every_way_to_have_no_key_comes_after_the_algorithm_and_before_the_signature() {
    let expired = Draft::valid().claim("exp", "1");
    let forged = Draft { seed: [9; 32], ..expired };
    let denied = keys().with_denied(["key".to_owned()].into());
    let cases = [
        (Reason::AlgMismatch, forged.clone().header("kid", r#""ec""#), keys()),
        (Reason::Revoked, forged.clone(), denied),
        (Reason::AmbiguousKey, forged.clone().header("kid", ""), keys()),
        (Reason::UnknownKid, forged.clone(), KeySet::default()),
    ];
    for (expected, draft, keys) in cases {
        assert_eq!(reason(&verifier(), &draft.token(), &keys), Some(expected));
        let also_no_algorithm = draft.header("alg", r#""ES256K""#);
        assert_eq!(reason(&verifier(), &also_no_algorithm.token(), &keys), Some(Reason::UnsupportedAlg));
    }
    let without_keys = |draft: Draft| {
        let token = draft.token();
        verifier().verify_parsed(&Unverified::parse(&token, 16_384).unwrap(), None, now()).unwrap_err()
    };
    let unavailable = without_keys(forged.clone());
    assert_eq!((unavailable.reason(), unavailable.fault()), (Reason::KeysUnavailable, super::Fault::Unavailable));
    assert_eq!(without_keys(forged.header("alg", r#""none""#)).reason(), Reason::UnsupportedAlg);
}

#[test]
fn an_api_key_is_told_before_its_shape_and_after_its_size() {
    let verifier = builder().max_token_bytes(100).build().unwrap();
    for (token, expected) in [
        ("sb_publishable_a.b".to_owned(), Reason::ApiKeyAsBearer),
        ("sb_secret_".to_owned(), Reason::ApiKeyAsBearer),
        (format!("sb_secret_{}", "x".repeat(100)), Reason::TokenTooLarge),
        ("sb_other_x".to_owned(), Reason::MalformedToken),
    ] {
        assert_eq!(reason(&verifier, &token, &keys()), Some(expected), "{token}");
    }
}

#[test]
fn within_the_claims_presence_and_type_are_judged_where_the_claim_is() {
    let broken = |draft: Draft, name, raw: &str| draft.claim(name, raw);
    let draft = Draft::valid;
    for (draft, expected) in [
        (broken(draft(), "exp", "").claim("nbf", "true"), (Reason::MissingClaim, "exp")),
        (broken(draft(), "exp", "true").claim("nbf", "true"), (Reason::InvalidClaim, "exp")),
        (broken(draft(), "nbf", "true").claim("iat", "true"), (Reason::InvalidClaim, "nbf")),
        (broken(draft(), "iat", "true").claim("iss", ""), (Reason::InvalidClaim, "iat")),
        (broken(draft(), "iss", "").claim("aud", ""), (Reason::MissingClaim, "iss")),
        (broken(draft(), "iss", "7").claim("aud", ""), (Reason::InvalidClaim, "iss")),
        (broken(draft(), "aud", "").claim("sub", "7"), (Reason::MissingClaim, "aud")),
        (broken(draft(), "aud", "7").claim("sub", "7"), (Reason::InvalidClaim, "aud")),
        (broken(draft(), "sub", "7").claim("role", "7"), (Reason::InvalidClaim, "sub")),
    ] {
        let rejection = verifier().verify(&draft.token(), &keys(), now()).unwrap_err();
        assert_eq!((rejection.reason(), rejection.detail()), (expected.0, &Detail::Claim(expected.1)));
    }
}
