//! When to fetch: pure functions of the configuration, the history and a random number.

use std::time::Duration;

use super::CacheConfig;

/// Random numbers from a seed that the caller draws: the core has no source of randomness of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Jitter(u64);

impl Jitter {
    /// A sequence that depends on `seed` alone.
    #[must_use]
    pub const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number, from 0 up to but not including 1. The generator is SplitMix64, which is enough to keep
    /// instances from moving in step.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are kept, which a double holds")]
    fn fraction(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn between(&mut self, low: Duration, high: Duration) -> Duration {
        low + high.saturating_sub(low).mul_f64(self.fraction())
    }
}

/// From a success to the next refresh: about four fifths of the ttl, so that a refresh that works is never late.
pub(super) fn until_next_refresh(ttl: Duration, jitter: &mut Jitter) -> Duration {
    /// However short the ttl is, the issuer is not asked in a loop.
    const LEAST: Duration = Duration::from_millis(200);
    jitter.between(ttl.mul_f64(0.72), ttl.mul_f64(0.8)).max(LEAST)
}

/// From a failed attempt to the next one of the same refresh: exponential, with full jitter.
pub(super) fn until_retry(attempt: u32, serving: bool, jitter: &mut Jitter) -> Duration {
    const BASE: Duration = Duration::from_millis(200);
    let cap = Duration::from_secs(if serving { 5 } else { 1 });
    let ceiling = BASE.saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1).min(16))).min(cap);
    jitter.between(ceiling / 20, ceiling)
}

/// From a failed refresh to the next one. While keys still serve there is time, and the issuer is spared; while nothing
/// can be served every second counts.
pub(super) fn until_next_try(config: &CacheConfig, serving: bool, failed: u32, jitter: &mut Jitter) -> Duration {
    const SECOND: Duration = Duration::from_secs(1);
    if !serving {
        return jitter.between(SECOND / 2, SECOND);
    }
    let cap = (config.ttl / 10).clamp(SECOND, Duration::from_secs(30));
    let ceiling = SECOND.saturating_mul(2_u32.saturating_pow(failed.min(16))).min(cap);
    jitter.between(ceiling / 2, ceiling)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_is_spread_over_its_range_and_repeatable() {
        let draw = |seed| {
            let mut jitter = Jitter::seeded(seed);
            (0..1000).map(|_| jitter.fraction()).collect::<Vec<_>>()
        };
        let numbers = draw(7);
        assert_eq!(numbers, draw(7));
        assert_ne!(numbers, draw(8));
        assert!(numbers.iter().all(|n| (0.0..1.0).contains(n)));
        let mean = numbers.iter().sum::<f64>() / 1000.0;
        assert!((0.45..0.55).contains(&mean), "{mean}");
    }

    #[test]
    fn delays_grow_to_their_caps_and_never_reach_zero() {
        let mut jitter = Jitter::seeded(1);
        let config = CacheConfig::default();
        for n in 1..200 {
            let retry = until_retry(n, true, &mut jitter);
            assert!(retry >= Duration::from_millis(10) && retry <= Duration::from_secs(5));
            assert!(until_retry(n, false, &mut jitter) <= Duration::from_secs(1));
            assert!(until_next_refresh(Duration::ZERO, &mut jitter) >= Duration::from_millis(200));
            let serving = until_next_try(&config, true, n, &mut jitter);
            assert!(serving >= Duration::from_secs(1) && serving <= Duration::from_secs(30));
            let empty = until_next_try(&config, false, n, &mut jitter);
            assert!(empty >= Duration::from_millis(500) && empty <= Duration::from_secs(1));
        }
        assert!(until_retry(1, true, &mut jitter) <= Duration::from_millis(200));
        assert!(until_next_try(&config, true, 1, &mut jitter) <= Duration::from_secs(2));
    }
}
