use http::StatusCode;
use serde_json::json;

use super::support::{NOON, Service, claims, sign, user};

#[tokio::test]
async fn usage_counts_every_job_that_ended_by_day_kind_and_outcome() {
    let service = Service::start().await;
    let alice = user("alice");
    for kind in ["echo", "echo", "sleep"] {
        service.submit(&alice, kind).await;
    }
    for _ in 0..2 {
        let job = service.lease(60).await;
        service.finish(&job, "complete", json!({})).await.json(StatusCode::OK);
    }
    let job = service.lease(60).await;
    service.finish(&job, "fail", json!({"error": "no", "retry": false})).await.json(StatusCode::OK);
    let still_queued = service.submit(&alice, "echo").await;

    let usage = service.get("/v1/usage", &alice).send().await.json(StatusCode::OK);
    let today = json!([
        {"day": "2026-10-05", "kind": "echo", "outcome": "succeeded", "count": 2},
        {"day": "2026-10-05", "kind": "sleep", "outcome": "failed", "count": 1},
    ]);
    assert_eq!(usage, json!({"from": "2026-09-06", "to": "2026-10-05", "usage": today}));

    service.clock.advance(12 * 3600);
    let later = sign("supabase", &claims("supabase", "alice", NOON + 12 * 3_600_000));
    let cancel = format!("/v1/jobs/{}/cancel", still_queued["id"].as_str().unwrap());
    service.post(&cancel, &later, &json!({})).send().await.json(StatusCode::OK);
    let usage = service.get("/v1/usage?from=2026-10-06&to=2026-10-06", &later).send().await.json(StatusCode::OK);
    let tomorrow = json!([{"day": "2026-10-06", "kind": "echo", "outcome": "cancelled", "count": 1}]);
    assert_eq!(usage, json!({"from": "2026-10-06", "to": "2026-10-06", "usage": tomorrow}));
    let usage = service.get("/v1/usage?to=2026-10-05&from=", &later).send().await.json(StatusCode::OK);
    assert_eq!(usage["usage"], today);
}

#[tokio::test]
async fn a_period_that_is_none_is_refused_by_name() {
    let service = Service::start().await;
    for (query, named) in [
        ("from=yesterday", "from"),
        ("to=2026-02-30", "to"),
        ("to=2026-10-05T00:00:00Z", "to"),
        ("from=2026-10-06&to=2026-10-05", "from"),
        ("from=2025-10-05&to=2026-10-06", "from"),
        ("from=2026-10-05&from=2026-10-05", "`from`"),
    ] {
        let detail = service.get(&format!("/v1/usage?{query}"), &user("alice")).send().await;
        let detail = detail.problem(400, "invalid_request");
        assert!(detail.contains(named), "{query}: {detail}");
    }
}
