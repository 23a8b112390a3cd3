//! The examples of RFC 7519: section 3.1, signed with the key of RFC 7515 appendix A.1, and section 6.1, unsecured.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use keyward_core::jwk::KeySet;
use keyward_core::jws::Unverified;
use keyward_core::rejection::{Detail, Reason};
use keyward_core::time::UnixTime;
use keyward_core::verifier::Verifier;
use support::decode;

const SECTION_3_1: &str = include_str!("data/rfc7519/section_3_1.jws");
const SECTION_6_1: &str = include_str!("data/rfc7519/section_6_1.jws");
const KEY: &str = include_str!("data/rfc7515/appendix_a_1.jwk.json");

fn verifier() -> Verifier {
    let jwk: serde_json::Value = serde_json::from_str(KEY).unwrap();
    let secret = decode(jwk["k"].as_str().unwrap());
    Verifier::builder("joe").issuer("joe").audience("anybody").secret(secret).build().unwrap()
}

#[test]
fn section_3_1_is_read_as_it_is_printed() {
    let token = Unverified::parse(SECTION_3_1.trim_end(), 16_384).unwrap();
    assert_eq!(token.header_json(), "{\"typ\":\"JWT\",\r\n \"alg\":\"HS256\"}");
    let expected = "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}";
    assert_eq!(token.payload_json(), expected);
    assert_eq!(token.issuer().as_deref(), Some("joe"));
}

#[test]
fn section_3_1_verifies_and_lacks_only_the_audience_that_we_require() {
    let at = |secs| {
        let refused = verifier().verify(SECTION_3_1.trim_end(), &KeySet::default(), UnixTime::from_secs(secs));
        let refused = refused.unwrap_err();
        (refused.reason(), refused.detail().clone())
    };
    assert_eq!(at(1_300_819_409), (Reason::MissingClaim, Detail::Claim("aud")));
    assert_eq!(at(1_300_819_410).0, Reason::Expired);
}

#[test]
fn section_6_1_is_refused_for_its_algorithm() {
    let refused = verifier().verify(SECTION_6_1.trim_end(), &KeySet::default(), UnixTime::from_secs(1_300_819_379));
    assert_eq!(refused.unwrap_err().reason(), Reason::UnsupportedAlg);
}
