//! The key set, rotation, and minted tokens.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use aws_lc_rs::{
    rsa::PublicKeyComponents,
    signature::{self, RsaParameters, UnparsedPublicKey, VerificationAlgorithm},
};
use common::*;
use keyward_issuer::{Issuer, IssuerConfig, JwksOptions, Mint, MintError, Publish, Rotate, SigningAlgorithm};
use reqwest::StatusCode;
use serde_json::{Value, json};

/// Verifies a token with nothing but the published key, as a stranger would.
fn verifies(token: &str, jwk: &Value) -> bool {
    let (input, signature) = token.rsplit_once('.').unwrap();
    let (input, signature) = (input.as_bytes(), decode(signature));
    let member = |name: &str| decode(text(jwk, name));
    let rsa = |parameters: &'static RsaParameters| {
        let key = PublicKeyComponents { n: member("n"), e: member("e") };
        key.verify(parameters, input, &signature).is_ok()
    };
    let ecdsa = |algorithm: &'static dyn VerificationAlgorithm| {
        let point = [vec![4], member("x"), member("y")].concat();
        UnparsedPublicKey::new(algorithm, point).verify(input, &signature).is_ok()
    };
    match text(jwk, "alg") {
        "ES256" => ecdsa(&signature::ECDSA_P256_SHA256_FIXED),
        "ES384" => ecdsa(&signature::ECDSA_P384_SHA384_FIXED),
        "ES512" => ecdsa(&signature::ECDSA_P521_SHA512_FIXED),
        "RS256" => rsa(&signature::RSA_PKCS1_2048_8192_SHA256),
        "RS384" => rsa(&signature::RSA_PKCS1_2048_8192_SHA384),
        "RS512" => rsa(&signature::RSA_PKCS1_2048_8192_SHA512),
        "PS256" => rsa(&signature::RSA_PSS_2048_8192_SHA256),
        "PS384" => rsa(&signature::RSA_PSS_2048_8192_SHA384),
        "PS512" => rsa(&signature::RSA_PSS_2048_8192_SHA512),
        _ => {
            let key = UnparsedPublicKey::new(&signature::ED25519, member("x"));
            key.verify(input, &signature).is_ok()
        }
    }
}

fn key<'a>(set: &'a Value, kid: &str) -> &'a Value {
    let keys = set["keys"].as_array().unwrap();
    keys.iter().find(|key| key["kid"] == kid).unwrap_or_else(|| panic!("no {kid} in {set}"))
}

#[tokio::test]
async fn every_algorithm_is_published_so_that_its_tokens_verify() {
    let issuer = start().await;
    for name in ["ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA", "Ed25519"] {
        let alg = SigningAlgorithm::from_name(name, None);
        let kid = issuer.rotate(Rotate { alg, keep_previous: false, ..Rotate::default() });
        let set = Supabase::new(&issuer).jwks().await;
        let token = issuer.mint(Mint::new());
        assert_eq!(header(&token)["alg"], name);
        assert_eq!(kids(&set), [&*kid]);
        assert!(verifies(&token, key(&set, &kid)), "{name}");
        let (input, signature) = token.rsplit_once('.').unwrap();
        let forged = format!("{input}x.{signature}");
        assert!(!verifies(&forged, key(&set, &kid)), "{name}");
    }
}

#[tokio::test]
async fn keys_look_as_the_real_server_lists_them() {
    let issuer = start().await;
    let set = Supabase::new(&issuer).jwks().await;
    let key = set["keys"][0].as_object().unwrap();
    let names: Vec<_> = key.keys().map(String::as_str).collect();
    assert_eq!(names, ["alg", "crv", "ext", "key_ops", "kid", "kty", "use", "x", "y"]);
    assert_eq!(key["key_ops"], json!(["verify"]));
    assert_eq!((&key["use"], &key["ext"]), (&json!("sig"), &json!(true)));
}

