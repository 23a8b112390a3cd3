//! The layer around a plain tower service.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use common::{bearer, engine, header, issuer, problem, request, text, user};
use http::{Method, Request, Response};
use http_body_util::Full;
use keyward::{Reason, Rejection, VerifiedToken};
use keyward_issuer::{Fault, FaultMode, Mint, Rotate};
use keyward_tower::{AuthLayer, AuthRecord, CorrelationId, CorrelationLayer};
use tower::{Layer, Service, ServiceExt, service_fn};

type Sent = Request<Full<Bytes>>;

async fn hello(request: Sent) -> Result<Response<Full<Bytes>>, Infallible> {
    let token = request.extensions().get::<VerifiedToken>().expect("a verified request has its token");
    Ok(Response::new(Full::from(token.subject().unwrap().to_owned())))
}

fn empty(builder: http::request::Builder) -> Sent {
    builder.body(Full::default()).unwrap()
}

#[tokio::test]
async fn a_verified_request_goes_on_with_its_identity_and_leaves_a_record() {
    let issuer = issuer().await;
    let service = AuthLayer::new(engine(&issuer)).layer(service_fn(hello));
    let token = issuer.mint(Mint::new().claim("sub", "alice"));
    let answer = service.clone().oneshot(empty(bearer(&token))).await.unwrap();
    assert_eq!(answer.status(), 200);
    let record = answer.extensions().get::<AuthRecord>().unwrap();
    assert_eq!(record.verdict.as_ref().as_ref().unwrap().subject(), Some("alice"));
    assert!(record.duration.is_some());
    assert_eq!(text(answer).await, "alice");
}

