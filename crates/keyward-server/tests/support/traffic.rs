//! Clients that keep asking, and what they were answered.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;

use super::clock::{eventually, now};
use super::{Client, Keyward};

/// Between two requests of one client.
const PAUSE: Duration = Duration::from_millis(5);

/// Steady traffic with valid tokens. What it is answered is counted by the phase in which the request began.
pub(crate) struct Traffic {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

struct Shared {
    client: Client,
    next: AtomicUsize,
    state: Mutex<State>,
}

struct State {
    tokens: Vec<String>,
    phase: &'static str,
    in_flight: BTreeMap<&'static str, usize>,
    tally: Tally,
    stopping: bool,
}

/// How often each outcome was seen in each phase, and the slowest answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    outcomes: BTreeMap<&'static str, BTreeMap<String, u64>>,
    pub(crate) slowest: Duration,
}

impl Traffic {
    /// Starts `clients` of them in the phase `start`; each asks with the tokens in turn.
    pub(crate) fn start(keyward: &Keyward, tokens: Vec<String>, clients: usize) -> Self {
        let state =
            State { tokens, phase: "start", in_flight: BTreeMap::new(), tally: Tally::default(), stopping: false };
        let client = keyward.client().clone();
        let shared = Arc::new(Shared { client, next: AtomicUsize::new(0), state: Mutex::new(state) });
        let clients = (0..clients).map(|_| tokio::spawn(Arc::clone(&shared).ask_until_stopped())).collect();
        Self { shared, clients }
    }

    /// Requests that begin from now on count for this phase. Returns once the earlier ones are answered.
    pub(crate) async fn phase(&self, name: &'static str) {
        self.shared.state().phase = name;
        eventually("requests of an earlier phase are answered", async || {
            let state = self.shared.state();
            state.in_flight.iter().all(|(phase, count)| *phase == name || *count == 0).then_some(())
        })
        .await;
    }

    /// From now on with these tokens.
    pub(crate) fn use_tokens(&self, tokens: Vec<String>) {
        self.shared.state().tokens = tokens;
    }

    /// Waits until so many more requests of this phase are answered.
    pub(crate) async fn flows(&self, requests: u64) {
        let answered = || {
            let state = self.shared.state();
            state.tally.total(state.phase)
        };
        let goal = answered() + requests;
        eventually("traffic flows", async || (answered() >= goal).then_some(())).await;
    }

    /// Stops the clients and gives what they saw.
    pub(crate) async fn stop(self) -> Tally {
        self.shared.state().stopping = true;
        for client in self.clients {
            client.await.expect("a client does not fail");
        }
        self.shared.state().tally.clone()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask_until_stopped(self: Arc<Self>) {
        while let Some((phase, token)) = self.begin() {
            let begun = now();
            let outcome = match Client::try_send(self.client.request("GET", "/v1/me", Some(&token))).await {
                Ok(answer) if answer.status == 200 => "200".to_owned(),
                Ok(answer) => format!("{} {}", answer.status, answer.reason()),
                Err(error) => format!("no answer: {}", causes(&error)),
            };
            self.end(phase, outcome, begun.elapsed());
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn begin(&self) -> Option<(&'static str, String)> {
        let mut state = self.state();
        let phase = state.phase;
        let token = state.tokens[self.next.fetch_add(1, Ordering::Relaxed) % state.tokens.len()].clone();
        *state.in_flight.entry(phase).or_default() += 1;
        (!state.stopping).then_some((phase, token))
    }

    fn end(&self, phase: &'static str, outcome: String, took: Duration) {
        let mut state = self.state();
        *state.in_flight.entry(phase).or_default() -= 1;
        *state.tally.outcomes.entry(phase).or_default().entry(outcome).or_default() += 1;
        state.tally.slowest = state.tally.slowest.max(took);
    }
}

impl Tally {
    /// Fails unless there were requests in this phase and all of them were answered like this; how many there were.
    pub(crate) fn only(&self, phase: &'static str, outcome: &str) -> u64 {
        let outcomes = self.outcomes.get(phase).unwrap_or_else(|| panic!("no traffic in the phase {phase}: {self:?}"));
        assert_eq!(outcomes.keys().collect::<Vec<_>>(), [outcome], "in the phase {phase}: {self:?}");
        outcomes[outcome]
    }

    /// Fails when an answer of this phase is none of these.
    pub(crate) fn among(&self, phase: &'static str, allowed: &[&str]) {
        for outcome in self.outcomes.get(phase).into_iter().flat_map(BTreeMap::keys) {
            assert!(allowed.iter().any(|allowed| outcome.starts_with(allowed)), "in the phase {phase}: {self:?}");
        }
    }

    fn total(&self, phase: &'static str) -> u64 {
        self.outcomes.get(phase).map_or(0, |outcomes| outcomes.values().sum())
    }
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}