#[tokio::test]
async fn the_key_set_has_no_etag_and_no_head_as_on_the_real_server() {
    let issuer = start().await;
    let response = client().get(issuer.jwks_url()).send().await.unwrap();
    assert_eq!(response.headers()["cache-control"], "public, max-age=600");
    assert!(!response.headers().contains_key("etag"));
    let head = client().head(issuer.jwks_url()).send().await.unwrap();
    assert_eq!(head.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(issuer.jwks_requests(), 1);
}

#[tokio::test]
async fn an_etag_can_be_turned_on_and_is_honoured_until_the_keys_change() {
    let issuer = start().await;
    issuer.rotate(Rotate::default());
    issuer.set_jwks_options(JwksOptions { etag: true, max_age_seconds: None });
    let first = client().get(issuer.jwks_url()).send().await.unwrap();
    assert!(!first.headers().contains_key("cache-control"));
    let etag = first.headers()["etag"].clone();
    let conditional = || client().get(issuer.jwks_url()).header("if-none-match", &etag).send();
    let unchanged = conditional().await.unwrap();
    assert_eq!(unchanged.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(unchanged.headers()["etag"], etag);
    issuer.rotate(Rotate::default());
    assert_eq!(conditional().await.unwrap().status(), StatusCode::OK);
    assert_eq!(issuer.jwks_requests(), 3);
}

#[tokio::test]
async fn a_symmetric_key_is_never_listed() {
    let algorithm = SigningAlgorithm::HS256("a secret of more than thirty-two bytes".to_owned());
    let issuer = Issuer::start(IssuerConfig { algorithm, ..config() }).await.unwrap();
    let supabase = Supabase::new(&issuer);
    assert_eq!(supabase.jwks().await, json!({"keys": []}));
    let session = ok(supabase.post("/auth/v1/signup").body("{}").send().await.unwrap()).await;
    let token = text(&session, "access_token");
    assert_eq!(header(token)["alg"], "HS256");
    assert!(header(token)["kid"].is_string());
    assert_eq!(supabase.user(token).await.status(), StatusCode::OK);
    assert_eq!(issuer.kids(), Vec::<String>::new());
}

#[tokio::test]
async fn rotation_keeps_the_previous_key_until_it_is_withdrawn() {
    let issuer = start().await;
    let supabase = Supabase::new(&issuer);
    let old = issuer.signing_kid();
    let answer = supabase.control("/dev/rotate", json!({"alg": "RS256"})).await;
    let new = text(&answer, "kid").to_owned();
    assert_eq!(answer["kids"], json!([old, new]));
    assert_eq!(issuer.signing_kid(), new);
    assert_eq!(header(&issuer.mint(Mint::new()))["alg"], "RS256");

    let withdrawn = supabase.control("/dev/withdraw", json!({"kid": old})).await;
    assert_eq!(withdrawn["kids"], json!([new]));
    assert_eq!(kids(&supabase.jwks().await), [&*new]);

    let emergency = supabase.control("/dev/rotate", json!({"keep_previous": false})).await;
    assert_eq!(emergency["kids"], json!([emergency["kid"]]));
    assert_eq!(header(&issuer.mint(Mint::new()))["alg"], "RS256");
}

#[tokio::test]
async fn a_withheld_key_signs_before_it_is_listed() {
    let issuer = start().await;
    let supabase = Supabase::new(&issuer);
    let old = issuer.signing_kid();
    let answer = supabase.control("/dev/rotate", json!({"publish": false})).await;
    let new = text(&answer, "kid").to_owned();
    assert_eq!(header(&issuer.mint(Mint::new()))["kid"], new);
    assert_eq!(kids(&supabase.jwks().await), [&*old]);
    let published = supabase.control("/dev/publish", json!({"kid": new})).await;
    assert_eq!(published["kids"], json!([old, new]));
}

#[tokio::test]
async fn a_key_can_be_listed_late() {
    let issuer = start().await;
    let soon = issuer.rotate(Rotate { publish: Publish::After(std::time::Duration::ZERO), ..Rotate::default() });
    assert!(issuer.kids().contains(&soon));
    let supabase = Supabase::new(&issuer);
    let late = supabase.control("/dev/rotate", json!({"publish": 3600})).await;
    assert!(!issuer.kids().contains(&text(&late, "kid").to_owned()));
}

#[tokio::test]
async fn a_minted_token_says_what_it_was_told() {
    let issuer = start_with_users().await;
    let supabase = Supabase::new(&issuer);
    let order = json!({
        "header": {"typ": "at+jwt", "x": null},
        "claims": {"aud": ["a", "b"], "email": null, "custom": {"n": 1}},
        "omit_header": ["kid"],
        "omit": ["phone", "iat"],
        "expires_in": -60,
        "user": BOB,
    });
    let token = supabase.control("/dev/mint", order).await;
    let token = text(&token, "token");
    assert_eq!(header(token), json!({"alg": "ES256", "typ": "at+jwt", "x": null}));
    let claims = claims(token);
    assert_eq!(claims["aud"], json!(["a", "b"]));
    assert_eq!(claims["custom"], json!({"n": 1}));
    assert!(claims.as_object().unwrap().contains_key("email"));
    assert!(claims["email"].is_null());
    assert!(claims.get("phone").is_none() && claims.get("iat").is_none());
    let bob = supabase.session(BOB).await;
    assert_eq!(claims["sub"], bob["user"]["id"]);
    assert!(verifies(token, &supabase.jwks().await["keys"][0]));
}

#[tokio::test]
async fn an_ordinary_minted_token_speaks_for_the_first_user() {
    let issuer = start_with_users().await;
    let token = issuer.mint(Mint::new());
    assert_eq!(claims(&token)["email"], ALICE);
    assert_eq!(claims(&token)["iss"], issuer.issuer());
}

#[tokio::test]
async fn a_minted_token_can_be_signed_with_any_key() {
    let issuer = start().await;
    let old = issuer.signing_kid();
    let rsa = issuer.rotate(Rotate { alg: Some(SigningAlgorithm::RS256), ..Rotate::default() });
    let set = Supabase::new(&issuer).jwks().await;
    issuer.withdraw(&old);

    assert!(verifies(&issuer.mint(Mint::new().kid(&old)), key(&set, &old)));
    let by_alg = issuer.mint(Mint { alg: Some("ES256".to_owned()), ..Mint::new() });
    assert!(verifies(&by_alg, key(&set, &old)));
    let pss = issuer.mint(Mint { alg: Some("PS384".to_owned()), ..Mint::new() });
    assert_eq!(header(&pss)["alg"], "PS384");
    assert_eq!(header(&pss)["kid"], rsa);
    assert!(!verifies(&pss, key(&set, &rsa)), "the key is published for RS256");
    let lying = issuer.mint(Mint::new().kid(&rsa).header("kid", old.as_str()));
    assert_eq!(header(&lying)["kid"], old);
    assert!(verifies(&lying, key(&set, &rsa)));
}

#[tokio::test]
async fn a_minted_token_can_be_signed_with_a_secret_or_not_at_all() {
    let issuer = start().await;
    let hmac = issuer.mint(Mint { secret: Some("secret".to_owned()), ..Mint::new() });
    assert_eq!(header(&hmac), json!({"alg": "HS256", "typ": "JWT"}));
    let (input, signature) = hmac.rsplit_once('.').unwrap();
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, b"secret");
    aws_lc_rs::hmac::verify(&key, input.as_bytes(), &decode(signature)).unwrap();

    let none = issuer.mint(Mint { alg: Some("none".to_owned()), ..Mint::new() });
    assert_eq!(header(&none)["alg"], "none");
    assert!(none.ends_with('.'));
}

#[tokio::test]
async fn raw_text_is_signed_as_it_is() {
    let issuer = start().await;
    let raw = r#"{"sub":"a","sub":"b","exp":1e400}"#;
    let token = issuer.mint(Mint { raw_claims: Some(raw.to_owned()), ..Mint::new() });
    assert_eq!(decode(token.split('.').nth(1).unwrap()), raw.as_bytes());
    assert!(verifies(&token, &Supabase::new(&issuer).jwks().await["keys"][0]));
}

#[tokio::test]
async fn an_order_that_cannot_be_met_is_refused() {
    let issuer = start().await;
    let unknown = issuer.try_mint(Mint::new().kid("nope"));
    assert_eq!(unknown, Err(MintError::UnknownKid("nope".to_owned())));
    for order in [
        json!({"kid": "nope"}),
        json!({"alg": "RS256"}),
        json!({"alg": "XX1"}),
        json!({"user": "nobody@example.com"}),
        json!({"kid": issuer.signing_kid(), "alg": "RS256"}),
        json!({"clams": {}}),
    ] {
        let url = format!("{}/dev/mint", issuer.url());
        let response = client().post(url).json(&order).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{order}");
    }
}

#[tokio::test]
async fn a_service_token_has_a_subject_and_no_session() {
    let issuer = start().await;
    let token = issuer.service_role_token(std::time::Duration::from_secs(60));
    let claims = claims(&token);
    assert_eq!(claims["role"], "service_role");
    assert!(claims["sub"].is_string());
    assert!(claims.get("session_id").is_none());
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 60);
}

#[tokio::test]
async fn the_controls_refuse_a_web_page() {
    let issuer = start().await;
    let request = client().post(format!("{}/dev/mint", issuer.url()));
    let response = request.header("origin", "https://evil.example").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_control_without_a_body_takes_every_default() {
    let issuer = start().await;
    let response = client().post(format!("{}/dev/rotate", issuer.url())).send().await.unwrap();
    assert_eq!(ok(response).await["kids"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn an_unknown_kid_cannot_be_published() {
    let issuer = start().await;
    let request = client().post(format!("{}/dev/publish", issuer.url()));
    let response = request.json(&json!({"kid": "nope"})).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert!(!issuer.publish("nope"));
}
