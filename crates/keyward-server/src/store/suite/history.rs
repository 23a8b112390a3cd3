//! Random histories against a model: every answer, the usage, and the statistics.

use std::collections::BTreeMap;

use proptest::{prelude::*, test_runner::TestRunner};

use super::{Fixture, alice, any_kind, at, bob, complete, draft, fail, renew};
use crate::{
    jobs::{Job, JobId, LeaseId, LeasedJob, Outcome, Owner, Status, UsagePeriod},
    store::{Cancellation, Fenced, JobStore},
};

const KINDS: [&str; 2] = ["a", "b"];
const HOUR: i64 = 3_600_000;

#[derive(Clone, Debug)]
enum Op {
    Submit { bobs: bool, kind: usize, attempts: i64, delay: i64 },
    Lease { limit: u32 },
    Complete { lease: usize },
    Fail { lease: usize, retry: bool },
    Renew { lease: usize },
    Cancel { job: usize },
    Reclaim,
    Wait { millis: i64 },
}

fn op() -> impl Strategy<Value = Op> {
    let index = 0_usize..64;
    prop_oneof![
        4 => (any::<bool>(), 0..KINDS.len(), 1_i64..4, prop_oneof![Just(0), 0_i64..90_000])
            .prop_map(|(bobs, kind, attempts, delay)| Op::Submit { bobs, kind, attempts, delay }),
        4 => (1_u32..4).prop_map(|limit| Op::Lease { limit }),
        3 => index.clone().prop_map(|lease| Op::Complete { lease }),
        3 => (index.clone(), any::<bool>()).prop_map(|(lease, retry)| Op::Fail { lease, retry }),
        1 => index.clone().prop_map(|lease| Op::Renew { lease }),
        2 => index.prop_map(|job| Op::Cancel { job }),
        1 => Just(Op::Reclaim),
        4 => prop_oneof![1_i64..3000, 30_000_i64..70_000, Just(8 * HOUR)]
            .prop_map(|millis| Op::Wait { millis }),
    ]
}

/// A job as the documentation has it, in plain variables.
struct ModelJob {
    id: JobId,
    owner: Owner,
    kind: String,
    status: Status,
    attempts: i64,
    max_attempts: i64,
    run_at: i64,
    /// The lease, when it runs out, and whether its worker has ended it.
    lease: Option<(LeaseId, i64, bool)>,
}

#[derive(Default)]
struct Model {
    now: i64,
    jobs: Vec<ModelJob>,
    leases: Vec<LeasedJob>,
    usage: BTreeMap<(Owner, String, String, Outcome), u64>,
}

impl Model {
    fn end(&mut self, index: usize, status: Status) {
        let job = &mut self.jobs[index];
        job.status = status;
        let day = at(self.now).day().to_string();
        let key = (job.owner.clone(), day, job.kind.clone(), status.outcome().unwrap());
        *self.usage.entry(key).or_default() += 1;
    }

    fn reclaim(&mut self) {
        for index in 0..self.jobs.len() {
            let job = &mut self.jobs[index];
            let expired = job.lease.is_some_and(|(_, expires, _)| expires <= self.now);
            if job.status != Status::Running || !expired {
                continue;
            }
            job.lease = None;
            if job.attempts < job.max_attempts {
                job.status = Status::Queued;
            } else {
                self.end(index, Status::Failed);
            }
        }
    }

    /// Positions in `jobs` of what is due, in order. Jobs are in order of submission there.
    fn due(&self, limit: u32) -> Vec<usize> {
        let mut due: Vec<usize> = (0..self.jobs.len())
            .filter(|&n| self.jobs[n].status == Status::Queued && self.jobs[n].run_at <= self.now)
            .collect();
        due.sort_by_key(|&n| (self.jobs[n].run_at, n));
        due.truncate(limit as usize);
        due
    }

    fn index_of(&self, id: JobId) -> usize {
        self.jobs.iter().position(|job| job.id == id).unwrap()
    }

    fn holds(&self, index: usize, lease: LeaseId) -> bool {
        let job = &self.jobs[index];
        job.status == Status::Running && job.lease.is_some_and(|(id, expires, _)| id == lease && self.now < expires)
    }

    fn ended_by(&self, index: usize, lease: LeaseId, status: &[Status]) -> bool {
        let job = &self.jobs[index];
        status.contains(&job.status) && job.lease.is_some_and(|(id, _, ended)| id == lease && ended)
    }

    fn end_lease(&mut self, index: usize) {
        if let Some((_, _, ended)) = &mut self.jobs[index].lease {
            *ended = true;
        }
    }
}

fn shape(fenced: &Fenced) -> &'static str {
    match fenced {
        Fenced::Done(_) => "done",
        Fenced::Repeated(_) => "repeated",
        Fenced::LeaseLost => "lost",
        Fenced::NotFound => "not found",
    }
}

async fn submit(store: &dyn JobStore, model: &mut Model, op: &Op) {
    let &Op::Submit { bobs, kind, attempts, delay } = op else { unreachable!() };
    let owner = if bobs { bob() } else { alice() };
    let run_at = model.now + delay;
    let job: Job = draft(KINDS[kind])
        .by(owner.clone())
        .max_attempts(attempts)
        .run_at(at(run_at))
        .submitted(store, at(model.now))
        .await;
    model.jobs.push(ModelJob {
        id: job.id,
        owner,
        kind: KINDS[kind].to_owned(),
        status: Status::Queued,
        attempts: 0,
        max_attempts: attempts,
        run_at,
        lease: None,
    });
}

