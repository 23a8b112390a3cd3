//! What remembered tokens weigh, in a process that does nothing else.

use std::process::Command;

use keyward::{PolicyId, TokenCacheConfig};
use keyward_bench_verify::Issuer;
use keyward_bench_verify::contenders::{accepted, engine};

/// Has this program measure itself.
pub(crate) const ARGUMENT: &str = "--measure-memory-here";

const TOKENS: usize = 100_000;

/// How the cache is configured, and what that is called.
fn configs() -> [(&'static str, TokenCacheConfig); 2] {
    // The cache is divided, and its parts do not fill evenly.
    let roomy = TokenCacheConfig { max_entries: 110_000, max_bytes: 110_000 * 2048 };
    [("room for 110 000", roomy), ("the default, 100 000", TokenCacheConfig::default())]
}

pub(crate) fn print(issuer: &Issuer) {
    let length = issuer.token(0).len();
    println!("\n### Memory: resident set of a process of its own, before and after {TOKENS} tokens of {length} B\n");
    println!("| cache | tokens kept | MB in all | B per token |\n| --- | ---: | ---: | ---: |");
    let program = std::env::current_exe().expect("this program");
    for (number, _) in configs().iter().enumerate() {
        let output = Command::new(&program).args([ARGUMENT, &number.to_string()]).output().expect("a process");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        print!("{}", String::from_utf8_lossy(&output.stdout));
    }
}

/// Fills the cache configured under this number.
pub(crate) fn measure_here(issuer: &Issuer, number: &str) {
    let (name, config) = configs()[number.parse::<usize>().expect("a number")];
    let before = resident_bytes();
    let engine = engine(issuer, Some(config), 0);
    for user in 0..TOKENS {
        assert!(accepted(engine.try_verify(PolicyId::DEFAULT, &issuer.token(user))));
    }
    let grown = resident_bytes().saturating_sub(before) as f64;
    let kept = engine.cached_tokens().expect("a cache");
    println!("| {name} | {kept} | {:.0} | {:.0} |", grown / 1e6, grown / kept as f64);
}

fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").trim().parse::<usize>().expect("a number") * 1024
}
