//! An issuer, and an engine that has its keys.

#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use http::{Request, Response};
use http_body_util::BodyExt;
use keyward::jwks::CacheConfig;
use keyward::policy::Policy;
use keyward::{Authenticator, IssuerConfig, KeySource, Verifier};
use keyward_issuer::{Issuer, Mint};
use serde_json::Value;

pub(crate) async fn issuer() -> Issuer {
    let listen = ([127, 0, 0, 1], 0).into();
    Issuer::start(keyward_issuer::IssuerConfig { listen, ..keyward_issuer::IssuerConfig::default() }).await.unwrap()
}

/// With the policies `default` and `staff`.
pub(crate) fn engine(issuer: &Issuer) -> Authenticator {
    let verifier = Verifier::builder("a").issuer(issuer.issuer()).audience("authenticated").build().unwrap();
    let cache = CacheConfig {
        refresh_retries: 0,
        refresh_timeout: Duration::from_secs(2),
        max_wait: Duration::from_secs(2),
        ..CacheConfig::default()
    };
    let config = IssuerConfig { cache, ..IssuerConfig::new(verifier, KeySource::Url(issuer.jwks_url())) };
    let staff = Policy { roles: vec!["service_role".to_owned()], ..Policy::named("staff") };
    Authenticator::builder().issuer(config).policy(staff).build().unwrap()
}

pub(crate) fn user(issuer: &Issuer) -> String {
    issuer.mint(Mint::new())
}

pub(crate) fn request(authorization: &[&str]) -> http::request::Builder {
    let request = Request::builder().uri("/hello");
    authorization.iter().fold(request, |request, value| request.header("authorization", *value))
}

pub(crate) fn bearer(token: &str) -> http::request::Builder {
    request(&[&format!("Bearer {token}")])
}

pub(crate) fn header<'a, B>(answer: &'a Response<B>, name: &str) -> Option<&'a str> {
    answer.headers().get(name).map(|value| value.to_str().unwrap())
}

pub(crate) async fn text<B: http_body::Body>(answer: Response<B>) -> String
where
    B::Error: std::fmt::Debug,
{
    String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

pub(crate) async fn problem<B: http_body::Body>(answer: Response<B>) -> Value
where
    B::Error: std::fmt::Debug,
{
    assert_eq!(header(&answer, "content-type"), Some("application/problem+json"));
    assert_eq!(header(&answer, "cache-control"), Some("no-store"));
    let id = header(&answer, "x-correlation-id").unwrap().to_owned();
    let status = answer.status().as_u16();
    let problem: Value = serde_json::from_str(&text(answer).await).unwrap();
    assert_eq!((&problem["correlation_id"], &problem["status"]), (&id.into(), &status.into()));
    problem
}
