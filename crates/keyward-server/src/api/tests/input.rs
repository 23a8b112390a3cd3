//! What is malformed, in every way there is.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use http::{Method, StatusCode};
use hyper::body::{Frame, SizeHint};
use serde_json::json;

use super::support::{Answer, Service, user, worker};
use crate::jobs::MAX_BODY_BYTES;

const NOBODYS: &str = "/v1/worker/jobs/019a3b1c-6f0e-7d5c-9d4b-3f2a1b0c9d8e";
const LEASE: &str = "3f2a1b0c-9d8e-4d5c-9d4b-8d2f3a526f0e";

async fn submit(service: &Service, body: impl Into<Body>) -> Answer {
    service.call(Method::POST, "/v1/jobs").token(&user("alice")).json(body).send().await
}

#[tokio::test]
async fn a_wrong_submission_is_refused_by_name() {
    let service = Service::start().await;
    let deep = format!(r#"{{"kind":"echo","payload":{}{}}}"#, "[".repeat(65), "]".repeat(65));
    let cases = [
        ("", "JSON object"),
        ("   ", "JSON object"),
        ("nonsense", "JSON object"),
        ("null", "JSON object"),
        (r#"["echo", 1]"#, "JSON object"),
        (r#"{"kind":"echo","payload":1"#, "EOF"),
        (r#"{"kind":"echo","payload":1} x"#, "trailing"),
        (r#"{"kind":"echo","payload":01}"#, "invalid number"),
        (r#"{"kind":"echo"}"#, "`payload`"),
        (r#"{"payload":1}"#, "`kind`"),
        (r#"{"kind":"echo","payload":1,"priority":9}"#, "`priority`"),
        (r#"{"kind":"echo","kind":"echo","payload":1}"#, "`kind`"),
        (r#"{"kind":7,"payload":1}"#, "kind:"),
        (r#"{"kind":null,"payload":1}"#, "kind:"),
        (r#"{"kind":"","payload":1}"#, "kind:"),
        (r#"{"kind":"a b","payload":1}"#, "kind:"),
        (r#"{"kind":"é","payload":1}"#, "kind:"),
        (r#"{"kind":"echo","payload":1,"max_attempts":"3"}"#, "max_attempts:"),
        (r#"{"kind":"echo","payload":1,"max_attempts":1.5}"#, "max_attempts:"),
        (r#"{"kind":"echo","payload":1,"max_attempts":0}"#, "max_attempts:"),
        (r#"{"kind":"echo","payload":1,"max_attempts":26}"#, "max_attempts:"),
        (r#"{"kind":"echo","payload":1,"max_attempts":99999999999999999999}"#, "max_attempts:"),
        (r#"{"kind":"echo","payload":1,"run_at":"tomorrow"}"#, "run_at:"),
        (r#"{"kind":"echo","payload":1,"run_at":1791201600}"#, "run_at:"),
        (r#"{"kind":"echo","payload":1,"run_at":"2026-02-30T00:00:00Z"}"#, "run_at:"),
        (r#"{"kind":"echo","payload":1e999}"#, "payload:"),
        (r#"{"kind":"echo","payload":"\ud800"}"#, "payload:"),
        (deep.as_str(), "payload:"),
    ];
    for (body, named) in cases {
        let detail = submit(&service, body.to_owned()).await.problem(400, "invalid_request");
        assert!(detail.contains(named), "{body}: {detail}");
    }
    submit(&service, &b"{\"kind\":\"echo\",\"payload\":\"\xff\"}"[..]).await.problem(400, "invalid_request");
    assert_eq!(service.metric("msaas_jobs_submitted_total"), 0);
}

#[tokio::test]
async fn absent_null_and_default_are_the_same() {
    let service = Service::start().await;
    let job = submit(&service, r#" {"kind":"echo","payload":null,"max_attempts":null,"run_at":null} "#).await;
    let job = job.json(StatusCode::CREATED);
    assert_eq!((&job["payload"], &job["max_attempts"]), (&json!(null), &json!(3)));
}

#[tokio::test]
async fn an_explanation_quotes_only_so_much() {
    let service = Service::start().await;
    let body = format!(r#"{{"kind":"echo","payload":1,"{}":1}}"#, "ä".repeat(10_000));
    let answer = submit(&service, body).await;
    assert!(answer.problem(400, "invalid_request").ends_with('…'));
    assert!(answer.body.len() < 1000, "{}", answer.body.len());
}

#[tokio::test]
async fn wrong_calls_of_workers_are_refused_by_name() {
    let service = Service::start().await;
    let kinds = format!(r#"{{"kinds":[{}]}}"#, vec![r#""k""#; 33].join(","));
    let lease = "/v1/worker/lease".to_owned();
    let call = |name: &str| format!("{NOBODYS}/{name}");
    let with_lease = |rest: &str| format!(r#"{{"lease_id":"{LEASE}"{rest}}}"#);
    let cases = [
        (lease.clone(), String::new(), "JSON object"),
        (lease.clone(), "[]".to_owned(), "JSON object"),
        (lease.clone(), r#"{"kinds":[]}"#.to_owned(), "kinds:"),
        (lease.clone(), r#"{"kinds":"echo"}"#.to_owned(), "kinds:"),
        (lease.clone(), r#"{"kinds":["echo",7]}"#.to_owned(), "kinds[1]:"),
        (lease.clone(), r#"{"kinds":["a b"]}"#.to_owned(), "kind:"),
        (lease.clone(), kinds, "kinds:"),
        (lease.clone(), r#"{"limit":0}"#.to_owned(), "limit:"),
        (lease.clone(), r#"{"limit":101}"#.to_owned(), "limit:"),
        (lease.clone(), r#"{"lease_seconds":3601}"#.to_owned(), "lease_seconds:"),
        (lease, r#"{"seconds":1}"#.to_owned(), "`seconds`"),
        (call("renew"), "{}".to_owned(), "`lease_id`"),
        (call("renew"), r#"{"lease_id":"mine"}"#.to_owned(), "lease_id:"),
        (call("renew"), with_lease(r#","lease_seconds":0"#), "lease_seconds:"),
        (call("complete"), "{}".to_owned(), "`lease_id`"),
        (call("complete"), with_lease(r#","outcome":1"#), "`outcome`"),
        (call("complete"), with_lease(r#","result":1e999"#), "result:"),
        (call("fail"), with_lease(""), "`error`"),
        (call("fail"), with_lease(r#","error":{}"#), "error:"),
        (call("fail"), with_lease(r#","error":"e","retry":"no""#), "retry:"),
    ];
    for (path, body, named) in cases {
        let answer = service.call(Method::POST, &path).token(&worker()).json(body.clone()).send().await;
        let detail = answer.problem(400, "invalid_request");
        assert!(detail.contains(named), "{path} {body}: {detail}");
    }
}

#[tokio::test]
async fn a_wrong_list_is_refused_by_name() {
    let service = Service::start().await;
    for (query, named) in [
        ("status=done", "status:"),
        ("status=Queued", "status:"),
        ("kind=a%20b", "kind:"),
        ("kind=%FF", "kind:"),
        ("limit=0", "limit:"),
        ("limit=101", "limit:"),
        ("limit=ten", "limit:"),
        ("limit=-1", "limit:"),
        ("limit=99999999999999999999", "limit:"),
        ("cursor=AAAA", "cursor:"),
        ("cursor=***", "cursor:"),
        ("status=queued&status=failed", "`status`"),
    ] {
        let detail = service.get(&format!("/v1/jobs?{query}"), &user("alice")).send().await;
        let detail = detail.problem(400, "invalid_request");
        assert!(detail.contains(named), "{query}: {detail}");
    }
}

#[tokio::test]
async fn a_body_is_json_and_says_so() {
    let service = Service::start().await;
    let body = r#"{"kind":"echo","payload":1}"#;
    let post = || service.call(Method::POST, "/v1/jobs").token(&user("alice")).body(body);
    for wrong in [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("application/jsonp")] {
        let call = wrong.map_or_else(post, |wrong| post().header("content-type", wrong));
        let answer = call.send().await;
        answer.problem(415, "unsupported_media_type");
        assert_eq!(answer.header("accept"), Some("application/json"));
    }
    for right in ["application/json", "Application/JSON; charset=utf-8", "application/json ;x=y"] {
        post().header("content-type", right).send().await.json(StatusCode::CREATED);
    }
    let compressed = post().header("content-type", "application/json").header("content-encoding", "gzip");
    let answer = compressed.send().await;
    answer.problem(415, "unsupported_media_type");
    assert_eq!(answer.header("accept-encoding"), Some("identity"));
}

#[tokio::test]
async fn a_body_is_read_to_its_limit_and_not_beyond() {
    let service = Service::start().await;
    let mut body = r#"{"kind":"echo","payload":1}"#.to_owned();
    body.push_str(&" ".repeat(MAX_BODY_BYTES - body.len()));
    submit(&service, body.clone()).await.json(StatusCode::CREATED);
    body.push(' ');
    submit(&service, body).await.problem(413, "payload_too_large");
    // Declared too long, and not sent: the answer does not wait for it.
    let declared = service.call(Method::POST, "/v1/jobs").token(&user("alice")).json(silent(1 << 40));
    declared.send().await.problem(413, "payload_too_large");
}

#[tokio::test]
async fn a_body_without_end_is_cut_off() {
    let service = Service::start().await;
    let chunks = futures_util::stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from_static(&[b' '; 1024])));
    submit(&service, Body::from_stream(chunks)).await.problem(413, "payload_too_large");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_a_bad_request() {
    let service = Service::start().await;
    let chunks = [Ok(Bytes::from_static(b"{\"kind\":")), Err(std::io::Error::other("reset"))];
    let answer = submit(&service, Body::from_stream(futures_util::stream::iter(chunks))).await;
    assert_eq!(answer.problem(400, "invalid_request"), "the body cannot be read to its end");
}

/// A body that says how long it is and never comes.
fn silent(length: u64) -> Body {
    Body::new(Silent(length))
}

struct Silent(u64);

impl HttpBody for Silent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0)
    }
}
