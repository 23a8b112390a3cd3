//! The API as the service puts it together.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::{Request, StatusCode};
use keyward::Silent;
use keyward::clock::{Clock, SystemClock};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

use super::support::{AUDIENCE, Answer, claims, iss, public_jwk, sign, worker_at};
use crate::api::openapi_json;
use crate::app::App;
use crate::config::{Config, Flags};
use crate::engine::Engine;
use crate::store::SqliteStore;
use crate::telemetry::log::{Log, LogSettings};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::requests::RequestReporter;

async fn routes(directory: &TempDir) -> Router {
    let jwk = public_jwk("supabase");
    let file = format!(
        "[[issuers]]\nname = \"supabase\"\nissuer = [{:?}]\naudiences = [{AUDIENCE:?}]\nkeys = [{{ kty = \"OKP\", \
         crv = \"Ed25519\", alg = \"EdDSA\", kid = \"supabase\", x = {} }}]\n",
        iss("supabase"),
        jwk["x"],
    );
    let data_dir = directory.path().display().to_string();
    let env = |name: &str| (name == "KEYWARD_DATA_DIR").then(|| data_dir.clone());
    let config = Config::load(&Flags::new(), &env, Some((PathBuf::from("keyward.toml"), file))).unwrap();
    let metrics = Arc::new(Metrics::new(&[]).unwrap());
    let (log, _guard) = Log::to_writer(std::io::sink(), LogSettings::default());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let engine = Engine::start(&config, Arc::new(Silent)).unwrap();
    let reporter = RequestReporter::new(log, Arc::clone(&metrics), Arc::clone(&clock), engine.clone());
    let app = App {
        engine,
        store: Arc::new(SqliteStore::open(&directory.path().join("jobs.db")).await.unwrap()),
        metrics,
        reporter: Arc::new(reporter),
        clock,
    };
    app.routes(true)
}

async fn send(routes: &Router, request: http::request::Builder, body: Body) -> Answer {
    Answer::of(routes.clone().oneshot(request.body(body).unwrap()).await.unwrap()).await
}

#[tokio::test]
async fn a_user_is_refused_where_a_worker_is_let_in() {
    let directory = TempDir::new().unwrap();
    let routes = routes(&directory).await;
    let now = SystemClock.now().unix.as_millis();
    let lease = async |token: &str| {
        let request = Request::post("/v1/worker/lease").header("authorization", format!("Bearer {token}"));
        send(&routes, request.header("content-type", "application/json"), Body::from("{}")).await
    };
    let user = sign("supabase", &claims("supabase", "alice", now));
    lease(&user).await.problem(403, "insufficient_role");
    assert_eq!(lease(&worker_at(now)).await.json(StatusCode::OK), json!({"jobs": []}));
    let me = Request::get("/v1/me").header("authorization", format!("Bearer {user}"));
    assert_eq!(send(&routes, me, Body::empty()).await.json(StatusCode::OK)["issuer"], "supabase");
}

#[tokio::test]
async fn the_service_has_every_route_described() {
    let directory = TempDir::new().unwrap();
    let routes = routes(&directory).await;
    let description: Value = serde_json::from_str(openapi_json()).unwrap();
    for (path, item) in description["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys().filter(|key| *key != "parameters") {
            let path = path.replace("{id}", "019a3b1c-6f0e-7d5c-9d4b-3f2a1b0c9d8e");
            let request = Request::builder().method(method.to_uppercase().as_str()).uri(&path);
            let answer = send(&routes, request, Body::empty()).await;
            let expected = if path.starts_with("/v1") { 401 } else { 200 };
            assert_eq!(answer.status, expected, "{method} {path}");
            assert!(answer.header("x-correlation-id").is_some());
            let request = Request::builder().method("TRACE").uri(&path);
            send(&routes, request, Body::empty()).await.problem(405, "method_not_allowed");
        }
    }
    let ready = send(&routes, Request::get("/readyz"), Body::empty()).await;
    let ready: Value = serde_json::from_slice(&ready.body).unwrap();
    let schemas = &description["components"]["schemas"];
    for (schema, answer) in [("Readiness", &ready), ("IssuerReadiness", &ready["issuers"][0])] {
        let described = schemas[schema]["properties"].as_object().unwrap();
        assert!(described.keys().eq(answer.as_object().unwrap().keys()), "{schema}: {answer}");
    }
    let served = send(&routes, Request::get("/openapi.json"), Body::empty()).await;
    assert_eq!(served.body, openapi_json());
}

#[tokio::test]
async fn what_is_elsewhere_and_how_not_are_problems() {
    let directory = TempDir::new().unwrap();
    let routes = routes(&directory).await;
    send(&routes, Request::get("/v1/nothing"), Body::empty()).await.problem(404, "not_found");
    let answer = send(&routes, Request::delete("/v1/jobs"), Body::empty()).await;
    answer.problem(405, "method_not_allowed");
    assert!(answer.header("allow").unwrap().contains("POST"));
}

#[tokio::test]
async fn whatever_is_answered_below_verify_has_the_identity_headers() {
    let directory = TempDir::new().unwrap();
    let routes = routes(&directory).await;
    for path in ["/verify", "/verify/default/api/x", "/verify/no-such-policy"] {
        let mut request = http::Request::get(path);
        for n in 0..300 {
            request = request.header(format!("x-{n}"), "1");
        }
        let answer = routes.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), answer.headers()["x-auth-subject"].as_bytes()),
            (431, &b""[..]),
            "{path}"
        );
    }
    let elsewhere = routes.oneshot(http::Request::get("/verifyx").body(Body::empty()).unwrap()).await.unwrap();
    assert!(elsewhere.status() == 404 && !elsewhere.headers().contains_key("x-auth-subject"));
}
