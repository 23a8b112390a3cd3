use keyward::jwk::KeySet;

use super::diff::Difference;
use super::source::Location;

const A: &str = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"a"}"#;
const EC: &str = r#"{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","kid":"b"}"#;
const BROKEN: &str = r#"{"kty":"AKP","kid":"pq"}"#;

fn set(keys: &[&str]) -> KeySet {
    KeySet::from_jwks(keys.iter().copied())
}

fn kids(keys: &[super::KeyRow]) -> Vec<&str> {
    keys.iter().map(|key| key.kid.as_deref().unwrap_or("-")).collect()
}

#[test]
fn the_order_of_a_set_means_nothing() {
    let difference = Difference::between(&set(&[A, BROKEN, EC]), &set(&[EC, A, BROKEN]));
    assert!(difference.is_none());
    assert_eq!(kids(&difference.same), ["a", "b"]);
}

#[test]
fn a_kid_with_other_material_is_replaced_and_others_are_added_or_removed() {
    let reused = EC.replace(r#""kid":"b""#, r#""kid":"a""#);
    let without_kid = EC.replace(r#","kid":"b""#, "");
    let difference = Difference::between(&set(&[A, EC]), &set(&[&reused, &without_kid]));
    assert_eq!(difference.replaced.len(), 1);
    assert_eq!(difference.replaced[0].old.kind(), "OKP Ed25519");
    assert_eq!(difference.replaced[0].new.kind(), "EC P-256");
    assert_eq!((kids(&difference.added), kids(&difference.removed)), (vec!["-"], vec!["b"]));
    assert!(difference.text().contains("(same material as \"b\")"), "{}", difference.text());
}

#[test]
fn a_key_that_became_unusable_is_a_difference() {
    let difference = Difference::between(&set(&[A]), &set(&[A, BROKEN]));
    assert!(!difference.is_none());
    assert!(difference.text().contains("unusable in B only\n  \"pq\""), "{}", difference.text());
}

#[test]
fn an_address_is_named_without_its_query_and_password() {
    let name = |text| Location::parse(text).name();
    assert_eq!(name("https://user:pass@a.example:8443/jwks?apikey=x#y"), "https://a.example:8443/jwks");
    assert_eq!(name("https://"), "the URL");
    assert_eq!(name("keys/set.json"), "keys/set.json");
    assert_eq!(name("-"), "standard input");
}
