//! Health, settings and discovery.

use std::sync::Arc;

use axum::{Json, Router, extract::State, routing::get};
use http::StatusCode;
use serde_json::{Value, json};

use super::{auth::cors, jwks};
use crate::shared::Shared;

pub(crate) fn router() -> Router<Arc<Shared>> {
    // The real server refuses HEAD on the key set, where axum would answer it as a GET.
    let jwks = get(jwks::jwks).head(|| async { StatusCode::METHOD_NOT_ALLOWED });
    Router::new()
        .route("/health", get(health))
        .route("/settings", get(settings))
        .route("/.well-known/jwks.json", jwks)
        .route("/.well-known/openid-configuration", get(openid_configuration))
        .layer(cors())
}

async fn health() -> Json<Value> {
    Json(json!({
        "version": concat!("v", env!("CARGO_PKG_VERSION")),
        "name": "keyward-issuer",
        "description": "a development issuer with the interface of Supabase Auth",
    }))
}

async fn settings() -> Json<Value> {
    Json(json!({
        "external": {"anonymous_users": true, "email": true, "phone": false},
        "disable_signup": false,
        "mailer_autoconfirm": true,
        "phone_autoconfirm": false,
        "sms_provider": "",
        "saml_enabled": false,
    }))
}

/// OpenID Connect Discovery 1.0 section 3. The authorization endpoint is named because the document requires one;
/// the issuer has none.
async fn openid_configuration(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let issuer = &shared.policy.issuer;
    let alg = shared.state().keys.signing().alg.name();
    Json(json!({
        "issuer": issuer,
        "jwks_uri": shared.jwks_url(),
        "authorization_endpoint": format!("{issuer}/oauth/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "userinfo_endpoint": format!("{issuer}/user"),
        "response_types_supported": ["code"],
        "grant_types_supported": ["password", "refresh_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [alg],
        "scopes_supported": ["openid", "profile", "email", "phone"],
        "claims_supported": [
            "sub", "aud", "iss", "exp", "iat", "email", "phone", "role", "aal", "amr", "session_id", "is_anonymous",
        ],
    }))
}
