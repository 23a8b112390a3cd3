use std::time::Duration;

/// How one issuer's keys are cached and fetched.
#[derive(Clone, Debug)]
pub struct CacheConfig {
    /// Fresh for this long after a success. Default 300 s.
    pub ttl: Duration,
    /// Usable for this long after the last success. Default 3600 s; less than [`CacheConfig::ttl`] counts as that.
    pub stale_ttl: Duration,
    /// One fetch attempt takes no longer. Default 5 s.
    pub refresh_timeout: Duration,
    /// Further attempts in one refresh. Default 3.
    pub refresh_retries: u32,
    /// What `Cache-Control: max-age` may shorten the ttl to. Default 30 s.
    pub ttl_floor: Duration,
    /// How long a `kid` that a fetch did not bring is not asked for again. Default 2 s: keys are published late.
    pub negative_ttl: Duration,
    /// How many such `kid`s are remembered. Default 1024.
    pub negative_capacity: usize,
    /// How many fetches unknown `kid`s may cause at once. Default 4.
    pub unknown_kid_burst: u32,
    /// How long until they may cause one more. Default 1 s.
    pub unknown_kid_interval: Duration,
    /// How long a request with an unknown key may wait for it. Default 5 s.
    pub max_wait: Duration,
    /// How many different unknown `kid`s may be waited for at once. Default 256; fewer while fetches for them turn out
    /// in vain.
    pub max_waiting_kids: usize,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(300),
            stale_ttl: Duration::from_secs(3600),
            refresh_timeout: Duration::from_secs(5),
            refresh_retries: 3,
            ttl_floor: Duration::from_secs(30),
            negative_ttl: Duration::from_secs(2),
            negative_capacity: 1024,
            unknown_kid_burst: 4,
            unknown_kid_interval: Duration::from_secs(1),
            max_wait: Duration::from_secs(5),
            max_waiting_kids: 256,
        }
    }
}

impl CacheConfig {
    /// The ttl after an answer that allows itself to be kept for `max_age`.
    pub(super) fn effective_ttl(&self, max_age: Option<Duration>) -> Duration {
        max_age.map_or(self.ttl, |max_age| max_age.max(self.ttl_floor).min(self.ttl))
    }

    pub(super) fn stale_ttl(&self) -> Duration {
        self.stale_ttl.max(self.ttl)
    }
}
