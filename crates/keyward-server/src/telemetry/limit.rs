//! How many lines about refused tokens a second are logged, for each reason.

use std::time::Duration;

use keyward::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

/// Lets a number of events a second pass for each reason, and counts what it holds back.
///
/// A flood of one reason does not silence the others. Time is an argument.
#[derive(Debug)]
pub struct Limiter {
    per_second: u32,
    windows: Vec<Window>,
}

#[derive(Clone, Debug, Default)]
struct Window {
    start: Option<Instant>,
    passed: u32,
    held_back: u64,
}

impl Limiter {
    /// A limiter for reasons with the indices `0..reasons`.
    #[must_use]
    pub fn new(reasons: usize, per_second: u32) -> Self {
        Self { per_second, windows: vec![Window::default(); reasons] }
    }

    /// Whether an event passes now. `Some` does, with the number of events of this reason held back since the last
    /// one that was reported; `None` is held back and counted. An index outside the range always passes.
    pub fn admit(&mut self, reason: usize, now: Instant) -> Option<u64> {
        let per_second = self.per_second;
        let Some(window) = self.windows.get_mut(reason) else { return Some(0) };
        if window.is_over(now) {
            window.start = Some(now);
            window.passed = 0;
        }
        if window.passed >= per_second {
            window.held_back += 1;
            return None;
        }
        window.passed += 1;
        Some(std::mem::take(&mut window.held_back))
    }

    /// What was held back in seconds that are over, as index and count: so that the end of a flood is counted too.
    /// Call it now and then; what it returns is not reported again.
    pub fn settle(&mut self, now: Instant) -> Vec<(usize, u64)> {
        let over = |(index, window): (usize, &mut Window)| {
            let due = window.held_back > 0 && window.is_over(now);
            due.then(|| (index, std::mem::take(&mut window.held_back)))
        };
        self.windows.iter_mut().enumerate().filter_map(over).collect()
    }
}

impl Window {
    fn is_over(&self, now: Instant) -> bool {
        self.start.is_none_or(|start| now.since(start) >= SECOND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Instant {
        Instant::from_nanos(1_000_000)
    }

    #[test]
    fn a_flood_passes_a_few_a_second_and_the_rest_is_counted() {
        let now = start();
        let mut limiter = Limiter::new(2, 3);
        let passed = (0..100).filter(|_| limiter.admit(0, now).is_some()).count();
        assert_eq!(passed, 3);
        assert_eq!(limiter.admit(0, now + SECOND), Some(97));
        assert_eq!(limiter.admit(0, now + SECOND), Some(0), "counted once");
    }

    #[test]
    fn a_flood_of_one_reason_does_not_silence_another() {
        let now = start();
        let mut limiter = Limiter::new(2, 1);
        assert_eq!((limiter.admit(0, now), limiter.admit(0, now)), (Some(0), None));
        assert_eq!(limiter.admit(1, now), Some(0));
    }

    #[test]
    fn the_end_of_a_flood_is_counted() {
        let now = start();
        let mut limiter = Limiter::new(2, 1);
        for _ in 0..10 {
            limiter.admit(1, now);
        }
        assert_eq!(limiter.settle(now + SECOND / 2), [], "its second is not over");
        assert_eq!(limiter.settle(now + SECOND), [(1, 9)]);
        assert_eq!(limiter.settle(now + SECOND), []);
        assert_eq!(limiter.admit(1, now + SECOND), Some(0));
    }

    #[test]
    fn a_clock_that_stands_still_or_an_unknown_reason_does_no_harm() {
        let now = start();
        let mut limiter = Limiter::new(1, 1);
        assert_eq!(limiter.admit(0, now + SECOND), Some(0));
        assert_eq!(limiter.admit(0, now), None, "an earlier time opens no new second");
        assert_eq!(limiter.admit(7, now), Some(0));
    }
}
