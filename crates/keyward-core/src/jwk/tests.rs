use super::*;

// RFC 7517 appendix A.1, RFC 8037 appendix A.2.
const EC: &str = r#"{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","kid":"ec"}"#;
const RSA_N: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
const ED: &str = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"ed"}"#;

fn rsa(extra: &str) -> String {
    format!(r#"{{"kty":"RSA","n":"{RSA_N}","e":"AQAB"{extra}}}"#)
}

fn set(keys: &[&str]) -> KeySet {
    KeySet::parse(format!(r#"{{"keys":[{}]}}"#, keys.join(",")).as_bytes()).unwrap()
}

fn why(key: &str) -> String {
    let set = set(&[key]);
    assert!(set.keys().is_empty(), "{key:.120} is usable");
    set.unusable()[0].why.clone()
}

#[test]
fn keys_of_each_type_are_pinned_to_their_algorithms() {
    let set = set(&[EC, ED, &rsa(r#","kid":"rsa""#), &rsa(r#","kid":"ps","alg":"PS256""#)]);
    let pinned: Vec<_> = set.keys().iter().map(|key| (key.kid().unwrap(), key.algorithms().iter().count())).collect();
    assert_eq!(pinned, [("ec", 1), ("ed", 1), ("ps", 1), ("rsa", 6)]);
    assert!(matches!(set.find(Some("ec"), Algorithm::ES256), Found::Keys(_)));
    assert!(matches!(set.find(Some("ec"), Algorithm::RS256), Found::OtherAlgorithm));
    assert!(matches!(set.find(Some("ec"), Algorithm::HS256), Found::OtherAlgorithm));
    assert!(matches!(set.find(Some("ps"), Algorithm::RS256), Found::OtherAlgorithm));
    assert!(matches!(set.find(Some("no"), Algorithm::ES256), Found::Nothing));
}

#[test]
fn thumbprints_are_those_of_the_rfcs() {
    let set = set(&[ED, &rsa(r#","kid":"2011-04-29","alg":"RS256""#)]);
    let prints: Vec<String> = set.keys().iter().map(|key| key.thumbprint().to_string()).collect();
    // RFC 7638 section 3.1 and RFC 8037 appendix A.3, in the order of the kids.
    assert_eq!(prints, ["NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs", "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"]);
}

#[test]
fn one_bad_key_never_spoils_the_others() {
    let bad = [
        r#"{"kty":"AKP","alg":"ML-DSA-65","pub":"AAAA","kid":"pq"}"#,
        r#"{"kty":"oct","k":"AAAA","kid":"secret"}"#,
        r#"{"kty":"RSA","alg":"RSA-OAEP","use":"enc","n":"AAAA","e":"AQAB","kid":"enc"}"#,
        r#""text""#,
        "null",
        "17",
        "[]",
        "{}",
    ];
    let mut keys = bad.to_vec();
    keys.insert(3, EC);
    keys.push(ED);
    let set = set(&keys);
    assert_eq!(set.kids(), ["ec", "ed"]);
    assert_eq!(set.unusable().len(), bad.len());
    assert_eq!(set.unusable()[0].kid.as_deref(), Some("pq"));
    assert_eq!((set.unusable()[1].index, set.unusable()[3].index), (1, 4));
}

#[test]
fn a_key_that_is_not_exactly_one_is_unusable() {
    let ec = |from: &str, to: &str| EC.replacen(from, to, 1);
    assert!(why(&ec("4Etl", "5Etl")).contains("not a point"));
    assert!(why(&ec("P-256", "P-384")).contains("48 bytes"));
    assert!(why(&ec("P-256", "secp256k1")).contains("curve"));
    assert!(why(&ec(r#""kid":"#, r#""kid":7,"x5t":"#)).contains("kid is not a string"));
    assert!(why(&ec(r#""kty":"EC""#, r#""kty":"EC","kty":"EC""#)).contains("unique"));
    assert!(why(&ec(r#""kty":"EC""#, r#""kty":"EC","alg":"RS256""#)).contains("does not fit"));
    assert!(why(&ec(r#""kty":"EC""#, r#""kty":"EC","use":"enc""#)).contains("use"));
    assert!(why(&ec(r#""kty":"EC""#, r#""kty":"EC","key_ops":["sign"]"#)).contains("verify"));
    assert!(why(&ec(r#""kty":"EC""#, r#""kty":"EC","key_ops":"verify""#)).contains("key_ops"));
    assert!(why(&ec("MKBC", "MKB=")).contains("base64url"));
    assert!(why(&rsa("").replacen("AQAB", "Aw", 1)).contains("exponent"));
    assert!(why(&rsa("").replacen("AQAB", "AQ", 1)).contains("exponent"));
    assert!(why(&rsa("").replacen("AQAB", "AQAC", 1)).contains("exponent"));
    assert!(why(&rsa("").replacen("AQAB", "", 1)).contains("exponent"));
    assert!(why(&rsa("").replacen(RSA_N, &RSA_N[..172], 1)).contains("bits"));
    assert!(why(&format!(r#"{{"kty":"{}"}}"#, "k".repeat(5000))).len() < 200);
    assert!(why(&ec(r#""kid":"ec""#, &format!(r#""kid":"{}""#, "k".repeat(2000)))).contains("longer"));
}

#[test]
fn members_that_are_null_or_empty_are_not_there() {
    let padded = EC.replacen('{', r#"{"alg":null,"use":null,"key_ops":[],"n":null,"x5c":null,"#, 1);
    assert_eq!(set(&[&padded]).kids(), ["ec"]);
    let nameless = EC.replacen(r#""kid":"ec""#, r#""kid":null"#, 1);
    assert_eq!(set(&[&nameless]).keys()[0].kid(), None);
    assert!(why(&EC.replacen(r#""kty":"EC""#, r#""kty":null"#, 1)).contains("no kty"));
}

#[test]
fn what_is_no_set_is_an_error_and_an_empty_set_is_not() {
    for text in
        ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":null}"#, "<html>", r#"{"keys":[}"#, r#"{"keys":[],"keys":[]}"#]
    {
        assert!(KeySet::parse(text.as_bytes()).is_err(), "{text}");
    }
    assert!(KeySet::parse(b"\xff").is_err());
    assert!(KeySet::parse(br#"{"keys":[]}"#).unwrap().keys().is_empty());
}

#[test]
fn keys_that_share_a_kid_are_all_tried_up_to_a_bound() {
    let ec = EC.replace(r#""kid":"ec""#, r#""kid":"same""#);
    let ed = ED.replace(r#""kid":"ed""#, r#""kid":"same""#);
    let both = set(&[&ec, &ed, &ec]);
    assert_eq!(both.keys().len(), 2, "a key listed twice is one key");
    let Found::Keys(fitting) = both.find(Some("same"), Algorithm::Ed25519) else { panic!("no key") };
    assert_eq!(fitting.iter().count(), 1);
    // The same modulus with other exponents: distinct keys as far as the set is concerned.
    let crowd: Vec<String> =
        ["AQAB", "AQAD", "AQAF", "AQAH", "AQAJ"].iter().map(|e| rsa(r#","kid":"x""#).replacen("AQAB", e, 1)).collect();
    let crowd: Vec<&str> = crowd.iter().map(String::as_str).collect();
    assert!(matches!(set(&crowd[..4]).find(Some("x"), Algorithm::RS256), Found::Keys(_)));
    assert!(matches!(set(&crowd).find(Some("x"), Algorithm::RS256), Found::Ambiguous));
}

#[test]
fn without_a_kid_the_key_must_be_the_only_one_that_fits() {
    let set = set(&[EC, ED, &rsa(r#","kid":"r1""#), &rsa("")]);
    assert!(matches!(set.find(None, Algorithm::ES256), Found::Keys(_)));
    assert!(matches!(set.find(None, Algorithm::RS256), Found::Ambiguous));
    assert!(matches!(set.find(None, Algorithm::ES384), Found::Nothing));
}

#[test]
fn a_denied_kid_is_never_found() {
    let set = set(&[EC, ED]).with_denied(BTreeSet::from(["ec".to_owned()]));
    assert!(matches!(set.find(Some("ec"), Algorithm::ES256), Found::Denied));
    assert!(matches!(set.find(None, Algorithm::ES256), Found::Denied), "not unknown: the only key that fits is denied");
    assert!(matches!(set.find(None, Algorithm::ES384), Found::Nothing));
    assert!(!set.holds(&set.keys()[0]));
    assert!(set.holds(&set.keys()[1]));
}

#[test]
fn a_set_survives_being_written_and_read_and_private_members_do_not() {
    let leaked = ED.replacen('{', r#"{"d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","#, 1);
    let first = set(&[EC, &leaked, &rsa(r#","kid":"a\"b","alg":"RS256""#)]);
    let text = first.to_json();
    assert!(!text.contains("nWGxne"), "a private key was kept");
    let second = KeySet::parse(text.as_bytes()).unwrap();
    assert_eq!(first.keys().len(), 3);
    assert!(first.keys().iter().zip(second.keys()).all(|(a, b)| a.is_same(b)));
}

#[test]
fn the_last_use_of_a_key_outlives_a_refresh() {
    let first = set(&[EC]);
    first.keys()[0].mark_used(UnixTime::from_secs(1000));
    let second = set(&[ED, EC]).reusing(&first);
    assert_eq!(second.keys()[0].last_used(), Some(UnixTime::from_secs(1000)));
    assert_eq!(second.keys()[1].last_used(), None);
}
