//! `/verify` and `/verify/{policy}`: the auth service of nginx, Caddy, Traefik, and of Envoy over HTTP.
//!
//! The policy is the first segment of the path, byte for byte; what follows is the client's path, which Envoy appends,
//! and is never looked at. Neither the query nor a header of the client's has a say in it.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::StatusCode;
use keyward::rejection::Detail;
use keyward::{Fault, PolicyId, Reason, Rejection, VerifiedToken};
use keyward_tower::{AuthRecord, CorrelationId, Engine as _, Problem};

use super::{credential, identity, preflight};
use crate::config::GatewaySettings;
use crate::engine::Engine;

const PREFIX: &str = "/verify";
const DEFAULT_POLICY: &str = "default";

struct ForwardAuth {
    engine: Engine,
    settings: GatewaySettings,
}

/// The routes.
pub fn routes(engine: Engine, settings: GatewaySettings) -> Router {
    Router::new()
        .route("/verify", any(verify))
        .route("/verify/", any(verify))
        .route("/verify/{*policy}", any(verify))
        .with_state(Arc::new(ForwardAuth { engine, settings }))
}

async fn verify(State(auth): State<Arc<ForwardAuth>>, request: Request) -> Response {
    if auth.settings.preflight && preflight::is_preflight(&request, &auth.settings.trusted_proxies) {
        let mut answer = Response::new(Body::empty());
        identity::set(answer.headers_mut(), None);
        return answer;
    }
    let begun = auth.engine.authenticator().clock().now().instant;
    let (verdict, looked) = match auth.judge(&request) {
        Ok(judged) => (judged.await, true),
        Err(rejection) => (Err(rejection), false),
    };
    let duration = looked.then(|| auth.engine.authenticator().clock().now().instant.since(begun));
    answer(AuthRecord { verdict: Arc::new(verdict), duration }, &request)
}

impl ForwardAuth {
    /// The verdict on a request's token, or why there is none to look at.
    fn judge<'r>(
        &self,
        request: &'r Request,
    ) -> Result<impl Future<Output = Result<VerifiedToken, Rejection>> + use<'r>, Rejection> {
        let authenticator = self.engine.authenticator();
        let policy = policy_name(request.uri().path()).and_then(|name| public_policy(&authenticator, name));
        let policy = policy.ok_or_else(|| {
            Rejection::new(Reason::PolicyDenied).with_detail(Detail::Because("there is no policy of this name"))
        })?;
        // Proxies understand no other refusal than 401 here.
        let token = credential::token(request.headers(), self.settings.cookie.as_deref())
            .map_err(|rejection| rejection.blaming(Fault::Credential))?;
        Ok(async move { authenticator.verify_for(policy, &token).await })
    }
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

/// A policy of the configuration; those that the service has for itself have a colon in their names.
fn public_policy(authenticator: &keyward::Authenticator, name: &str) -> Option<PolicyId> {
    authenticator.policy(name).filter(|_| !name.contains(':'))
}

fn answer(record: AuthRecord, request: &Request) -> Response {
    let mut answer = match &*record.verdict {
        Ok(_) => StatusCode::OK.into_response(),
        Err(rejection) => {
            let id = request.extensions().get::<CorrelationId>().cloned().unwrap_or_else(CorrelationId::new);
            Problem::refuse(rejection, &id).into_response()
        }
    };
    identity::set(answer.headers_mut(), Some(&record.verdict));
    answer.extensions_mut().insert(record);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_is_the_first_segment_byte_for_byte() {
        for (path, expected) in [
            ("/verify", Some("default")),
            ("/verify/", Some("")),
            ("/verify//default", Some("")),
            ("/verify/staff", Some("staff")),
            ("/verify/staff/", Some("staff")),
            ("/verify/staff/../default", Some("staff")),
            ("/verify/../default", Some("..")),
            ("/verify/st%61ff", Some("st%61ff")),
            ("/verify/Staff", Some("Staff")),
            ("/verify/staff%2Fx/y", Some("staff%2Fx")),
            ("/verify/default/api/x", Some("default")),
            ("/verifyx", None),
        ] {
            assert_eq!(policy_name(path), expected, "{path}");
        }
    }
}
