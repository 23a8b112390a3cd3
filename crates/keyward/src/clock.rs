//! The one place that reads the clock.

use std::time::Duration;

use keyward_core::time::{Instant, Now, UnixTime};
use rustix::time::{ClockId, clock_gettime};

/// Where the time comes from.
pub trait Clock: Send + Sync + 'static {
    /// Both clocks, now.
    fn now(&self) -> Now;

    /// Both clocks, at the least cost: the calendar may be behind by as much as [`GLANCE_LAG`].
    fn glance(&self) -> Now {
        self.now()
    }
}

/// How far the calendar of [`Clock::glance`] is taken to be behind: a tick of the slowest kernels. Against a leeway of
/// seconds a tick that comes late does not count.
pub const GLANCE_LAG: Duration = Duration::from_millis(10);

/// The machine's clocks. The one that never goes back also counts the time the machine spends suspended.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// Instants lie this far from their origin, so that keys older than the machine's last boot have an instant too.
const ORIGIN_OFFSET: Duration = Duration::from_secs(10 * 365 * 86_400);

impl Clock for SystemClock {
    fn now(&self) -> Now {
        read(ClockId::Realtime)
    }

    fn glance(&self) -> Now {
        read(ClockId::RealtimeCoarse)
    }
}

fn read(calendar: ClockId) -> Now {
    let boot = clock_gettime(ClockId::Boottime);
    let real = clock_gettime(calendar);
    let since_boot = Duration::new(to_u64(boot.tv_sec), to_u32(boot.tv_nsec));
    Now {
        instant: Instant::ORIGIN + ORIGIN_OFFSET + since_boot,
        unix: UnixTime::from_millis(real.tv_sec.saturating_mul(1000) + real.tv_nsec / 1_000_000),
    }
}

fn to_u64(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn to_u32(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_moves_forward_and_agrees_with_the_calendar() {
        let (first, second) = (SystemClock.now(), SystemClock.now());
        assert!(first.instant <= second.instant && first.instant > Instant::ORIGIN + ORIGIN_OFFSET);
        #[expect(clippy::disallowed_methods, reason = "to compare with")]
        let std = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        assert!(second.unix.as_secs().unsigned_abs().abs_diff(std) <= 1);
    }

    #[test]
    fn a_glance_is_never_ahead_and_not_far_behind() {
        // On a machine that is busy elsewhere the tick itself comes late.
        const SLACK: Duration = Duration::from_secs(1);
        for _ in 0..1000 {
            let (before, glance, after) = (SystemClock.now(), SystemClock.glance(), SystemClock.now());
            assert!(before.instant <= glance.instant && glance.instant <= after.instant);
            assert!(before.unix - GLANCE_LAG - SLACK <= glance.unix && glance.unix <= after.unix);
        }
    }
}
