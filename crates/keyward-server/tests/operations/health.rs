use serde_json::json;

use crate::support::{Client, Setup, TestIssuer};

#[tokio::test]
async fn health_and_readiness_say_what_they_know() {
    let issuer = TestIssuer::start().await;
    let keyward = Setup::for_issuer(&issuer).start_ready().await;
    let health = keyward.get("/healthz", None).await;
    assert_eq!((health.status, health.json()), (200, json!({"status": "ok"})));
    let ready = keyward.get("/readyz", None).await;
    assert_eq!(ready.header("content-type"), Some("application/json"));
    let mut body = ready.json();
    let described = body["issuers"][0].as_object_mut().unwrap();
    assert!(described.remove("age_seconds").unwrap().as_u64().unwrap() < 30);
    assert!((3500..=3600).contains(&described.remove("fails_closed_in_seconds").unwrap().as_u64().unwrap()));
    assert_eq!(
        body,
        json!({"ready": true, "issuers": [
            {"name": "supabase", "ready": true, "state": "fresh", "key_count": 1, "last_refresh_succeeded": true},
        ]})
    );
    keyward.stop().await;
}

#[tokio::test]
async fn probes_can_have_an_address_of_their_own() {
    let issuer = TestIssuer::start().await;
    let setup = Setup::for_issuer(&issuer).set("KEYWARD_OPS_LISTEN", "127.0.0.1:0");
    let keyward = setup.start().await;
    let ops = Client::new(format!("http://{}", keyward.started["ops_listen"].as_str().unwrap()));
    for path in ["/healthz", "/metrics"] {
        assert_eq!(ops.get(path, None).await.status, 200, "{path}");
        assert_eq!(keyward.get(path, None).await.verdict(), (404, "not_found".to_owned()), "{path}");
    }
    assert_eq!(ops.get("/v1/me", Some(&issuer.token())).await.status, 404, "no API there");
    assert_eq!(keyward.verdict(&issuer.token()).await.0, 200);
    keyward.stop().await;
}
