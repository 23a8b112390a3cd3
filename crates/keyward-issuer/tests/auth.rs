//! Sign-up, sign-in, refresh, user and sign-out over a real socket.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::*;
use keyward_issuer::{Issuer, IssuerConfig, Mint, SeedUser};
use reqwest::StatusCode;
use serde_json::{Value, json};

#[tokio::test]
async fn a_password_gives_the_session_that_the_real_server_gives() {
    let issuer = start_with_users().await;
    let session = Supabase::new(&issuer).session(ALICE).await;

    assert_eq!(session["token_type"], "bearer");
    assert_eq!(session["expires_in"], 3600);
    assert!(!text(&session, "refresh_token").is_empty());
    assert_eq!(session["user"]["email"], ALICE);
    assert_eq!(session["user"]["identities"][0]["provider"], "email");

    let token = text(&session, "access_token");
    let header = header(token);
    assert_eq!(header, json!({"alg": "ES256", "kid": issuer.signing_kid(), "typ": "JWT"}));

    let claims = claims(token);
    let mut names: Vec<_> = claims.as_object().unwrap().keys().collect();
    names.sort();
    let expected = [
        "aal",
        "amr",
        "app_metadata",
        "aud",
        "email",
        "exp",
        "iat",
        "is_anonymous",
        "iss",
        "phone",
        "role",
        "session_id",
        "sub",
        "user_metadata",
    ];
    assert_eq!(names, expected);
    let issued_at = claims["iat"].as_i64().unwrap();
    assert_eq!(claims["iss"], issuer.issuer());
    assert_eq!(claims["sub"], session["user"]["id"]);
    assert_eq!(claims["aud"], "authenticated");
    assert_eq!(claims["role"], "authenticated");
    assert_eq!(claims["exp"], issued_at + 3600);
    assert_eq!(claims["exp"], session["expires_at"]);
    assert_eq!(claims["phone"], "");
    assert_eq!(claims["aal"], "aal1");
    assert_eq!(claims["amr"], json!([{"method": "password", "timestamp": issued_at}]));
    assert_eq!(claims["is_anonymous"], false);
    assert_eq!(claims["app_metadata"], json!({"provider": "email", "providers": ["email"]}));
}

