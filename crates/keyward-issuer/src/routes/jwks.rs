//! The key set (RFC 7517 section 5), and every way in which it can go wrong.

use std::{
    convert::Infallible,
    io::Write,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use aws_lc_rs::{digest, rand};
use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use futures_util::{Stream, stream};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::{
    clock,
    connection::Reset,
    fault::{Fault, FaultMode},
    keys::base64url,
    shared::{Shared, lock},
};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const DEFAULT_HUGE_BYTES: u64 = 128 * 1024 * 1024;

/// `GET /auth/v1/.well-known/jwks.json`
pub(crate) async fn jwks(
    State(shared): State<Arc<Shared>>,
    Extension(reset): Extension<Reset>,
    request: HeaderMap,
) -> Response {
    shared.stats.jwks_requests.fetch_add(1, Ordering::Relaxed);
    let keys = shared.jwks(clock::now());
    let Some(fault) = shared.take_fault() else {
        return key_set(&shared, keys, &request);
    };
    let mut response = faulty(&fault, keys, &shared, &reset).await;
    add_headers(response.headers_mut(), &fault);
    response
}

fn key_set(shared: &Shared, mut keys: Vec<Value>, request: &HeaderMap) -> Response {
    let options = *lock(&shared.jwks_options);
    let etag = options.etag.then(|| etag(&keys));
    let unchanged = etag.as_ref().is_some_and(|etag| {
        let known = request.get(header::IF_NONE_MATCH);
        known.is_some_and(|known| known.as_bytes() == etag.as_bytes())
    });
    let mut response = if unchanged {
        shared.stats.jwks_not_modified.fetch_add(1, Ordering::Relaxed);
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        shuffle(&mut keys);
        Json(json!({"keys": keys})).into_response()
    };
    let headers = response.headers_mut();
    let max_age = options.max_age_seconds;
    let max_age = max_age.map(|seconds| format!("public, max-age={seconds}"));
    for (name, value) in [(header::CACHE_CONTROL, max_age), (header::ETAG, etag)] {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            headers.insert(name, value);
        }
    }
    response
}

/// The same for the same keys, in whatever order they are listed.
fn etag(keys: &[Value]) -> String {
    let text = Value::from(keys).to_string();
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    format!("\"{}\"", base64url(hash.as_ref()))
}

/// The real server lists its keys in random order: nobody may rely on one.
fn shuffle(keys: &mut [Value]) {
    for last in (1..keys.len()).rev() {
        let mut random = [0; 8];
        // Without randomness the order stays as it is, which is one of the orders.
        let _ = rand::fill(&mut random);
        let bound = last as u64 + 1;
        keys.swap(last, (u64::from_le_bytes(random) % bound) as usize);
    }
}

