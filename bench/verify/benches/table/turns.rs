//! Taking turns.

use std::time::{Duration, Instant};

use keyward_bench_verify::scenario::Resident;

/// Does something some times and says how long that took.
pub(crate) struct Runner(Box<dyn FnMut(usize) -> Duration>);

impl Runner {
    /// Calls `once` with a number that grows by one from call to call.
    pub(crate) fn counted(mut once: impl FnMut(usize) + 'static) -> Self {
        let mut turn = 0;
        Self(Box::new(move |times| {
            let started = now();
            for _ in 0..times {
                turn += 1;
                once(turn);
            }
            started.elapsed()
        }))
    }

    /// Verifies tokens that have just been received; receiving them is not counted.
    pub(crate) fn received(resident: Resident) -> Self {
        const AT_ONCE: usize = 64;
        let mut from = 0;
        Self(Box::new(move |times| {
            let mut taken = Duration::ZERO;
            for _ in 0..times.div_ceil(AT_ONCE) {
                let tokens = resident.just_received(from, AT_ONCE);
                from += AT_ONCE;
                let started = now();
                tokens.iter().for_each(|token| assert!(resident.verify(token)));
                taken += started.elapsed();
            }
            taken * u32::try_from(times).expect("a count")
                / u32::try_from(times.div_ceil(AT_ONCE) * AT_ONCE).expect("a count")
        }))
    }
}

/// Contenders that take turns.
#[derive(Default)]
pub(crate) struct Turns(Vec<(&'static str, Runner)>);

impl Turns {
    pub(crate) fn add(&mut self, name: &'static str, runner: Runner) {
        self.0.push((name, runner));
    }

    /// The nanoseconds that one call took, for every contender and round. Who begins changes from round to round.
    pub(crate) fn take(mut self, rounds: usize) -> Vec<(&'static str, Vec<f64>)> {
        const TURN: Duration = Duration::from_micros(500);
        let times: Vec<usize> = self.0.iter_mut().map(|(_, runner)| calls_within(runner, TURN)).collect();
        let mut taken = vec![Vec::with_capacity(rounds); self.0.len()];
        for round in 0..rounds {
            for at in 0..self.0.len() {
                let who = (at + round) % self.0.len();
                let Runner(run) = &mut self.0[who].1;
                taken[who].push(run(times[who]).as_secs_f64() * 1e9 / times[who] as f64);
            }
        }
        self.0.into_iter().map(|(name, _)| name).zip(taken).collect()
    }
}

fn calls_within(Runner(run): &mut Runner, time: Duration) -> usize {
    const TRIED: usize = 64;
    run(TRIED);
    let once = run(TRIED).as_secs_f64() / TRIED as f64;
    ((time.as_secs_f64() / once) as usize).max(2)
}

/// The middle one.
pub(crate) fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

#[expect(clippy::disallowed_methods, reason = "to measure is what this program is for")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