#[tokio::test]
async fn the_email_is_compared_without_regard_to_case() {
    let issuer = start_with_users().await;
    let response = Supabase::new(&issuer).sign_in("Alice@Example.COM", PASSWORD).await;
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn wrong_and_unknown_credentials_are_refused_alike() {
    let issuer = start_with_users().await;
    let supabase = Supabase::new(&issuer);
    for (email, password) in [(ALICE, "wrong"), ("nobody@example.com", PASSWORD), (ALICE, "")] {
        let refused = refusal(supabase.sign_in(email, password).await).await;
        assert_eq!(refused, (400, "invalid_credentials".to_owned()), "{email}");
    }
}

#[tokio::test]
async fn errors_have_both_shapes() {
    let issuer = start().await;
    let supabase = Supabase::new(&issuer);
    let body = json!({"email": ALICE, "password": "wrong"});

    let new = supabase.sign_in(ALICE, "wrong").await;
    assert_eq!(new.headers()["x-supabase-api-version"], "2024-01-01");
    assert_eq!(new.headers()["x-sb-error-code"], "invalid_credentials");
    let new: Value = new.json().await.unwrap();
    assert_eq!(new, json!({"code": "invalid_credentials", "message": "Invalid login credentials"}));

    let url = format!("{}/auth/v1/token?grant_type=password", issuer.url());
    let old = supabase.http.post(url).json(&body).send().await.unwrap();
    assert_eq!(old.status(), StatusCode::BAD_REQUEST);
    assert!(!old.headers().contains_key("x-supabase-api-version"));
    let old: Value = old.json().await.unwrap();
    let expected = json!({"code": 400, "error_code": "invalid_credentials", "msg": "Invalid login credentials"});
    assert_eq!(old, expected);
}

#[tokio::test]
async fn bad_requests_name_what_is_wrong() {
    let issuer = start_with_users().await;
    let supabase = Supabase::new(&issuer);
    let password = "/auth/v1/token?grant_type=password";
    let refresh = "/auth/v1/token?grant_type=refresh_token";
    for (path, body, status, code) in [
        (password, r#"{"password":"x"}"#, 400, "validation_failed"),
        (password, "not json", 400, "bad_json"),
        (password, r#"{"email":7}"#, 400, "bad_json"),
        (refresh, "{}", 400, "validation_failed"),
        (refresh, r#"{"refresh_token":"unknown"}"#, 400, "refresh_token_not_found"),
        ("/auth/v1/token", "{}", 400, "invalid_credentials"),
        ("/auth/v1/token?grant_type=magic", "{}", 400, "invalid_credentials"),
        ("/auth/v1/signup", r#"{"email":"new@example.com"}"#, 400, "validation_failed"),
        ("/auth/v1/signup", r#"{"email":"new","password":"long enough"}"#, 400, "validation_failed"),
        ("/auth/v1/signup", r#"{"email":"new@example.com","password":"short"}"#, 422, "weak_password"),
        ("/auth/v1/signup", r#"{"email":"ALICE@example.com","password":"long enough"}"#, 422, "user_already_exists"),
        ("/auth/v1/logout?scope=universe", "", 400, "validation_failed"),
        ("/auth/v1/logout", "", 401, "no_authorization"),
    ] {
        let response = supabase.post(path).body(body).send().await.unwrap();
        assert_eq!(refusal(response).await, (status, code.to_owned()), "{path} {body}");
    }
}

#[tokio::test]
async fn a_weak_password_tells_why() {
    let issuer = start().await;
    let body = json!({"email": "new@example.com", "password": "short"});
    let response = Supabase::new(&issuer).post("/auth/v1/signup").json(&body).send().await.unwrap();
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["weak_password"], json!({"reasons": ["length"]}));
}

#[tokio::test]
async fn signing_up_signs_in() {
    let issuer = start().await;
    let supabase = Supabase::new(&issuer);
    let body = json!({"email": "new@example.com", "password": PASSWORD, "data": {"name": "New"}});
    let session = ok(supabase.post("/auth/v1/signup").json(&body).send().await.unwrap()).await;
    assert_eq!(session["user"]["user_metadata"]["name"], "New");
    assert_eq!(supabase.sign_in("new@example.com", PASSWORD).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn an_anonymous_user_has_a_session_and_no_email() {
    let issuer = start().await;
    let supabase = Supabase::new(&issuer);
    let session = ok(supabase.post("/auth/v1/signup").body("{}").send().await.unwrap()).await;
    let claims = claims(text(&session, "access_token"));
    assert_eq!(claims["is_anonymous"], true);
    assert_eq!(claims["email"], "");
    assert_eq!(claims["role"], "authenticated");
    assert_eq!(claims["amr"][0]["method"], "anonymous");
    assert_eq!(claims["app_metadata"], json!({}));
    assert_eq!(session["user"]["is_anonymous"], true);
}

#[tokio::test]
async fn an_anonymous_user_becomes_a_permanent_one() {
    let issuer = start().await;
    let supabase = Supabase::new(&issuer);
    let session = ok(supabase.post("/auth/v1/signup").body("{}").send().await.unwrap()).await;
    let update = supabase.put("/auth/v1/user").bearer_auth(text(&session, "access_token"));
    let update = update.json(&json!({"email": "late@example.com", "password": PASSWORD}));
    let user = ok(update.send().await.unwrap()).await;
    assert_eq!(user["is_anonymous"], false);
    let later = supabase.session("late@example.com").await;
    assert_eq!(later["user"]["id"], session["user"]["id"]);
}

#[tokio::test]
async fn a_refresh_gives_a_new_pair_for_the_same_session() {
    let issuer = start_with_users().await;
    let supabase = Supabase::new(&issuer);
    let first = supabase.session(ALICE).await;
    let second = ok(supabase.refresh(&first["refresh_token"]).await).await;
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    let session = |pair: &Value| claims(text(pair, "access_token"))["session_id"].clone();
    assert_eq!(session(&first), session(&second));
    let again = ok(supabase.refresh(&first["refresh_token"]).await).await;
    assert_eq!(again["refresh_token"], second["refresh_token"]);
}

#[tokio::test]
async fn a_stolen_refresh_token_ends_the_session() {
    let users = vec![SeedUser::new(ALICE, PASSWORD)];
    let config = IssuerConfig { users, refresh_token_reuse_seconds: 0, ..config() };
    let issuer = Issuer::start(config).await.unwrap();
    let supabase = Supabase::new(&issuer);
    let first = supabase.session(ALICE).await;
    let second = ok(supabase.refresh(&first["refresh_token"]).await).await;
    let third = ok(supabase.refresh(&second["refresh_token"]).await).await;
    for token in [&first["refresh_token"], &third["refresh_token"]] {
        let refused = refusal(supabase.refresh(token).await).await;
        assert_eq!(refused, (400, "refresh_token_already_used".to_owned()));
    }
}

#[tokio::test]
async fn the_user_route_wants_a_token_of_a_living_session() {
    let issuer = start_with_users().await;
    let supabase = Supabase::new(&issuer);
    let session = supabase.session(ALICE).await;
    let token = text(&session, "access_token");

    let user = ok(supabase.user(token).await).await;
    assert_eq!(user["email"], ALICE);
    assert_eq!(user["id"], session["user"]["id"]);

    let expired = issuer.mint(Mint::new().expires_in(-1));
    let foreign = issuer.mint(Mint { secret: Some("another issuer".to_owned()), ..Mint::new() });
    let (input, _) = token.rsplit_once('.').unwrap();
    let unsigned = format!("{input}.");
    for bad in ["garbage", "a.b.c", &expired, &foreign, &unsigned] {
        let refused = refusal(supabase.user(bad).await).await;
        assert_eq!(refused, (403, "bad_jwt".to_owned()), "{bad}");
    }

    let sessionless = issuer.mint(Mint::new());
    let refused = refusal(supabase.user(&sessionless).await).await;
    assert_eq!(refused, (403, "session_not_found".to_owned()));

    let nobody = supabase.get("/auth/v1/user").send().await.unwrap();
    assert_eq!(refusal(nobody).await, (401, "no_authorization".to_owned()));
}

#[tokio::test]
async fn a_token_under_a_withdrawn_key_is_a_bad_jwt() {
    let issuer = start_with_users().await;
    let supabase = Supabase::new(&issuer);
    let session = supabase.session(ALICE).await;
    issuer.withdraw(&issuer.signing_kid());
    let refused = refusal(supabase.user(text(&session, "access_token")).await).await;
    assert_eq!(refused, (403, "bad_jwt".to_owned()));
}

#[tokio::test]
async fn each_logout_scope_ends_its_sessions() {
    let issuer = start_with_users().await;
    let supabase = Supabase::new(&issuer);
    for (scope, here, elsewhere) in [("local", false, true), ("others", true, false), ("global", false, false)] {
        let (current, other) = (supabase.session(ALICE).await, supabase.session(ALICE).await);
        let bystander = supabase.session(BOB).await;
        let response = supabase.logout(&current, scope).await;
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        for (session, lives) in [(&current, here), (&other, elsewhere), (&bystander, true)] {
            let user = supabase.user(text(session, "access_token")).await;
            assert_eq!(user.status() == StatusCode::OK, lives, "{scope}");
            let refreshed = supabase.refresh(&session["refresh_token"]).await;
            assert_eq!(refreshed.status() == StatusCode::OK, lives, "{scope}");
        }
    }
}

#[tokio::test]
async fn signing_out_twice_finds_no_session() {
    let issuer = start_with_users().await;
    let supabase = Supabase::new(&issuer);
    let session = supabase.session(ALICE).await;
    supabase.logout(&session, "global").await;
    let refused = refusal(supabase.logout(&session, "global").await).await;
    assert_eq!(refused, (403, "session_not_found".to_owned()));
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions() {
    let issuer = start_with_users().await;
    let supabase = Supabase::new(&issuer);
    let (current, other) = (supabase.session(ALICE).await, supabase.session(ALICE).await);
    let change = |password: &str| {
        let request = supabase.put("/auth/v1/user").bearer_auth(text(&current, "access_token"));
        request.json(&json!({"password": password})).send()
    };
    let refused = refusal(change(PASSWORD).await.unwrap()).await;
    assert_eq!(refused, (422, "same_password".to_owned()));
    ok(change("another one").await.unwrap()).await;

    let kept = supabase.user(text(&current, "access_token")).await;
    assert_eq!(kept.status(), StatusCode::OK);
    let refused = refusal(supabase.user(text(&other, "access_token")).await).await;
    assert_eq!(refused, (403, "session_not_found".to_owned()));
    assert_eq!(supabase.sign_in(ALICE, PASSWORD).await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(supabase.sign_in(ALICE, "another one").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn user_metadata_is_merged_and_reaches_the_next_token() {
    let issuer = start_with_users().await;
    let supabase = Supabase::new(&issuer);
    let session = supabase.session(ALICE).await;
    let update = supabase.put("/auth/v1/user").bearer_auth(text(&session, "access_token"));
    let update = update.json(&json!({"data": {"theme": "dark", "email_verified": null}}));
    ok(update.send().await.unwrap()).await;
    let next = ok(supabase.refresh(&session["refresh_token"]).await).await;
    let claims = claims(text(&next, "access_token"));
    assert_eq!(claims["user_metadata"], json!({"theme": "dark"}));
}

#[tokio::test]
async fn a_browser_may_call_from_any_page() {
    let issuer = start_with_users().await;
    let preflight = client()
        .request(reqwest::Method::OPTIONS, format!("{}/auth/v1/token", issuer.url()))
        .header("origin", "https://app.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "apikey,authorization,x-client-info")
        .send()
        .await
        .unwrap();
    assert_eq!(preflight.status(), StatusCode::OK);
    assert_eq!(preflight.headers()["access-control-allow-origin"], "*");
    let allowed = preflight.headers()["access-control-allow-headers"].to_str().unwrap();
    for name in ["apikey", "authorization", "content-type", "x-client-info", "x-supabase-api-version"] {
        assert!(allowed.contains(name), "{name} is missing from {allowed}");
    }
    let refused = Supabase::new(&issuer).sign_in(ALICE, "wrong").await;
    assert_eq!(refused.headers()["access-control-allow-origin"], "*");
}

#[tokio::test]
async fn the_issuer_describes_itself() {
    let issuer = start().await;
    let supabase = Supabase::new(&issuer);
    let discovery = "/auth/v1/.well-known/openid-configuration";
    let discovery = ok(supabase.get(discovery).send().await.unwrap()).await;
    assert_eq!(discovery["issuer"], issuer.issuer());
    assert_eq!(discovery["jwks_uri"], issuer.jwks_url());
    let settings = ok(supabase.get("/auth/v1/settings").send().await.unwrap()).await;
    assert_eq!(settings["external"]["anonymous_users"], true);
    let health = ok(supabase.get("/auth/v1/health").send().await.unwrap()).await;
    assert!(!text(&health, "version").is_empty());
}

#[tokio::test]
async fn a_seeded_user_has_the_role_and_metadata_it_was_given() {
    let mut seed = SeedUser::new("worker@example.com", PASSWORD);
    seed.role = "service_role".to_owned();
    seed.app_metadata = json!({"roles": ["worker"]});
    let issuer = Issuer::start(IssuerConfig { users: vec![seed], ..config() }).await.unwrap();
    let session = Supabase::new(&issuer).session("worker@example.com").await;
    let claims = claims(text(&session, "access_token"));
    assert_eq!(claims["role"], "service_role");
    assert_eq!(claims["app_metadata"]["roles"], json!(["worker"]));
    assert_eq!(claims["app_metadata"]["provider"], "email");
}
