//! Errors that are not about what was sent.

use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use http::Method;
use keyward::Policy;
use serde_json::json;
use tempfile::TempDir;
use tracing_subscriber::fmt::MakeWriter;

use super::support::{Service, user, worker};
use crate::store::{LazyStore, StoreError};

type Kind = fn(Arc<dyn std::error::Error + Send + Sync>) -> StoreError;

/// The service over a store that fails at every call.
fn broken(kind: Kind) -> Service {
    let fail =
        move || async move { Err(kind(Arc::new(std::io::Error::other("/var/lib/secret.db is on fire")))) }.boxed();
    Service::over(Arc::new(LazyStore::new(Box::new(fail))), TempDir::new().unwrap(), Policy::named("default"))
}

fn calls() -> Vec<(Method, String, serde_json::Value)> {
    let id = "019a3b1c-6f0e-7d5c-9d4b-3f2a1b0c9d8e";
    let lease = json!({"lease_id": uuid::Uuid::nil()});
    let failure = json!({"lease_id": uuid::Uuid::nil(), "error": "e"});
    vec![
        (Method::POST, "/v1/jobs".to_owned(), json!({"kind": "echo", "payload": 1})),
        (Method::GET, "/v1/jobs".to_owned(), json!(null)),
        (Method::GET, format!("/v1/jobs/{id}"), json!(null)),
        (Method::POST, format!("/v1/jobs/{id}/cancel"), json!(null)),
        (Method::GET, "/v1/usage".to_owned(), json!(null)),
        (Method::POST, "/v1/worker/lease".to_owned(), json!({})),
        (Method::POST, format!("/v1/worker/jobs/{id}/renew"), lease.clone()),
        (Method::POST, format!("/v1/worker/jobs/{id}/complete"), lease),
        (Method::POST, format!("/v1/worker/jobs/{id}/fail"), failure),
    ]
}

#[tokio::test]
async fn a_store_that_is_unavailable_is_503_and_keeps_its_secrets() {
    let service = broken(StoreError::Unavailable);
    for (method, path, body) in calls() {
        let token = if path.starts_with("/v1/worker") { worker() } else { user("alice") };
        let answer = service.call(method, &path).token(&token).json(body.to_string()).send().await;
        answer.problem(503, "store_unavailable");
        assert_eq!(answer.header("retry-after"), Some("5"), "{path}");
        assert!(!String::from_utf8_lossy(&answer.body).contains("secret"), "{answer:?}");
    }
    // Who one is needs no store.
    assert_eq!(service.get("/v1/me", &user("alice")).send().await.status, 200);
    assert_eq!(service.metric("msaas_jobs_submitted_total"), 0);
}

#[tokio::test]
async fn a_store_with_a_defect_is_500() {
    let kinds: [Kind; 3] = [StoreError::Corrupt, StoreError::Incompatible, StoreError::Internal];
    for kind in kinds {
        let service = broken(kind);
        for (method, path, body) in calls() {
            let token = if path.starts_with("/v1/worker") { worker() } else { user("alice") };
            let answer = service.call(method, &path).token(&token).json(body.to_string()).send().await;
            answer.problem(500, "internal");
            assert_eq!(answer.header("retry-after"), None, "waiting does not help");
            assert!(!String::from_utf8_lossy(&answer.body).contains("secret"), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn the_operator_is_told_what_the_store_said() {
    let written = Written::default();
    let subscriber = tracing_subscriber::fmt().with_writer(written.clone()).with_ansi(false).finish();
    // For the whole process: a subscriber of one thread is not asked about an event that another thread was the first
    // to pass, with nobody listening.
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let call = broken(StoreError::Unavailable);
    let answer = call.get("/v1/jobs", &user("alice")).header("x-correlation-id", "told-to-the-operator").send().await;
    answer.problem(503, "store_unavailable");
    let log = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    let told = log.lines().any(|line| line.contains("secret.db is on fire") && line.contains("told-to-the-operator"));
    assert!(told, "{log}");
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Written {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn there_is_nothing_elsewhere() {
    let service = Service::start().await;
    for path in ["/", "/v1", "/v1/", "/v1/jobs/", "/v1/jobs/a/b/c", "/v2/jobs", "/V1/me", "//v1/me", "/v1/worker/jobs"]
    {
        let answer = service.call(Method::GET, path).header("x-request-id", "r-1").send().await;
        assert_eq!(answer.problem(404, "not_found"), "there is no such route", "{path}");
        assert_eq!(answer.header("x-correlation-id"), Some("r-1"));
    }
}

#[tokio::test]
async fn a_method_that_a_route_does_not_have_is_405_with_those_it_has() {
    let service = Service::start().await;
    let id = "019a3b1c-6f0e-7d5c-9d4b-3f2a1b0c9d8e";
    for (path, allow) in [
        ("/v1/me", "GET,HEAD"),
        ("/v1/jobs", "GET,HEAD,POST"),
        (&format!("/v1/jobs/{id}"), "GET,HEAD"),
        (&format!("/v1/jobs/{id}/cancel"), "POST"),
        ("/v1/usage", "GET,HEAD"),
        ("/v1/worker/lease", "POST"),
        (&format!("/v1/worker/jobs/{id}/renew"), "POST"),
    ] {
        for method in [Method::DELETE, Method::PUT, Method::PATCH, Method::OPTIONS, Method::TRACE] {
            let answer = service.call(method, path).send().await;
            answer.problem(405, "method_not_allowed");
            let mut allowed: Vec<&str> = answer.header("allow").unwrap().split(',').collect();
            allowed.sort_unstable();
            assert_eq!(allowed.join(","), allow, "{path}");
        }
    }
}
