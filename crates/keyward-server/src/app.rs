//! The service's routes, put together.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router, middleware};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use keyward::Authenticator;
use keyward::clock::Clock;
use keyward_tower::{AuthLayer, CorrelationLayer};
use serde_json::{Value, json};

use crate::api::{self, Api};
use crate::engine::{Engine, WORKER_POLICY};
use crate::gateway::forward_auth;
use crate::limits::limit_headers;
use crate::store::JobStore;
use crate::telemetry::keys;
use crate::telemetry::metrics::{JobStatus, Metrics};
use crate::telemetry::requests::{RequestReporter, report};

/// What the routes work with.
#[derive(Clone)]
pub struct App {
    /// Verifies tokens.
    pub engine: Engine,
    /// Keeps jobs.
    pub store: Arc<dyn JobStore>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Logs and counts requests.
    pub reporter: Arc<RequestReporter>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

impl App {
    /// The routes of `KEYWARD_LISTEN`; with those of [`App::ops_routes`] unless they have an address of their own.
    pub fn routes(&self, with_ops: bool) -> Router {
        let api =
            Api { store: Arc::clone(&self.store), metrics: Arc::clone(&self.metrics), clock: Arc::clone(&self.clock) };
        let users = api::user_routes(api.clone()).layer(AuthLayer::new(self.engine.clone()));
        let workers = api::worker_routes(api).layer(AuthLayer::new(self.engine.clone()).policy(WORKER_POLICY));
        let described = Router::new().route("/openapi.json", get(openapi));
        let proxies = forward_auth::routes(self.engine.clone());
        let routes = users.merge(workers).merge(described).merge(proxies);
        self.finish(if with_ops { routes.merge(self.probes()) } else { routes })
    }

    /// Health and metrics.
    pub fn ops_routes(&self) -> Router {
        self.finish(self.probes())
    }

    fn probes(&self) -> Router {
        Router::new()
            .route("/healthz", get(healthz))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics))
            .with_state(self.clone())
    }

    fn finish(&self, routes: Router) -> Router {
        routes
            .fallback(api::not_found)
            .method_not_allowed_fallback(api::method_not_allowed)
            .layer(middleware::from_fn(limit_headers))
            .layer(middleware::from_fn_with_state(Arc::clone(&self.reporter), report))
            .layer(middleware::from_fn(forward_auth::always_with_identity))
            .layer(CorrelationLayer)
    }
}

async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// Ready as soon as the tokens of one issuer can be verified, with stale keys too: an issuer that cannot be reached
/// must not cost the others' users the service.
async fn readyz(State(app): State<App>) -> Response {
    let (ready, issuers) = readiness(&app.engine.current());
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "ready": ready, "issuers": issuers }))).into_response()
}

fn readiness(authenticator: &Authenticator) -> (bool, Vec<Value>) {
    let now = authenticator.clock().now().instant;
    let issuers = authenticator.status();
    let ready = issuers.iter().any(|issuer| issuer.ready);
    let described = issuers.iter().map(|issuer| {
        let snapshot = &issuer.snapshot;
        json!({
            "name": &*issuer.name,
            "ready": issuer.ready,
            "state": issuer.state.as_str(),
            "key_count": snapshot.keys().keys().len(),
            "age_seconds": snapshot.age(now).map(|age| age.as_secs()),
            "fails_closed_in_seconds": snapshot.fails_closed_in(now).map(|left| left.as_secs()),
            "last_refresh_succeeded": snapshot.is_trustworthy(),
        })
    });
    (ready, described.collect())
}

async fn metrics(State(app): State<App>, headers: HeaderMap) -> Response {
    /// A store that hangs must not cost the scrape.
    const STORE_PATIENCE: Duration = Duration::from_secs(1);
    let now = app.clock.now().unix.into();
    match tokio::time::timeout(STORE_PATIENCE, app.store.queue_stats(now)).await {
        Ok(Ok(stats)) => {
            for (status, jobs) in JobStatus::ALL.iter().zip(stats.jobs) {
                app.metrics.set_jobs(*status, jobs);
            }
            app.metrics.set_queue_age(Some(Duration::from_millis(stats.oldest_due_millis)));
        }
        // What is not known must not look as if all were well.
        _ => app.metrics.set_queue_age(None),
    }
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    match app.metrics.page(accept, |metrics| keys::set_gauges(metrics, &app.engine.current())) {
        Ok(page) => ([(CONTENT_TYPE, page.content_type)], page.body).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn openapi() -> Response {
    ([(CONTENT_TYPE, "application/json")], api::openapi_json()).into_response()
}
