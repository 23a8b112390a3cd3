//! `/verify` over a real engine.

use std::path::PathBuf;
use std::sync::Arc;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use axum::Router;
use axum::body::Body;
use base64_simd::URL_SAFE_NO_PAD;
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use keyward::Silent;
use keyward::clock::{Clock, SystemClock};
use keyward_tower::CorrelationLayer;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

use super::*;
use crate::config::{Config, Flags};
use crate::gateway::Peer;

const ISS: &str = "https://project.example/auth/v1";
const SEED: [u8; 32] = [7; 32];
const IDENTITY: [&str; 8] = ["subject", "role", "email", "session", "issuer", "assurance", "anonymous", "reason"];
const GATEWAY: &str = "[gateway]\npreflight = true\ncookie = \"session\"\ntrusted_proxies = [\"10.0.0.0/8\"]\n";

struct Gateway {
    routes: Router,
    _home: TempDir,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Gateway {
    fn with(gateway: &str) -> Self {
        let home = TempDir::new().unwrap();
        let key = Ed25519KeyPair::from_seed_unchecked(&SEED).unwrap();
        let x = URL_SAFE_NO_PAD.encode_to_string(key.public_key().as_ref());
        let file = format!(
            "{gateway}\n[policies.staff]\naal = \"aal2\"\n[[issuers]]\nname = \"project\"\nissuer = [{ISS:?}]\n\
             audiences = [\"authenticated\"]\nkeys = [{{ kty = \"OKP\", crv = \"Ed25519\", alg = \"EdDSA\", \
             kid = \"k\", x = {x:?} }}]\n"
        );
        let data_dir = home.path().display().to_string();
        let env = |name: &str| (name == "KEYWARD_DATA_DIR").then(|| data_dir.clone());
        let config = Config::load(&Flags::new(), &env, Some((PathBuf::from("keyward.toml"), file))).unwrap();
        let engine = Engine::start(&config, Arc::new(Silent)).unwrap();
        let routes = routes(engine).layer(CorrelationLayer);
        Self { routes, _home: home }
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::empty()).unwrap();
        request.extensions_mut().insert(Peer("10.1.2.3:4".parse().unwrap()));
        let answer = self.routes.clone().oneshot(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let answer = Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        };
        for name in IDENTITY {
            let count = answer.headers.get_all(format!("x-auth-{name}")).iter().count();
            assert_eq!(count, 1, "X-Auth-{name} of {method} {path}: {:?}", answer.headers);
        }
        answer
    }

    async fn bearer(&self, path: &str, claims: &Value) -> Answer {
        self.ask("GET", path, &[("authorization", &format!("Bearer {}", sign(claims)))]).await
    }
}

impl Answer {
    fn identity(&self) -> Vec<&str> {
        IDENTITY.iter().map(|name| self.headers[format!("x-auth-{name}")].to_str().unwrap()).collect()
    }

