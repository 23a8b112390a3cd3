//! Who waits for keys that are not there, kept by `kid` so that a crowd asking for one costs as much as one.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::time::Instant;

/// What is waited for; `None` for any key at all.
type Kid = Option<String>;

/// The kids waited for, and since when.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    max_wait: Duration,
    kids: BTreeMap<Kid, Crowd>,
}

/// Those who wait for one `kid`.
#[derive(Clone, Copy, Debug)]
struct Crowd {
    /// None of them arrived earlier.
    first: Instant,
    /// None of them arrived later.
    last: Instant,
    /// The last one whose answer needs a fetch that begins after it.
    asked: Instant,
}

/// How a fetch that did not bring its `kid` leaves a crowd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answered {
    /// Everybody has an answer.
    All,
    /// Those who asked by the start of the fetch have one; the others keep waiting.
    Until(Instant),
    /// Nobody has: all of them asked while the fetch was under way.
    Nobody,
}

impl Waiting {
    pub(super) const fn new(max_wait: Duration) -> Self {
        Self { max_wait, kids: BTreeMap::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.kids.len()
    }

    pub(super) fn contains(&self, kid: &Kid) -> bool {
        self.kids.contains_key(kid)
    }

    /// Waits for a fetch that begins at `now` or later.
    pub(super) fn ask(&mut self, kid: &Kid, now: Instant) {
        match self.kids.get_mut(kid) {
            Some(crowd) => (crowd.last, crowd.asked) = (now, now),
            None => {
                self.kids.insert(kid.clone(), Crowd { first: now, last: now, asked: now });
            }
        }
    }

    /// Waits for what others wait for already, and is content with their answer; whether there are others.
    pub(super) fn join(&mut self, kid: &Kid, now: Instant) -> bool {
        let crowd = self.kids.get_mut(kid);
        crowd.map(|crowd| crowd.last = now).is_some()
    }

    /// Ends all waiting.
    pub(super) fn take(&mut self) -> impl ExactSizeIterator<Item = Kid> + use<> {
        std::mem::take(&mut self.kids).into_keys()
    }

    /// Ends the waiting for what is there now.
    pub(super) fn take_present(&mut self, present: impl Fn(Option<&str>) -> bool) -> Vec<Kid> {
        self.kids.extract_if(.., |kid, _| present(kid.as_deref())).map(|(kid, _)| kid).collect()
    }

    /// A fetch that began at `began` brought none of these kids: who knows that now, and who needs another fetch.
    pub(super) fn in_vain(&mut self, began: Instant) -> Vec<(Kid, Answered)> {
        let mut answered = Vec::new();
        self.kids.retain(|kid, crowd| {
            let some = crowd.first <= began;
            let remain = crowd.asked > began;
            answered.push((
                kid.clone(),
                match (remain, some) {
                    (false, _) => Answered::All,
                    (true, true) => Answered::Until(began),
                    (true, false) => Answered::Nobody,
                },
            ));
            crowd.first = crowd.first.max(just_after(began));
            remain
        });
        answered
    }

    /// When the first of them has waited for long enough.
    pub(super) fn gives_up_at(&self) -> Instant {
        self.kids.values().map(|crowd| crowd.first + self.max_wait).min().unwrap_or(Instant::NEVER)
    }

    /// Ends the waiting of those who have waited for long enough: up to which arrival, for each `kid`.
    ///
    /// A crowd that keeps growing is answered in a few portions, the later arrivals of a portion somewhat early, rather
    /// than one by one.
    pub(super) fn give_up(&mut self, now: Instant) -> Vec<(Kid, Instant)> {
        let (max_wait, portion) = (self.max_wait, self.max_wait / 8);
        let mut over = Vec::new();
        self.kids.retain(|kid, crowd| {
            if crowd.first + max_wait > now {
                return true;
            }
            let until = (crowd.first + portion).max(now.before(max_wait));
            over.push((kid.clone(), until));
            crowd.first = just_after(until);
            crowd.last > until
        });
        over
    }
}

fn just_after(instant: Instant) -> Instant {
    instant + Duration::from_nanos(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(millis: u64) -> Instant {
        Instant::ORIGIN + Duration::from_secs(1_000_000) + Duration::from_millis(millis)
    }

    fn kid(name: &str) -> Kid {
        Some(name.to_owned())
    }

    #[test]
    fn the_first_of_a_growing_crowd_waits_no_longer_than_the_first_of_a_small_one() {
        let mut waiting = Waiting::new(SECOND);
        for millis in 0..=1000 {
            waiting.ask(&kid("a"), at(millis));
        }
        assert_eq!(waiting.gives_up_at(), at(1000));
        assert_eq!(waiting.give_up(at(999)), []);
        assert_eq!(waiting.give_up(at(1000)), [(kid("a"), at(125))]);
        assert!(waiting.gives_up_at() > at(1125), "they go in portions");
        assert_eq!(waiting.give_up(at(5000)), [(kid("a"), at(4000))]);
        assert_eq!((waiting.len(), waiting.gives_up_at()), (0, Instant::NEVER));
    }

    #[test]
    fn who_asked_during_a_fetch_needs_another_and_who_only_joined_does_not() {
        let mut waiting = Waiting::new(SECOND);
        waiting.ask(&kid("before"), at(0));
        waiting.ask(&kid("both"), at(0));
        waiting.ask(&kid("both"), at(20));
        waiting.ask(&kid("during"), at(20));
        assert!(waiting.join(&kid("before"), at(20)) && !waiting.join(&kid("nobody"), at(20)));
        let answered = waiting.in_vain(at(10));
        let expected = [("before", Answered::All), ("both", Answered::Until(at(10))), ("during", Answered::Nobody)];
        assert_eq!(answered, expected.map(|(name, answer)| (kid(name), answer)));
        assert_eq!(waiting.len(), 2);
        assert!(waiting.gives_up_at() > at(1010), "those who were answered no longer count");
    }
}
