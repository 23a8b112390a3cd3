use keyward_issuer::{Fault, Mint, SigningAlgorithm};
use serde_json::json;

use crate::support::{Keyward, Setup, TestIssuer, eventually};

const SECRET: &str = "a secret of at least thirty-two bytes";

fn unknown_kid() -> (u16, String) {
    (401, "unknown_kid".to_owned())
}

#[tokio::test]
async fn a_broken_key_is_named_and_the_others_serve() {
    let issuer = TestIssuer::start().await;
    let broken = vec![
        json!({"kty": "EC", "crv": "P-256", "kid": "off-the-curve", "x": "AQ", "y": "AQ"}),
        json!({"kty": "AKP", "alg": "ML-DSA-65", "kid": "of-tomorrow", "pub": "AQ"}),
        json!("no key"),
    ];
    issuer.set_fault(Some(Fault::extra_keys(broken)));
    let keyward = Setup::for_issuer(&issuer).start_ready().await;
    assert_eq!(keyward.verdict(&issuer.token()).await.0, 200);
    for kid in ["off-the-curve", "of-tomorrow"] {
        let named = keyward.log().wait_for("jwks_key_unusable", |event| event["kid"] == kid).await;
        assert!(!named["why"].as_str().unwrap().is_empty(), "{named}");
    }
    let page = keyward.metrics().await;
    assert_eq!(page.value("auth_jwks_keys", &[("state", "usable")]), 1.0);
    assert_eq!(page.value("auth_jwks_keys", &[("state", "unusable")]), 3.0);
    keyward.stop().await;
}

#[tokio::test]
async fn several_issuers_are_verified_each_with_its_own_keys() {
    let (issuer, discovered) = (TestIssuer::start().await, TestIssuer::start().await);
    let toml = format!(
        "[[issuers]]\nname = \"partner\"\nissuer = [\"{}\"]\ndiscovery = true\naudiences = [\"authenticated\"]\n",
        discovered.issuer()
    );
    let keyward = Setup::for_issuer(&issuer).config(&toml).start_ready().await;
    both_are_ready(&keyward).await;
    assert_eq!(keyward.verdict(&issuer.token()).await.0, 200);
    let me = keyward.get("/v1/me", Some(&discovered.token())).await;
    assert_eq!((me.status, me.json()["issuer"].as_str()), (200, Some("partner")));
    let crossed = issuer.mint(Mint::new().claim("iss", discovered.issuer()));
    assert_eq!(keyward.verdict(&crossed).await, unknown_kid(), "one issuer's key, the other's name");
    let crossed = discovered.mint(Mint::new().claim("iss", issuer.issuer()).header("kid", issuer.signing_kid()));
    assert_eq!(keyward.verdict(&crossed).await, (401, "invalid_signature".to_owned()));
    keyward.stop().await;
}

async fn both_are_ready(keyward: &Keyward) {
    eventually("both issuers are ready", async || {
        let ready = keyward.get("/readyz", None).await.json();
        let all = ready["issuers"].as_array()?.iter().all(|issuer| issuer["ready"] == true);
        (all && ready["issuers"].as_array()?.len() == 2).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_issuer_that_is_down_does_not_cost_the_others_users_the_service() {
    let (issuer, mut down) = (TestIssuer::start().await, TestIssuer::start().await);
    let toml = format!(
        "[[issuers]]\nname = \"partner\"\nissuer = [\"{}\"]\ndiscovery = true\naudiences = [\"authenticated\"]\n",
        down.issuer()
    );
    let token = down.token();
    down.stop().await;
    let keyward = Setup::for_issuer(&issuer).config(&toml).start_ready().await;
    eventually("ours work", async || (keyward.verdict(&issuer.token()).await.0 == 200).then_some(())).await;
    assert_eq!(keyward.verdict(&token).await, (503, "keys_unavailable".to_owned()));
    down.start_again().await;
    eventually("theirs work too", async || (keyward.verdict(&token).await.0 == 200).then_some(())).await;
    keyward.stop().await;
}

#[tokio::test]
async fn a_key_set_in_a_file_is_followed_when_it_changes() {
    let issuer = TestIssuer::start().await;
    let setup = Setup::new();
    let file = setup.path("jwks.json");
    let write = async || {
        let set = crate::support::Client::new(issuer.url()).get("/auth/v1/.well-known/jwks.json", None).await.body;
        // As tools that take care do it: a new file in place of the old one.
        std::fs::write(file.with_extension("new"), set).unwrap();
        std::fs::rename(file.with_extension("new"), &file).unwrap();
    };
    write().await;
    let toml = format!(
        "[[issuers]]\nname = \"local\"\nissuer = [\"{}\"]\njwks_file = \"{}\"\naudiences = [\"authenticated\"]\n",
        issuer.issuer(),
        file.display()
    );
    let keyward = setup.config(&toml).start_ready().await;
    let old = issuer.token();
    assert_eq!(keyward.verdict(&old).await.0, 200);
    issuer.rotate(keyward_issuer::Rotate { keep_previous: false, ..keyward_issuer::Rotate::default() });
    write().await;
    let new = issuer.token();
    eventually("the new key works", async || (keyward.verdict(&new).await.0 == 200).then_some(())).await;
    assert_eq!(keyward.verdict(&old).await, unknown_kid());
    std::fs::write(&file, "{").unwrap();
    let failed = keyward.log().first("jwks_refresh_failed").await;
    assert_eq!(failed["kind"], "parse");
    assert_eq!(keyward.verdict(&new).await.0, 200, "half a file empties nothing");
    keyward.stop().await;
}

#[tokio::test]
async fn a_project_that_still_signs_with_a_secret_works_though_its_key_set_is_empty() {
    let algorithm = SigningAlgorithm::HS256(SECRET.to_owned());
    let issuer = TestIssuer::start_with(|config| config.algorithm = algorithm).await;
    let keyward = Setup::for_issuer(&issuer).set("SUPABASE_JWT_SECRET", SECRET).start().await;
    let failed = keyward.log().first("jwks_refresh_failed").await;
    assert_eq!(failed["kind"], "empty");
    assert_eq!(keyward.get("/readyz", None).await.status, 200, "the secret is all it takes");
    assert_eq!(keyward.verdict(&issuer.token()).await.0, 200);
    let forged = issuer.mint(Mint { secret: Some("another secret of thirty-two bytes".to_owned()), ..Mint::new() });
    assert_eq!(keyward.verdict(&forged).await, (401, "invalid_signature".to_owned()));
    keyward.stop().await;
}

#[tokio::test]
async fn a_project_that_is_migrating_has_both() {
    let issuer = TestIssuer::start().await;
    let keyward = Setup::for_issuer(&issuer).set("SUPABASE_JWT_SECRET", SECRET).start_ready().await;
    assert_eq!(keyward.verdict(&issuer.token()).await.0, 200);
    let legacy = issuer.mint(Mint { secret: Some(SECRET.to_owned()), ..Mint::new() });
    assert_eq!(keyward.verdict(&legacy).await.0, 200);
    keyward.stop().await;
}
