//! Every contender under criterion: distributions, and comparison with the run before.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use keyward::clock::{Clock as _, SystemClock};
use keyward_bench_verify::contenders::{Bare, uncached};
use keyward_bench_verify::scenario::{EverNew, Resident};
use keyward_bench_verify::{Alg, Issuer};

fn issuer(alg: Alg) -> Issuer {
    Issuer::new(alg, SystemClock.now().unix.as_secs().unsigned_abs())
}

fn benches(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let _entered = runtime.enter();
    for alg in Alg::ALL {
        new_tokens(criterion, &issuer(alg));
    }
    for count in [2_000, 100_000] {
        known_tokens(criterion, &Resident::new(&issuer(Alg::ES256), count));
    }
}

fn new_tokens(criterion: &mut Criterion, issuer: &Issuer) {
    let tokens: Vec<String> = (0..500).map(|user| issuer.token(user)).collect();
    let mut group = criterion.benchmark_group(issuer.alg().name());
    let bare = Bare::new(issuer, &tokens);
    let mut turn = 0_usize;
    group.bench_function("bare aws-lc-rs", |bencher| {
        bencher.iter(|| {
            turn += 1;
            assert!(bare.verify(turn));
        });
    });
    for contender in uncached(issuer) {
        group.bench_function(contender.name, |bencher| {
            bencher.iter(|| {
                turn += 1;
                assert!((contender.verify)(&tokens[turn % tokens.len()]));
            });
        });
    }
    let mut ever_new = EverNew::new(issuer, tokens);
    group.bench_function("keyward: Authenticator, cache, new token", |bencher| {
        bencher.iter(|| assert!(ever_new.verify()));
    });
    group.finish();
}

fn known_tokens(criterion: &mut Criterion, resident: &Resident) {
    const AT_ONCE: usize = 64;
    let mut group = criterion.benchmark_group("cached");
    group.throughput(criterion::Throughput::Elements(AT_ONCE as u64));
    let mut from = 0;
    group.bench_function(format!("{AT_ONCE} of {} resident", resident.len()), |bencher| {
        bencher.iter_batched_ref(
            || {
                from += AT_ONCE;
                resident.just_received(from, AT_ONCE)
            },
            |tokens| tokens.iter().for_each(|token| assert!(resident.verify(token))),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group! {
    name = verify;
    config = Criterion::default()
        .sample_size(30)
        .warm_up_time(std::time::Duration::from_millis(300))
        .measurement_time(std::time::Duration::from_secs(1));
    targets = benches
}
criterion_main!(verify);