    /// Status and reason, which header and body must agree on; no identity goes with a reason.
    fn refusal(&self) -> (u16, &str) {
        let identity = self.identity();
        let (reason, rest) = identity.split_last().unwrap();
        assert!(rest.iter().all(|value| value.is_empty()), "{identity:?}");
        let body: Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(body["reason"], *reason);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        (self.status, reason)
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

fn sign(claims: &Value) -> String {
    let part = |part: &Value| URL_SAFE_NO_PAD.encode_to_string(part.to_string());
    let input = format!("{}.{}", part(&json!({"alg": "EdDSA", "kid": "k", "typ": "JWT"})), part(claims));
    let signature = Ed25519KeyPair::from_seed_unchecked(&SEED).unwrap().sign(input.as_bytes());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode_to_string(signature))
}

fn claims(aal: &str) -> Value {
    let now = SystemClock.now().unix.as_millis() / 1000;
    json!({
        "iss": ISS, "aud": "authenticated", "sub": "alice", "role": "authenticated", "email": "alice@example.com",
        "session_id": "s 1", "aal": aal, "is_anonymous": false, "iat": now, "exp": now + 3600,
    })
}

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

#[tokio::test]
async fn any_method_and_whatever_follows_the_policy_get_the_identity_and_an_empty_body() {
    let gateway = Gateway::with("");
    let token = format!("Bearer {}", sign(&claims("aal2")));
    let expected = ["alice", "authenticated", "alice@example.com", "s%201", ISS, "aal2", "false", ""];
    for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND"] {
        for path in
            ["/verify", "/verify?policy=staff", "/verify/default", "/verify/staff/../x//y%2Fz?a=b", "/verify/staff/"]
        {
            let answer = gateway.ask(method, path, &[("authorization", &token), ("x-auth-subject", "mallory")]).await;
            assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{method} {path}");
            assert_eq!(answer.identity(), expected, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn a_policy_that_is_not_there_is_never_another_one() {
    let gateway = Gateway::with(GATEWAY);
    let token = format!("Bearer {}", sign(&claims("aal2")));
    let names = ["/", "//default", "/Default", "/default%2Fx", "/..", "/keyward:worker", "/keyward%3Aworker/x", "/%ff"];
    for name in names {
        let path = format!("/verify{name}");
        let answer = gateway.ask("GET", &path, &[("authorization", &token)]).await;
        assert_eq!(answer.refusal(), (403, "policy_denied"), "{path}");
        let preflight = [("origin", "https://app.example"), ("access-control-request-method", "GET")];
        let answer = gateway.ask("OPTIONS", &path, &preflight).await;
        assert_eq!(answer.refusal(), (403, "policy_denied"), "a preflight to {path}");
    }
}

#[tokio::test]
async fn refusals_have_reason_challenge_and_no_identity() {
    let gateway = Gateway::with("");
    let answer = gateway.ask("GET", "/verify", &[]).await;
    assert_eq!(answer.refusal(), (401, "missing_token"));
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    let expired = json!({"exp": 1, "iat": 0, "iss": ISS, "aud": "authenticated", "sub": "alice"});
    let answer = gateway.bearer("/verify", &expired).await;
    assert_eq!(answer.refusal(), (401, "expired"));
    assert!(answer.header("www-authenticate").unwrap().contains("invalid_token"));
    let answer = gateway.bearer("/verify/staff/x", &claims("aal1")).await;
    assert_eq!(answer.refusal(), (403, "policy_denied"));
    assert!(answer.header("www-authenticate").unwrap().contains("insufficient_scope"));
    let mut nobody = claims("aal1");
    nobody.as_object_mut().unwrap().remove("sub");
    assert_eq!(gateway.bearer("/verify", &nobody).await.refusal(), (401, "missing_claim"));
}

#[tokio::test]
async fn two_credentials_are_401_where_proxies_ask() {
    let gateway = Gateway::with("");
    let token = format!("Bearer {}", sign(&claims("aal1")));
    let joined = format!("{token}, {token}");
    for headers in [&[("authorization", &*token), ("authorization", &*token)][..], &[("authorization", &*joined)]] {
        let answer = gateway.ask("GET", "/verify", headers).await;
        assert_eq!(answer.refusal(), (401, "multiple_credentials"));
        assert!(answer.header("www-authenticate").unwrap().contains("invalid_request"));
    }
}

#[tokio::test]
async fn preflights_pass_only_when_configured_and_carry_no_identity() {
    let preflight = [("origin", "https://app.example"), ("access-control-request-method", "POST")];
    let forwarded = [&preflight[..], &[("x-forwarded-method", "OPTIONS")]].concat();
    let (off, on) = (Gateway::with(""), Gateway::with(GATEWAY));
    for (method, headers) in [("OPTIONS", &preflight[..]), ("GET", &forwarded)] {
        assert_eq!(off.ask(method, "/verify/staff", headers).await.refusal(), (401, "missing_token"));
        let answer = on.ask(method, "/verify/staff", headers).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""));
        assert_eq!(answer.identity(), [""; 8]);
    }
    assert_eq!(on.ask("GET", "/verify", &preflight).await.refusal(), (401, "missing_token"));
}

#[tokio::test]
async fn a_cookie_counts_when_it_is_configured_and_no_authorization_is_sent() {
    let cookie = format!("a=b; session={}", sign(&claims("aal1")));
    let gateway = Gateway::with(GATEWAY);
    assert_eq!(gateway.ask("GET", "/verify", &[("cookie", &cookie)]).await.identity()[0], "alice");
    let both = [("cookie", cookie.as_str()), ("authorization", "Bearer x")];
    assert_eq!(gateway.ask("GET", "/verify", &both).await.refusal(), (401, "malformed_token"));
    assert_eq!(gateway.ask("GET", "/verify", &[("cookie", "session=x")]).await.refusal(), (401, "malformed_token"));
    let off = Gateway::with("");
    assert_eq!(off.ask("GET", "/verify", &[("cookie", &cookie)]).await.refusal(), (401, "missing_token"));
}