async fn faulty(fault: &Fault, mut keys: Vec<Value>, shared: &Shared, reset: &Reset) -> Response {
    let proper = json!({"keys": keys}).to_string();
    match fault.mode {
        FaultMode::Status => status(fault),
        FaultMode::Hang => {
            shared.stopped().await;
            reset.reset().await
        }
        FaultMode::Reset => reset.reset().await,
        FaultMode::Slow if fault.drip => {
            let pause = Duration::from_millis(fault.delay_ms.unwrap_or(100));
            sized(proper.len(), drip(proper.into(), pause))
        }
        FaultMode::Slow => {
            tokio::time::sleep(Duration::from_millis(fault.delay_ms.unwrap_or(3000))).await;
            json_answer(proper.into())
        }
        FaultMode::Garbage => json_answer(Body::from(&b"\x00\xff\xfe{]garbage\x80"[..])),
        FaultMode::Html => html(),
        FaultMode::Truncate => sized(proper.len(), half(proper.into())),
        FaultMode::Empty => json_answer(r#"{"keys":[]}"#.into()),
        FaultMode::Huge => huge(fault, proper),
        FaultMode::Redirect => redirect(fault, shared),
        FaultMode::Body => {
            if fault.replace {
                keys.clear();
            }
            keys.extend(fault.keys.iter().cloned());
            let listed = json!({"keys": keys}).to_string();
            json_answer(fault.raw.clone().unwrap_or(listed).into())
        }
    }
}

fn add_headers(headers: &mut HeaderMap, fault: &Fault) {
    let retry_after = fault.retry_after.as_ref().map(|value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    let retry_after = retry_after.map(|value| ("retry-after".to_owned(), value));
    let named = fault.headers.iter().map(|(name, value)| (name.clone(), value.clone()));
    for (name, value) in named.chain(retry_after) {
        // Checked when the fault was set.
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
}

fn json_answer(body: Body) -> Response {
    ([(header::CONTENT_TYPE, JSON)], body).into_response()
}

fn sized(length: usize, body: impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static) -> Response {
    let mut response = json_answer(Body::from_stream(body));
    response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    response
}

fn status(fault: &Fault) -> Response {
    let status = fault.status.and_then(|status| StatusCode::from_u16(status).ok());
    let status = status.unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    (status, Json(json!({"message": "fault on demand"}))).into_response()
}

fn redirect(fault: &Fault, shared: &Shared) -> Response {
    let status = fault.status.and_then(|status| StatusCode::from_u16(status).ok());
    let location = fault.location.clone().unwrap_or_else(|| shared.jwks_url());
    (status.unwrap_or(StatusCode::FOUND), [(header::LOCATION, location)]).into_response()
}

fn html() -> Response {
    let page = "<!doctype html><html><head><title>Sign in</title></head><body>Welcome.</body></html>";
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], page).into_response()
}

/// One byte at a time, the first after one pause.
fn drip(body: Bytes, pause: Duration) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold(body, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        tokio::time::sleep(pause).await;
        let byte = rest.split_to(1);
        Some((Ok(byte), rest))
    })
}

/// The first half; then the end comes too early, and hyper closes the connection.
fn half(body: Bytes) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let half = body.slice(..body.len() / 2);
    stream::unfold(Some(half), |half| async move {
        let Some(half) = half else {
            // Lets the connection write out what it has before it fails.
            tokio::task::yield_now().await;
            return None;
        };
        Some((Ok(half), None))
    })
}

fn huge(fault: &Fault, proper: String) -> Response {
    let bytes = fault.bytes.unwrap_or(DEFAULT_HUGE_BYTES);
    if !fault.gzip {
        return json_answer(Body::from_stream(padded(bytes, proper)));
    }
    let mut response = json_answer(Body::from_stream(bomb(bytes, proper)));
    let gzip = HeaderValue::from_static("gzip");
    response.headers_mut().insert(header::CONTENT_ENCODING, gzip);
    response
}

static SPACES: [u8; 64 * 1024] = [b' '; 64 * 1024];

/// Chunks of white space, then `end`: still a JSON text (RFC 8259 section 2), which only its size makes a fault.
fn padding(bytes: u64, end: String) -> impl Iterator<Item = Bytes> {
    let whole = SPACES.len() as u64;
    let chunks = (0..bytes / whole).map(|_| Bytes::from_static(&SPACES));
    let rest = Bytes::from_static(&SPACES[..(bytes % whole) as usize]);
    chunks.chain([rest, end.into()]).filter(|chunk| !chunk.is_empty())
}

fn padded(bytes: u64, end: String) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::iter(padding(bytes, end).map(Ok))
}

/// Compresses as it goes: neither form is ever in memory as a whole.
fn bomb(bytes: u64, end: String) -> impl Stream<Item = std::io::Result<Bytes>> {
    let encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let chunks = padding(bytes, end);
    stream::try_unfold((Some(encoder), chunks), |(mut encoder, mut chunks)| async move {
        loop {
            let Some(mut open) = encoder.take() else {
                return Ok(None);
            };
            let Some(chunk) = chunks.next() else {
                return Ok(Some((open.finish()?.into(), (None, chunks))));
            };
            open.write_all(&chunk)?;
            let compressed = std::mem::take(open.get_mut());
            encoder = Some(open);
            if !compressed.is_empty() {
                return Ok(Some((compressed.into(), (encoder, chunks))));
            }
            tokio::task::yield_now().await;
        }
    })
}
