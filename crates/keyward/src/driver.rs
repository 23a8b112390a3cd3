//! The task that owns an issuer's key-set cache: it carries out the cache's actions and publishes its snapshots.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::FutureExt;
use keyward_core::jwks::{
    Action, Cache, Event, FailureKind, FetchId, Input, KeyQuery, Miss, OperatorState, Settled, Snapshot,
};
use keyward_core::time::{Instant, Now};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, JoinSet};

use crate::clock::Clock;
use crate::decision::Decision;
use crate::observer::Observer;
use crate::source::{Fetch, FetchError, Source};

mod persister;
pub(crate) use persister::Persister;

/// How many questions may stand in line. Beyond it requests are answered from the snapshot alone.
const QUEUE: usize = 1024;
/// How many requests may wait for keys at once.
const MAX_WAITERS: usize = 16_384;
/// How often those who wait are searched for clients that have gone, while there is no room for more.
const SWEEP: Duration = Duration::from_millis(100);
/// The clock is looked at this often at least: timers of the runtime stand still while a machine is suspended.
const TICK: Duration = Duration::from_secs(1);

/// What the driver can be told.
pub(crate) enum Command {
    KeyMissing {
        query: KeyQuery,
        reply: oneshot::Sender<Miss>,
    },
    Decide {
        decision: Decision,
        done: oneshot::Sender<Kept>,
    },
    Refresh {
        done: oneshot::Sender<bool>,
    },
    /// Fetch no more, write what is to be kept.
    End,
}

/// Ends when a decision that holds has also been written, or could not be.
pub(crate) type Kept = oneshot::Receiver<()>;

/// The way to a driver. The driver ends when it is told to, or when the last handle is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    commands: mpsc::Sender<Command>,
}

impl Handle {
    /// Asks about a missing key; `None` when the driver has more to do than it can.
    pub(crate) fn key_missing(&self, query: KeyQuery) -> Option<oneshot::Receiver<Miss>> {
        let (reply, answer) = oneshot::channel();
        match self.commands.try_send(Command::KeyMissing { query, reply }) {
            Err(mpsc::error::TrySendError::Full(_)) => None,
            // Nobody answers for a driver that has ended: the other end of `answer` is gone.
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Some(answer),
        }
    }

    /// Has an operator's decision carried out; returns once its effect is published and, unless the disk is slow or
    /// broken, kept for the next start. `false` when the driver has ended.
    pub(crate) async fn decide(&self, decision: Decision) -> bool {
        const PATIENCE: Duration = Duration::from_secs(2);
        let (done, decided) = oneshot::channel();
        if self.commands.send(Command::Decide { decision, done }).await.is_err() {
            return false;
        }
        let Ok(kept) = decided.await else { return false };
        let _ = tokio::time::timeout(PATIENCE, kept).await;
        true
    }

    /// Ends the driver. Its last snapshot stays.
    pub(crate) async fn end(&self) {
        let _ = self.commands.send(Command::End).await;
    }

    /// Refreshes now; whether that succeeded.
    pub(crate) async fn refresh(&self) -> bool {
        let (done, refreshed) = oneshot::channel();
        self.commands.send(Command::Refresh { done }).await.is_ok() && refreshed.await.unwrap_or(false)
    }
}

/// What a driver works with.
pub(crate) struct Setup {
    pub(crate) issuer: Arc<str>,
    pub(crate) cache: Cache,
    /// `None` for keys that are not fetched.
    pub(crate) source: Option<Source>,
    pub(crate) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(crate) operator: Arc<ArcSwap<OperatorState>>,
    pub(crate) persister: Option<Persister>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) observer: Arc<dyn Observer>,
}

struct Driver {
    issuer: Arc<str>,
    cache: Cache,
    source: Option<Arc<Source>>,
    snapshot: Arc<ArcSwap<Snapshot>>,
    operator: Arc<ArcSwap<OperatorState>>,
    persister: Option<Persister>,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
    fetches: JoinSet<(FetchId, Result<Fetch, FetchError>)>,
    fetching: Option<FetchId>,
    /// Looks at a source that tells by itself when it has changed; one at a time.
    looks: JoinSet<bool>,
    waiting: HashMap<Option<String>, Vec<Waiter>>,
    waiters: usize,
    swept: Instant,
    refreshing: Vec<oneshot::Sender<bool>>,
    ended: bool,
    /// A defect may have left the rest of this in a state that nobody knows.
    broken: bool,
    /// Asked while a fetch was under way, which may have begun too early to answer them.
    refreshing_next: Vec<oneshot::Sender<bool>>,
}