async fn lease(store: &dyn JobStore, model: &mut Model, limit: u32) {
    model.reclaim();
    let due = model.due(limit);
    let leased = store.lease(&any_kind(limit), at(model.now)).await.unwrap();
    let ids: Vec<_> = leased.jobs.iter().map(|held| held.job.id).collect();
    let expected: Vec<_> = due.iter().map(|&n| model.jobs[n].id).collect();
    assert_eq!(ids, expected);
    for (index, held) in due.into_iter().zip(leased.jobs) {
        let job = &mut model.jobs[index];
        job.status = Status::Running;
        job.attempts += 1;
        job.lease = Some((held.lease_id, model.now + 60_000, false));
        assert_eq!(i64::from(held.job.attempts), job.attempts);
        model.leases.push(held);
    }
}

async fn worker_call(store: &dyn JobStore, model: &mut Model, op: &Op, lease: usize) {
    let Some(held) = model.leases.get(lease % model.leases.len().max(1)).cloned() else {
        return;
    };
    let index = model.index_of(held.job.id);
    let holds = model.holds(index, held.lease_id);
    let now = at(model.now);
    let (answer, ended_as): (Fenced, &[Status]) = match op {
        Op::Complete { .. } => (complete(store, &held, now).await, &[Status::Succeeded]),
        Op::Fail { retry, .. } => (fail(store, &held, *retry, now).await, &[Status::Failed, Status::Queued]),
        _ => (renew(store, &held, now).await, &[]),
    };
    let expected = if holds {
        "done"
    } else if model.ended_by(index, held.lease_id, ended_as) {
        "repeated"
    } else {
        "lost"
    };
    assert_eq!(shape(&answer), expected);
    if !holds {
        return;
    }
    match op {
        Op::Complete { .. } => {
            model.end_lease(index);
            model.end(index, Status::Succeeded);
        }
        Op::Fail { retry, .. } => {
            model.end_lease(index);
            let job = &mut model.jobs[index];
            if *retry && job.attempts < job.max_attempts {
                job.status = Status::Queued;
                job.run_at = model.now + 1000 * [1, 2, 4][job.attempts as usize - 1];
            } else {
                model.end(index, Status::Failed);
            }
        }
        _ => model.jobs[index].lease = Some((held.lease_id, model.now + 60_000, false)),
    }
}

async fn cancel(store: &dyn JobStore, model: &mut Model, job: usize) {
    if model.jobs.is_empty() {
        return;
    }
    let index = job % model.jobs.len();
    let job = &mut model.jobs[index];
    let answer = store.cancel(&job.owner, job.id, at(model.now)).await.unwrap();
    match job.status {
        Status::Queued | Status::Running => {
            assert!(matches!(answer, Cancellation::Cancelled(_)), "{answer:?}");
            job.lease = None;
            model.end(index, Status::Cancelled);
        }
        Status::Cancelled => {
            assert!(matches!(answer, Cancellation::AlreadyCancelled(_)), "{answer:?}");
        }
        Status::Succeeded | Status::Failed => {
            assert!(matches!(answer, Cancellation::AlreadyFinished(_)), "{answer:?}");
        }
    }
}

async fn step(store: &dyn JobStore, model: &mut Model, op: &Op) {
    match *op {
        Op::Submit { .. } => submit(store, model, op).await,
        Op::Lease { limit } => lease(store, model, limit).await,
        Op::Complete { lease } | Op::Fail { lease, .. } | Op::Renew { lease } => {
            worker_call(store, model, op, lease).await;
        }
        Op::Cancel { job } => cancel(store, model, job).await,
        Op::Reclaim => {
            model.reclaim();
            store.reclaim_expired(at(model.now)).await.unwrap();
        }
        Op::Wait { millis } => model.now += millis,
    }
}

async fn assert_same(store: &dyn JobStore, model: &Model) {
    let mut counts = [0; Status::ALL.len()];
    for expected in &model.jobs {
        let job = store.get(&expected.owner, expected.id).await.unwrap().unwrap();
        assert_eq!(job.status, expected.status);
        assert_eq!(i64::from(job.attempts), expected.attempts);
        assert_eq!(job.run_at, at(expected.run_at));
        counts[job.status as usize] += 1;
    }
    let stats = store.queue_stats(at(model.now)).await.unwrap();
    assert_eq!(stats.jobs, counts);

    let period = UsagePeriod { from: at(0).day(), to: at(model.now).day() };
    let mut usage = BTreeMap::new();
    for owner in [alice(), bob()] {
        for row in store.usage(&owner, period).await.unwrap() {
            let key = (owner.clone(), row.day.to_string(), row.kind.to_string(), row.outcome);
            assert_eq!(usage.insert(key, row.count), None);
        }
    }
    assert_eq!(usage, model.usage);
    let ended: u64 = counts[2..].iter().sum();
    assert_eq!(usage.values().sum::<u64>(), ended, "each job counts exactly once");
}

pub(crate) async fn random_histories_match_the_model<F: Fixture>(_: &F) {
    let runtime = tokio::runtime::Handle::current();
    tokio::task::block_in_place(move || {
        let config = ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() };
        TestRunner::new(config)
            .run(&prop::collection::vec(op(), 1..80), |ops| {
                runtime.block_on(async {
                    let fixture = F::new().await;
                    let store = fixture.store().await;
                    let mut model = Model::default();
                    for op in &ops {
                        step(&*store, &mut model, op).await;
                    }
                    assert_same(&*store, &model).await;
                });
                Ok(())
            })
            .unwrap_or_else(|error| panic!("{error}"));
    });
}
