use rustix::process::Signal;
use serde_json::json;

use crate::support::{Client, Setup, TestIssuer, eventually};

fn partner(issuer: &TestIssuer) -> String {
    format!(
        "[[issuers]]\nname = \"partner\"\nissuer = [\"{}\"]\njwks_url = \"{}\"\naudiences = [\"authenticated\"]\n",
        issuer.issuer(),
        issuer.jwks_url()
    )
}

#[tokio::test]
async fn a_hang_up_reads_the_file_again_and_refreshes_keys() {
    let (issuer, other) = (TestIssuer::start().await, TestIssuer::start().await);
    let setup = Setup::for_issuer(&issuer).config("");
    let keyward = setup.start_ready().await;
    let (own, partners) = (issuer.token(), other.token());
    assert_eq!(keyward.verdict(&own).await.0, 200);
    assert_eq!(keyward.verdict(&partners).await.0, 401);

    setup.write_config(&partner(&other));
    let refreshed = |issuer: &str, trigger: &str| {
        let events = keyward.log().named("jwks_refreshed");
        events.iter().filter(|event| event["issuer"] == issuer && event["trigger"] == trigger).count()
    };
    keyward.signal(Signal::HUP);
    keyward.log().first("configuration_reloaded").await;
    eventually("the partner is known", async || (keyward.verdict(&partners).await.0 == 200).then_some(())).await;
    assert_eq!(keyward.verdict(&own).await.0, 200);
    eventually("keys are refreshed", async || (refreshed("supabase", "operator") >= 1).then_some(())).await;
    let ready = keyward.get("/readyz", None).await.json();
    assert_eq!(json!([ready["issuers"][0]["name"], ready["issuers"][1]["name"]]), json!(["supabase", "partner"]));
    let page = keyward.metrics().await;
    assert!(page.value("auth_jwt_validations_total", &[("issuer", "partner"), ("outcome", "valid")]) >= 1.0);

    setup.write_config("[[issuers]]\nname = \"partner\"\n");
    keyward.signal(Signal::HUP);
    let rejected = keyward.log().first("configuration_rejected").await;
    assert!(rejected["error"].as_str().unwrap().contains("issuer"), "{rejected}");
    for token in [&own, &partners] {
        assert_eq!(keyward.verdict(token).await.0, 200, "the configuration before stays in force");
    }

    setup.write_config("");
    keyward.signal(Signal::HUP);
    eventually("the partner is gone", async || (keyward.verdict(&partners).await.0 == 401).then_some(())).await;
    assert_eq!(keyward.verdict(&own).await.0, 200);
    let series = async || keyward.get("/metrics", None).await.body.matches("issuer=\"partner\"").count();
    eventually("its series are gone", async || (series().await == 0).then_some(())).await;
    keyward.stop().await;
}

#[tokio::test]
async fn a_hang_up_changes_what_the_gateway_lets_pass() {
    let issuer = TestIssuer::start().await;
    let setup = Setup::for_issuer(&issuer).config("[gateway]\npreflight = true\n");
    let keyward = setup.start_ready().await;
    let preflight = async || {
        let request = keyward.client().request("OPTIONS", "/verify/default", None);
        let request = request.header("origin", "https://a.example").header("access-control-request-method", "POST");
        Client::send(request).await.status
    };
    assert_eq!(preflight().await, 200);
    setup.write_config("");
    keyward.signal(Signal::HUP);
    eventually("preflights need a token", async || (preflight().await == 401).then_some(())).await;
    keyward.stop().await;
}
