use http::StatusCode;
use serde_json::{Value, json};

use super::support::{NOON, Service, user, worker};

#[tokio::test]
async fn nothing_to_do_is_an_empty_list_at_once() {
    let service = Service::start().await;
    let answer = service.post("/v1/worker/lease", &worker(), &json!({})).send().await;
    assert_eq!(answer.json(StatusCode::OK), json!({"jobs": []}));
}

#[tokio::test]
async fn a_job_is_leased_renewed_and_completed() {
    let service = Service::start().await;
    let submitted = service.submit(&user("alice"), "echo").await;
    let lease = json!({"kinds": ["sleep", "echo"], "limit": 5, "lease_seconds": 30});
    let jobs = service.post("/v1/worker/lease", &worker(), &lease).send().await.json(StatusCode::OK);
    let leased = jobs["jobs"][0].clone();
    assert_eq!(jobs["jobs"].as_array().unwrap().len(), 1);
    assert_eq!(leased["id"], submitted["id"]);
    assert_eq!((&leased["status"], &leased["attempts"]), (&json!("running"), &json!(1)));
    assert_eq!(leased["lease_expires_at"], "2026-10-05T12:00:30.000Z");

    service.clock.advance(20);
    let renewed = service.finish(&leased, "renew", json!({"lease_seconds": 30})).await.json(StatusCode::OK);
    assert_eq!((&renewed["status"], renewed.get("lease_id")), (&json!("running"), None));
    service.clock.advance(20);
    let done = service.finish(&leased, "complete", json!({"result": {"n": 1}})).await.json(StatusCode::OK);
    assert_eq!((&done["status"], &done["result"]), (&json!("succeeded"), &json!({"n": 1})));

    let path = format!("/v1/jobs/{}", submitted["id"].as_str().unwrap());
    assert_eq!(service.get(&path, &user("alice")).send().await.json(StatusCode::OK), done);
    assert_eq!(service.finished("succeeded"), 1);
}

#[tokio::test]
async fn a_call_whose_answer_was_lost_may_be_repeated_and_counts_once() {
    let service = Service::start().await;
    service.submit(&user("alice"), "echo").await;
    let leased = service.lease(60).await;
    let first = service.finish(&leased, "complete", json!({"result": 1})).await.json(StatusCode::OK);
    let again = service.finish(&leased, "complete", json!({"result": 2})).await.json(StatusCode::OK);
    assert_eq!(first, again);
    assert_eq!(service.finished("succeeded"), 1);
}

#[tokio::test]
async fn a_failed_attempt_is_queued_again_until_attempts_are_used_up() {
    let service = Service::start().await;
    let body = json!({"kind": "echo", "payload": 1, "max_attempts": 2});
    service.post("/v1/jobs", &user("alice"), &body).send().await.json(StatusCode::CREATED);
    let leased = service.lease(60).await;
    let failed = service.finish(&leased, "fail", json!({"error": "first"})).await.json(StatusCode::OK);
    assert_eq!((&failed["status"], &failed["error"]), (&json!("queued"), &json!("first")));
    assert_eq!(failed["run_at"], "2026-10-05T12:00:01.000Z");
    assert_eq!((service.finished("failed"), service.lease(60).await), (0, Value::Null));
    service.clock.advance(1);
    let leased = service.lease(60).await;
    let failed = service.finish(&leased, "fail", json!({"error": "second", "retry": true})).await;
    let failed = failed.json(StatusCode::OK);
    assert_eq!((&failed["status"], &failed["attempts"]), (&json!("failed"), &json!(2)));
    assert_eq!(service.finished("failed"), 1);
}

#[tokio::test]
async fn a_lease_that_is_not_held_fences_its_worker_off() {
    let service = Service::start().await;
    service.submit(&user("alice"), "echo").await;
    let mut lost = service.lease(30).await;
    service.clock.advance(30);
    let holder = service.lease(60).await;
    assert_eq!((&holder["id"], &holder["attempts"]), (&lost["id"], &json!(2)));
    for (call, body) in [("renew", json!({})), ("complete", json!({})), ("fail", json!({"error": "e"}))] {
        service.finish(&lost, call, body).await.problem(409, "lease_lost");
    }
    lost["lease_id"] = json!(uuid::Uuid::nil());
    service.finish(&lost, "complete", json!({})).await.problem(409, "lease_lost");
    service.finish(&holder, "complete", json!({})).await.json(StatusCode::OK);
    assert_eq!((service.finished("succeeded"), service.finished("failed")), (1, 0));
}

#[tokio::test]
async fn a_cancelled_job_is_out_of_its_workers_hands() {
    let service = Service::start().await;
    let job = service.submit(&user("alice"), "echo").await;
    let leased = service.lease(60).await;
    let cancel = format!("/v1/jobs/{}/cancel", job["id"].as_str().unwrap());
    service.post(&cancel, &user("alice"), &json!({})).send().await.json(StatusCode::OK);
    service.finish(&leased, "complete", json!({})).await.problem(409, "lease_lost");
    assert_eq!((service.finished("succeeded"), service.finished("cancelled")), (0, 1));
}

#[tokio::test]
async fn a_job_whose_last_lease_expires_is_counted_as_failed() {
    let service = Service::start().await;
    let body = json!({"kind": "echo", "payload": 1, "max_attempts": 1});
    service.post("/v1/jobs", &user("alice"), &body).send().await.json(StatusCode::CREATED);
    service.lease(1).await;
    service.clock.advance(1);
    assert_eq!(service.lease(1).await, Value::Null);
    assert_eq!(service.finished("failed"), 1);
    service.lease(1).await;
    assert_eq!(service.finished("failed"), 1);
}

#[tokio::test]
async fn a_job_that_never_was_cannot_be_finished() {
    let service = Service::start().await;
    let nobodys = json!({"id": "019a3b1c-6f0e-7d5c-9d4b-3f2a1b0c9d8e", "lease_id": uuid::Uuid::nil()});
    let malformed = json!({"id": "nothing", "lease_id": uuid::Uuid::nil()});
    for job in [&nobodys, &malformed] {
        for (call, body) in [("renew", json!({})), ("complete", json!({})), ("fail", json!({"error": "e"}))] {
            service.finish(job, call, body).await.problem(404, "not_found");
        }
    }
}

#[tokio::test]
async fn a_result_of_64_kib_is_accepted_and_one_byte_more_is_not() {
    let service = Service::start().await;
    service.submit(&user("alice"), "echo").await;
    let leased = service.lease(60).await;
    let result = |length: usize| json!({"result": "x".repeat(length - 2)});
    let detail = service.finish(&leased, "complete", result(65_537)).await.problem(413, "payload_too_large");
    assert!(detail.starts_with("result:"), "{detail}");
    service.finish(&leased, "complete", result(65_536)).await.json(StatusCode::OK);
}

#[tokio::test]
async fn workers_see_everybodys_jobs_in_the_order_they_are_due() {
    let service = Service::start().await;
    let later = json!({"kind": "echo", "payload": 1, "run_at": "2026-10-05T12:00:05Z"});
    let last = service.post("/v1/jobs", &user("alice"), &later).send().await.json(StatusCode::CREATED);
    let first = service.submit(&user("bob"), "echo").await;
    service.clock.advance(5);
    let body = json!({"limit": 100});
    let jobs = service.post("/v1/worker/lease", &super::support::worker_at(NOON), &body).send().await;
    let jobs = jobs.json(StatusCode::OK);
    assert_eq!((&jobs["jobs"][0]["id"], &jobs["jobs"][1]["id"]), (&first["id"], &last["id"]));
}
