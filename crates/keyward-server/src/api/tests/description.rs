//! The description says what the service does, and the service does what the description says.

use std::collections::BTreeSet;

use http::{Method, StatusCode};
use keyward::Reason;
use serde_json::{Value, json};

use super::support::{Answer, Service, user, worker};
use crate::api::{openapi_json, user_table, worker_table};
use crate::jobs::{
    CompleteBody, FailBody, InvalidInput, Job, LeaseBody, MAX_BODY_BYTES, MAX_ERROR_BYTES, MAX_PAYLOAD_BYTES, Outcome,
    Owner, RenewBody, Status, SubmitBody, Timestamp, parse_body,
};

fn description() -> Value {
    serde_json::from_str(openapi_json()).unwrap()
}

fn names(value: &Value) -> BTreeSet<&str> {
    match value {
        Value::Object(members) => members.keys().map(String::as_str).collect(),
        Value::Array(items) => items.iter().map(|item| item.as_str().unwrap()).collect(),
        _ => panic!("{value} has no names"),
    }
}

#[test]
fn every_route_is_described_and_nothing_else() {
    let description = description();
    let described = names(&description["paths"]);
    let tables = [user_table(), worker_table()].concat();
    let mut routes: BTreeSet<&str> = tables.iter().map(|(path, _)| *path).collect();
    routes.extend(["/healthz", "/readyz", "/metrics", "/openapi.json"]);
    assert_eq!(described, routes);
}

#[tokio::test]
async fn every_method_is_described_and_nothing_else() {
    let service = Service::start().await;
    for (path, item) in description()["paths"].as_object().unwrap() {
        if !path.starts_with("/v1") {
            continue;
        }
        let answer = service.call(Method::TRACE, &path.replace("{id}", "1")).send().await;
        let allowed: BTreeSet<String> = answer.header("allow").unwrap().split(',').map(str::to_lowercase).collect();
        let described = item.as_object().unwrap().keys().filter(|key| *key != "parameters").cloned();
        let mut described: BTreeSet<String> = described.collect();
        if described.contains("get") {
            described.insert("head".to_owned());
        }
        assert_eq!(allowed, described, "{path}");
    }
}

#[test]
fn references_lead_somewhere_and_everything_is_referred_to() {
    fn collect(value: &Value, references: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(reference)) = members.get("$ref") {
                    references.insert(reference.trim_start_matches('#').to_owned());
                }
                members.values().for_each(|member| collect(member, references));
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, references)),
            _ => {}
        }
    }
    let description = description();
    let mut references = BTreeSet::new();
    collect(&description, &mut references);
    for reference in &references {
        assert!(description.pointer(reference).is_some(), "{reference}");
    }
    let components = description["components"].as_object().unwrap();
    for (section, members) in components.iter().filter(|(section, _)| *section != "securitySchemes") {
        for name in names(members) {
            assert!(references.contains(&format!("/components/{section}/{name}")), "{section}/{name} is not used");
        }
    }
}

/// Whether an example of the schema is accepted.
fn accepts(schema: &str, example: &Value) -> Result<(), InvalidInput> {
    let body = example.to_string();
    let body = body.as_bytes();
    let owner = Owner::new("supabase", "alice");
    match schema {
        "Submission" => parse_body::<SubmitBody>(body)?.checked(owner, None, Timestamp::MIN).map(drop),
        "LeaseRequest" => parse_body::<LeaseBody>(body)?.checked().map(drop),
        "Renewal" => parse_body::<RenewBody>(body)?.checked().map(drop),
        "Completion" => parse_body::<CompleteBody>(body)?.checked().map(drop),
        "Failure" => parse_body::<FailBody>(body).map(|body| drop(body.checked())),
        _ => panic!("{schema} is no request's"),
    }
}

#[test]
fn examples_of_requests_are_accepted_and_their_members_are_those_described() {
    let description = description();
    for schema in ["Submission", "LeaseRequest", "Renewal", "Completion", "Failure"] {
        let described = &description["components"]["schemas"][schema];
        for example in described["examples"].as_array().unwrap() {
            accepts(schema, example).unwrap();
            assert!(names(example).is_subset(&names(&described["properties"])), "{schema}");
        }
        // The error for an unknown member lists the known ones.
        let error = accepts(schema, &json!({"no such member": 1})).unwrap_err().to_string();
        let listed = error.split_once("expected").unwrap().1;
        let known: BTreeSet<&str> = listed.split('`').skip(1).step_by(2).collect();
        assert_eq!(known, names(&described["properties"]), "{schema}");
        for required in described["required"].as_array().into_iter().flatten() {
            let mut example = described["examples"][0].clone();
            example.as_object_mut().unwrap().remove(required.as_str().unwrap());
            assert!(accepts(schema, &example).is_err(), "{schema} without {required}");
        }
    }
}

