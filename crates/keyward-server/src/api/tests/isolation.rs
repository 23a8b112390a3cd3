use http::StatusCode;
use serde_json::json;

use super::support::{Service, user, user_of};

#[tokio::test]
async fn others_jobs_do_not_exist() {
    let service = Service::start().await;
    let job = service.submit(&user("alice"), "echo").await;
    let path = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
    // The same subject of another issuer is somebody else.
    for other in [user("bob"), user_of("partner", "alice")] {
        service.get(&path, &other).send().await.problem(404, "not_found");
        service.post(&format!("{path}/cancel"), &other, &json!({})).send().await.problem(404, "not_found");
        let list = service.get("/v1/jobs", &other).send().await.json(StatusCode::OK);
        assert_eq!(list, json!({"jobs": [], "next_cursor": null}));
    }
    assert_eq!(service.get(&path, &user("alice")).send().await.json(StatusCode::OK), job);
    assert_eq!(service.finished("cancelled"), 0);
}

#[tokio::test]
async fn an_others_job_and_a_job_that_never_was_are_answered_alike() {
    let service = Service::start().await;
    let job = service.submit(&user("alice"), "echo").await;
    let theirs = service.get(&format!("/v1/jobs/{}", job["id"].as_str().unwrap()), &user("bob")).send().await;
    let nobodys = service.get("/v1/jobs/019a3b1c-6f0e-7d5c-9d4b-3f2a1b0c9d8e", &user("bob")).send().await;
    assert_eq!(theirs.problem(404, "not_found"), nobodys.problem(404, "not_found"));
    assert_eq!(theirs.body.len(), nobodys.body.len());
}

#[tokio::test]
async fn a_cursor_of_somebody_else_shows_only_own_jobs() {
    let service = Service::start().await;
    let own = service.submit(&user("bob"), "echo").await;
    for _ in 0..2 {
        service.clock.advance(1);
        service.submit(&user("alice"), "echo").await;
    }
    let page = service.get("/v1/jobs?limit=1", &user("alice")).send().await.json(StatusCode::OK);
    let path = format!("/v1/jobs?cursor={}", page["next_cursor"].as_str().unwrap());
    let list = service.get(&path, &user("bob")).send().await.json(StatusCode::OK);
    assert_eq!(list["jobs"], json!([own]));
}

#[tokio::test]
async fn usage_is_ones_own() {
    let service = Service::start().await;
    let job = service.submit(&user("alice"), "echo").await;
    let path = format!("/v1/jobs/{}/cancel", job["id"].as_str().unwrap());
    service.post(&path, &user("alice"), &json!({})).send().await.json(StatusCode::OK);
    let usage = service.get("/v1/usage", &user_of("partner", "alice")).send().await.json(StatusCode::OK);
    assert_eq!(usage["usage"], json!([]));
}
