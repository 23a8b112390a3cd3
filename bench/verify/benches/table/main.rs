//! The compact table: all contenders in turns, so that whatever else the machine does hits all alike; medians of many
//! short rounds, ratios and differences within the round. Prints Markdown.

mod memory;
mod threads;
mod turns;

use keyward::clock::{Clock as _, SystemClock};
use keyward_bench_verify::contenders::{Bare, uncached};
use keyward_bench_verify::scenario::{EverNew, Resident};
use keyward_bench_verify::{Alg, Issuer};

use turns::{Runner, Turns, median};

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let _entered = runtime.enter();
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == memory::ARGUMENT) {
        return memory::measure_here(&issuer(Alg::ES256), &arguments[at + 1]);
    }
    new_tokens();
    known_tokens();
    threads::print(&issuer(Alg::ES256));
    memory::print(&issuer(Alg::ES256));
}

fn issuer(alg: Alg) -> Issuer {
    Issuer::new(alg, SystemClock.now().unix.as_secs().unsigned_abs())
}

fn new_tokens() {
    const NEW: &str = "keyward: Authenticator, cache, new token";
    let mut names = Vec::new();
    let mut columns = Vec::new();
    for alg in Alg::ALL {
        let issuer = issuer(alg);
        let tokens: Vec<String> = (0..500).map(|user| issuer.token(user)).collect();
        let length = tokens[0].len();
        let bare = Bare::new(&issuer, &tokens);
        let mut turns = Turns::default();
        turns.add("bare aws-lc-rs", Runner::counted(move |turn| assert!(bare.verify(turn))));
        for contender in uncached(&issuer) {
            let tokens = tokens.clone();
            let verify = move |turn: usize| assert!((contender.verify)(&tokens[turn % tokens.len()]));
            turns.add(contender.name, Runner::counted(verify));
        }
        let mut ever_new = EverNew::new(&issuer, tokens);
        turns.add(NEW, Runner::counted(move |_| assert!(ever_new.verify())));
        let taken = turns.take(300);
        names = taken.iter().map(|(name, _)| *name).collect();
        columns.push((format!("{} ({length} B)", alg.name()), taken));
    }
    println!("\n### New tokens: µs per token, and what is added to the bare signature check\n");
    let heads: Vec<&str> = columns.iter().map(|(head, _)| head.as_str()).collect();
    println!("| | {} |\n| --- |{}", heads.join(" | "), " ---: |".repeat(heads.len()));
    for (at, name) in names.into_iter().enumerate() {
        print!("| {name} |");
        for (_, taken) in &columns {
            let (bare, own) = (&taken[0].1, &taken[at].1);
            let added = median(own.iter().zip(bare).map(|(own, bare)| own - bare).collect());
            match at {
                0 => print!(" {:.2} |", median(own.clone()) / 1000.0),
                _ => print!(" {:.2} ({:+.2}) |", median(own.clone()) / 1000.0, added / 1000.0),
            }
        }
        println!();
    }
}

fn known_tokens() {
    let issuer = issuer(Alg::ES256);
    println!("\n### Known tokens: ns per cache hit, random order\n");
    println!("| | median | best tenth |\n| --- | ---: | ---: |");
    for (name, count) in [("2 000 resident", 2_000), ("100 000 resident", 100_000)] {
        // By itself: another's turn would drive these tokens out of the processor's caches.
        let mut turns = Turns::default();
        turns.add(name, Runner::received(Resident::new(&issuer, count)));
        for (name, mut taken) in turns.take(1000) {
            taken.sort_by(f64::total_cmp);
            println!("| {name} | {:.0} | {:.0} |", median(taken.clone()), taken[taken.len() / 10]);
        }
    }
}
