//! Keys of a set that are weak, wrong or ambiguous: each is unusable, says why, and spoils no other (RFC 8725
//! sections 3.3 to 3.5).

use super::*;
use crate::support::{decode, encode};

/// The set of the issuer with `jwk` added, which must be unusable and leave the others as they were.
fn refused(name: &str, jwk: &str) -> String {
    let world = world();
    let (rsa, ec) = (world.rsa.jwk(r#""kid":"rsa""#), world.ec.jwk(r#""kid":"ec""#));
    let text = format!(r#"{{"keys":[{rsa},{jwk},{ec}]}}"#);
    let keys = KeySet::parse(text.as_bytes()).unwrap();
    assert_eq!(keys.kids(), ["ec", "rsa"], "{name}");
    assert_eq!((keys.unusable().len(), keys.unusable()[0].index), (1, 1), "{name}");
    assert_eq!(outcome(&world.verifier, &keys, &world.signed_payload(&payload(&[]))), None, "{name}");
    let token = world.attacker.token(Algorithm::ES256, r#"{"alg":"ES256","kid":"bad"}"#, &payload(&[]));
    assert_eq!(outcome(&world.verifier, &keys, &token), Some(Reason::UnknownKid), "{name}");
    keys.unusable()[0].why.clone()
}

#[test]
fn rsa_keys_that_are_weak_are_unusable() {
    let n = world().attacker_rsa.modulus();
    let rsa = |n: &[u8], e: &[u8]| format!(r#"{{"kty":"RSA","kid":"bad","n":"{}","e":"{}"}}"#, encode(n), encode(e));
    let f4 = [1, 0, 1];
    for bits in [0, 1, 8, 512, 768, 1024, 1536, 2040, 2047] {
        // The leading bits of a real modulus, odd, and of exactly that many bits.
        let mut short = n[..usize::div_ceil(bits, 8)].to_vec();
        if let Some(last) = short.last_mut() {
            *last |= 1;
        }
        if let (Some(first), 1..) = (short.first_mut(), bits % 8) {
            *first = (*first >> (8 - bits % 8)) | 1 << (bits % 8 - 1);
        }
        assert!(refused("short modulus", &rsa(&short, &f4)).contains("bits"), "{bits}");
        // Zeros in front do not make it longer.
        let padded = [vec![0; 256], short].concat();
        assert!(refused("padded modulus", &rsa(&padded, &f4)).contains("bits"), "{bits}");
    }
    assert!(refused("huge modulus", &rsa(&[0xff; 1025], &f4)).contains("bits"));
    assert!(refused("absurd modulus", &rsa(&vec![0xff; 100_000], &f4)).contains("bits"));
    let mut even = n.clone();
    even[255] &= 0xfe;
    assert!(refused("even modulus", &rsa(&even, &f4)).contains("key"));
    for e in [
        &[][..],
        &[0],
        &[1],
        &[2],
        &[3],
        &[5],
        &[17],
        &[0, 0, 0, 3],
        &[255],
        &[1, 1],
        &[255, 255],
        &[1, 0, 0],
        &[1, 0, 2],
        &[2, 0, 0, 0],
        &[2, 0, 0, 0, 1],
        &[255; 8],
        &[255; 9],
        &[1, 0, 0, 0, 0, 0, 0, 0, 1],
        &[1; 256],
    ] {
        assert!(refused("exponent", &rsa(&n, e)).contains("exponent"), "{e:?}");
    }
    // What is left is usable, so that the refusals above are due to what they name.
    for e in [&f4[..], &[0, 1, 0, 1], &[1, 0, 3], &[1, 255, 255, 255, 255]] {
        assert_eq!(KeySet::from_jwks([&*rsa(&n, e)]).keys().len(), 1, "{e:?}");
    }
}

#[test]
fn points_that_are_not_on_the_curve_are_unusable() {
    for (algorithm, curve, length) in
        [(Algorithm::ES256, "P-256", 32), (Algorithm::ES384, "P-384", 48), (Algorithm::ES512, "P-521", 66)]
    {
        let point = Signer::generate(algorithm).public();
        let (x, y) = point[1..].split_at(length);
        let jwk = |x: &[u8], y: &[u8]| {
            format!(r#"{{"kty":"EC","kid":"bad","crv":"{curve}","x":"{}","y":"{}"}}"#, encode(x), encode(y))
        };
        assert_eq!(KeySet::from_jwks([&*jwk(x, y)]).keys().len(), 1);
        let zero = vec![0; length];
        let mut off = y.to_vec();
        off[length - 1] ^= 1;
        let plus_p = vec![0xff; length];
        for (name, x, y) in [
            ("off the curve", x, &off[..]),
            ("infinity", &zero, &zero),
            ("x only", x, &zero),
            ("y only", &zero, y),
            ("swapped", y, x),
            ("not reduced", &plus_p, y),
        ] {
            assert!(refused(name, &jwk(x, y)).contains("not a point"), "{curve} {name}");
        }
        for (name, x, y) in [
            ("short", &x[1..], y),
            ("long", &[&[0], x].concat()[..], y),
            ("empty", &[], &[]),
            ("compressed", &[&[2], x].concat()[..], &[]),
            ("all in x", &point[..], &[]),
        ] {
            assert!(refused(name, &jwk(x, y)).contains("coordinates"), "{curve} {name}");
        }
        // A point of another curve.
        let other = world().ec.material().replace("P-256", "P-384");
        refused("another curve", &format!(r#"{{"kid":"bad",{other}}}"#));
    }
    let ec = world().ec.material();
    for (from, to) in [
        ("P-256", "P-192"),
        ("P-256", "secp256k1"),
        ("P-256", "p-256"),
        ("P-256", ""),
        (r#""kty":"EC""#, r#""kty":"ec""#),
    ] {
        refused(to, &format!(r#"{{"kid":"bad",{}}}"#, ec.replace(from, to)));
    }
}

#[test]
fn ed25519_keys_under_which_anybody_can_sign_are_unusable() {
    let jwk = |x: &[u8]| format!(r#"{{"kty":"OKP","kid":"bad","crv":"Ed25519","x":"{}"}}"#, encode(x));
    let with_ends = |first: u8, middle: u8, last: u8| {
        let mut x = [middle; 32];
        (x[0], x[31]) = (first, last);
        x
    };
    for x in [
        with_ends(0, 0, 0),
        with_ends(1, 0, 0),
        with_ends(0, 0, 0x80),
        with_ends(1, 0, 0x80),
        with_ends(0xec, 0xff, 0x7f),
        with_ends(0xed, 0xff, 0x7f),
        with_ends(0xee, 0xff, 0x7f),
        with_ends(0xec, 0xff, 0xff),
    ] {
        assert!(refused("small order", &jwk(&x)).contains("point"));
    }
    let good = world().ed.public();
    let spki = [&[0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0][..], &good].concat();
    for x in [&[][..], &good[1..], &[&good[..], &[0]].concat(), &spki] {
        assert!(refused("length", &jwk(x)).contains("point"), "{} bytes", x.len());
    }
    for crv in ["X25519", "Ed448", "ed25519", ""] {
        refused(crv, &jwk(&good).replace("Ed25519", crv));
    }
    // With S = 0 and R the neutral element, the classic forgery for the key that is the neutral element.
    let forged = format!("{}.{}", encode(r#"{"alg":"EdDSA","kid":"bad"}"#), encode(payload(&[])));
    let mut signature = [0; 64];
    signature[0] = 1;
    let keys = KeySet::from_jwks([&*jwk(&with_ends(1, 0, 0))]);
    let token = format!("{forged}.{}", encode(signature));
    assert_eq!(outcome(&world().verifier, &keys, &token), Some(Reason::UnknownKid));
}

#[test]
fn keys_for_other_uses_are_unusable() {
    let ec = world().attacker.material();
    for more in [
        r#""use":"enc""#,
        r#""use":"""#,
        r#""use":["sig"]"#,
        r#""key_ops":["sign"]"#,
        r#""key_ops":"verify""#,
        r#""key_ops":["verify",1]"#,
        r#""alg":"none""#,
        r#""alg":"HS256""#,
        r#""alg":"ES384""#,
        r#""alg":"RS256""#,
        r#""alg":"ECDH-ES""#,
        r#""alg":"""#,
        r#""alg":["ES256"]"#,
    ] {
        refused(more, &format!(r#"{{"kid":"bad",{ec},{more}}}"#));
    }
    let secret = Signer::Secret(SECRET.to_vec()).jwk(r#""kid":"bad","alg":"HS256""#);
    assert!(refused("published secret", &secret).contains("secret"));
    let pq = r#"{"kty":"AKP","alg":"ML-DSA-44","pub":"AAAA","kid":"bad"}"#;
    assert!(refused("post-quantum", pq).contains("not supported"));
}

#[test]
fn keys_that_two_readers_could_read_differently_are_unusable() {
    let world = world();
    let (mine, theirs) = (world.attacker.material(), world.ec.material());
    for (name, jwk) in [
        ("members twice", format!(r#"{{"kid":"bad",{mine},{theirs}}}"#)),
        ("kid twice", format!(r#"{{"kid":"bad",{mine},"k\u0069d":"bad"}}"#)),
        ("unknown member twice", format!(r#"{{"kid":"bad",{mine},"ext":true,"ext":true}}"#)),
        ("padding", format!(r#"{{"kid":"bad",{}}}"#, mine.replacen(r#"","y"#, r#"=","y"#, 1))),
        ("nested deeply", format!(r#"{{"kid":"bad",{mine},"ext":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000))),
        ("kid of a megabyte", format!(r#"{{"kid":"{}",{mine}}}"#, "k".repeat(1 << 20))),
        ("kid that is no text", format!(r#"{{"kid":7,{mine}}}"#)),
        ("no object", format!("[{}]", r#""kid""#)),
    ] {
        refused(name, &jwk);
    }
    // Not canonical: the last character of x has bits that must be zero.
    let x = decode("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    assert_eq!(x.len(), 32);
    let sloppy = r#"{"kty":"OKP","kid":"bad","crv":"Ed25519","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB"}"#;
    assert!(refused("leftover bits", sloppy).contains("base64url"));
}

#[test]
fn secrets_that_are_short_are_refused_at_the_start() {
    for (algorithm, needed) in [(Algorithm::HS256, 32), (Algorithm::HS384, 48), (Algorithm::HS512, 64)] {
        for length in [0, 1, 8, 16, needed - 1] {
            let built = builder().algorithms([algorithm]).secret(vec![b's'; length]).build();
            let error = built.unwrap_err().to_string();
            assert!(error.contains(&format!("{needed} at least")), "{error}");
        }
        assert!(builder().algorithms([algorithm]).secret(vec![b's'; needed]).build().is_ok());
    }
}
