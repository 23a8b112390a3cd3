//! One thread, and two.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use keyward_bench_verify::Issuer;
use keyward_bench_verify::contenders::{Bare, authenticator};
use keyward_bench_verify::scenario::Resident;

use crate::turns::{median, now};

/// Verifies the token with this number.
type Verify<'a> = (&'static str, Box<dyn Fn(usize) -> bool + Sync + 'a>);

pub(crate) fn print(issuer: &Issuer) {
    const ROUNDS: usize = 31;
    let tokens: Vec<String> = (0..2000).map(|user| issuer.token(user)).collect();
    let (bare, uncached) = (Bare::new(issuer, &tokens), authenticator(issuer, None));
    let resident = Resident::new(issuer, tokens.len());
    let all: [Verify<'_>; 4] = [
        ("counting alone, which shares nothing: what the machine has to give", Box::new(counts)),
        ("bare aws-lc-rs, ES256", Box::new(|turn| bare.verify(turn))),
        ("keyward: Authenticator, no cache, ES256", Box::new(|turn| uncached(&tokens[turn % tokens.len()]))),
        ("keyward: cache hit, 2 000 resident", Box::new(|turn| resident.verify_at(turn))),
    ];
    let mut taken = vec![(Vec::new(), Vec::new(), Vec::new()); all.len()];
    for _ in 0..ROUNDS {
        for ((_, verify), (ones, twos, ratios)) in all.iter().zip(&mut taken) {
            let (one, two) = (per_second(verify, 1), per_second(verify, 2));
            ones.push(one);
            twos.push(two);
            ratios.push(two / one);
        }
    }
    println!("\n### Two threads: thousands per second\n");
    println!("| | one thread | two threads | ratio |\n| --- | ---: | ---: | ---: |");
    for ((name, _), (ones, twos, ratios)) in all.iter().zip(taken) {
        let thousands = |of| median(of) / 1000.0;
        println!("| {name} | {:.0} | {:.0} | {:.2} |", thousands(ones), thousands(twos), median(ratios));
    }
}

fn counts(turn: usize) -> bool {
    (0..1000).fold(turn, |sum, one| std::hint::black_box(sum ^ one)) < usize::MAX
}

/// How often a second `threads` threads together do it.
fn per_second(verify: &(impl Fn(usize) -> bool + Sync + ?Sized), threads: usize) -> f64 {
    const TIME: Duration = Duration::from_millis(40);
    let (start, stop) = (Barrier::new(threads + 1), AtomicBool::new(false));
    let work = |thread: usize| {
        let (mut turn, mut done) = (thread * 997, 0_u64);
        start.wait();
        let started = now();
        while !stop.load(Ordering::Relaxed) {
            for _ in 0..16 {
                turn += 1;
                assert!(verify(turn));
            }
            done += 16;
        }
        done as f64 / started.elapsed().as_secs_f64()
    };
    let work = &work;
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|thread| scope.spawn(move || work(thread))).collect();
        start.wait();
        std::thread::sleep(TIME);
        stop.store(true, Ordering::Relaxed);
        handles.into_iter().map(|handle| handle.join().expect("a thread")).sum()
    })
}