#[tokio::test]
async fn a_refused_request_goes_no_further_and_says_why() {
    let issuer = issuer().await;
    let engine = engine(&issuer);
    assert!(engine.verify(&user(&issuer)).await.is_ok());
    let reached = Arc::new(AtomicU64::new(0));
    let count = reached.clone();
    let service = AuthLayer::new(engine).layer(service_fn(move |request| {
        count.fetch_add(1, Ordering::SeqCst);
        hello(request)
    }));
    let good = format!("Bearer {}", user(&issuer));
    let expired = format!("Bearer {}", issuer.mint(Mint::new().expires_in(-60)));
    let joined = format!("{good}, {good}");
    let no_subject = format!("Bearer {}", issuer.mint(Mint::new().without_claim("sub")));
    let cases: [(&[&str], u16, &str, Option<&str>); 8] = [
        (&[], 401, "missing_token", None),
        (&["Basic YTpi"], 401, "missing_token", None),
        (&["Bearer abc"], 401, "malformed_token", Some("invalid_token")),
        (&["Bearer sb_secret_x"], 401, "api_key_as_bearer", Some("invalid_token")),
        (&[&expired], 401, "expired", Some("invalid_token")),
        (&[&no_subject], 401, "missing_claim", Some("invalid_token")),
        (&[&good, &good], 400, "multiple_credentials", Some("invalid_request")),
        (&[&joined], 400, "multiple_credentials", Some("invalid_request")),
    ];
    for (authorization, status, reason, error) in cases {
        let answer = service.clone().oneshot(empty(request(authorization))).await.unwrap();
        assert_eq!(answer.status(), status, "{reason}");
        let challenge = header(&answer, "www-authenticate").unwrap();
        match error {
            None => assert_eq!(challenge, "Bearer"),
            Some(error) => assert!(challenge.starts_with(&format!(r#"Bearer error="{error}", "#)), "{challenge}"),
        }
        assert!(header(&answer, "retry-after").is_none());
        let record = answer.extensions().get::<AuthRecord>().unwrap();
        assert_eq!(record.verdict.as_ref().as_ref().unwrap_err().reason().as_str(), reason);
        assert_eq!(answer.extensions().get::<Rejection>().unwrap().reason().as_str(), reason);
        let problem = problem(answer).await;
        assert_eq!(problem["reason"], reason);
        assert_eq!(problem["type"], "about:blank");
        assert!(!problem["detail"].as_str().unwrap().contains("eyJ"), "no token bytes: {problem}");
    }
    assert_eq!(reached.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_policy_refuses_with_403_and_one_that_does_not_exist_refuses_everything() {
    let issuer = issuer().await;
    let engine = engine(&issuer);
    let staff = AuthLayer::new(engine.clone()).policy("staff").layer(service_fn(hello));
    let answer = staff.clone().oneshot(empty(bearer(&user(&issuer)))).await.unwrap();
    assert_eq!(answer.status(), 403);
    assert!(header(&answer, "www-authenticate").unwrap().contains(r#"error="insufficient_scope""#));
    assert_eq!(problem(answer).await["reason"], "insufficient_role");
    let service = issuer.service_role_token(std::time::Duration::from_secs(60));
    assert_eq!(staff.oneshot(empty(bearer(&service))).await.unwrap().status(), 200);

    let nobody = AuthLayer::new(engine).policy("no such").layer(service_fn(hello));
    let answer = nobody.oneshot(empty(bearer(&service))).await.unwrap();
    assert_eq!((answer.status().as_u16(), problem(answer).await["reason"].as_str().unwrap()), (403, "policy_denied"));
}

#[tokio::test]
async fn what_cannot_be_told_right_now_is_503_with_retry_after_and_without_a_challenge() {
    let issuer = issuer().await;
    issuer.set_fault(Some(Fault::status(500)));
    let service = AuthLayer::new(engine(&issuer)).layer(service_fn(hello));
    let answer = service.oneshot(empty(bearer(&user(&issuer)))).await.unwrap();
    assert_eq!(answer.status(), 503);
    let seconds: u32 = header(&answer, "retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds));
    assert!(header(&answer, "www-authenticate").is_none(), "another token would not help");
    assert_eq!(problem(answer).await["reason"], "keys_unavailable");
}

#[tokio::test]
async fn a_request_under_a_new_key_waits_for_it() {
    let issuer = issuer().await;
    let engine = engine(&issuer);
    assert!(engine.verify(&user(&issuer)).await.is_ok());
    issuer.set_fault(Some(Fault::new(FaultMode::Slow).delay_ms(200)));
    issuer.rotate(Rotate::default());
    let service = AuthLayer::new(engine).layer(service_fn(hello));
    assert_eq!(service.oneshot(empty(bearer(&user(&issuer)))).await.unwrap().status(), 200);
}

#[tokio::test]
async fn an_answer_to_head_has_the_same_head_and_no_body() {
    let issuer = issuer().await;
    let service = AuthLayer::new(engine(&issuer)).layer(service_fn(hello));
    let refused = |method: Method| {
        let request = request(&[]).header("x-correlation-id", "c").method(method);
        service.clone().oneshot(empty(request))
    };
    let (get, head) = (refused(Method::GET).await.unwrap(), refused(Method::HEAD).await.unwrap());
    assert_eq!((get.status(), header(&get, "www-authenticate")), (head.status(), header(&head, "www-authenticate")));
    let length = header(&head, "content-length").unwrap().to_owned();
    assert_eq!(text(get).await.len().to_string(), length);
    assert_eq!(text(head).await, "");
}

#[tokio::test]
async fn ids_are_kept_made_and_echoed_on_success_and_refusal() {
    let issuer = issuer().await;
    let seen = Arc::new(std::sync::Mutex::new(None));
    let inner = {
        let seen = seen.clone();
        service_fn(move |request: Sent| {
            *seen.lock().unwrap() = request.extensions().get::<CorrelationId>().cloned();
            hello(request)
        })
    };
    let service = CorrelationLayer.layer(AuthLayer::new(engine(&issuer)).layer(inner));
    let good = bearer(&user(&issuer)).header("x-request-id", "from-the-client");
    let answer = service.clone().oneshot(empty(good)).await.unwrap();
    assert_eq!(header(&answer, "x-correlation-id"), Some("from-the-client"));
    assert_eq!(answer.extensions().get::<CorrelationId>().unwrap().as_str(), "from-the-client");
    assert_eq!(seen.lock().unwrap().take().unwrap().as_str(), "from-the-client");

    let answer = service.clone().oneshot(empty(request(&[]).header("x-correlation-id", "mine"))).await.unwrap();
    assert_eq!(header(&answer, "x-correlation-id"), Some("mine"));
    assert_eq!(problem(answer).await["correlation_id"], "mine");

    let answer = service.oneshot(empty(request(&[]).header("x-correlation-id", "not usable"))).await.unwrap();
    assert_eq!(header(&answer, "x-correlation-id").unwrap().len(), 36);
    problem(answer).await;
}

#[tokio::test]
async fn the_record_of_the_layer_that_refused_is_the_one_that_remains() {
    let issuer = issuer().await;
    let engine = engine(&issuer);
    let inner = AuthLayer::new(engine.clone()).policy("staff").layer(service_fn(hello));
    // Bodies differ between the two layers; what matters here is the record.
    let outer = AuthLayer::new(engine).layer(inner);
    let answer = outer.oneshot(empty(bearer(&user(&issuer)))).await.unwrap();
    assert_eq!(answer.status(), 403);
    let record = answer.extensions().get::<AuthRecord>().unwrap();
    assert_eq!(record.verdict.as_ref().as_ref().unwrap_err().reason(), Reason::InsufficientRole);
}

#[tokio::test]
async fn the_service_that_was_polled_ready_is_the_one_that_is_called() {
    struct OnceReady(bool);
    impl Clone for OnceReady {
        fn clone(&self) -> Self {
            Self(false)
        }
    }
    impl Service<Sent> for OnceReady {
        type Response = Response<Full<Bytes>>;
        type Error = Infallible;
        type Future = std::future::Ready<Result<Self::Response, Infallible>>;

        fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
            self.0 = true;
            std::task::Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Sent) -> Self::Future {
            assert!(std::mem::take(&mut self.0), "called without having been polled ready");
            std::future::ready(Ok(Response::new(Full::default())))
        }
    }
    let issuer = issuer().await;
    let mut service = AuthLayer::new(engine(&issuer)).layer(OnceReady(false));
    for _ in 0..3 {
        let ready = std::future::poll_fn(|cx| service.poll_ready(cx)).await;
        ready.unwrap();
        assert_eq!(service.call(empty(bearer(&user(&issuer)))).await.unwrap().status(), 200);
    }
}
