//! The development controls under `/dev`. Unauthenticated by design: they belong on a developer's own machine.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use bytes::Bytes;
use http::{StatusCode, header};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    algorithm::SigningAlgorithm,
    clock,
    fault::Fault,
    keyring::{Listing, Publish, Rotate},
    mint::Mint,
    shared::{Shared, lock},
};

pub(crate) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/rotate", post(rotate))
        .route("/publish", post(publish))
        .route("/withdraw", post(withdraw))
        .route("/mint", post(mint))
        .route("/fault", put(set_fault).delete(clear_fault).get(fault))
        .route("/jwks", put(jwks_options))
        .route("/stats", get(stats))
        .layer(middleware::from_fn(refuse_web_pages))
}

type Answer = Result<Json<Value>, Refusal>;

/// A control that was misused, with the reason in words.
struct Refusal(StatusCode, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"error": self.1}))).into_response()
    }
}

/// Browsers name the page's origin on every request that could change something: a page that a developer happens to
/// visit must not mint itself a token.
async fn refuse_web_pages(request: Request, next: Next) -> Response {
    if request.headers().contains_key(header::ORIGIN) {
        let why = "the development controls are not for web pages".to_owned();
        return Refusal(StatusCode::FORBIDDEN, why).into_response();
    }
    next.run(request).await
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RotateBody {
    alg: Option<String>,
    secret: Option<String>,
    keep_previous: Option<bool>,
    publish: Option<PublishBody>,
}

/// `true`: now. `false`: not yet. A number: after so many seconds.
#[derive(Deserialize)]
#[serde(untagged)]
enum PublishBody {
    Now(bool),
    AfterSeconds(f64),
}

async fn rotate(State(shared): State<Arc<Shared>>, body: Bytes) -> Answer {
    let rotate = parse::<RotateBody>(&body)?.into_rotate()?;
    // An RSA key takes a while to find.
    let rotated = tokio::task::spawn_blocking(move || {
        let kid = shared.state().keys.rotate(rotate, clock::now());
        shared.persist();
        kid.map(|kid| json!({"kid": kid, "kids": kids(&shared)}))
    });
    match rotated.await {
        Ok(Ok(answer)) => Ok(Json(answer)),
        _ => Err(Refusal(StatusCode::INTERNAL_SERVER_ERROR, "cannot make a key".to_owned())),
    }
}

impl RotateBody {
    fn into_rotate(self) -> Result<Rotate, Refusal> {
        let secret = self.secret.as_deref();
        let alg = self.alg.map(|name| {
            SigningAlgorithm::from_name(&name, secret)
                .ok_or_else(|| bad_request(format!("unknown alg {name:?}, or an HMAC one without secret")))
        });
        let publish = match self.publish {
            None | Some(PublishBody::Now(true)) => Publish::Now,
            Some(PublishBody::Now(false)) => Publish::Withheld,
            Some(PublishBody::AfterSeconds(seconds)) => Duration::try_from_secs_f64(seconds)
                .map(Publish::After)
                .map_err(|_| bad_request("publish is no number of seconds"))?,
        };
        Ok(Rotate { alg: alg.transpose()?, keep_previous: self.keep_previous.unwrap_or(true), publish })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kid {
    kid: String,
}

async fn publish(State(shared): State<Arc<Shared>>, body: Bytes) -> Answer {
    list(&shared, &body, Listing::Listed)
}

async fn withdraw(State(shared): State<Arc<Shared>>, body: Bytes) -> Answer {
    list(&shared, &body, Listing::Withdrawn)
}

fn list(shared: &Shared, body: &[u8], listing: Listing) -> Answer {
    let Kid { kid } = parse_required(body)?;
    if !shared.state().keys.list(&kid, listing) {
        let why = format!("no key has the kid {kid:?}");
        return Err(Refusal(StatusCode::NOT_FOUND, why));
    }
    shared.persist();
    Ok(Json(json!({"kid": kid, "kids": kids(shared)})))
}

async fn mint(State(shared): State<Arc<Shared>>, body: Bytes) -> Answer {
    let mint: Mint = parse(&body)?;
    let token = shared.mint(mint, clock::now());
    let token = token.map_err(|error| bad_request(error.to_string()))?;
    Ok(Json(json!({"token": token})))
}

async fn set_fault(State(shared): State<Arc<Shared>>, body: Bytes) -> Answer {
    let fault: Fault = parse_required(&body)?;
    if let Some(problem) = fault.problem() {
        return Err(bad_request(problem));
    }
    shared.set_fault(Some(fault.clone()));
    Ok(Json(json!({"fault": fault})))
}

async fn clear_fault(State(shared): State<Arc<Shared>>) -> Json<Value> {
    shared.set_fault(None);
    Json(json!({"fault": null}))
}

async fn fault(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(json!({"fault": shared.fault()}))
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct JwksOptionsBody {
    etag: Option<bool>,
    /// A negative number leaves `Cache-Control` out.
    max_age_seconds: Option<i64>,
}

async fn jwks_options(State(shared): State<Arc<Shared>>, body: Bytes) -> Answer {
    let change: JwksOptionsBody = parse(&body)?;
    let mut options = lock(&shared.jwks_options);
    if let Some(etag) = change.etag {
        options.etag = etag;
    }
    if let Some(seconds) = change.max_age_seconds {
        options.max_age_seconds = u64::try_from(seconds).ok();
    }
    Ok(Json(json!({"etag": options.etag, "max_age_seconds": options.max_age_seconds})))
}

async fn stats(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(shared.stats())
}

fn kids(shared: &Shared) -> Vec<String> {
    shared.state().keys.kids(clock::now())
}

/// Whatever the content type says, so that a bare `curl -d` works; no body is an empty object.
fn parse<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, Refusal> {
    if body.is_empty() {
        return Ok(T::default());
    }
    parse_required(body)
}

fn parse_required<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| bad_request(format!("bad body: {error}")))
}

fn bad_request(why: impl Into<String>) -> Refusal {
    Refusal(StatusCode::BAD_REQUEST, why.into())
}
