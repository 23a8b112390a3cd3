use http::StatusCode;
use serde_json::{Value, json};

use super::support::{Service, user};

#[tokio::test]
async fn a_submitted_job_is_where_its_location_says() {
    let service = Service::start().await;
    let body = json!({"kind": "echo", "payload": {"n": 1}, "max_attempts": 5, "run_at": "2026-10-05T14:00:00+01:00"});
    let answer = service.post("/v1/jobs", &user("alice"), &body).send().await;
    let job = answer.json(StatusCode::CREATED);
    let location = answer.header("location").unwrap();
    assert_eq!(location, format!("/v1/jobs/{}", job["id"].as_str().unwrap()));
    let id: uuid::Uuid = job["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(id.get_version_num(), 7);
    let expected = json!({
        "id": job["id"], "kind": "echo", "payload": {"n": 1}, "status": "queued", "attempts": 0, "max_attempts": 5,
        "run_at": "2026-10-05T13:00:00.000Z", "result": null, "error": null,
        "created_at": "2026-10-05T12:00:00.000Z", "updated_at": "2026-10-05T12:00:00.000Z",
    });
    assert_eq!(job, expected);
    assert_eq!(service.get(location, &user("alice")).send().await.json(StatusCode::OK), job);
    assert_eq!(service.metric("msaas_jobs_submitted_total"), 1);
}

#[tokio::test]
async fn a_payload_comes_back_byte_for_byte() {
    let service = Service::start().await;
    let payload = r#"{"b": 1.50,  "a":[12345678901234567890123, "\u00e9"]}"#;
    let body = format!(r#"{{"kind":"echo","payload":{payload}}}"#);
    let answer = service.call(http::Method::POST, "/v1/jobs").token(&user("alice")).json(body).send().await;
    let location = answer.header("location").unwrap();
    let read = service.get(location, &user("alice")).send().await;
    for answer in [&answer, &read] {
        assert!(std::str::from_utf8(&answer.body).unwrap().contains(payload), "{answer:?}");
    }
}

#[tokio::test]
async fn a_repeated_submission_finds_its_job_and_is_counted_once() {
    let service = Service::start().await;
    let submit = |body: &Value| service.post("/v1/jobs", &user("alice"), body).header("idempotency-key", "key-1");
    let body = json!({"kind": "echo", "payload": {"n": 1}});
    let first = submit(&body).send().await;
    let job = first.json(StatusCode::CREATED);
    let again = submit(&body).send().await;
    assert_eq!(again.json(StatusCode::OK), job);
    assert_eq!(again.header("location"), first.header("location"));
    submit(&json!({"kind": "echo", "payload": {"n": 2}})).send().await.problem(409, "idempotency_conflict");
    assert_eq!(service.metric("msaas_jobs_submitted_total"), 1);
    // Another user's key of the same name is another key.
    let other = service.post("/v1/jobs", &user("bob"), &body).header("idempotency-key", "key-1").send().await;
    assert_ne!(other.json(StatusCode::CREATED)["id"], job["id"]);
}

#[tokio::test]
async fn without_a_key_every_submission_is_another_job() {
    let service = Service::start().await;
    let (one, two) = (service.submit(&user("alice"), "echo").await, service.submit(&user("alice"), "echo").await);
    assert_ne!(one["id"], two["id"]);
    assert_eq!(service.metric("msaas_jobs_submitted_total"), 2);
}

#[tokio::test]
async fn an_idempotency_key_is_1_to_255_visible_characters_once() {
    let service = Service::start().await;
    let submit = || service.post("/v1/jobs", &user("alice"), &json!({"kind": "echo", "payload": 1}));
    let longest = "k".repeat(255);
    submit().header("idempotency-key", &longest).send().await.json(StatusCode::CREATED);
    for malformed in ["", "a b", "é", "\t", &"k".repeat(256)] {
        let detail = submit().header("idempotency-key", malformed).send().await.problem(400, "invalid_request");
        assert!(detail.starts_with("Idempotency-Key:"), "{detail}");
    }
    let twice = submit().header("idempotency-key", "a").header("idempotency-key", "a");
    assert!(twice.send().await.problem(400, "invalid_request").contains("Idempotency-Key"));
}

#[tokio::test]
async fn a_payload_of_64_kib_is_accepted_and_one_byte_more_is_not() {
    let service = Service::start().await;
    let submit = |length: usize| {
        let payload = "x".repeat(length - 2);
        service.post("/v1/jobs", &user("alice"), &json!({"kind": "echo", "payload": payload}))
    };
    submit(65_536).send().await.json(StatusCode::CREATED);
    let detail = submit(65_537).send().await.problem(413, "payload_too_large");
    assert!(detail.starts_with("payload:"), "{detail}");
    assert_eq!(service.metric("msaas_jobs_submitted_total"), 1);
}