struct Waiter {
    arrived: Instant,
    reply: oneshot::Sender<Miss>,
}

/// Starts the driver as a task of the current runtime.
pub(crate) fn start(setup: Setup) -> (Handle, tokio::task::JoinHandle<()>) {
    let (commands, queue) = mpsc::channel(QUEUE);
    let driver = Driver {
        issuer: setup.issuer,
        cache: setup.cache,
        source: setup.source.map(Arc::new),
        snapshot: setup.snapshot,
        operator: setup.operator,
        persister: setup.persister,
        clock: setup.clock,
        observer: setup.observer,
        fetches: JoinSet::new(),
        fetching: None,
        looks: JoinSet::new(),
        waiting: HashMap::new(),
        waiters: 0,
        swept: Instant::ORIGIN,
        refreshing: Vec::new(),
        ended: false,
        broken: false,
        refreshing_next: Vec::new(),
    };
    (Handle { commands }, tokio::spawn(driver.supervise(queue)))
}

impl Driver {
    /// Runs until it is told to end: a defect must not be the end of refreshing.
    async fn supervise(mut self, mut queue: mpsc::Receiver<Command>) {
        while AssertUnwindSafe(self.run(&mut queue)).catch_unwind().await.is_err() {
            self.broken = true;
            self.observer.driver_restarted(&self.issuer);
            tokio::time::sleep(TICK).await;
        }
        self.fetches.abort_all();
        if let Some(persister) = self.persister {
            persister.finish().await;
        }
    }

    async fn run(&mut self, queue: &mut mpsc::Receiver<Command>) {
        if self.broken {
            self.begin_anew();
        }
        let watchable = self.source.as_ref().is_some_and(|source| source.is_watchable());
        let mut watch = watchable.then(|| tokio::time::interval(TICK));
        while !self.ended {
            let now = self.clock.now();
            self.cache.handle_timeout(now);
            self.carry_out(now);
            let pause = self.cache.poll_timeout(now).since(now.instant).min(TICK);
            tokio::select! {
                command = queue.recv() => match command {
                    Some(command) => self.obey_all(command, queue),
                    None => break,
                },
                Some(ended) = self.fetches.join_next() => self.fetched(ended),
                () = tokio::time::sleep(pause) => {}
                () = tick(&mut watch) => self.look(),
                Some(Ok(changed)) = self.looks.join_next() => if changed {
                    self.cache.handle(Input::Refresh, self.clock.now());
                },
            }
        }
    }

    /// Whoever waits is told that it cannot be said, by the end of the channel.
    fn begin_anew(&mut self) {
        self.cache = self.cache.begun_anew(&self.snapshot.load(), self.clock.now());
        self.fetches = JoinSet::new();
        self.fetching = None;
        self.looks = JoinSet::new();
        self.waiting.clear();
        self.waiters = 0;
        self.refreshing.clear();
        self.refreshing_next.clear();
        self.broken = false;
    }

    /// Beside the loop, which a file system that hangs must not stop.
    fn look(&mut self) {
        if let (true, Some(source)) = (self.looks.is_empty(), self.source.clone()) {
            self.looks.spawn(async move { source.has_changed().await });
        }
    }

    /// Takes what stands in line, so that a flood costs one round of the loop for many questions.
    fn obey_all(&mut self, first: Command, queue: &mut mpsc::Receiver<Command>) {
        const AT_ONCE: usize = 256;
        let now = self.clock.now();
        self.obey(first, now);
        for _ in 1..AT_ONCE {
            let Ok(command) = queue.try_recv() else { break };
            self.obey(command, now);
        }
    }

    fn obey(&mut self, command: Command, now: Now) {
        match command {
            Command::KeyMissing { query, reply } => self.key_missing(query, reply, now),
            Command::End => self.ended = true,
            Command::Decide { decision, done } => {
                self.cache.handle(decision.into(), now);
                self.carry_out(now);
                let (written, kept) = oneshot::channel();
                if let Some(persister) = &self.persister {
                    persister.tell_when_written(written);
                }
                let _ = done.send(kept);
            }
            Command::Refresh { done } => {
                self.cache.handle(Input::Refresh, now);
                let line = if self.fetching.is_none() { &mut self.refreshing } else { &mut self.refreshing_next };
                line.push(done);
            }
        }
    }

