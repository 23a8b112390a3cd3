//! The layer and the extractors in an axum router, over a real socket where HTTP matters.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use common::{bearer, engine, header, issuer, problem, request, text, user};
use http::Request;
use keyward_issuer::{Issuer, Mint};
use keyward_tower::{AuthLayer, AuthRecord, Claims, CorrelationLayer, Identity};
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower::ServiceExt;

#[derive(Deserialize)]
struct Tenant {
    tenant: u32,
}

fn app(issuer: &Issuer) -> Router {
    let engine = engine(issuer);
    Router::new()
        .route("/hello", get(|Identity(user): Identity| async move { user.subject().unwrap().to_owned() }))
        .route("/tenant", get(|Claims(claims): Claims<Tenant>| async move { claims.tenant.to_string() }))
        .layer(AuthLayer::new(engine))
        .route("/open", get(|Identity(_): Identity| async { "not reached" }))
        .layer(CorrelationLayer)
}

fn empty(builder: http::request::Builder) -> Request<Body> {
    builder.body(Body::empty()).unwrap()
}

#[tokio::test]
async fn a_handler_is_told_who_it_is_and_what_the_token_says() {
    let issuer = issuer().await;
    let app = app(&issuer);
    let token = issuer.mint(Mint::new().claim("sub", "alice").claim("tenant", 7));
    assert_eq!(text(app.clone().oneshot(empty(bearer(&token))).await.unwrap()).await, "alice");
    let tenant = app.oneshot(empty(bearer(&token).uri("/tenant"))).await.unwrap();
    assert!(tenant.extensions().get::<AuthRecord>().is_some());
    assert_eq!(text(tenant).await, "7");
}

#[tokio::test]
async fn claims_of_another_shape_are_the_tokens_fault_and_not_quoted() {
    let issuer = issuer().await;
    let app = app(&issuer);
    for mint in [Mint::new(), Mint::new().claim("tenant", "secret text"), Mint::new().claim("tenant", -1)] {
        let request = bearer(&issuer.mint(mint)).uri("/tenant").header("x-correlation-id", "mine");
        let answer = app.clone().oneshot(empty(request)).await.unwrap();
        assert_eq!(answer.status(), 401);
        assert!(header(&answer, "www-authenticate").unwrap().contains("invalid_token"));
        let problem = problem(answer).await;
        assert_eq!((&problem["reason"], &problem["correlation_id"]), (&"invalid_claim".into(), &"mine".into()));
        assert!(!problem.to_string().contains("secret text"));
    }
}

#[tokio::test]
async fn a_route_that_nobody_protects_is_a_defect_and_not_open() {
    let issuer = issuer().await;
    let answer = app(&issuer).oneshot(empty(bearer(&user(&issuer)).uri("/open"))).await.unwrap();
    assert_eq!((answer.status().as_u16(), problem(answer).await["reason"].as_str().unwrap()), (500, "internal"));
}

#[tokio::test]
async fn a_request_without_a_token_gets_the_bare_challenge() {
    let issuer = issuer().await;
    let answer = app(&issuer).oneshot(empty(request(&[]))).await.unwrap();
    assert_eq!((answer.status().as_u16(), header(&answer, "www-authenticate")), (401, Some("Bearer")));
    assert_eq!(problem(answer).await["reason"], "missing_token");
}

#[tokio::test]
async fn an_answer_to_head_ends_with_its_head_on_the_wire() {
    let issuer = issuer().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = app(&issuer);
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = "HEAD /hello HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 401 ") && head.contains("www-authenticate: Bearer"), "{head}");
    assert_eq!(body, "");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    assert!(length.parse::<u32>().unwrap() > 100, "{head}");
    server.abort();
}
