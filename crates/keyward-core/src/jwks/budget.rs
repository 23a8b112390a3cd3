//! What unknown `kid`s may cost the issuer and us, whatever an attacker sends.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::time::Instant;

/// A bucket of permits: a few at once, then one every interval.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    capacity: u32,
    interval: Duration,
    permits: u32,
    /// When the permits were last counted.
    counted: Instant,
}

impl Bucket {
    pub(super) const fn full(capacity: u32, interval: Duration) -> Self {
        Self { capacity, interval, permits: capacity, counted: Instant::ORIGIN }
    }

    /// When the next permit can be had: `now`, or later.
    pub(super) fn available_at(&mut self, now: Instant) -> Instant {
        self.count(now);
        if self.permits > 0 { now } else { self.counted + self.interval }
    }

    /// Takes a permit, if there is one.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        self.count(now);
        if self.permits == 0 {
            return false;
        }
        self.permits -= 1;
        true
    }

    fn count(&mut self, now: Instant) {
        let interval = self.interval.max(Duration::from_millis(1));
        let gained = u32::try_from(now.since(self.counted).as_nanos() / interval.as_nanos()).unwrap_or(u32::MAX);
        self.permits = self.permits.saturating_add(gained).min(self.capacity);
        self.counted = if self.permits == self.capacity { now } else { self.counted + interval.saturating_mul(gained) };
    }
}

/// The `kid`s that a fetch did not bring, for a few seconds.
#[derive(Clone, Debug)]
pub(super) struct NegativeCache {
    capacity: usize,
    ttl: Duration,
    until: BTreeMap<String, Instant>,
    /// Oldest first; as entries live equally long, also the order in which they end.
    order: VecDeque<String>,
}

impl NegativeCache {
    pub(super) const fn new(capacity: usize, ttl: Duration) -> Self {
        Self { capacity, ttl, until: BTreeMap::new(), order: VecDeque::new() }
    }

    pub(super) fn holds(&self, kid: &str, now: Instant) -> bool {
        self.until.get(kid).is_some_and(|until| now < *until)
    }

    pub(super) fn insert(&mut self, kid: &str, now: Instant) {
        self.forget_ended(now);
        if self.capacity == 0 || self.until.insert(kid.to_owned(), now + self.ttl).is_some() {
            return;
        }
        self.order.push_back(kid.to_owned());
        while self.order.len() > self.capacity {
            self.drop_oldest();
        }
    }

    pub(super) fn clear(&mut self) {
        self.until.clear();
        self.order.clear();
    }

    fn forget_ended(&mut self, now: Instant) {
        while self.order.front().is_some_and(|kid| !self.holds(kid, now)) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(kid) = self.order.pop_front() {
            self.until.remove(&kid);
        }
    }
}

/// How many different unknown `kid`s may be waited for.
///
/// Fetches that bring none of the keys waited for halve it, down to none: in a flood of invented `kid`s requests are
/// answered at once instead of after a wait. A fetch that brings one, or a while without fetches in vain, restores it.
#[derive(Clone, Debug)]
pub(super) struct Patience {
    most: usize,
    left: usize,
    last_in_vain: Instant,
}

impl Patience {
    const RECOVERY: Duration = Duration::from_secs(10);

    pub(super) const fn new(most: usize) -> Self {
        Self { most, left: most, last_in_vain: Instant::ORIGIN }
    }

    pub(super) fn allows(&mut self, waiting: usize, now: Instant) -> bool {
        if now.since(self.last_in_vain) > Self::RECOVERY {
            self.left = self.most;
        }
        waiting < self.left
    }

    pub(super) fn rewarded(&mut self) {
        self.left = self.most;
    }

    pub(super) fn in_vain(&mut self, now: Instant) {
        self.left = (self.left.min(self.most)) / 2;
        self.last_in_vain = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(millis: u64) -> Instant {
        Instant::ORIGIN + Duration::from_secs(1_000_000) + Duration::from_millis(millis)
    }

    #[test]
    fn a_bucket_gives_a_few_at_once_and_then_one_an_interval() {
        let mut bucket = Bucket::full(3, SECOND);
        assert_eq!((0..5).filter(|_| bucket.take(at(0))).count(), 3);
        assert_eq!(bucket.available_at(at(400)), at(1000));
        assert!(!bucket.take(at(999)));
        assert!(bucket.take(at(1000)));
        assert!(!bucket.take(at(1999)));
        assert!(bucket.take(at(2500)), "time that has begun to count is not lost");
        assert!(bucket.take(at(3000)));
        assert_eq!((0..9).filter(|_| bucket.take(at(60_000))).count(), 3);
    }

    #[test]
    fn over_any_span_a_bucket_gives_no_more_than_capacity_and_rate() {
        let mut bucket = Bucket::full(4, SECOND);
        let given = (0..30_000).step_by(7).filter(|millis| bucket.take(at(*millis))).count();
        assert!((4 + 28..=4 + 30).contains(&given), "{given}");
    }

    #[test]
    fn the_negative_cache_forgets_and_is_bounded() {
        let mut negative = NegativeCache::new(2, SECOND);
        negative.insert("a", at(0));
        assert!(negative.holds("a", at(999)) && !negative.holds("a", at(1000)));
        negative.insert("b", at(100));
        negative.insert("c", at(200));
        assert!(!negative.holds("a", at(300)), "the oldest makes room");
        assert!(negative.holds("b", at(300)) && negative.holds("c", at(300)));
        for n in 0..10_000 {
            negative.insert(&format!("k{n}"), at(300));
        }
        assert!(negative.until.len() == 2 && negative.order.len() == 2);
        negative.insert("z", at(5000));
        assert_eq!(negative.order.len(), 1);
    }

    #[test]
    fn patience_runs_out_in_vain_and_comes_back() {
        let mut patience = Patience::new(8);
        assert!(patience.allows(7, at(0)) && !patience.allows(8, at(0)));
        for n in 0..4 {
            patience.in_vain(at(n));
        }
        assert!(!patience.allows(0, at(1000)));
        assert!(patience.allows(7, at(11_000)));
        patience.in_vain(at(11_000));
        assert!(!patience.allows(4, at(11_001)));
        patience.rewarded();
        assert!(patience.allows(7, at(11_002)));
    }
}
