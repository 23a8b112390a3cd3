//! The jobs API over HTTP: who the caller is, users' jobs and usage, and the workers' side.
//!
//! Handlers translate, and decide nothing: [`crate::jobs`] checks input and knows the rules, the [`JobStore`] keeps
//! them. Whatever goes wrong is an `ApiError`, which the outermost middleware turns into a problem (RFC 9457) with
//! the request's correlation id; what axum would answer by itself never reaches a client.
//!
//! Nothing in here looks at tokens. The routes belong behind an [`AuthLayer`](keyward_tower::AuthLayer): those of
//! [`user_routes`] under a policy for users, those of [`worker_routes`] under one that asks for the workers' role.

mod answer;
mod error;
mod extract;
mod jobs;
mod me;
mod usage;
mod worker;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::extract::Request;
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};
use axum::{Router, middleware};
use keyward::clock::Clock;

use self::answer::correlation_id;
use self::error::ApiError;
use crate::jobs::Timestamp;
use crate::store::JobStore;
use crate::telemetry::metrics::Metrics;

/// What the handlers work with.
#[derive(Clone)]
pub struct Api {
    /// Keeps the jobs.
    pub store: Arc<dyn JobStore>,
    /// Counts jobs submitted and finished.
    pub metrics: Arc<Metrics>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

impl Api {
    fn now(&self) -> Timestamp {
        self.clock.now().unix.into()
    }
}

/// The users' routes: `/v1/me`, `/v1/jobs…`, `/v1/usage`. A token without a subject is refused, whatever the policy
/// in front of them says.
pub fn user_routes(api: Api) -> Router {
    router(user_table(), api)
}

/// The workers' routes: `/v1/worker/…`. That the caller is a worker is for the policy in front of them to make sure.
pub fn worker_routes(api: Api) -> Router {
    router(worker_table(), api)
}

/// The service's description of itself (OpenAPI 3.1), health and metrics included.
#[must_use]
pub const fn openapi_json() -> &'static str {
    include_str!("api/openapi.json")
}

/// The answer where there is no such route: a fallback for the whole service.
pub async fn not_found(request: Request) -> Response {
    ApiError::NotFound("route").answer(&correlation_id(&request))
}

/// The answer where the route does not know the method: a fallback for the whole service. The router adds `Allow`.
pub async fn method_not_allowed(request: Request) -> Response {
    ApiError::MethodNotAllowed.answer(&correlation_id(&request))
}

type Table = Vec<(&'static str, MethodRouter<Api>)>;

fn user_table() -> Table {
    vec![
        ("/v1/me", get(me::show)),
        ("/v1/jobs", get(jobs::list).post(jobs::submit)),
        ("/v1/jobs/{id}", get(jobs::show)),
        ("/v1/jobs/{id}/cancel", post(jobs::cancel)),
        ("/v1/usage", get(usage::show)),
    ]
}

fn worker_table() -> Table {
    vec![
        ("/v1/worker/lease", post(worker::lease)),
        ("/v1/worker/jobs/{id}/renew", post(worker::renew)),
        ("/v1/worker/jobs/{id}/complete", post(worker::complete)),
        ("/v1/worker/jobs/{id}/fail", post(worker::fail)),
    ]
}

fn router(table: Table, api: Api) -> Router {
    let routes = table.into_iter().fold(Router::new(), |routes, (path, methods)| routes.route(path, methods));
    routes.layer(middleware::from_fn(answer::finish)).with_state(api)
}
