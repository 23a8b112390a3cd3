//! Attacks over HTTP: tokens, credentials and connections that must do no harm.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use base64_simd::URL_SAFE_NO_PAD;
use keyward_issuer::Mint;
use serde_json::{Value, json};
use support::raw::{self, Raw};
use support::{Client, Keyward, Setup, TestIssuer, secrets};

/// A token, its name in messages, and the reason it is refused for.
type Attack = (&'static str, String, &'static str);

fn minted(issuer: &TestIssuer, change: impl FnOnce(Mint) -> Mint) -> String {
    issuer.mint(change(Mint::new()))
}

fn with_alg(alg: &str) -> Mint {
    Mint { alg: Some(alg.to_owned()), ..Mint::new() }
}

/// The parts of a good token, changed after it was signed.
fn forged(issuer: &TestIssuer, change: impl FnOnce(&mut [String])) -> String {
    let mut parts: Vec<String> = issuer.token().split('.').map(str::to_owned).collect();
    change(&mut parts);
    parts.join(".")
}

fn encode(text: &str) -> String {
    URL_SAFE_NO_PAD.encode_to_string(text)
}

fn on_the_algorithm(issuer: &TestIssuer) -> Vec<Attack> {
    let public_key = issuer.signing_kid();
    let hmac = |secret: &str| Mint { secret: Some(secret.to_owned()), ..Mint::new() };
    let mut attacks = vec![
        ("none", issuer.mint(with_alg("none")), "unsupported_alg"),
        (
            "HS256 with the kid as its secret",
            issuer.mint(hmac(&public_key).header("kid", public_key.clone())),
            "unsupported_alg",
        ),
        ("HS256 with an empty secret", issuer.mint(hmac("")), "unsupported_alg"),
        ("an algorithm of nobody", minted(issuer, |mint| mint.header("alg", "XS256")), "unsupported_alg"),
        ("the algorithm of another kind of key", minted(issuer, |mint| mint.header("alg", "RS256")), "alg_mismatch"),
        ("the algorithm of another curve", minted(issuer, |mint| mint.header("alg", "ES384")), "alg_mismatch"),
        ("no algorithm", minted(issuer, |mint| mint.without_header("alg")), "malformed_token"),
        ("a number as algorithm", minted(issuer, |mint| mint.header("alg", 256)), "malformed_token"),
    ];
    for none in ["None", "NONE", "nOnE"] {
        attacks.push(("a spelling of none", issuer.mint(with_alg("none").header("alg", none)), "unsupported_alg"));
    }
    attacks
}

fn on_the_key(issuer: &TestIssuer) -> Vec<Attack> {
    let own_key = json!({"kty": "EC", "crv": "P-256", "x": encode(&"x".repeat(32)), "y": encode(&"y".repeat(32))});
    let mut attacks = vec![
        ("an unknown kid", issuer.token_of_unknown_key(), "unknown_kid"),
        ("a kid that is a path", minted(issuer, |mint| mint.header("kid", "../../../dev/null")), "unknown_kid"),
        ("a kid that is SQL", minted(issuer, |mint| mint.header("kid", "' OR 1=1 --")), "unknown_kid"),
        (
            "a kid with a line break",
            minted(issuer, |mint| mint.header("kid", "a\nlevel=info event=fake")),
            "unknown_kid",
        ),
        ("a kid without end", minted(issuer, |mint| mint.header("kid", "k".repeat(8000))), "unknown_kid"),
        ("a kid that is an object", minted(issuer, |mint| mint.header("kid", json!({}))), "malformed_token"),
        ("crit", minted(issuer, |mint| mint.header("crit", json!(["exp"]))), "unsupported_crit"),
        ("crit of nothing", minted(issuer, |mint| mint.header("crit", json!([]))), "unsupported_crit"),
        ("b64", minted(issuer, |mint| mint.header("crit", json!(["b64"])).header("b64", false)), "unsupported_crit"),
    ];
    for (name, value) in [
        ("jwk", own_key),
        ("jku", json!(format!("{}/evil.json", issuer.url()))),
        ("x5u", json!("https://evil.example/cert.pem")),
        ("x5c", json!(["MIIB"])),
    ] {
        let key = minted(issuer, |mint| mint.header(name, value.clone()).header("kid", format!("mine-{name}")));
        attacks.push(("a key that comes along", key, "unknown_kid"));
    }
    attacks
}

