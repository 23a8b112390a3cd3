//! Every fault of the key-set route, seen from the client's side.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::{io::Read, time::Duration};

use common::*;
use flate2::read::GzDecoder;
use futures_util::StreamExt;
use keyward_issuer::{Fault, FaultMode, Issuer};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

async fn fetch(issuer: &Issuer) -> Response {
    client().get(issuer.jwks_url()).send().await.unwrap()
}

/// Sends a request for the key set and leaves the answer unread.
async fn ask(issuer: &Issuer) -> TcpStream {
    let mut stream = TcpStream::connect(issuer.address()).await.unwrap();
    let request = b"GET /auth/v1/.well-known/jwks.json HTTP/1.1\r\nhost: issuer\r\n\r\n";
    stream.write_all(request).await.unwrap();
    stream
}

#[tokio::test]
async fn status_answers_it_with_retry_after() {
    let issuer = start().await;
    let supabase = Supabase::new(&issuer);
    let body = json!({"mode": "status", "status": 429, "retry_after": 7});
    ok(supabase.put("/dev/fault").json(&body).send().await.unwrap()).await;
    let response = fetch(&issuer).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers()["retry-after"], "7");

    issuer.set_fault(Some(Fault::new(FaultMode::Status)));
    assert_eq!(fetch(&issuer).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    client().delete(format!("{}/dev/fault", issuer.url())).send().await.unwrap();
    assert_eq!(fetch(&issuer).await.status(), StatusCode::OK);
    assert_eq!(issuer.jwks_requests(), 3);
}

#[tokio::test]
async fn times_limits_a_fault_to_the_next_requests() {
    let issuer = start().await;
    issuer.set_fault(Some(Fault::status(500).times(2)));
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(fetch(&issuer).await.status().as_u16());
    }
    assert_eq!(seen, [500, 500, 200]);
}

