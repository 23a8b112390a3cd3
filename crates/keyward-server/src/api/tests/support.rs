//! The API as it is served, over a real store and a real engine, with a clock that stands still.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::response::Response;
use base64_simd::URL_SAFE_NO_PAD;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use keyward::clock::{Clock, SystemClock};
use keyward::jwk::KeySet;
use keyward::time::{Now, UnixTime};
use keyward::{Authenticator, IssuerConfig, KeySource, Policy, Verifier};
use keyward_tower::{AuthLayer, CorrelationLayer};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

use crate::api::{self, Api};
use crate::store::{JobStore, SqliteStore};
use crate::telemetry::metrics::Metrics;

pub(super) const AUDIENCE: &str = "authenticated";
/// 2026-10-05T12:00:00Z.
pub(super) const NOON: i64 = 1_791_201_600_000;
const SEED: [u8; 32] = [7; 32];

/// The `iss` of the issuer of this name. Two issuers know the same subjects.
pub(super) fn iss(issuer: &str) -> String {
    format!("https://{issuer}.example/auth/v1")
}

/// The public key every issuer of the tests has, under a `kid` of its own.
pub(super) fn public_jwk(issuer: &str) -> Value {
    let key = Ed25519KeyPair::from_seed_unchecked(&SEED).unwrap();
    let x = URL_SAFE_NO_PAD.encode_to_string(key.public_key().as_ref());
    json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": issuer, "x": x})
}

/// A token with these claims.
pub(super) fn sign(issuer: &str, claims: &Value) -> String {
    let header = json!({"alg": "EdDSA", "kid": issuer, "typ": "JWT"});
    let part = |part: &Value| URL_SAFE_NO_PAD.encode_to_string(part.to_string());
    let input = format!("{}.{}", part(&header), part(claims));
    let signature = Ed25519KeyPair::from_seed_unchecked(&SEED).unwrap().sign(input.as_bytes());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode_to_string(signature))
}

/// The claims of a user, valid for an hour from `now`.
pub(super) fn claims(issuer: &str, subject: &str, now: i64) -> Value {
    json!({
        "iss": iss(issuer), "aud": AUDIENCE, "sub": subject, "role": "authenticated",
        "iat": now / 1000, "exp": now / 1000 + 3600,
    })
}

pub(super) fn user(subject: &str) -> String {
    sign("supabase", &claims("supabase", subject, NOON))
}

pub(super) fn user_of(issuer: &str, subject: &str) -> String {
    sign(issuer, &claims(issuer, subject, NOON))
}

/// A worker's token: the role, and no subject.
pub(super) fn worker() -> String {
    worker_at(NOON)
}

pub(super) fn worker_at(now: i64) -> String {
    let mut claims = claims("supabase", "", now);
    claims.as_object_mut().unwrap().remove("sub");
    claims["role"] = json!("service_role");
    sign("supabase", &claims)
}

#[derive(Clone)]
pub(super) struct TestClock(Arc<AtomicI64>);

impl TestClock {
    pub(super) fn at(millis: i64) -> Self {
        Self(Arc::new(AtomicI64::new(millis)))
    }

    pub(super) fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1000, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Now {
        Now { unix: UnixTime::from_millis(self.0.load(Ordering::Relaxed)), ..SystemClock.now() }
    }
}

pub(super) struct Service {
    pub(super) routes: Router,
    pub(super) metrics: Arc<Metrics>,
    pub(super) clock: TestClock,
    _directory: TempDir,
}

impl Service {
    pub(super) async fn start() -> Self {
        let directory = TempDir::new().unwrap();
        let store = SqliteStore::open(&directory.path().join("jobs.db")).await.unwrap();
        Self::over(Arc::new(store), directory, Policy::named("default"))
    }

    pub(super) fn over(store: Arc<dyn JobStore>, directory: TempDir, default: Policy) -> Self {
        let clock = TestClock::at(NOON);
        let metrics = Arc::new(Metrics::new(&[]).unwrap());
        let engine = engine(&clock, default);
        let api = Api { store, metrics: Arc::clone(&metrics), clock: Arc::new(clock.clone()) };
        let routes = api::user_routes(api.clone())
            .layer(AuthLayer::new(engine.clone()))
            .merge(api::worker_routes(api).layer(AuthLayer::new(engine).policy("worker")))
            .fallback(api::not_found)
            .method_not_allowed_fallback(api::method_not_allowed)
            .layer(CorrelationLayer);
        Self { routes, metrics, clock, _directory: directory }
    }