    fn key_missing(&mut self, query: KeyQuery, reply: oneshot::Sender<Miss>, now: Now) {
        if self.waiters >= MAX_WAITERS && self.swept + SWEEP <= now.instant {
            self.swept = now.instant;
            self.forget_gone_waiters();
        }
        let answer = match self.cache.key_missing(&query, now) {
            Miss::Wait if self.waiters < MAX_WAITERS => {
                self.waiters += 1;
                self.waiting.entry(query.kid).or_default().push(Waiter { arrived: now.instant, reply });
                return;
            }
            Miss::Wait => Miss::Unavailable,
            answer => answer,
        };
        let _ = reply.send(answer);
    }

    /// Clients that hung up wait no longer.
    fn forget_gone_waiters(&mut self) {
        self.waiting.retain(|_, waiters| {
            waiters.retain(|waiter| !waiter.reply.is_closed());
            !waiters.is_empty()
        });
        self.waiters = self.waiting.values().map(Vec::len).sum();
    }

    fn fetched(&mut self, ended: Result<(FetchId, Result<Fetch, FetchError>), JoinError>) {
        let Some(current) = self.fetching.take() else { return };
        let (id, outcome) = ended.unwrap_or_else(|_| {
            (current, Err(FetchError::new(FailureKind::Body, "the fetch ended in a defect of Keyward")))
        });
        let input = match outcome {
            Ok(Fetch::Set(fetched)) => Input::Fetched(id, fetched),
            Ok(Fetch::NotModified { max_age }) => Input::NotModified(id, max_age),
            Err(FetchError { kind, message, retry_after }) => Input::Failed { id, kind, error: message, retry_after },
        };
        let now = self.clock.now();
        self.cache.handle(input, now);
        self.carry_out(now);
        if let Some(trouble) = self.source.as_ref().and_then(|source| source.trouble()) {
            self.observer.discovery_failed(&self.issuer, &trouble);
        }
        self.refreshing.append(&mut self.refreshing_next);
    }

    fn carry_out(&mut self, now: Now) {
        while let Some(action) = self.cache.poll_action() {
            match action {
                Action::Fetch { id, etag, timeout } => self.fetch(id, etag, timeout),
                Action::Publish(snapshot) => self.snapshot.store(snapshot),
                Action::Persist(stored) => {
                    if let Some(persister) = &self.persister {
                        persister.keep_keys(stored);
                    }
                }
                Action::PersistOperator(state) => {
                    self.operator.store(Arc::new(state.clone()));
                    if let Some(persister) = &self.persister {
                        persister.keep_operator(state);
                    }
                }
                Action::Settle(settled) => self.settle(&settled),
            }
        }
        while let Some(event) = self.cache.poll_event() {
            self.answer_refreshes(&event);
            self.observer.key_set(&self.issuer, &event);
        }
        debug_assert!(self.cache.poll_timeout(now) > Instant::ORIGIN, "a cache that was started has a time to wake");
    }

    fn fetch(&mut self, id: FetchId, etag: Option<String>, timeout: Duration) {
        let Some(source) = self.source.clone() else { return };
        self.fetching = Some(id);
        self.fetches.spawn(async move { (id, source.fetch(etag.as_deref(), timeout).await) });
    }

    fn settle(&mut self, settled: &Settled) {
        let Some(mut waiters) = self.waiting.remove(&settled.kid) else { return };
        let before = waiters.len();
        for waiter in waiters.extract_if(.., |waiter| waiter.arrived <= settled.arrived_until) {
            let _ = waiter.reply.send(settled.answer);
        }
        self.waiters -= before - waiters.len();
        if !waiters.is_empty() {
            self.waiting.insert(settled.kid.clone(), waiters);
        }
    }

    fn answer_refreshes(&mut self, event: &Event) {
        let succeeded = match event {
            Event::Refreshed { .. } => true,
            Event::RefreshFailed { .. } => false,
            _ => return,
        };
        for done in self.refreshing.drain(..) {
            let _ = done.send(succeeded);
        }
    }
}

async fn tick(watch: &mut Option<tokio::time::Interval>) {
    match watch {
        Some(interval) => {
            interval.tick().await;
        }
        None => std::future::pending().await,
    }
}
