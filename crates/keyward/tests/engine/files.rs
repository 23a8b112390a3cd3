use std::time::Duration;

use keyward::jwk::KeySet;
use keyward::jwks::{CacheState, FailureKind};
use keyward::{Authenticator, BuildError, FetchOptions, IssuerConfig, KeySetError, KeySource, Reason, Verifier};
use keyward_issuer::{Issuer, Mint, Rotate};

use crate::setup::{Engine, eventually, from, issuer, token, verifier};

async fn published(issuer: &Issuer) -> KeySet {
    let source = KeySource::Url(issuer.jwks_url());
    keyward::fetch_key_set(&source, &FetchOptions::default(), Duration::from_secs(5)).await.unwrap()
}

fn has(engine: &Engine, kid: &str) -> bool {
    engine.auth.status()[0].snapshot.keys().has_kid(kid)
}

#[tokio::test]
async fn a_file_is_read_again_when_it_is_replaced_or_rewritten_and_kept_when_broken() {
    let issuer = issuer().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jwks.json");
    std::fs::write(&path, published(&issuer).await.to_json()).unwrap();
    let engine = Engine::loaded(from("a", &issuer.issuer(), KeySource::File(path.clone()))).await;
    assert!(engine.auth.verify(&token(&issuer)).await.is_ok());

    let renamed = issuer.rotate(Rotate::default());
    let next = directory.path().join("next.json");
    std::fs::write(&next, published(&issuer).await.to_json()).unwrap();
    std::fs::rename(&next, &path).unwrap();
    eventually("a replaced file is read", || has(&engine, &renamed)).await;

    let rewritten = issuer.rotate(Rotate::default());
    std::fs::write(&path, published(&issuer).await.to_json()).unwrap();
    eventually("a rewritten file is read", || has(&engine, &rewritten)).await;
    assert!(engine.auth.verify(&token(&issuer)).await.is_ok());

    for broken in ["", "{", r#"{"keys":[]}"#, "\u{0}"] {
        let before = engine.seen.refresh_failed();
        std::fs::write(&path, broken).unwrap();
        eventually("a broken file is noticed", || engine.seen.refresh_failed() > before).await;
        assert!(engine.at_once(&token(&issuer)).is_ok(), "{broken:?}");
    }
    std::fs::remove_file(&path).unwrap();
    assert_eq!(engine.auth.refresh("a").await, Some(false));
    assert_eq!(engine.seen.failures().last().unwrap().0, FailureKind::Body);
    let restored = issuer.rotate(Rotate { keep_previous: false, ..Rotate::default() });
    std::fs::write(&path, published(&issuer).await.to_json()).unwrap();
    eventually("a file that comes back is read", || has(&engine, &restored) && !has(&engine, &rewritten)).await;
}

#[tokio::test]
async fn what_is_no_regular_file_is_not_read() {
    for path in ["/dev/zero", "/proc", "/no/such/file"] {
        let source = KeySource::File(path.into());
        let fetched = keyward::fetch_key_set(&source, &FetchOptions::default(), Duration::from_secs(5)).await;
        let Err(KeySetError::Fetch(error)) = fetched else { panic!("{path}: {fetched:?}") };
        assert_eq!(error.kind, FailureKind::Body, "{path}: {error}");
        assert!(error.message.contains(path), "{error}");
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("large.json");
    std::fs::write(&path, vec![b' '; (1 << 20) + 1]).unwrap();
    let fetched =
        keyward::fetch_key_set(&KeySource::File(path), &FetchOptions::default(), Duration::from_secs(5)).await;
    assert!(matches!(fetched, Err(KeySetError::Fetch(error)) if error.message.contains("larger than 1 MiB")));
}

#[tokio::test]
async fn configured_keys_never_age() {
    let issuer = issuer().await;
    let keys = KeySource::Static(published(&issuer).await);
    let engine = Engine::build(|builder| builder.issuer(from("a", &issuer.issuer(), keys)));
    let long_lived = issuer.mint(Mint::new().expires_in(400 * 86_400));
    engine.clock.advance(Duration::from_secs(300 * 86_400));
    assert!(engine.at_once(&long_lived).is_ok());
    let status = &engine.auth.status()[0];
    assert_eq!((status.ready, status.state), (true, CacheState::Fresh));
    assert_eq!(engine.auth.refresh("a").await, None);
    let unknown = engine.at_once(&issuer.mint(Mint::new().header("kid", "x").expires_in(400 * 86_400))).unwrap_err();
    assert_eq!((unknown.reason(), unknown.fault().status()), (Reason::UnknownKid, 401));
}

#[tokio::test]
async fn a_secret_alone_is_enough_and_accepts_nothing_else() {
    let issuer = issuer().await;
    let secret = "a-secret-of-at-least-thirty-two-bytes";
    let verifier =
        Verifier::builder("a").issuer(issuer.issuer()).audience("authenticated").secret(secret).build().unwrap();
    let engine = Engine::build(|builder| builder.issuer(IssuerConfig::new(verifier, KeySource::None)));
    assert!(engine.auth.status()[0].ready);
    let symmetric = |secret: &str| issuer.mint(Mint { secret: Some(secret.to_owned()), ..Mint::new() });
    let token = symmetric(secret);
    assert!(engine.at_once(&token).is_ok() && engine.at_once(&token).is_ok());
    assert_eq!(engine.at_once(&symmetric("another")).unwrap_err().reason(), Reason::InvalidSignature);
    let refused = engine.at_once(&crate::setup::token(&issuer)).unwrap_err();
    assert_eq!((refused.reason(), refused.fault().status()), (Reason::UnsupportedAlg, 401), "it never will be");
}

#[tokio::test]
async fn an_engine_that_cannot_work_is_not_built() {
    let build = |configs: Vec<IssuerConfig>| {
        let builder = configs.into_iter().fold(Authenticator::builder(), |builder, config| builder.issuer(config));
        builder.build().map(drop).unwrap_err()
    };
    let config = |name: &str, keys| IssuerConfig::new(verifier(name, "iss"), keys);
    let url = || KeySource::Url("http://127.0.0.1:9/".to_owned());
    assert!(matches!(build(vec![]), BuildError::NoIssuer));
    assert!(
        matches!(build(vec![config("a", url()), config("a", url())]), BuildError::DuplicateIssuer(name) if name == "a")
    );
    assert!(matches!(build(vec![config("a", KeySource::None)]), BuildError::Nothing(_)));
    assert!(matches!(build(vec![config("a", KeySource::Static(KeySet::default()))]), BuildError::NoUsableKey { .. }));
    let remote = KeySource::Url("http://login.example/".to_owned());
    assert!(matches!(build(vec![config("a", remote)]), BuildError::Source { .. }));
}