#[tokio::test]
async fn other_routes_keep_working_under_a_fault() {
    let issuer = start().await;
    issuer.set_fault(Some(Fault::new(FaultMode::Reset)));
    let signed_up = Supabase::new(&issuer).post("/auth/v1/signup").body("{}").send().await;
    assert_eq!(signed_up.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn reset_sends_rst() {
    let issuer = start().await;
    issuer.set_fault(Some(Fault::new(FaultMode::Reset)));
    let mut stream = ask(&issuer).await;
    let error = stream.read(&mut [0; 1]).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn hang_never_answers_and_does_not_hold_up_the_stop() {
    let issuer = start().await;
    issuer.set_fault(Some(Fault::new(FaultMode::Hang)));
    let mut stream = ask(&issuer).await;
    let mut byte = [0; 1];
    let waiting = tokio::time::timeout(Duration::from_millis(200), stream.read(&mut byte));
    waiting.await.expect_err("nothing arrives");
    assert_eq!(issuer.jwks_requests(), 1);
    let stopping = tokio::time::timeout(Duration::from_secs(5), issuer.stop());
    stopping.await.expect("the stop ends the wait");
    stream.read(&mut byte).await.unwrap_err();
}

#[tokio::test]
async fn slow_answers_properly_and_late() {
    let issuer = start().await;
    issuer.set_fault(Some(Fault::new(FaultMode::Slow).delay_ms(300)));
    let asking = fetch(&issuer);
    tokio::pin!(asking);
    let early = tokio::time::timeout(Duration::from_millis(100), asking.as_mut()).await;
    early.expect_err("not before the delay");
    let set = ok(asking.await).await;
    assert_eq!(kids(&set), issuer.kids());
}

#[tokio::test]
async fn drip_sends_the_head_and_then_byte_after_byte() {
    let issuer = start().await;
    let fault = Fault { drip: true, ..Fault::new(FaultMode::Slow) };
    issuer.set_fault(Some(fault.clone().delay_ms(1)));
    let response = fetch(&issuer).await;
    assert!(response.content_length().unwrap() > 100);
    assert_eq!(kids(&ok(response).await), issuer.kids());

    issuer.set_fault(Some(fault.delay_ms(3_600_000)));
    let mut stalled = fetch(&issuer).await;
    assert_eq!(stalled.status(), StatusCode::OK);
    let body = tokio::time::timeout(Duration::from_millis(200), stalled.chunk());
    body.await.expect_err("the first byte takes an hour");
}

#[tokio::test]
async fn garbage_and_html_are_no_json() {
    let issuer = start().await;
    for (mode, kind) in [(FaultMode::Garbage, "application/json"), (FaultMode::Html, "text/html")] {
        issuer.set_fault(Some(Fault::new(mode)));
        let response = fetch(&issuer).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert!(response.headers()["content-type"].to_str().unwrap().starts_with(kind));
        let body = response.bytes().await.unwrap();
        assert!(serde_json::from_slice::<Value>(&body).is_err());
    }
}

#[tokio::test]
async fn truncate_sends_half_of_what_it_announces() {
    let issuer = start().await;
    let whole = fetch(&issuer).await.bytes().await.unwrap().len();
    issuer.set_fault(Some(Fault::new(FaultMode::Truncate)));
    let mut stream = ask(&issuer).await;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("content-length: {whole}")), "{head}");
    assert_eq!(body.len(), whole / 2);
    assert!(fetch(&issuer).await.bytes().await.is_err());
}

#[tokio::test]
async fn empty_is_a_set_without_keys() {
    let issuer = start().await;
    issuer.set_fault(Some(Fault::new(FaultMode::Empty)));
    assert_eq!(ok(fetch(&issuer).await).await, json!({"keys": []}));
}

#[tokio::test]
async fn huge_streams_more_than_a_hundred_megabytes() {
    let issuer = start().await;
    issuer.set_fault(Some(Fault::new(FaultMode::Huge)));
    let response = fetch(&issuer).await;
    assert_eq!(response.content_length(), None);
    let mut stream = response.bytes_stream();
    let (mut total, mut last) = (0, bytes::Bytes::new());
    while let Some(chunk) = stream.next().await {
        last = chunk.unwrap();
        total += last.len();
    }
    assert!(total > 100 * 1024 * 1024, "{total}");
    assert!(last.ends_with(b"}"), "the set stands at the end");
}

#[tokio::test]
async fn huge_compressed_is_small_on_the_wire() {
    let issuer = start().await;
    let bytes = 20 * 1024 * 1024;
    let fault = Fault { gzip: true, bytes: Some(bytes), ..Fault::new(FaultMode::Huge) };
    issuer.set_fault(Some(fault));
    let plain = reqwest::Client::builder().no_proxy().no_gzip().build().unwrap();
    let response = plain.get(issuer.jwks_url()).send().await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    let compressed = response.bytes().await.unwrap();
    assert!(compressed.len() < 300_000, "{}", compressed.len());
    let mut expanded = Vec::new();
    GzDecoder::new(&compressed[..]).read_to_end(&mut expanded).unwrap();
    assert!(expanded.len() as u64 > bytes);
    let set: Value = serde_json::from_slice(&expanded).unwrap();
    assert_eq!(kids(&set), issuer.kids());
}

#[tokio::test]
async fn redirect_names_another_place_or_itself() {
    let issuer = start().await;
    issuer.set_fault(Some(Fault::redirect("http://elsewhere.example/jwks")));
    let response = fetch(&issuer).await;
    assert_eq!(response.status(), StatusCode::FOUND);
    assert_eq!(response.headers()["location"], "http://elsewhere.example/jwks");
    let fault = Fault { status: Some(307), ..Fault::new(FaultMode::Redirect) };
    issuer.set_fault(Some(fault));
    let response = fetch(&issuer).await;
    assert_eq!(response.status(), StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(response.headers()["location"].to_str().unwrap(), issuer.jwks_url());
}

#[tokio::test]
async fn body_adds_replaces_or_is_raw() {
    let issuer = start().await;
    let odd = json!({"kty": "oct", "k": "c2VjcmV0", "kid": "leaked"});
    issuer.set_fault(Some(Fault::extra_keys(vec![odd.clone()])));
    let set = ok(fetch(&issuer).await).await;
    assert_eq!(set["keys"].as_array().unwrap().len(), 2);
    issuer.set_fault(Some(Fault::only_keys(vec![odd.clone()])));
    assert_eq!(ok(fetch(&issuer).await).await, json!({"keys": [odd]}));

    let mut raw = Fault { raw: Some("[1,2".to_owned()), ..Fault::new(FaultMode::Body) };
    raw.headers.insert("cache-control".to_owned(), "max-age=0".to_owned());
    issuer.set_fault(Some(raw));
    let response = fetch(&issuer).await;
    assert_eq!(response.headers()["cache-control"], "max-age=0");
    assert_eq!(response.text().await.unwrap(), "[1,2");
}

#[tokio::test]
async fn a_fault_that_cannot_be_is_refused() {
    let issuer = start().await;
    let supabase = Supabase::new(&issuer);
    for body in [
        json!({}),
        json!({"mode": "explode"}),
        json!({"mode": "status", "status": 99}),
        json!({"mode": "status", "satus": 503}),
        json!({"mode": "redirect", "location": "a\nb"}),
        json!({"mode": "empty", "headers": {"a b": "c"}}),
        json!({"mode": "status", "retry_after": []}),
    ] {
        let response = supabase.put("/dev/fault").json(&body).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{body}");
    }
    assert_eq!(fetch(&issuer).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_counts_tell_what_was_asked_for() {
    let issuer = start().await;
    fetch(&issuer).await;
    issuer.set_fault(Some(Fault::status(503)));
    fetch(&issuer).await;
    let stats = ok(Supabase::new(&issuer).get("/dev/stats").send().await.unwrap()).await;
    assert_eq!(stats["jwks_requests"], 2);
    assert_eq!(stats["fault"]["status"], 503);
    assert_eq!(stats["signing_kid"], issuer.signing_kid());
}
