//! `/verify` and `/verify/{policy}`: the auth service of nginx, Caddy, Traefik, and of Envoy over HTTP.
//!
//! The policy is the first segment of the path, byte for byte; what follows is the client's path, which Envoy appends,
//! and is never looked at. Neither the query nor a header of the client's has a say in it.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::StatusCode;
use keyward::rejection::Detail;
use keyward::{Authenticator, Fault, PolicyId, Reason, Rejection};
use keyward_tower::{AuthRecord, CorrelationId, Engine as _, Problem};

use super::{credential, identity, preflight};
use crate::config::DEFAULT_POLICY;
use crate::engine::Engine;

const PREFIX: &str = "/verify";

/// The routes.
pub fn routes(engine: Engine) -> Router {
    Router::new()
        .route("/verify", any(verify))
        .route("/verify/", any(verify))
        .route("/verify/{*policy}", any(verify))
        .with_state(engine)
}

/// The middleware around every route: what answers below `/verify` before its handler does, such as a bound on headers,
/// has the identity headers too.
pub async fn always_with_identity(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_ours = path == PREFIX || path.strip_prefix(PREFIX).is_some_and(|rest| rest.starts_with('/'));
    let mut answer = next.run(request).await;
    if is_ours && !identity::is_set(answer.headers()) {
        identity::set(answer.headers_mut(), None);
    }
    answer
}

async fn verify(State(engine): State<Engine>, request: Request) -> Response {
    let (authenticator, settings) = (engine.authenticator(), engine.gateway());
    let policy = match policy(&authenticator, request.uri().path()) {
        Ok(policy) => policy,
        Err(rejection) => return answer(AuthRecord::without_token(rejection), &request),
    };
    if settings.preflight && preflight::is_preflight(&request, &settings.trusted_proxies) {
        let mut answer = Response::new(Body::empty());
        identity::set(answer.headers_mut(), None);
        return answer;
    }
    // Proxies understand no other refusal than 401 here.
    let token = credential::token(request.headers(), settings.cookie.as_deref())
        .map_err(|rejection| rejection.blaming(Fault::Credential));
    let record = match token {
        Err(rejection) => AuthRecord::without_token(rejection),
        Ok(token) => {
            let since = authenticator.clock().now().instant;
            let verdict = authenticator.verify_for(policy, &token).await;
            AuthRecord::looked_at(&authenticator, since, verdict)
        }
    };
    answer(record, &request)
}

/// The policy of a path. One of the service's own, which have a colon in their names, is nobody else's.
fn policy(authenticator: &Authenticator, path: &str) -> Result<PolicyId, Rejection> {
    let name = policy_name(path).filter(|name| !name.contains(':'));
    name.and_then(|name| authenticator.policy(name)).ok_or_else(|| {
        Rejection::new(Reason::PolicyDenied).with_detail(Detail::Because("there is no policy of this name"))
    })
}

/// The policy that a path names: `default` for `/verify` itself, otherwise the first segment after it as it is.
fn policy_name(path: &str) -> Option<&str> {
    let rest = path.strip_prefix(PREFIX)?;
    if rest.is_empty() {
        return Some(DEFAULT_POLICY);
    }
    let rest = rest.strip_prefix('/')?;
    Some(rest.split_once('/').map_or(rest, |(name, _)| name))
}

fn answer(record: AuthRecord, request: &Request) -> Response {
    let mut answer = match &*record.verdict {
        Ok(_) => StatusCode::OK.into_response(),
        Err(rejection) => {
            let id = CorrelationId::given(request.extensions(), request.headers());
            Problem::refuse(rejection, &id).into_response()
        }
    };
    identity::set(answer.headers_mut(), Some(&record.verdict));
    answer.extensions_mut().insert(record);
    answer
}

#[cfg(test)]
mod tests;
