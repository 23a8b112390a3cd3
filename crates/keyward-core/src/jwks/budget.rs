//! What unknown `kid`s may cost the issuer and us, whatever an attacker sends.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::time::Instant;

/// No key has a longer `kid` than this many bytes, so none is fetched or remembered for one.
pub(super) const LONGEST_KID: usize = 1024;

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
    pub(super) fn full(capacity: u32, interval: Duration) -> Self {
        let interval = interval.max(Duration::from_millis(1));
        Self { capacity, interval, permits: capacity, counted: Instant::ORIGIN }
    }

    /// When the next permit can be had: `now`, or later. Nothing is counted yet, as `now` may lie ahead.
    pub(super) fn available_at(&self, now: Instant) -> Instant {
        let mut then = self.clone();
        then.count(now);
        match then.permits {
            0 if then.capacity == 0 => Instant::NEVER,
            0 => then.counted + then.interval,
            _ => now,
        }
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
        let gained = u32::try_from(now.since(self.counted).as_nanos() / self.interval.as_nanos()).unwrap_or(u32::MAX);
        self.permits = self.permits.saturating_add(gained).min(self.capacity);
        self.counted =
            if self.permits == self.capacity { now } else { self.counted + self.interval.saturating_mul(gained) };
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

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.until.len().max(self.order.len())
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
/// Each fetch that brings none of a crowd of them halves it, down to a few: in a flood of invented `kid`s requests are
/// answered at once instead of after a wait, whether they come all at once or one after the other. A fetch that brings
/// one, or a while without such a crowd, restores it. A few unknown `kid`s again and again are no flood: clients keep
/// tokens of withdrawn keys for an hour, and they must not cost the next rotation its wait.
#[derive(Clone, Debug)]
pub(super) struct Patience {
    most: usize,
    left: usize,
    turned_away: usize,
    last_in_vain: Instant,
}

impl Patience {
    /// So many different unknown `kid`s in one fetch are no clients that lag behind a rotation.
    const CROWD: usize = 4;
    const FEWEST: usize = 3;
    const RECOVERY: Duration = Duration::from_secs(10);

    pub(super) const fn new(most: usize) -> Self {
        Self { most, left: most, turned_away: 0, last_in_vain: Instant::ORIGIN }
    }

    pub(super) fn allows(&mut self, waiting: usize, now: Instant) -> bool {
        if now.since(self.last_in_vain) > Self::RECOVERY {
            self.left = self.most;
        }
        let allowed = waiting < self.left;
        self.turned_away += usize::from(!allowed);
        allowed
    }

    pub(super) fn rewarded(&mut self) {
        self.left = self.most;
        self.turned_away = 0;
    }

    /// A fetch has brought none of the `waited` `kid`s that were waited for.
    pub(super) fn in_vain(&mut self, waited: usize, now: Instant) {
        if waited + std::mem::take(&mut self.turned_away) >= Self::CROWD {
            self.left = (self.left / 2).max(Self::FEWEST.min(self.most));
            self.last_in_vain = now;
        }
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
    fn patience_runs_out_in_a_flood_and_comes_back() {
        let mut patience = Patience::new(64);
        assert!(patience.allows(63, at(0)));
        for n in 0..8 {
            assert!(!patience.allows(64, at(n)));
            patience.in_vain(64, at(n));
        }
        assert!(patience.allows(2, at(1000)) && !patience.allows(3, at(1000)));
        assert!(patience.allows(63, at(11_000)));
        assert!(!patience.allows(64, at(11_000)));
        patience.in_vain(64, at(11_000));
        assert!(!patience.allows(32, at(11_001)));
        patience.rewarded();
        assert!(patience.allows(63, at(11_002)));
    }

    #[test]
    fn a_crowd_that_never_turns_anybody_away_uses_patience_up_too() {
        let mut patience = Patience::new(256);
        for n in 0..8 {
            assert!(patience.allows(2, at(n)));
            patience.in_vain(16, at(n));
        }
        assert!(!patience.allows(3, at(9)));
    }

    #[test]
    fn a_few_unknown_kids_again_and_again_do_not_use_patience_up() {
        let mut patience = Patience::new(64);
        for n in 0..100 {
            assert!(patience.allows(3, at(n * 2000)));
            patience.in_vain(3, at(n * 2000));
        }
        assert!(patience.allows(63, at(200_000)));
    }

    #[test]
    fn asking_ahead_gives_nothing_early() {
        let mut bucket = Bucket::full(3, SECOND);
        assert_eq!((0..5).filter(|_| bucket.take(at(0))).count(), 3);
        assert_eq!(bucket.available_at(at(5000)), at(5000));
        assert!(!bucket.take(at(999)));
        assert_eq!(Bucket::full(0, SECOND).available_at(at(0)), Instant::NEVER);
    }
}
