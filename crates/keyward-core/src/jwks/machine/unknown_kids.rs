//! Tokens whose key is not there: whether they are worth a fetch, and how those who wait for one are answered.

use std::sync::Arc;

use super::super::budget::{Bucket, NegativeCache, Patience};
use super::super::protocol::*;
use super::super::waiting::{Answered, Waiting};
use super::{Cache, CacheConfig, Ended, Phase};
use crate::time::{Instant, Now};

/// Tokens whose key is not there, and what may be done for them.
#[derive(Clone, Debug)]
pub(super) struct UnknownKids {
    pub(super) budget: Bucket,
    pub(super) negative: NegativeCache,
    pub(super) patience: Patience,
    pub(super) waiting: Waiting,
    /// Whether a fetch is wanted as soon as the budget permits one.
    pub(super) wanted: bool,
}

impl UnknownKids {
    pub(super) fn new(config: &CacheConfig) -> Self {
        Self {
            budget: Bucket::full(config.unknown_kid_burst, config.unknown_kid_interval),
            negative: NegativeCache::new(config.negative_capacity, config.negative_ttl),
            patience: Patience::new(config.max_waiting_kids),
            waiting: Waiting::new(config.max_wait),
            wanted: false,
        }
    }
}

impl Cache {
    /// What can be said about a key that was not found in a snapshot. After [`Miss::Wait`] an [`Action::Settle`]
    /// follows.
    pub fn key_missing(&mut self, query: &KeyQuery, now: Now) -> Miss {
        let kid = query.kid.as_deref();
        if self.is_usable(now) && self.has(kid) {
            return Miss::Present;
        }
        if !query.is_worth_asking() {
            return self.suppress(Suppressed::Screened, now);
        }
        if kid.is_some_and(|kid| self.unknown_kids.negative.holds(kid, now.instant)) {
            // Others asked while that fetch was under way, and another is made for them: its answer will do here too.
            if self.unknown_kids.waiting.join(&query.kid, now.instant) {
                return Miss::Wait;
            }
            return self.suppress(Suppressed::NegativeCache, now);
        }
        match self.phase {
            // Due anyway, and only the driver is late: no reason to spend the budget.
            Phase::Idle { next, trigger } if next <= now.instant => self.fetch(trigger, 1, now.instant),
            Phase::Idle { .. } => {
                self.unknown_kids.wanted = true;
                self.fetch_for_unknown_kid(1, now.instant);
            }
            Phase::Fetching { .. } | Phase::BackingOff { .. } | Phase::Fixed => {}
        }
        self.wait_or_answer(query, now)
    }

    fn wait_or_answer(&mut self, query: &KeyQuery, now: Now) -> Miss {
        let soon = self.next_answer(now.instant) <= now.instant + self.config.max_wait;
        if !soon {
            return self.suppress(Suppressed::Cooldown, now);
        }
        let unknown = &mut self.unknown_kids;
        let others = unknown.waiting.len();
        if !unknown.waiting.contains(&query.kid) && !unknown.patience.allows(others, now.instant) {
            return self.suppress(Suppressed::Budget, now);
        }
        unknown.waiting.ask(&query.kid, now.instant);
        Miss::Wait
    }

    /// Whether the keys in hand answer a question for this `kid`, or for any.
    fn has(&self, kid: Option<&str>) -> bool {
        kid.is_none_or(|kid| self.held.set.has_kid(kid))
    }

    /// When the fetch begins, or began, that can answer a question asked now.
    fn next_answer(&self, now: Instant) -> Instant {
        match self.phase {
            Phase::Fetching { began, .. } => began,
            Phase::BackingOff { until, .. } => until,
            Phase::Idle { next, .. } => next.min(self.unknown_kids.budget.available_at(now)),
            Phase::Fixed => Instant::NEVER,
        }
    }

    fn suppress(&mut self, why: Suppressed, now: Now) -> Miss {
        self.events.push_back(Event::Suppressed(why));
        // While an attempt has failed and the next is to come, a rotation may be behind the missing key already.
        let retrying = match self.phase {
            Phase::Idle { .. } | Phase::Fixed => false,
            Phase::Fetching { attempt, .. } => attempt > 1,
            Phase::BackingOff { .. } => true,
        };
        if self.is_trustworthy() && self.is_usable(now) && !retrying { Miss::Absent } else { Miss::Unavailable }
    }

    pub(super) fn fetch_for_unknown_kid(&mut self, attempt: u32, now: Instant) {
        if self.unknown_kids.budget.take(now) {
            self.fetch(Trigger::UnknownKid, attempt, now);
        } else if let Phase::BackingOff { until, .. } = &mut self.phase {
            *until = self.unknown_kids.budget.available_at(now);
        }
    }

    /// Answers those whose key has come, and those who asked before the fetch began and whose key has not.
    pub(super) fn settle_after_success(&mut self, ended: Ended, now: Instant) {
        let found = self.settle_present();
        let in_vain = self.unknown_kids.waiting.in_vain(ended.began);
        if found > 0 {
            self.unknown_kids.patience.rewarded();
        } else if !in_vain.is_empty() || ended.trigger == Trigger::UnknownKid {
            self.unknown_kids.patience.in_vain(in_vain.len(), now);
        }
        for (kid, answered) in in_vain {
            if let Some(kid) = &kid {
                self.unknown_kids.negative.insert(kid, now);
            }
            match answered {
                Answered::All => self.settle(kid, Instant::NEVER, Miss::Absent),
                Answered::Until(began) => self.settle(kid, began, Miss::Absent),
                Answered::Nobody => {}
            }
        }
        if self.unknown_kids.waiting.len() > 0 {
            // Asked while the fetch was under way: the key may have been published since.
            self.unknown_kids.wanted = true;
            self.fetch_for_unknown_kid(1, now);
        }
    }

    /// Answers those whose key is there; how many kids that were.
    pub(super) fn settle_present(&mut self) -> usize {
        let set = Arc::clone(&self.held.set);
        let present = self.unknown_kids.waiting.take_present(|kid| kid.is_none_or(|kid| set.has_kid(kid)));
        let found = present.len();
        for kid in present {
            self.settle(kid, Instant::NEVER, Miss::Present);
        }
        found
    }

    pub(super) fn settle(&mut self, kid: Option<String>, arrived_until: Instant, answer: Miss) {
        self.actions.push_back(Action::Settle(Settled { kid, arrived_until, answer }));
    }

    pub(super) fn give_up_waiting(&mut self, now: Instant) {
        for (kid, arrived_until) in self.unknown_kids.waiting.give_up(now) {
            // Not "absent": the fetch that could say so has not ended.
            self.settle(kid, arrived_until, Miss::Unavailable);
        }
    }
}
