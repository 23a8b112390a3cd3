use super::*;

use aws_lc_rs::hmac;
use keyward_core::jwk::KeySet;
use keyward_core::time::UnixTime;
use keyward_core::verifier::Verifier;

const SECRET: &str = "a-secret-of-at-least-thirty-two-bytes";

/// Tokens of one issuer, longer by `padding` than they need be.
fn verified(numbers: std::ops::Range<u32>, padding: usize) -> Vec<VerifiedToken> {
    let verifier = Verifier::builder("a").issuer("i").audience("u").secret(SECRET).build().unwrap();
    let encode = |text: &str| base64_simd::URL_SAFE_NO_PAD.encode_to_string(text);
    let (secret, pad) = (hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), "p".repeat(padding));
    let sign = |n: u32| {
        let payload = format!(r#"{{"iss":"i","aud":"u","sub":"{n}","exp":2000000000,"pad":"{pad}"}}"#);
        let input = format!("{}.{}", encode(r#"{"alg":"HS256"}"#), encode(&payload));
        let signature = base64_simd::URL_SAFE_NO_PAD.encode_to_string(hmac::sign(&secret, input.as_bytes()));
        verifier
            .verify(&format!("{input}.{signature}"), &KeySet::default(), UnixTime::from_secs(1_900_000_000))
            .unwrap()
    };
    numbers.map(sign).collect()
}

#[test]
fn three_hundred_thousand_tokens_stay_within_both_bounds() {
    let config = TokenCacheConfig { max_entries: 5000, max_bytes: 16 << 20 };
    let cache = TokenCache::new(config);
    // The policy is part of the key: to the cache these are as many tokens.
    for (n, token) in verified(0..3000, 600).iter().cycle().take(300_000).enumerate() {
        cache.insert(token, u32::try_from(n / 3000).unwrap(), 0, 1);
        assert!(cache.len() as u64 <= config.max_entries);
    }
    assert!(cache.entries.weight() <= config.max_bytes);
    assert!(cache.len() > 2500, "{} are kept", cache.len());
}

#[test]
fn long_tokens_are_bounded_by_their_bytes() {
    let config = TokenCacheConfig { max_entries: 100_000, max_bytes: 4 << 20 };
    let cache = TokenCache::new(config);
    for token in verified(0..2000, 8000) {
        cache.insert(&token, 0, 0, 1);
    }
    let held = cache.entries.iter().map(|(key, _)| key.token.memory() as u64).sum::<u64>();
    assert!(held <= config.max_bytes && cache.len() > 200, "{held} bytes in {} tokens", cache.len());
}

#[test]
fn a_token_larger_than_the_whole_cache_is_not_kept_and_harms_nobody() {
    let cache = TokenCache::new(TokenCacheConfig { max_entries: 1, max_bytes: 1000 });
    for token in verified(0..3, 8000) {
        cache.insert(&token, 0, 0, 1);
        assert!(cache.get(token.expose_token(), 0).is_none());
    }
}

#[test]
fn a_token_is_found_under_its_policy_only_and_leaves_when_removed() {
    let cache = TokenCache::new(TokenCacheConfig::default());
    let token = &verified(0..1, 0)[0];
    cache.insert(token, 1, 0, 1);
    let text = token.expose_token();
    assert!(cache.get(text, 1).is_some());
    assert!(cache.get(text, 0).is_none() && cache.get(&text[1..], 1).is_none() && cache.get("", 1).is_none());
    cache.remove(text, 0);
    assert!(cache.get(text, 1).is_some());
    cache.remove(text, 1);
    assert_eq!(cache.len(), 0);
}
