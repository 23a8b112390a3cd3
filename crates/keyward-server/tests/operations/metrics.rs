use serde_json::json;

use crate::support::{Page, Setup, TestIssuer};

const FAMILIES: [(&str, &str); 22] = [
    ("auth_jwt_invalid_total", "counter"),
    ("auth_jwt_validations_total", "counter"),
    ("msaas_jwt_validation_duration_seconds", "histogram"),
    ("auth_jwks_refreshes_total", "counter"),
    ("auth_jwks_refresh_failures_total", "counter"),
    ("auth_jwks_refresh_duration_seconds", "histogram"),
    ("auth_jwks_keys", "gauge"),
    ("auth_jwks_cache_state", "gauge"),
    ("auth_jwks_last_success_timestamp_seconds", "gauge"),
    ("auth_jwks_fail_closed_timestamp_seconds", "gauge"),
    ("auth_jwks_cache_ttl_seconds", "gauge"),
    ("auth_jwks_stale_ttl_seconds", "gauge"),
    ("auth_jwks_unknown_kid_suppressed_total", "counter"),
    ("auth_token_cache_requests_total", "counter"),
    ("auth_token_cache_entries", "gauge"),
    ("http_requests_total", "counter"),
    ("http_request_duration_seconds", "histogram"),
    ("msaas_jobs_submitted_total", "counter"),
    ("msaas_jobs_finished_total", "counter"),
    ("msaas_jobs", "gauge"),
    ("msaas_job_queue_age_seconds", "gauge"),
    ("keyward_build_info", "gauge"),
];
const REASONS: [&str; 28] = [
    "missing_token",
    "multiple_credentials",
    "malformed_token",
    "token_too_large",
    "unsupported_alg",
    "alg_mismatch",
    "unsupported_crit",
    "wrong_type",
    "unknown_kid",
    "ambiguous_key",
    "invalid_signature",
    "missing_claim",
    "invalid_claim",
    "expired",
    "not_yet_valid",
    "issued_in_future",
    "wrong_issuer",
    "wrong_audience",
    "api_key_as_bearer",
    "legacy_api_key",
    "revoked",
    "insufficient_role",
    "policy_denied",
    "keys_unavailable",
    "ambiguous_path",
    "upstream_unreachable",
    "upstream_timeout",
    "internal",
];

#[tokio::test]
async fn every_family_is_there_with_every_reason_from_the_start() {
    let issuer = TestIssuer::start().await;
    let keyward = Setup::for_issuer(&issuer).start_ready().await;
    let page = keyward.metrics().await;
    for (name, kind) in FAMILIES {
        assert_eq!(page.kind(name), Some(kind), "{name}");
    }
    assert!(page.families().any(|name| name == "process_resident_memory_bytes"));
    let mut reasons = REASONS;
    reasons.sort_unstable();
    assert_eq!(page.values_of("auth_jwt_invalid_total", "reason"), reasons);
    assert_eq!(page.sum("auth_jwt_invalid_total", &[]), 0.0);
    for (family, label, values) in [
        ("auth_jwt_validations_total", "outcome", &["invalid", "unavailable", "valid"][..]),
        ("auth_jwks_refreshes_total", "outcome", &["failure", "not_modified", "success"]),
        ("auth_jwks_refreshes_total", "trigger", &["operator", "scheduled", "startup", "unknown_kid"]),
        (
            "auth_jwks_refresh_failures_total",
            "kind",
            &["body", "connect", "dns", "empty", "parse", "status", "timeout", "tls"],
        ),
        ("auth_jwks_keys", "state", &["denied", "unusable", "usable"]),
        ("auth_jwks_cache_state", "state", &["empty", "expired", "fresh", "stale"]),
        ("auth_jwks_unknown_kid_suppressed_total", "why", &["budget", "cooldown", "negative_cache", "screened"]),
        ("auth_token_cache_requests_total", "result", &["hit", "miss"]),
        ("msaas_jobs", "status", &["cancelled", "failed", "queued", "running", "succeeded"]),
        ("msaas_jobs_finished_total", "outcome", &["cancelled", "failed", "succeeded"]),
    ] {
        assert_eq!(page.values_of(family, label), values, "{family}");
    }
    assert_eq!(page.value("auth_jwks_cache_state", &[("state", "fresh")]), 1.0);
    assert_eq!(page.sum("auth_jwks_cache_state", &[]), 1.0);
    assert_eq!(page.value("auth_jwks_keys", &[("state", "usable")]), 1.0);
    keyward.stop().await;
}

#[tokio::test]
async fn openmetrics_is_given_to_who_asks_for_it() {
    let issuer = TestIssuer::start().await;
    let keyward = Setup::for_issuer(&issuer).start_ready().await;
    let plain = keyward.get("/metrics", None).await;
    assert_eq!(plain.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3";
    let request = keyward.client().request("GET", "/metrics", None).header("accept", accept);
    let open = crate::support::Client::send(request).await;
    assert_eq!(open.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    assert!(open.body.ends_with("# EOF\n"));
    assert!(open.body.contains("# TYPE auth_jwt_invalid counter\n"), "{}", open.body);
    keyward.stop().await;
}

#[tokio::test]
async fn each_token_moves_what_it_should() {
    let issuer = TestIssuer::start().await;
    let keyward = Setup::for_issuer(&issuer).start_ready().await;
    let (valid, expired) = (issuer.token(), issuer.mint(keyward_issuer::Mint::new().expires_in(-60)));
    for _ in 0..2 {
        assert_eq!(keyward.verdict(&valid).await.0, 200);
    }
    assert_eq!(keyward.verdict(&expired).await, (401, "expired".to_owned()));
    assert_eq!(keyward.get("/v1/me", None).await.status, 401);
    let job = keyward.post("/v1/jobs", &valid, &json!({"kind": "a", "payload": null})).await;
    assert_eq!(job.status, 201);
    let page = keyward.metrics().await;
    let outcome = |name| page.value("auth_jwt_validations_total", &[("issuer", "supabase"), ("outcome", name)]);
    assert_eq!((outcome("valid"), outcome("invalid"), outcome("unavailable")), (3.0, 2.0, 0.0));
    for (reason, count) in [("expired", 1.0), ("missing_token", 1.0)] {
        assert_eq!(page.value("auth_jwt_invalid_total", &[("reason", reason)]), count, "{reason}");
    }
    assert_eq!(page.sum("auth_jwt_invalid_total", &[]), 2.0);
    assert_eq!(page.value("msaas_jwt_validation_duration_seconds_count", &[]), 4.0, "no token, no verification");
    let cache = |result| page.value("auth_token_cache_requests_total", &[("result", result)]);
    assert_eq!((cache("hit"), cache("miss")), (2.0, 2.0));
    assert_eq!(page.value("auth_token_cache_entries", &[]), 1.0);
    let requests =
        |status| page.value("http_requests_total", &[("method", "GET"), ("route", "/v1/me"), ("status", status)]);
    assert_eq!((requests("200"), requests("401")), (2.0, 2.0));
    assert_eq!(page.value("http_request_duration_seconds_count", &[("method", "GET"), ("route", "/v1/me")]), 4.0);
    jobs_are_counted(&page);
    keyward.stop().await;
}

fn jobs_are_counted(page: &Page) {
    assert_eq!(page.value("msaas_jobs_submitted_total", &[]), 1.0);
    assert_eq!(page.value("msaas_jobs", &[("status", "queued")]), 1.0);
    assert_eq!(page.sum("msaas_jobs", &[]), 1.0);
    assert!(page.value("msaas_job_queue_age_seconds", &[]) < 30.0);
}