    pub(super) fn get<'a>(&'a self, path: &str, token: &str) -> Call<'a> {
        self.call(Method::GET, path).token(token)
    }

    pub(super) fn post<'a>(&'a self, path: &str, token: &str, body: &Value) -> Call<'a> {
        self.call(Method::POST, path).token(token).json(body.to_string())
    }

    pub(super) fn call(&self, method: Method, path: &str) -> Call<'_> {
        let mut request = Request::new(Body::empty());
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().unwrap();
        Call { routes: &self.routes, request }
    }

    /// Submits a job of this kind and gives it back.
    pub(super) async fn submit(&self, token: &str, kind: &str) -> Value {
        let answer = self.post("/v1/jobs", token, &json!({"kind": kind, "payload": {}})).send().await;
        answer.json(StatusCode::CREATED)
    }

    /// Leases one job; null when there is none.
    pub(super) async fn lease(&self, seconds: u32) -> Value {
        let answer = self.post("/v1/worker/lease", &worker(), &json!({"lease_seconds": seconds})).send().await;
        answer.json(StatusCode::OK)["jobs"].get(0).cloned().unwrap_or_default()
    }

    /// A worker's call for a leased job.
    pub(super) async fn finish(&self, job: &Value, call: &str, mut body: Value) -> Answer {
        body["lease_id"] = job["lease_id"].clone();
        let path = format!("/v1/worker/jobs/{}/{call}", job["id"].as_str().unwrap());
        self.post(&path, &worker(), &body).send().await
    }

    /// The value of a series on the metrics page.
    pub(super) fn metric(&self, series: &str) -> u64 {
        let page = self.metrics.page(None, |_| {}).unwrap().body;
        let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {series} in {page}")).parse().unwrap()
    }

    pub(super) fn finished(&self, outcome: &str) -> u64 {
        self.metric(&format!("msaas_jobs_finished_total{{outcome=\"{outcome}\"}}"))
    }
}

fn engine(clock: &TestClock, default: Policy) -> Authenticator {
    let issuer = |name: &str| {
        let verifier = Verifier::builder(name).issuer(iss(name)).audience(AUDIENCE).build().unwrap();
        IssuerConfig::new(verifier, KeySource::Static(KeySet::from_jwks([public_jwk(name).to_string().as_str()])))
    };
    let roles = vec!["service_role".to_owned()];
    Authenticator::builder()
        .issuer(issuer("supabase"))
        .issuer(issuer("partner"))
        .policy(default)
        .policy(Policy { roles, subject_required: false, ..Policy::named("worker") })
        .clock(clock.clone())
        .build()
        .unwrap()
}

/// A request in the making.
pub(super) struct Call<'a> {
    routes: &'a Router,
    request: Request<Body>,
}

impl Call<'_> {
    pub(super) fn token(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub(super) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.request.headers_mut().append(name, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
        self
    }

    pub(super) fn json(self, body: impl Into<Body>) -> Self {
        self.header("content-type", "application/json").body(body)
    }

    pub(super) fn body(mut self, body: impl Into<Body>) -> Self {
        *self.request.body_mut() = body.into();
        self
    }

    pub(super) async fn send(self) -> Answer {
        Answer::of(self.routes.clone().oneshot(self.request).await.unwrap()).await
    }
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) async fn of(response: Response) -> Self {
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Self { status: head.status, headers: head.headers, body }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The body of a success, which must have this status.
    #[track_caller]
    pub(super) fn json(&self, status: StatusCode) -> Value {
        assert_eq!(self.status, status, "{:?}", self.body);
        assert_eq!(self.header("content-type"), Some("application/json"));
        assert_eq!(self.header("cache-control"), Some("no-store"));
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The detail of a problem, which must be one in every respect.
    #[track_caller]
    pub(super) fn problem(&self, status: u16, reason: &str) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        assert_eq!(self.header("cache-control"), Some("no-store"));
        let body: Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!((self.status.as_u16(), &body["reason"]), (status, &json!(reason)), "{body}");
        assert_eq!(body["status"], status);
        assert_eq!(body["title"], self.status.canonical_reason().unwrap());
        assert_eq!(body["correlation_id"], self.header("x-correlation-id").unwrap());
        body["detail"].as_str().unwrap().to_owned()
    }
}