fn on_the_signature(issuer: &TestIssuer) -> Vec<Attack> {
    let zeros = URL_SAFE_NO_PAD.encode_to_string([0_u8; 64]);
    let order = [0xff_u8; 64];
    vec![
        ("no signature", forged(issuer, |parts| parts[2].clear()), "invalid_signature"),
        ("another's claims", forged(issuer, |parts| parts[1] = encode(r#"{"sub":"admin"}"#)), "invalid_signature"),
        ("r and s of zero", forged(issuer, |parts| parts[2] = zeros), "invalid_signature"),
        (
            "r and s past the order",
            forged(issuer, |parts| parts[2] = URL_SAFE_NO_PAD.encode_to_string(order)),
            "invalid_signature",
        ),
        ("half a signature", forged(issuer, |parts| parts[2].truncate(44)), "invalid_signature"),
        ("padding", forged(issuer, |parts| parts[2].push('=')), "malformed_token"),
        ("a letter that is none of base64url", forged(issuer, |parts| parts[1].push('!')), "malformed_token"),
    ]
}

fn on_the_shape(issuer: &TestIssuer) -> Vec<Attack> {
    let raw_claims = |text: String| issuer.mint(Mint { raw_claims: Some(text), ..Mint::new() });
    let raw_header = |text: &str| issuer.mint(Mint { raw_header: Some(text.to_owned()), ..Mint::new() });
    let kid = issuer.signing_kid();
    let nested = format!("{}{}", "[".repeat(3000), "]".repeat(3000));
    vec![
        ("one part", "abc".to_owned(), "malformed_token"),
        ("two parts", forged(issuer, |parts| parts[1].clear()).replace("..", "."), "malformed_token"),
        ("five parts, as a JWE", format!("{}.a.b", issuer.token()), "malformed_token"),
        ("dots", ".".repeat(10_000), "malformed_token"),
        ("claims that are an array", raw_claims("[]".to_owned()), "malformed_token"),
        ("claims that nest", raw_claims(format!(r#"{{"x":{nested}}}"#)), "malformed_token"),
        ("a claim twice", raw_claims(r#"{"sub":"a","sub":"b","exp":9999999999}"#.to_owned()), "malformed_token"),
        (
            "a header parameter twice",
            raw_header(&format!(r#"{{"alg":"none","alg":"ES256","kid":"{kid}"}}"#)),
            "malformed_token",
        ),
        ("a header that is no JSON", raw_header("{"), "malformed_token"),
        ("a nested token", minted(issuer, |mint| mint.header("cty", "JWT")), "wrong_type"),
        ("a compressed token", minted(issuer, |mint| mint.header("zip", "DEF")), "malformed_token"),
        ("a token of another kind", minted(issuer, |mint| mint.header("typ", "secevent+jwt")), "wrong_type"),
        ("too long a token", minted(issuer, |mint| mint.claim("x", "y".repeat(16_384))), "token_too_large"),
        ("dots that are too many", ".".repeat(20_000), "token_too_large"),
        ("a publishable key", "sb_publishable_0123456789abcdef".to_owned(), "api_key_as_bearer"),
        ("a secret key", "sb_secret_0123456789abcdef0123".to_owned(), "api_key_as_bearer"),
        ("a legacy key", legacy_key(issuer), "legacy_api_key"),
    ]
}

fn legacy_key(issuer: &TestIssuer) -> String {
    let claims = r#"{"iss":"supabase","ref":"abcdefgh","role":"service_role","iat":1700000000,"exp":2000000000}"#;
    let secret = Some("a secret that keyward does not know at all".to_owned());
    issuer.mint(Mint { secret, raw_claims: Some(claims.to_owned()), ..Mint::new() })
}

fn on_the_claims(issuer: &TestIssuer) -> Vec<Attack> {
    let claim = |name: &str, value: Value| minted(issuer, |mint| mint.claim(name, value));
    let raw_exp = |raw: &str| {
        let claims =
            json!({"iss": issuer.issuer(), "aud": "authenticated", "sub": "a", "role": "authenticated"}).to_string();
        let raw_claims = Some(claims.replacen('{', &format!(r#"{{"exp":{raw},"#), 1));
        issuer.mint(Mint { raw_claims, ..Mint::new() })
    };
    vec![
        ("expired", minted(issuer, |mint| mint.expires_in(-60)), "expired"),
        ("no exp", minted(issuer, |mint| mint.without_claim("exp")), "missing_claim"),
        ("exp as text", claim("exp", json!("9999999999")), "invalid_claim"),
        ("a negative exp", claim("exp", json!(-1)), "invalid_claim"),
        ("an exp of no time at all", raw_exp("1e400"), "invalid_claim"),
        ("an exp that is no number", raw_exp("NaN"), "malformed_token"),
        ("exp in milliseconds", claim("exp", json!(1_900_000_000_000_i64)), "invalid_claim"),
        ("nbf to come", claim("nbf", json!(9_999_999_999_i64)), "not_yet_valid"),
        ("iat to come", claim("iat", json!(9_999_999_999_i64)), "issued_in_future"),
        ("another issuer", claim("iss", json!("https://evil.example/auth/v1")), "wrong_issuer"),
        (
            "an issuer that begins like ours",
            claim("iss", json!(format!("{}.evil.example", issuer.issuer()))),
            "wrong_issuer",
        ),
        ("no issuer", minted(issuer, |mint| mint.without_claim("iss")), "missing_claim"),
        ("another audience", claim("aud", json!("anon")), "wrong_audience"),
        ("an audience that is an object", claim("aud", json!({"authenticated": true})), "invalid_claim"),
        ("no audience", minted(issuer, |mint| mint.without_claim("aud")), "missing_claim"),
        ("nobody", minted(issuer, |mint| mint.without_claim("sub")), "missing_claim"),
        ("a role that is a list", claim("role", json!(["service_role"])), "invalid_claim"),
    ]
}

#[tokio::test]
async fn every_token_is_refused_for_its_documented_reason() {
    let issuer = TestIssuer::start().await;
    let keyward = Setup::for_issuer(&issuer).start_ready().await;
    assert_eq!(keyward.verdict(&issuer.token()).await.0, 200, "a refusal is not due to the setting");
    let fetches = issuer.jwks_requests();
    let (later, first): (Vec<Attack>, Vec<Attack>) =
        [on_the_algorithm, on_the_key, on_the_signature, on_the_shape, on_the_claims]
            .iter()
            .flat_map(|attacks| attacks(&issuer))
            .partition(|(_, _, reason)| *reason == "unknown_kid");
    let mut others = Vec::new();
    for attack in &first {
        others.extend(is_refused(&keyward, attack).await);
    }
    assert_eq!(issuer.jwks_requests(), fetches, "none of them is a reason to fetch");
    for attack in &later {
        others.extend(is_refused(&keyward, attack).await);
    }
    assert!(others.is_empty(), "refused otherwise: {others:#?}");
    assert_eq!(keyward.verdict(&issuer.token()).await.0, 200, "no harm was done");
    keyward.stop().await;
}

/// Checks all of the answer but the reason; what is wrong with that is returned.
async fn is_refused(keyward: &Keyward, (name, token, reason): &Attack) -> Option<String> {
    secrets::remember_token(token);
    let id = format!("attack.{}", name.replace(|character: char| !character.is_ascii_alphanumeric(), "_"));
    let request = keyward.client().request("GET", "/v1/me", Some(token)).header("x-correlation-id", &id);
    let answer = Client::send(request).await;
    if answer.verdict() != (401, (*reason).to_owned()) {
        return Some(format!("{name}: {:?} and not {reason}", answer.verdict()));
    }
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{name}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{name}");
    let challenge = answer.header("www-authenticate").unwrap();
    assert!(challenge.starts_with(r#"Bearer error="invalid_token", error_description=""#), "{name}: {challenge}");
    assert_eq!(answer.header("x-correlation-id"), Some(id.as_str()), "{name}");
    assert_eq!(answer.json()["correlation_id"], id, "{name}");
    // Which refusals are logged is limited; that they were requests is not.
    let request = keyward.log().wait_for("http_request", |event| event["correlation_id"] == id).await;
    assert_eq!((request["auth"].as_str(), request["status"].as_u64()), (Some(*reason), Some(401)), "{name}");
    None
}

#[tokio::test]
async fn no_credential_is_challenged_and_two_are_refused() {
    let issuer = TestIssuer::start().await;
    let keyward = Setup::for_issuer(&issuer).start_ready().await;
    let (token, other) = (issuer.token(), issuer.token());
    let send = async |values: &[String]| {
        let mut request = keyward.client().request("GET", "/v1/me", None);
        for value in values {
            request = request.header("authorization", value);
        }
        Client::send(request).await
    };
    for values in [&[][..], &["Basic YWxhZGRpbjpvcGVu".to_owned()], &["Bearer".to_owned()], &[format!("Bearer{token}")]]
    {
        let answer = send(values).await;
        assert_eq!(answer.verdict(), (401, "missing_token".to_owned()));
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "no error when no token was sent");
    }
    for values in [
        &[format!("Bearer {token}"), format!("Bearer {other}")][..],
        &[format!("Bearer {token}"), format!("Bearer {token}")],
        &[format!("Bearer {token}, Bearer {other}")],
        &[format!("Bearer {token},{other}")],
        &["Basic YWxhZGRpbjpvcGVu".to_owned(), format!("Bearer {token}")],
    ] {
        let answer = send(values).await;
        assert_eq!(answer.verdict(), (400, "multiple_credentials".to_owned()));
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.starts_with(r#"Bearer error="invalid_request""#), "{challenge}");
    }
    for value in [format!("bearer {token}"), format!("BEARER   {token}")] {
        assert_eq!(send(&[value]).await.status, 200);
    }
    let in_query = keyward.get(&format!("/v1/me?access_token={token}"), None).await;
    assert_eq!(in_query.verdict(), (401, "missing_token".to_owned()));
    keyward.stop().await;
}

#[tokio::test]
async fn a_role_that_is_not_the_workers_is_forbidden() {
    let issuer = TestIssuer::start().await;
    let keyward = Setup::for_issuer(&issuer).start_ready().await;
    let answer = keyward.post("/v1/worker/lease", &issuer.token(), &json!({})).await;
    assert_eq!(answer.verdict(), (403, "insufficient_role".to_owned()));
    assert!(answer.header("www-authenticate").unwrap().contains(r#"error="insufficient_scope""#));
    let answer = keyward.post("/v1/worker/lease", &issuer.worker_token(), &json!({})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    keyward.stop().await;
}

#[tokio::test]
async fn a_head_is_read_up_to_its_bounds_and_no_further() {
    let issuer = TestIssuer::start().await;
    let keyward = Setup::for_issuer(&issuer).start_ready().await;
    let head = |headers: usize, bytes: usize| {
        let mut head = String::from("GET /healthz HTTP/1.1\r\nhost: api.example\r\nconnection: close\r\n");
        let others = headers - 2;
        for n in 0..others {
            head.push_str(&format!("x-{n}: {}\r\n", "a".repeat(bytes / others)));
        }
        head + "\r\n"
    };
    for (headers, bytes, expected) in [
        (256, 1024, 200),
        (257, 1024, 431),
        (300, 1024, 431),
        (10, 63 * 1024, 200),
        (10, 65 * 1024, 431),
        (10, 100 * 1024, 431),
        (10, 1024 * 1024, 431),
    ] {
        let answer = raw::exchange(keyward.address, head(headers, bytes)).await;
        assert_eq!(raw::status(&answer), expected, "{headers} headers, {bytes} bytes: {answer}");
    }
    let megabytes = format!("GET /v1/me HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\n\r\n", "a".repeat(10 << 20));
    assert_eq!(raw::status(&raw::exchange(keyward.address, megabytes).await), 431);
    let client = Client::http2(keyward.url());
    for (headers, expected) in [(200, 200), (400, 431)] {
        let request = (0..headers)
            .fold(client.request("GET", "/healthz", None), |request, n| request.header(format!("x-{n}"), "a"));
        assert_eq!(Client::send(request).await.status, expected, "{headers} headers over HTTP/2");
    }
    assert_eq!(keyward.verdict(&issuer.token()).await.0, 200);
    keyward.stop().await;
}

#[tokio::test]
async fn requests_are_not_smuggled_in_bodies() {
    let issuer = TestIssuer::start().await;
    let keyward = Setup::for_issuer(&issuer).start_ready().await;
    let hidden = "GET /hidden HTTP/1.1\r\nhost: a\r\n\r\n";
    let chunked = format!("0\r\n\r\n{hidden}");
    let length = chunked.len();
    let post = |headers: &str, body: &str| format!("POST /v1/jobs HTTP/1.1\r\nhost: a\r\n{headers}\r\n{body}");
    for (name, request) in [
        ("both lengths", post(&format!("content-length: {length}\r\ntransfer-encoding: chunked\r\n"), &chunked)),
        ("both lengths, the other way round", post("transfer-encoding: chunked\r\ncontent-length: 5\r\n", &chunked)),
        ("two lengths", post(&format!("content-length: 0\r\ncontent-length: {}\r\n", hidden.len()), hidden)),
        ("a length that is a list", post(&format!("content-length: 0, {}\r\n", hidden.len()), hidden)),
        ("a length with a sign", post("content-length: +0\r\n", hidden)),
        ("chunked, but not at the end", post("transfer-encoding: chunked, identity\r\n", &chunked)),
        ("a blank before the colon", post("transfer-encoding : chunked\r\ncontent-length: 0\r\n", &chunked)),
        ("a header over two lines", post("x: a\r\n transfer-encoding: chunked\r\ncontent-length: 0\r\n", hidden)),
        ("a chunk with a broken size", post("transfer-encoding: chunked\r\n", &format!("0x0\r\n\r\n{hidden}"))),
    ] {
        let mut connection = Raw::connect(keyward.address).await;
        connection.push(request).await;
        let answer = connection.answer().await;
        assert!(matches!(raw::status(&answer), 0 | 400 | 401), "{name}: {answer}");
        assert!(raw::count(&answer) <= 1, "{name}: {answer}");
        let token = issuer.token();
        assert_eq!(keyward.verdict(&token).await.0, 200, "others are served after: {name}");
    }
    let seen = keyward.log().named("http_request");
    assert!(seen.iter().all(|event| event["route"] != "unmatched"), "a hidden request was answered: {seen:?}");
    keyward.stop().await;
}

#[tokio::test]
async fn slow_clients_keep_nobody_waiting() {
    let issuer = TestIssuer::start().await;
    let keyward = Setup::for_issuer(&issuer).start_ready().await;
    let token = issuer.token();
    let mut slow = Vec::new();
    for n in 0..200 {
        let mut connection = Raw::connect(keyward.address).await;
        let half = if n % 2 == 0 {
            "GET /v1/me HTTP/1.1\r\nhost: a\r\nauthorization: Bea".to_owned()
        } else {
            format!(
                "POST /v1/jobs HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: 60\r\n\r\n{{"
            )
        };
        connection.send(half).await;
        slow.push(connection);
    }
    for _ in 0..20 {
        assert_eq!(keyward.verdict(&token).await.0, 200);
        let job = keyward.post("/v1/jobs", &token, &json!({"kind": "echo", "payload": 1})).await;
        assert_eq!(job.status, 201);
    }
    drop(slow);
    keyward.stop().await;
}