#[test]
fn limits_are_those_of_the_code() {
    let description = description();
    let schemas = &description["components"]["schemas"];
    let at = |path: &str| schemas.pointer(path).and_then(Value::as_i64).unwrap();
    let limit = |name: &str, value: i64| match name {
        "max_attempts" => accepts("Submission", &json!({"kind": "k", "payload": 1, "max_attempts": value})),
        name => accepts("LeaseRequest", &json!({ name: value })),
    };
    for (name, path) in [
        ("max_attempts", "/Submission/properties/max_attempts"),
        ("limit", "/LeaseRequest/properties/limit"),
        ("lease_seconds", "/LeaseSeconds"),
    ] {
        let (minimum, maximum) = (at(&format!("{path}/minimum")), at(&format!("{path}/maximum")));
        assert!(limit(name, minimum).is_ok() && limit(name, maximum).is_ok(), "{name}");
        assert!(limit(name, minimum - 1).is_err() && limit(name, maximum + 1).is_err(), "{name}");
    }
    let kinds = at("/LeaseRequest/properties/kinds/maxItems") as usize;
    assert!(accepts("LeaseRequest", &json!({"kinds": vec!["k"; kinds]})).is_ok());
    assert!(accepts("LeaseRequest", &json!({"kinds": vec!["k"; kinds + 1]})).is_err());
    let text = openapi_json();
    for bytes in [MAX_PAYLOAD_BYTES, MAX_BODY_BYTES, MAX_ERROR_BYTES] {
        assert!(text.contains(&bytes.to_string()), "{bytes}");
    }
}

#[test]
fn words_and_reasons_are_those_of_the_code() {
    let description = description();
    let schemas = &description["components"]["schemas"];
    let statuses: Vec<&str> = Status::ALL.iter().map(|status| status.as_str()).collect();
    let outcomes: Vec<&str> = Outcome::ALL.iter().map(|outcome| outcome.as_str()).collect();
    assert_eq!(schemas["Status"]["enum"], json!(statuses));
    assert_eq!(schemas["Outcome"]["enum"], json!(outcomes));
    let said = |response: &str, reason: Reason| {
        let text = description["components"]["responses"][response]["description"].as_str().unwrap();
        text.contains(&format!("`{}`", reason.as_str()))
    };
    for reason in Reason::ALL {
        let response = match reason.fault().status() {
            400 => "MultipleCredentials",
            401 => "Unauthorized",
            403 => "Forbidden",
            503 => "Unavailable",
            500 => "Internal",
            _ => continue,
        };
        // The gateway's own.
        if reason.as_str() != "ambiguous_path" && *reason != Reason::MultipleCredentials {
            assert!(said(response, *reason), "{reason:?} is not among those of {response}");
        }
    }
}

/// The answer has the members its schema describes, all of them.
#[track_caller]
fn check_members(schema: &str, answer: &Value) {
    let description = description();
    let described = &description["components"]["schemas"][schema];
    assert_eq!(names(&described["properties"]), names(answer), "{schema}");
    assert_eq!(names(&described["required"]), names(answer), "{schema}");
    for example in described["examples"].as_array().into_iter().flatten() {
        assert_eq!(names(example), names(answer), "{schema}");
    }
}

#[tokio::test]
async fn answers_have_the_members_described() {
    let service = Service::start().await;
    let alice = user("alice");
    let ok = |answer: &Answer| answer.json(StatusCode::OK);
    check_members("Identity", &ok(&service.get("/v1/me", &alice).send().await));
    check_members("Job", &service.submit(&alice, "echo").await);
    check_members("JobList", &ok(&service.get("/v1/jobs", &alice).send().await));
    let mut leased = ok(&service.post("/v1/worker/lease", &worker(), &json!({})).send().await);
    check_members("LeaseList", &leased);
    let leased = leased["jobs"][0].take();
    check_members("Job", &ok(&service.finish(&leased, "complete", json!({})).await));
    let usage = ok(&service.get("/v1/usage", &alice).send().await);
    check_members("UsageReport", &usage);
    check_members("UsageRow", &usage["usage"][0]);
    let problem = service.get("/v1/jobs/1", &alice).send().await;
    check_members("Problem", &serde_json::from_slice(&problem.body).unwrap());

    let description = description();
    let own = &description["components"]["schemas"]["LeasedJob"]["allOf"][1]["required"];
    let mut expected = names(&description["components"]["schemas"]["Job"]["required"]);
    expected.extend(names(own));
    assert_eq!(names(&leased), expected);
    let example = &description["components"]["schemas"]["Job"]["examples"][0];
    let job: Job = serde_json::from_value(example.clone()).unwrap();
    assert_eq!(serde_json::to_value(job).unwrap(), *example);
}

#[tokio::test]
async fn a_cursor_is_as_described() {
    let service = Service::start().await;
    for _ in 0..2 {
        service.submit(&user("alice"), "echo").await;
    }
    let page = service.get("/v1/jobs?limit=1", &user("alice")).send().await.json(StatusCode::OK);
    assert_eq!(page["next_cursor"].as_str().unwrap().len(), 34);
    assert!(openapi_json().contains("{34}$"));
}
