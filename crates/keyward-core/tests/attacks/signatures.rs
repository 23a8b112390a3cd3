//! Signatures that are not quite one (RFC 7515 section 5.2, RFC 7518 sections 3.2 to 3.5, RFC 8032 section 5.1.7).

use super::*;
use crate::support::{decode, encode};

/// A key for each algorithm, and the verifier and set that go with it.
struct Case {
    algorithm: Algorithm,
    token: String,
    verifier: Verifier,
    keys: KeySet,
}

impl Case {
    fn all() -> Vec<Self> {
        Algorithm::ALL.into_iter().map(Self::new).collect()
    }

    fn new(algorithm: Algorithm) -> Self {
        let fresh;
        let signer = match algorithm {
            Algorithm::RS256 | Algorithm::RS384 | Algorithm::RS512 => &world().rsa,
            Algorithm::PS256 | Algorithm::PS384 | Algorithm::PS512 => &world().attacker_rsa,
            _ => {
                fresh = Signer::generate(algorithm);
                &fresh
            }
        };
        let header = format!(r#"{{"alg":"{algorithm}","kid":"k"}}"#);
        let token = signer.token(algorithm, &header, &payload(&[]));
        let (verifier, keys) = if let Signer::Secret(secret) = signer {
            (builder().algorithms([algorithm]).secret(secret.clone()).build().unwrap(), KeySet::default())
        } else {
            (builder().build().unwrap(), KeySet::from_jwks([&*signer.jwk(r#""kid":"k""#)]))
        };
        let case = Self { algorithm, token, verifier, keys };
        assert_eq!(case.outcome(&case.token), None, "{algorithm}");
        case
    }

    fn outcome(&self, token: &str) -> Option<Reason> {
        outcome(&self.verifier, &self.keys, token)
    }

    fn parts(&self) -> (&str, Vec<u8>) {
        let (input, signature) = self.token.rsplit_once('.').unwrap();
        (input, decode(signature))
    }

    fn with_signature(&self, signature: &[u8]) -> Option<Reason> {
        self.outcome(&format!("{}.{}", self.parts().0, encode(signature)))
    }
}

#[test]
fn no_bit_of_a_signature_can_be_flipped() {
    for case in Case::all() {
        let (_, good) = case.parts();
        for bit in 0..good.len() * 8 {
            let mut signature = good.clone();
            signature[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                case.with_signature(&signature),
                Some(Reason::InvalidSignature),
                "{}, bit {bit}",
                case.algorithm
            );
        }
    }
}

#[test]
fn no_bit_of_a_header_or_payload_can_be_flipped() {
    for case in Case::all() {
        let parts: Vec<&str> = case.token.split('.').collect();
        for part in 0..2 {
            let good = decode(parts[part]);
            // Each byte once, each time another bit.
            for byte in 0..good.len() {
                let mut changed = good.clone();
                changed[byte] ^= 1 << (byte % 8);
                let mut parts: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
                parts[part] = encode(&changed);
                let refused = case.outcome(&parts.join("."));
                assert!(refused.is_some(), "{}, part {part}, byte {byte}", case.algorithm);
            }
        }
    }
}

#[test]
fn no_character_of_a_token_can_be_another() {
    let case = Case::new(Algorithm::Ed25519);
    let mut tried = 0;
    for at in 0..case.token.len() {
        for bit in 0..7 {
            let mut token = case.token.clone().into_bytes();
            token[at] ^= 1 << bit;
            let token = String::from_utf8(token).unwrap();
            assert!(case.outcome(&token).is_some(), "character {at}, bit {bit}");
            tried += 1;
        }
    }
    assert!(tried > 2000, "{tried}");
}

#[test]
fn a_signature_has_its_exact_length() {
    for case in Case::all() {
        let (_, good) = case.parts();
        let half = good.len() / 2;
        for (name, signature) in [
            ("empty", vec![]),
            ("one byte", good[..1].to_vec()),
            ("half", good[..half].to_vec()),
            ("short at the end", good[..good.len() - 1].to_vec()),
            ("short at the start", good[1..].to_vec()),
            ("zero at the end", [&good[..], &[0]].concat()),
            ("zero at the start", [&[0], &good[..]].concat()),
            ("zero before each half", [&[0], &good[..half], &[0], &good[half..]].concat()),
            ("twice", [&good[..], &good[..]].concat()),
            ("halves swapped", [&good[half..], &good[..half]].concat()),
            ("reversed", good.iter().rev().copied().collect()),
            ("a megabyte", vec![0x41; 10_000]),
        ] {
            assert_eq!(case.with_signature(&signature), Some(Reason::InvalidSignature), "{}: {name}", case.algorithm);
        }
    }
}

#[test]
fn a_signature_is_over_this_header_and_payload() {
    for case in Case::all() {
        let other = payload(&[("role", r#""service_role""#)]);
        let (input, signature) = case.parts();
        let (header, _) = input.split_once('.').unwrap();
        let token = format!("{header}.{}.{}", encode(other), encode(&signature));
        assert_eq!(case.outcome(&token), Some(Reason::InvalidSignature), "{}", case.algorithm);
    }
}

#[test]
fn an_rsa_signature_is_one_under_its_own_padding_and_hash() {
    let rsa =
        [Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::PS256, Algorithm::PS384, Algorithm::PS512];
    let signer = &world().attacker_rsa;
    let keys = KeySet::from_jwks([&*signer.jwk(r#""kid":"k""#)]);
    for named in rsa {
        for used in rsa {
            let header = format!(r#"{{"alg":"{named}","kid":"k"}}"#);
            let token = signer.token(used, &header, &payload(&[]));
            let expected = (named != used).then_some(Reason::InvalidSignature);
            assert_eq!(outcome(&world().verifier, &keys, &token), expected, "{named}, signed as {used}");
        }
    }
    let (zero, one) = (vec![0; 256], [&[0; 255][..], &[1]].concat());
    for signature in [zero, one, signer.modulus(), vec![0xff; 256]] {
        let case = Case::new(Algorithm::PS256);
        assert_eq!(case.with_signature(&signature), Some(Reason::InvalidSignature));
    }
}

/// The order of the curve's group, big-endian.
fn order(algorithm: Algorithm) -> Vec<u8> {
    let hex = match algorithm {
        Algorithm::ES256 => "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551".to_owned(),
        Algorithm::ES384 => format!("{}c7634d81f4372ddf581a0db248b0a77aecec196accc52973", "f".repeat(48)),
        _ => format!("01{}a51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409", "f".repeat(65)),
    };
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// `a - b` of numbers of the same length, `a` the greater.
fn minus(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut borrow = 0;
    let mut digits: Vec<u8> = Vec::new();
    for (a, b) in a.iter().zip(b).rev() {
        let digit = i16::from(*a) - i16::from(*b) - borrow;
        borrow = i16::from(digit < 0);
        digits.push(u8::try_from(digit.rem_euclid(256)).unwrap());
    }
    assert_eq!(borrow, 0);
    digits.into_iter().rev().collect()
}

#[test]
fn an_ecdsa_signature_has_both_numbers_within_the_order() {
    for algorithm in [Algorithm::ES256, Algorithm::ES384, Algorithm::ES512] {
        let case = Case::new(algorithm);
        let (_, good) = case.parts();
        let length = good.len() / 2;
        let (r, s) = good.split_at(length);
        let n = order(algorithm);
        assert_eq!(n.len(), length);
        let zero = vec![0; length];
        let mut one = zero.clone();
        one[length - 1] = 1;
        let highest = vec![0xff; length];
        let n_minus_1 = minus(&n, &one);
        for (name, r, s) in [
            ("both zero", &zero[..], &zero[..]),
            ("r zero", &zero, s),
            ("s zero", r, &zero),
            ("both n", &n, &n),
            ("r n", &n, s),
            ("s n", r, &n),
            ("n and zero", &n, &zero),
            ("both one", &one, &one),
            ("both n - 1", &n_minus_1, &n_minus_1),
            ("r highest", &highest, s),
            ("s highest", r, &highest),
            ("both highest", &highest, &highest),
            ("r = s", r, r),
        ] {
            let signature = [r, s].concat();
            assert_eq!(case.with_signature(&signature), Some(Reason::InvalidSignature), "{algorithm}: {name}");
        }
    }
}

/// A DER INTEGER.
fn der_integer(bytes: &[u8]) -> Vec<u8> {
    let bytes = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
    let sign: &[u8] = if bytes[0] >= 0x80 { &[0] } else { &[] };
    let length = u8::try_from(sign.len() + bytes.len()).unwrap();
    [&[2, length], sign, bytes].concat()
}

#[test]
fn an_ecdsa_signature_in_der_is_none() {
    for algorithm in [Algorithm::ES256, Algorithm::ES384, Algorithm::ES512] {
        let case = Case::new(algorithm);
        let (_, good) = case.parts();
        let (r, s) = good.split_at(good.len() / 2);
        let content = [der_integer(r), der_integer(s)].concat();
        let length = u8::try_from(content.len()).unwrap();
        let head = if length < 0x80 { vec![0x30, length] } else { vec![0x30, 0x81, length] };
        let der = [head, content].concat();
        assert_eq!(case.with_signature(&der), Some(Reason::InvalidSignature), "{algorithm}");
        // Cut or filled to the length that a raw one has.
        let mut fitted = der;
        fitted.resize(good.len(), 0);
        assert_eq!(case.with_signature(&fitted), Some(Reason::InvalidSignature), "{algorithm}");
    }
}

/// ECDSA has two signatures for each: (r, s) and (r, n - s), and RFC 7518 section 3.4 accepts both, as we do. Who has
/// a token can thus write a second one that says the same. It gains nothing: the claims are the same, so it expires
/// and is revoked with the first; the token cache is keyed by the whole token, so it is verified on its own. What must
/// not be done is to tell tokens apart by their text, e.g. to revoke one.
#[test]
fn the_other_signature_of_ecdsa_says_the_same_and_no_more() {
    for algorithm in [Algorithm::ES256, Algorithm::ES384, Algorithm::ES512] {
        let case = Case::new(algorithm);
        let (input, good) = case.parts();
        let (r, s) = good.split_at(good.len() / 2);
        let other = [r, &minus(&order(algorithm), s)].concat();
        assert_ne!(other, good);
        let token = format!("{input}.{}", encode(&other));
        let verify = |token: &str| case.verifier.verify(token, &case.keys, UnixTime::from_secs(NOW)).unwrap();
        let (first, second) = (verify(&case.token), verify(&token));
        let claims = |token: &keyward_core::token::VerifiedToken| token.claims::<serde_json::Value>().unwrap();
        assert_eq!(claims(&first), claims(&second));
        assert_ne!(first.expose_token(), second.expose_token());
    }
}

#[test]
fn an_ed25519_signature_has_one_spelling() {
    let case = Case::new(Algorithm::Ed25519);
    let (_, good) = case.parts();
    // The order of the group, little-endian: S + L is the same number modulo L (RFC 8032 section 5.1.7).
    let order: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut shifted = good.clone();
    let mut carry = 0;
    for (digit, add) in shifted[32..].iter_mut().zip(order) {
        let sum = u16::from(*digit) + u16::from(add) + carry;
        (*digit, carry) = (sum.to_le_bytes()[0], sum >> 8);
    }
    assert_eq!(carry, 0);
    let mut neutral = [0; 64];
    neutral[0] = 1;
    for (name, signature) in [
        ("S + L", &shifted[..]),
        ("zero", &[0; 64]),
        ("neutral R, S zero", &neutral),
        ("S zero", &[&good[..32], &[0; 32]].concat()),
        ("R zero", &[&[0; 32], &good[32..]].concat()),
        ("S = L", &[&good[..32], &order].concat()),
    ] {
        assert_eq!(case.with_signature(signature), Some(Reason::InvalidSignature), "{name}");
    }
}
