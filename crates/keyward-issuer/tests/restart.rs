//! Starting, stopping, and what survives in between.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::Path;

use common::*;
use keyward_issuer::{Issuer, IssuerConfig, IssuerError, Mint, Rotate, SeedUser, SigningAlgorithm};
use reqwest::StatusCode;

fn with_state(path: &Path) -> IssuerConfig {
    IssuerConfig { users: vec![SeedUser::new(ALICE, PASSWORD)], state_file: Some(path.to_owned()), ..config() }
}

#[tokio::test]
async fn keys_users_and_sessions_survive_a_restart_on_the_same_address() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("made/on/demand/issuer.json");
    let issuer = Issuer::start(with_state(&path)).await.unwrap();
    let supabase = Supabase::new(&issuer);
    let session = supabase.session(ALICE).await;
    let token = text(&session, "access_token");
    for name in ["RS256", "EdDSA", "ES384"] {
        let alg = SigningAlgorithm::from_name(name, None);
        issuer.rotate(Rotate { alg, ..Rotate::default() });
    }
    let withheld = Rotate { publish: keyward_issuer::Publish::Withheld, ..Rotate::default() };
    let withheld = issuer.rotate(withheld);
    let (kids, set, listen) = (issuer.kids(), supabase.jwks().await, issuer.address());
    issuer.stop().await;

    let config = IssuerConfig { listen, ..with_state(&path) };
    let issuer = Issuer::start(config).await.unwrap();
    assert_eq!(issuer.kids(), kids);
    assert_eq!(issuer.signing_kid(), withheld);
    let by_kid = |set: &serde_json::Value| {
        let mut keys = set["keys"].as_array().unwrap().clone();
        keys.sort_by_key(|key| text(key, "kid").to_owned());
        keys
    };
    assert_eq!(by_kid(&supabase.jwks().await), by_kid(&set));
    assert_eq!(supabase.user(token).await.status(), StatusCode::OK);
    let refreshed = ok(supabase.refresh(&session["refresh_token"]).await).await;
    assert_eq!(refreshed["user"]["id"], session["user"]["id"]);
    assert_eq!(claims(&issuer.mint(Mint::new()))["sub"], session["user"]["id"]);
}

#[tokio::test]
async fn a_symmetric_secret_survives_too() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("issuer.json");
    let algorithm = SigningAlgorithm::HS256("a secret of more than thirty-two bytes".to_owned());
    let config = || IssuerConfig { algorithm: algorithm.clone(), ..with_state(&path) };
    let issuer = Issuer::start(config()).await.unwrap();
    let kid = issuer.signing_kid();
    issuer.stop().await;
    assert_eq!(Issuer::start(config()).await.unwrap().signing_kid(), kid);
}

#[tokio::test]
async fn another_configured_algorithm_rotates_and_keeps_the_old_key() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("issuer.json");
    let issuer = Issuer::start(with_state(&path)).await.unwrap();
    let old = issuer.signing_kid();
    issuer.stop().await;
    let config = IssuerConfig { algorithm: SigningAlgorithm::EdDSA, ..with_state(&path) };
    let issuer = Issuer::start(config).await.unwrap();
    assert_eq!(header(&issuer.mint(Mint::new()))["alg"], "EdDSA");
    assert_eq!(issuer.kids(), [old, issuer.signing_kid()]);
}

#[tokio::test]
async fn a_seeded_password_wins_over_the_remembered_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("issuer.json");
    let issuer = Issuer::start(with_state(&path)).await.unwrap();
    let id = Supabase::new(&issuer).session(ALICE).await["user"]["id"].clone();
    issuer.stop().await;
    let users = vec![SeedUser::new(ALICE, "a new password")];
    let config = IssuerConfig { users, ..with_state(&path) };
    let issuer = Issuer::start(config).await.unwrap();
    let supabase = Supabase::new(&issuer);
    assert_eq!(supabase.sign_in(ALICE, PASSWORD).await.status(), StatusCode::BAD_REQUEST);
    let session = ok(supabase.sign_in(ALICE, "a new password").await).await;
    assert_eq!(session["user"]["id"], id);
}

#[cfg(unix)]
#[tokio::test]
async fn the_state_file_is_private_and_holds_no_password() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("issuer.json");
    let _issuer = Issuer::start(with_state(&path)).await.unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!std::fs::read_to_string(&path).unwrap().contains(PASSWORD));
    let files = std::fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(files, 1, "no temporary file is left");
}

#[tokio::test]
async fn a_broken_state_file_is_named_and_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("issuer.json");
    for broken in ["", "{}", "not json", r#"{"version":99}"#] {
        std::fs::write(&path, broken).unwrap();
        let error = Issuer::start(with_state(&path)).await.err().unwrap();
        assert!(matches!(error, IssuerError::State { .. }), "{error}");
        assert!(error.to_string().contains("issuer.json"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), broken);
    }
}

#[tokio::test]
async fn a_remote_address_needs_permission() {
    let listen = ([0, 0, 0, 0], 0).into();
    let refused = Issuer::start(IssuerConfig { listen, ..config() }).await.err().unwrap();
    assert!(matches!(refused, IssuerError::NotLoopback(_)));
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let issuer = start().await;
    let config = IssuerConfig { listen: issuer.address(), ..config() };
    let error = Issuer::start(config).await.err().unwrap();
    assert!(error.to_string().contains(&issuer.address().to_string()), "{error}");
}

#[tokio::test]
async fn unusable_seeds_are_refused() {
    for users in [
        vec![SeedUser::new("nobody", PASSWORD)],
        vec![SeedUser::new(ALICE, PASSWORD), SeedUser::new("ALICE@example.com", PASSWORD)],
    ] {
        let error = Issuer::start(IssuerConfig { users, ..config() }).await.err().unwrap();
        assert!(matches!(error, IssuerError::SeedUser(..)), "{error}");
    }
}

#[tokio::test]
async fn a_stopped_issuer_refuses_connections() {
    let issuer = start().await;
    let url = issuer.jwks_url();
    let http = client();
    assert_eq!(http.get(&url).send().await.unwrap().status(), StatusCode::OK);
    issuer.stop().await;
    let error = http.get(&url).send().await.unwrap_err();
    assert!(error.is_connect(), "{error:?}");
}

#[tokio::test]
async fn the_base_url_names_issuer_and_key_set() {
    let base_url = Some("https://project.example/".to_owned());
    let issuer = Issuer::start(IssuerConfig { base_url, ..config() }).await.unwrap();
    assert_eq!(issuer.url(), "https://project.example");
    assert_eq!(issuer.issuer(), "https://project.example/auth/v1");
    assert_eq!(claims(&issuer.mint(Mint::new()))["iss"], issuer.issuer());
}
