//! A flood of tokens whose keys do not exist.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64_simd::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use support::clock::now;
use support::{Keyward, Setup, TestIssuer, Traffic, secrets};
use tokio::net::TcpStream;
use uuid::Uuid;

const TOKENS: u64 = 100_000;
const CONNECTIONS: u64 = 50;
/// After so many, whatever is allocated once is allocated.
const WARM_UP: u64 = 10_000;
const GROWTH_BYTES: u64 = 30 << 20;
/// Fetches that unknown kids may cause at once, beside one a second.
const BURST: u64 = 4;

/// Tokens in order but for their key: one real one, with another kid each time.
struct Forge {
    header: Value,
    rest: String,
}

impl Forge {
    fn new(token: &str) -> Self {
        let (header, rest) = token.split_once('.').unwrap();
        let header = URL_SAFE_NO_PAD.decode_to_vec(header).unwrap();
        Self { header: serde_json::from_slice(&header).unwrap(), rest: rest.to_owned() }
    }

    fn token(&self) -> String {
        let mut header = self.header.clone();
        header["kid"] = json!(Uuid::new_v4());
        format!("{}.{}", URL_SAFE_NO_PAD.encode_to_string(header.to_string()), self.rest)
    }
}

struct Flood {
    address: SocketAddr,
    forge: Forge,
    sent: AtomicU64,
    refused: AtomicU64,
}

impl Flood {
    /// Sends until `goal` tokens are sent on all connections together.
    async fn pour(self: Arc<Self>, goal: u64) {
        let mut connection = self.connect().await;
        let next =
            || self.sent.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |sent| (sent < goal).then_some(sent + 1));
        while next().is_ok() {
            let request = http::Request::get("/v1/me")
                .header("host", "api.example")
                .header("authorization", format!("Bearer {}", self.forge.token()))
                .body(Empty::<Bytes>::new());
            let answer = connection.send_request(request.unwrap()).await.unwrap();
            assert_eq!(answer.status(), 401);
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            let body = String::from_utf8_lossy(&body);
            assert!(body.contains(r#""reason":"unknown_kid""#), "{body}");
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn connect(&self) -> SendRequest<Empty<Bytes>> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    async fn run(self: &Arc<Self>, goal: u64) {
        let connections: Vec<_> = (0..CONNECTIONS).map(|_| tokio::spawn(Arc::clone(self).pour(goal))).collect();
        for connection in connections {
            connection.await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_unknown_kids_costs_a_handful_of_fetches_and_no_memory() {
    let issuer = TestIssuer::start().await;
    let keyward = Setup::for_issuer(&issuer).start_ready().await;
    let token = issuer.token();
    secrets::remember_token(&token);
    let forge = Forge::new(&token);
    let flood =
        Arc::new(Flood { address: keyward.address, forge, sent: AtomicU64::new(0), refused: AtomicU64::new(0) });
    let traffic = Traffic::start(&keyward, issuer.tokens(100), 2);
    traffic.flows(100).await;
    let (fetches, begun) = (issuer.jwks_requests(), now());

    flood.run(WARM_UP).await;
    let warm = keyward.resident_bytes();
    let peak = tokio::select! {
        () = flood.run(TOKENS) => keyward.resident_bytes(),
        never = grows_past(&keyward, warm + GROWTH_BYTES) => never,
    };

    let (fetches, elapsed) = (issuer.jwks_requests() - fetches, begun.elapsed());
    let tally = traffic.stop().await;
    let valid = tally.only("start", "200");
    eprintln!(
        "{TOKENS} tokens in {elapsed:.1?}: {fetches} fetches, {} to {} MiB resident; {valid} valid ones, the slowest in {:.0?}",
        warm >> 20,
        peak >> 20,
        tally.slowest
    );
    assert_eq!(flood.refused.load(Ordering::Relaxed), TOKENS);
    let allowed = BURST + elapsed.as_secs() + 1;
    assert!(fetches <= allowed, "{fetches} fetches in {elapsed:?}");
    counts_add_up(&keyward, fetches).await;
    keyward.stop().await;
}

/// Never returns unless memory grows too far.
async fn grows_past(keyward: &Keyward, limit: u64) -> u64 {
    loop {
        let bytes = keyward.resident_bytes();
        assert!(bytes <= limit, "{} MiB are resident, more than {} MiB", bytes >> 20, limit >> 20);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

async fn counts_add_up(keyward: &Keyward, fetches: u64) {
    let page = keyward.metrics().await;
    assert_eq!(page.value("auth_jwt_invalid_total", &[("reason", "unknown_kid")]), TOKENS as f64);
    assert_eq!(page.sum("auth_jwt_invalid_total", &[]), TOKENS as f64);
    let invalid = page.value("auth_jwt_validations_total", &[("outcome", "invalid")]);
    assert_eq!(invalid, TOKENS as f64);
    // Each of them was suppressed, or waited for a fetch, which no more of them can than there are connections.
    let suppressed = page.sum("auth_jwks_unknown_kid_suppressed_total", &[]);
    let waited = TOKENS as f64 - suppressed;
    assert!(waited >= 1.0 && waited <= (CONNECTIONS * (fetches + 1)) as f64, "{waited} waited for {fetches} fetches");
    let made = page.sum("auth_jwks_refreshes_total", &[("trigger", "unknown_kid")]);
    assert_eq!(made, fetches as f64, "what the issuer saw is what is counted");
    let logged = keyward.log().named("jwt_validation_failed").len() as u64;
    assert!(logged < TOKENS / 50, "{logged} lines about refusals");
}
