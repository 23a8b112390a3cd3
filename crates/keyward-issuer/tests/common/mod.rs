//! What every test of the issuer starts with.

#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use base64_simd::URL_SAFE_NO_PAD;
use keyward_issuer::{Issuer, IssuerConfig, SeedUser};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

pub(crate) const ALICE: &str = "alice@example.com";
pub(crate) const BOB: &str = "bob@example.com";
pub(crate) const PASSWORD: &str = "keyward-dev";

pub(crate) fn config() -> IssuerConfig {
    IssuerConfig { listen: ([127, 0, 0, 1], 0).into(), ..IssuerConfig::default() }
}

/// Without users: nothing to hash.
pub(crate) async fn start() -> Issuer {
    Issuer::start(config()).await.unwrap()
}

pub(crate) async fn start_with_users() -> Issuer {
    let users = vec![SeedUser::new(ALICE, PASSWORD), SeedUser::new(BOB, PASSWORD)];
    Issuer::start(IssuerConfig { users, ..config() }).await.unwrap()
}

/// Never through a proxy, never following redirects.
pub(crate) fn client() -> Client {
    let client = Client::builder().no_proxy();
    client.redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

/// A client of one issuer that speaks as supabase-js does.
pub(crate) struct Supabase {
    pub(crate) http: Client,
    pub(crate) url: String,
}

impl Supabase {
    pub(crate) fn new(issuer: &Issuer) -> Self {
        Self { http: client(), url: issuer.url().to_owned() }
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.versioned(self.http.post(format!("{}{path}", self.url)))
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.versioned(self.http.get(format!("{}{path}", self.url)))
    }

    pub(crate) fn put(&self, path: &str) -> RequestBuilder {
        self.versioned(self.http.put(format!("{}{path}", self.url)))
    }

    fn versioned(&self, request: RequestBuilder) -> RequestBuilder {
        request.header("x-supabase-api-version", "2024-01-01")
    }

    pub(crate) async fn sign_in(&self, email: &str, password: &str) -> Response {
        let body = json!({"email": email, "password": password});
        let request = self.post("/auth/v1/token?grant_type=password");
        request.json(&body).send().await.unwrap()
    }

    pub(crate) async fn session(&self, email: &str) -> Value {
        ok(self.sign_in(email, PASSWORD).await).await
    }

    pub(crate) async fn refresh(&self, refresh_token: &Value) -> Response {
        let body = json!({"refresh_token": refresh_token});
        let request = self.post("/auth/v1/token?grant_type=refresh_token");
        request.json(&body).send().await.unwrap()
    }

    pub(crate) async fn user(&self, access_token: &str) -> Response {
        let request = self.get("/auth/v1/user").bearer_auth(access_token);
        request.send().await.unwrap()
    }

    pub(crate) async fn logout(&self, session: &Value, scope: &str) -> Response {
        let request = self.post(&format!("/auth/v1/logout?scope={scope}"));
        request.bearer_auth(text(session, "access_token")).send().await.unwrap()
    }

    /// A development control, without any header that a browser would add.
    pub(crate) async fn control(&self, path: &str, body: Value) -> Value {
        let request = self.http.post(format!("{}{path}", self.url));
        ok(request.json(&body).send().await.unwrap()).await
    }

    pub(crate) async fn jwks(&self) -> Value {
        ok(self.get("/auth/v1/.well-known/jwks.json").send().await.unwrap()).await
    }
}

pub(crate) async fn ok(response: Response) -> Value {
    let status = response.status();
    let body = response.text().await.unwrap();
    assert_eq!(status, StatusCode::OK, "{body}");
    serde_json::from_str(&body).unwrap()
}

/// Status and code of an error in the newer shape.
pub(crate) async fn refusal(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    (status, text(&body, "code").to_owned())
}

pub(crate) fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_else(|| panic!("no text {member} in {value}"))
}

pub(crate) fn header(token: &str) -> Value {
    part(token, 0)
}

pub(crate) fn claims(token: &str) -> Value {
    part(token, 1)
}

fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&decode(part)).unwrap()
}

pub(crate) fn decode(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode_to_vec(text).unwrap()
}

/// The kids a set lists, sorted.
pub(crate) fn kids(set: &Value) -> Vec<String> {
    let keys = set["keys"].as_array().unwrap();
    let mut kids: Vec<_> = keys.iter().map(|key| text(key, "kid").to_owned()).collect();
    kids.sort();
    kids
}
