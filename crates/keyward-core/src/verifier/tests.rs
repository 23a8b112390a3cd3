use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};

use super::*;
use crate::rejection::Fault;

mod claims;
mod content;
mod header;
mod order;
mod policy;
mod time;

const ISSUER: &str = "https://project.supabase.example/auth/v1";
const SECRET: &[u8] = b"a secret of forty-two bytes for HS256 only";
const NOW: i64 = 1_700_000_000;

/// A token in the making: raw JSON values by name, and the key that signs.
#[derive(Clone)]
struct Draft {
    header: Vec<(&'static str, String)>,
    claims: Vec<(&'static str, String)>,
    seed: [u8; 32],
    suffix: &'static str,
}

impl Draft {
    /// A token that the verifier of [`verifier`] accepts with the keys of [`keys`].
    fn valid() -> Self {
        let header = [("alg", r#""EdDSA""#), ("kid", r#""key""#), ("typ", r#""JWT""#)];
        let exp = (NOW + 3600).to_string();
        let iat = NOW.to_string();
        let claims = [
            ("iss", r#""https://project.supabase.example/auth/v1""#),
            ("aud", r#""authenticated""#),
            ("exp", &exp),
            ("iat", &iat),
            ("sub", r#""8d2f3a52-6f0e-4d5c-9d4b-000000000001""#),
            ("role", r#""authenticated""#),
        ];
        let owned = |members: &[(&'static str, &str)]| {
            members.iter().map(|(name, raw)| (*name, (*raw).to_owned())).collect::<Vec<_>>()
        };
        Self { header: owned(&header), claims: owned(&claims), seed: [1; 32], suffix: "" }
    }

    /// Sets a header parameter; an empty value takes it out.
    fn header(mut self, name: &'static str, raw: impl Into<String>) -> Self {
        set(&mut self.header, name, raw.into());
        self
    }

    /// Sets a claim; an empty value takes it out.
    fn claim(mut self, name: &'static str, raw: impl Into<String>) -> Self {
        set(&mut self.claims, name, raw.into());
        self
    }

    fn signing_input(&self) -> String {
        let encode = |members: &[(&str, String)]| {
            let members: Vec<String> = members.iter().map(|(name, raw)| format!(r#""{name}":{raw}"#)).collect();
            base64_simd::URL_SAFE_NO_PAD.encode_to_string(format!("{{{}}}", members.join(",")))
        };
        format!("{}.{}", encode(&self.header), encode(&self.claims))
    }

    /// The token, signed with Ed25519 whatever its `alg` says.
    fn token(&self) -> String {
        let key = Ed25519KeyPair::from_seed_unchecked(&self.seed).unwrap();
        let input = self.signing_input();
        let signature = base64_simd::URL_SAFE_NO_PAD.encode_to_string(key.sign(input.as_bytes()));
        format!("{input}.{signature}{}", self.suffix)
    }

    /// The token, signed with HMAC SHA-256.
    fn token_under(&self, secret: &[u8]) -> String {
        let input = self.signing_input();
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), input.as_bytes());
        format!("{input}.{}", base64_simd::URL_SAFE_NO_PAD.encode_to_string(tag))
    }

    fn verified(&self) -> VerifiedToken {
        verifier().verify(&self.token(), &keys(), now()).unwrap()
    }

    /// Why [`verifier`] refuses it, if it does.
    fn reason(&self) -> Option<Reason> {
        reason(&verifier(), &self.token(), &keys())
    }
}

fn set(members: &mut Vec<(&'static str, String)>, name: &'static str, raw: String) {
    members.retain(|(known, _)| *known != name);
    if !raw.is_empty() {
        members.push((name, raw));
    }
}

fn now() -> UnixTime {
    UnixTime::from_secs(NOW)
}

fn builder() -> VerifierBuilder {
    Verifier::builder("login").issuer(ISSUER).audience("authenticated")
}

fn verifier() -> Verifier {
    builder().build().unwrap()
}

/// The key of [`Draft::valid`], and another of each kind.
fn keys() -> KeySet {
    let ec = r#"{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","kid":"ec"}"#;
    KeySet::from_jwks([jwk([1; 32], "key").as_str(), jwk([2; 32], "other").as_str(), ec])
}

fn jwk(seed: [u8; 32], kid: &str) -> String {
    let key = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
    let x = base64_simd::URL_SAFE_NO_PAD.encode_to_string(key.public_key());
    format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","kid":"{kid}"}}"#)
}

fn reason(verifier: &Verifier, token: &str, keys: &KeySet) -> Option<Reason> {
    verifier.verify(token, keys, now()).err().map(|rejection| rejection.reason())
}

#[test]
fn a_valid_token_is_accepted_and_tells_who_it_is() {
    let token = Draft::valid()
        .claim("email", r#""a@example.com""#)
        .claim("session_id", r#""s-1""#)
        .claim("aal", r#""aal2""#)
        .claim("jti", r#""t-1""#)
        .claim("is_anonymous", "true")
        .verified();
    assert_eq!((token.issuer(), token.iss()), ("login", ISSUER));
    assert_eq!(token.subject(), Some("8d2f3a52-6f0e-4d5c-9d4b-000000000001"));
    assert_eq!((token.role(), token.email()), (Some("authenticated"), Some("a@example.com")));
    assert_eq!((token.session(), token.assurance(), token.token_id()), (Some("s-1"), Some("aal2"), Some("t-1")));
    assert!(token.is_anonymous());
    assert_eq!(token.algorithm(), Algorithm::Ed25519);
    assert_eq!(token.expires(), UnixTime::from_secs(NOW + 3600));
    assert_eq!(token.issued_at(), Some(now()));
    assert_eq!(token.key().and_then(|key| key.kid()), Some("key"));
}

#[test]
fn only_an_accepted_token_counts_as_a_use_of_its_key() {
    let keys = keys();
    let used = || keys.keys().iter().find(|key| key.kid() == Some("key")).unwrap().last_used();
    let late = Draft::valid().claim("exp", "1").token();
    assert_eq!(reason(&verifier(), &late, &keys), Some(Reason::Expired));
    assert_eq!(used(), None);
    assert_eq!(reason(&verifier(), &Draft::valid().token(), &keys), None);
    assert_eq!(used(), Some(now()));
}

#[test]
fn a_token_under_the_configured_secret_is_accepted_without_any_keys() {
    let token = Draft::valid().header("alg", r#""HS256""#).header("kid", "").token_under(SECRET);
    let with_secret = builder().secret(SECRET).build().unwrap();
    assert!(with_secret.has_secret());
    assert_eq!(reason(&with_secret, &token, &keys()), None);
    let parsed = Unverified::parse(&token, 16_384).unwrap();
    let verified = with_secret.verify_parsed(&parsed, None, now()).unwrap();
    assert_eq!((verified.algorithm(), verified.key().is_none()), (Algorithm::HS256, true));

    assert_eq!(reason(&verifier(), &token, &keys()), Some(Reason::UnsupportedAlg));
    let other = builder().secret([7_u8; 32]).build().unwrap();
    assert_eq!(reason(&other, &token, &keys()), Some(Reason::InvalidSignature));
}

#[test]
fn a_kid_of_a_published_key_never_leads_to_the_secret_and_a_denied_one_is_revoked() {
    let with_secret = builder().secret(SECRET).build().unwrap();
    let token = |kid: &str| Draft::valid().header("alg", r#""HS256""#).header("kid", kid).token_under(SECRET);
    assert_eq!(reason(&with_secret, &token(r#""legacy""#), &keys()), None);
    assert_eq!(reason(&with_secret, &token(r#""key""#), &keys()), Some(Reason::AlgMismatch));
    let denying = keys().with_denied(["legacy".to_owned()].into());
    assert_eq!(reason(&with_secret, &token(r#""legacy""#), &denying), Some(Reason::Revoked));
}

#[test]
fn a_secret_serves_the_algorithms_that_are_named_and_no_others() {
    let hs512 = builder().secret([7_u8; 64]).algorithms([Algorithm::HS512]).build().unwrap();
    let token = Draft::valid().header("alg", r#""HS256""#).header("kid", "").token_under(&[7; 64]);
    assert_eq!(reason(&hs512, &token, &keys()), Some(Reason::UnsupportedAlg));
    assert_eq!(reason(&hs512, &Draft::valid().token(), &keys()), Some(Reason::UnsupportedAlg));
}

#[test]
fn a_verifier_that_could_accept_nothing_or_too_much_is_not_built() {
    let bare = || Verifier::builder("login");
    assert_eq!(bare().audience("a").build().unwrap_err(), VerifierError::NoIssuer);
    assert_eq!(bare().issuer("i").build().unwrap_err(), VerifierError::NoAudience);
    assert_eq!(builder().algorithms([]).build().unwrap_err(), VerifierError::NoAlgorithm);
    let no_secret = builder().algorithms([Algorithm::ES256, Algorithm::HS384]).build().unwrap_err();
    assert_eq!(no_secret, VerifierError::NoSecret(Algorithm::HS384));
    for (algorithm, needed) in [(Algorithm::HS256, 32), (Algorithm::HS384, 48), (Algorithm::HS512, 64)] {
        let build = |bytes| builder().algorithms([algorithm]).secret(vec![7; bytes]).build();
        assert!(build(needed).is_ok());
        let short = KeyError::ShortSecret { algorithm, bytes: needed - 1, needed };
        assert_eq!(build(needed - 1).unwrap_err(), VerifierError::Secret(short));
        assert!(build(0).is_err());
    }
}

#[test]
fn a_plausible_token_is_one_that_lacks_nothing_but_its_key() {
    let verifier = builder().secret(SECRET).build().unwrap();
    let plausible = |draft: &Draft| {
        let token = draft.token();
        verifier.is_plausible(&Unverified::parse(&token, 16_384).unwrap(), now())
    };
    let good = Draft::valid().header("kid", r#""never seen""#);
    assert!(plausible(&good));
    assert!(plausible(&good.clone().header("kid", "")));
    for bad in [
        good.clone().header("alg", r#""none""#),
        good.clone().header("alg", r#""HS256""#),
        good.clone().header("crit", r#"["x"]"#),
        good.clone().header("typ", r#""JWE""#),
        good.clone().claim("exp", "1"),
        good.clone().claim("exp", ""),
        good.clone().claim("nbf", (NOW + 31).to_string()),
        good.clone().claim("iat", (NOW + 31).to_string()),
        good.clone().claim("iss", r#""https://evil.example""#),
        good.clone().claim("aud", r#""other""#),
        good.claim("aud", "7"),
    ] {
        assert!(!plausible(&bad), "{}", bad.signing_input());
    }
}
