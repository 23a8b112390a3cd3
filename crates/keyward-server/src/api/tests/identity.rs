use http::{Method, StatusCode};
use keyward::Policy;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::support::{AUDIENCE, NOON, Service, claims, iss, sign, user, worker};
use crate::store::SqliteStore;

#[tokio::test]
async fn me_is_what_the_token_says() {
    let service = Service::start().await;
    let mut said = claims("partner", "alice", NOON);
    said["email"] = json!("alice@example.com");
    said["session_id"] = json!("s1");
    said["aal"] = json!("aal2");
    said["is_anonymous"] = json!(false);
    said["jti"] = json!("t1");
    let me = service.get("/v1/me", &sign("partner", &said)).send().await.json(StatusCode::OK);
    let expected = json!({
        "subject": "alice", "role": "authenticated", "email": "alice@example.com", "session": "s1",
        "issuer": "partner", "iss": iss("partner"), "assurance": "aal2", "anonymous": false, "token_id": "t1",
        "issued_at": "2026-10-05T12:00:00.000Z", "expires_at": "2026-10-05T13:00:00.000Z",
    });
    assert_eq!(me, expected);
}

#[tokio::test]
async fn what_the_token_does_not_say_is_null() {
    let service = Service::start().await;
    let token = sign(
        "supabase",
        &json!({"iss": iss("supabase"), "aud": AUDIENCE, "sub": "a", "exp": NOON / 1000 + 60, "is_anonymous": true}),
    );
    let me = service.get("/v1/me", &token).send().await.json(StatusCode::OK);
    for absent in ["role", "email", "session", "assurance", "token_id", "issued_at"] {
        assert_eq!(me[absent], Value::Null, "{absent}");
    }
    assert_eq!(me["anonymous"], true);
}

#[tokio::test]
async fn every_route_asks_for_a_token_and_says_how() {
    let service = Service::start().await;
    let id = "019a3b1c-6f0e-7d5c-9d4b-3f2a1b0c9d8e";
    let routes = [
        (Method::GET, "/v1/me".to_owned()),
        (Method::GET, "/v1/jobs".to_owned()),
        (Method::POST, "/v1/jobs".to_owned()),
        (Method::GET, format!("/v1/jobs/{id}")),
        (Method::POST, format!("/v1/jobs/{id}/cancel")),
        (Method::GET, "/v1/usage".to_owned()),
        (Method::POST, "/v1/worker/lease".to_owned()),
        (Method::POST, format!("/v1/worker/jobs/{id}/renew")),
        (Method::POST, format!("/v1/worker/jobs/{id}/complete")),
        (Method::POST, format!("/v1/worker/jobs/{id}/fail")),
    ];
    for (method, path) in routes {
        let answer = service.call(method.clone(), &path).send().await;
        answer.problem(401, "missing_token");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{method} {path}");
        let answer = service.call(method, &path).token("x.y.z").send().await;
        answer.problem(401, "malformed_token");
        assert!(answer.header("www-authenticate").unwrap().contains(r#"error="invalid_token""#), "{path}");
    }
}

#[tokio::test]
async fn a_user_is_no_worker() {
    let service = Service::start().await;
    let answer = service.post("/v1/worker/lease", &user("alice"), &json!({})).send().await;
    answer.problem(403, "insufficient_role");
    assert!(answer.header("www-authenticate").unwrap().contains(r#"error="insufficient_scope""#));
}

#[tokio::test]
async fn a_token_without_a_subject_has_no_jobs() {
    let service = Service::start().await;
    service.get("/v1/jobs", &worker()).send().await.problem(401, "missing_claim");
}

#[tokio::test]
async fn users_routes_ask_for_a_subject_even_where_the_policy_does_not() {
    let directory = TempDir::new().unwrap();
    let store = SqliteStore::open(&directory.path().join("jobs.db")).await.unwrap();
    let lenient = Policy { subject_required: false, ..Policy::named("default") };
    let service = Service::over(std::sync::Arc::new(store), directory, lenient);
    for path in ["/v1/me", "/v1/jobs", "/v1/usage", "/v1/jobs/019a3b1c-6f0e-7d5c-9d4b-3f2a1b0c9d8e"] {
        let answer = service.get(path, &worker()).send().await;
        assert_eq!(answer.problem(401, "missing_claim"), "the claim sub is required");
        assert!(answer.header("www-authenticate").unwrap().contains(r#"error="invalid_token""#), "{path}");
    }
    service.get("/v1/me", &user("alice")).send().await.json(StatusCode::OK);
}
