use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::support::{Service, user};

fn ids(jobs: &Value) -> Vec<&str> {
    jobs["jobs"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_list_is_paged_newest_first_without_gaps() {
    let service = Service::start().await;
    let alice = user("alice");
    let mut submitted = Vec::new();
    for number in 0..7 {
        service.clock.advance(number % 2);
        submitted.push(service.submit(&alice, "echo").await["id"].as_str().unwrap().to_owned());
    }
    submitted.reverse();
    let (mut seen, mut path) = (Vec::new(), "/v1/jobs?limit=3".to_owned());
    loop {
        let page = service.get(&path, &alice).send().await.json(StatusCode::OK);
        seen.extend(ids(&page).into_iter().map(str::to_owned));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        // What comes meanwhile moves nothing.
        service.clock.advance(1);
        service.submit(&alice, "later").await;
        path = format!("/v1/jobs?limit=3&cursor={cursor}");
    }
    assert_eq!(seen, submitted);
}

#[tokio::test]
async fn a_list_has_20_jobs_unless_told_otherwise() {
    let service = Service::start().await;
    for _ in 0..21 {
        service.submit(&user("alice"), "echo").await;
    }
    let length = async |path: &str| {
        let page = service.get(path, &user("alice")).send().await.json(StatusCode::OK);
        page["jobs"].as_array().unwrap().len()
    };
    assert_eq!(length("/v1/jobs").await, 20);
    assert_eq!(length("/v1/jobs?limit=100").await, 21);
    assert_eq!(length("/v1/jobs?limit=&status=&kind=&cursor=").await, 20);
}

#[tokio::test]
async fn a_list_is_filtered_by_status_and_kind() {
    let service = Service::start().await;
    let alice = user("alice");
    let (echo, sleep) = (service.submit(&alice, "echo").await, service.submit(&alice, "a/b:c").await);
    let cancel = format!("/v1/jobs/{}/cancel", echo["id"].as_str().unwrap());
    service.post(&cancel, &alice, &json!({})).send().await.json(StatusCode::OK);
    for (query, expected) in [
        ("status=cancelled", vec![&echo["id"]]),
        ("status=queued", vec![&sleep["id"]]),
        ("kind=a%2Fb%3Ac", vec![&sleep["id"]]),
        ("kind=echo&status=queued", vec![]),
    ] {
        let list = service.get(&format!("/v1/jobs?{query}"), &alice).send().await.json(StatusCode::OK);
        assert_eq!(json!(ids(&list)), json!(expected), "{query}");
    }
}

#[tokio::test]
async fn cancelling_ends_a_job_once() {
    let service = Service::start().await;
    let job = service.submit(&user("alice"), "echo").await;
    let path = format!("/v1/jobs/{}/cancel", job["id"].as_str().unwrap());
    // Neither a body nor a content type is needed.
    let cancel = || service.call(Method::POST, &path).token(&user("alice"));
    service.clock.advance(1);
    let cancelled = cancel().send().await.json(StatusCode::OK);
    assert_eq!(
        (&cancelled["status"], &cancelled["updated_at"]),
        (&json!("cancelled"), &json!("2026-10-05T12:00:01.000Z"))
    );
    service.clock.advance(1);
    assert_eq!(cancel().send().await.json(StatusCode::OK), cancelled);
    assert_eq!(service.finished("cancelled"), 1);
}

#[tokio::test]
async fn a_finished_job_cannot_be_cancelled() {
    let service = Service::start().await;
    let job = service.submit(&user("alice"), "echo").await;
    let leased = service.lease(60).await;
    service.finish(&leased, "complete", json!({})).await.json(StatusCode::OK);
    let path = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
    let cancel = service.call(Method::POST, &format!("{path}/cancel")).token(&user("alice"));
    cancel.send().await.problem(409, "already_finished");
    let job = service.get(&path, &user("alice")).send().await.json(StatusCode::OK);
    assert_eq!(job["status"], "succeeded");
    assert_eq!(service.finished("cancelled"), 0);
}

#[tokio::test]
async fn what_is_no_uuid_is_no_job() {
    let service = Service::start().await;
    let job = service.submit(&user("alice"), "echo").await;
    let id = job["id"].as_str().unwrap();
    let braced = format!("%7B{id}%7D");
    for unknown in ["1", "me", "%FF", "a%2Fb", "%00", &id.replace('-', ""), &braced, &format!("urn:uuid:{id}")] {
        let path = format!("/v1/jobs/{unknown}");
        let show = service.get(&path, &user("alice")).send().await;
        assert_eq!(show.problem(404, "not_found"), "there is no such job", "{unknown}");
        let cancel = service.call(Method::POST, &format!("{path}/cancel")).token(&user("alice"));
        cancel.send().await.problem(404, "not_found");
    }
    let upper = service.get(&format!("/v1/jobs/{}", id.to_uppercase()), &user("alice")).send().await;
    assert_eq!(upper.json(StatusCode::OK), job);
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let service = Service::start().await;
    let job = service.submit(&user("alice"), "echo").await;
    for path in ["/v1/me", "/v1/jobs", "/v1/usage", &format!("/v1/jobs/{}", job["id"].as_str().unwrap())] {
        let get = service.get(path, &user("alice")).send().await;
        let head = service.call(Method::HEAD, path).token(&user("alice")).send().await;
        assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0), "{path}");
        assert_eq!(head.header("content-length"), Some(get.body.len().to_string().as_str()), "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"));
    }
    let head = service.call(Method::HEAD, "/v1/jobs/nothing").token(&user("alice")).send().await;
    assert_eq!((head.status, head.body.len()), (StatusCode::NOT_FOUND, 0));
}
