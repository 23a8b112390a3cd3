//! Who passes, who does not, and what both are told.

use std::collections::BTreeSet;

use keyward_issuer::Mint;

use crate::message::Request;
use crate::proxy::Kind;
use crate::world::{Identity, World, identity};

pub(crate) async fn accepted(kind: Kind) {
    let world = World::start(kind, "").await;
    let (user, user_identity) = world.user("aal1");
    let (staff, staff_identity) = world.user("aal2");
    let body: Vec<u8> = (0..100_000_u32).map(|index| (index % 251) as u8).collect();
    for method in ["GET", "HEAD", "OPTIONS", "DELETE", "POST", "PUT", "PATCH"] {
        let mut request = Request::new(method, "/api/x?y=1&y=%2F").bearer(&user);
        let sends_body = matches!(method, "POST" | "PUT" | "PATCH");
        if sends_body {
            request = request.body(body.clone());
        }
        let received = world.passes(&request).await;
        assert_eq!((received.method.as_str(), received.target.as_str()), (method, "/api/x?y=1&y=%2F"));
        assert_eq!(received.body == body, sends_body, "{method}: {} bytes", received.body.len());
        assert_eq!(identity(&received), user_identity, "{method}");
        assert_eq!(received.headers.all("authorization"), [format!("Bearer {user}")]);
    }
    for path in ["/admin", "/admin/", "/admin/users?x=/public/"] {
        let received = world.passes(&Request::get(path).bearer(&staff)).await;
        assert_eq!((received.target.as_str(), identity(&received)), (path, staff_identity.clone()));
    }
    let received = world.passes(&Request::get("/public/x")).await;
    assert_eq!(identity(&received), Identity::new());
    correlated(&world, &user).await;
    connections_are_kept(&world, &user).await;
}

/// The id that the client gave stands in Keyward's log and reaches the application.
async fn correlated(world: &World, token: &str) {
    let received = world.passes(&Request::get("/api").bearer(token).header("X-Correlation-ID", "one-of-mine")).await;
    assert_eq!(received.headers.all("x-correlation-id"), ["one-of-mine"]);
    let made = world.passes(&Request::get("/api").bearer(token)).await;
    assert_eq!(made.headers.all("x-correlation-id").len(), 1, "{made:?}");
    let is = |event: &serde_json::Value| event["correlation_id"] == "one-of-mine";
    let logged = world.keyward.log().wait_for("http_request", is).await;
    assert_eq!((logged["status"].as_u64(), logged["auth"].as_str()), (Some(200), Some("valid")));
}

async fn connections_are_kept(world: &World, token: &str) {
    const REQUESTS: usize = 40;
    for _ in 0..REQUESTS {
        world.passes(&Request::get("/api").bearer(token)).await;
    }
    let made = connections_to(world.keyward.address.port());
    assert!((1..REQUESTS / 2).contains(&made), "{made} connections to Keyward");
}

/// Connections to a port of this machine that are open, or were until a minute ago. The end that closes first is the one
/// that is remembered, so either may be.
fn connections_to(port: u16) -> usize {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let suffix = format!(":{port:04X}");
    let mut others = BTreeSet::new();
    for line in table.lines() {
        let mut fields = line.split_whitespace().skip(1);
        match (fields.next(), fields.next()) {
            (Some(local), Some(remote)) if local.ends_with(&suffix) => others.insert(remote),
            (Some(local), Some(remote)) if remote.ends_with(&suffix) => others.insert(local),
            _ => false,
        };
    }
    others.remove("00000000:0000");
    others.len()
}

pub(crate) async fn refused(kind: Kind) {
    let world = World::start(kind, "").await;
    let (user, _) = world.user("aal1");
    let mint = |mint: Mint| world.issuer.mint(mint);
    let (head, signature) = user.rsplit_once('.').unwrap();
    let other = if signature.starts_with('A') { 'B' } else { 'A' };
    let cases = [
        ("not-a-token".to_owned(), 401, "malformed_token"),
        ("a".repeat(17_000), 401, "token_too_large"),
        (mint(Mint { alg: Some("none".to_owned()), ..Mint::new() }), 401, "unsupported_alg"),
        (mint(Mint::new().expires_in(-3600)), 401, "expired"),
        (format!("{head}.{other}{}", &signature[1..]), 401, "invalid_signature"),
        (world.issuer.token_of_unknown_key(), 401, "unknown_kid"),
        (mint(Mint::new().claim("aud", "another")), 401, "wrong_audience"),
        (mint(Mint::new().without_claim("sub")), 401, "missing_claim"),
        ("sb_secret_abcdefghijklmnopqrstuvwxyz".to_owned(), 401, "api_key_as_bearer"),
        (format!("{user}, Bearer {user}"), 401, "multiple_credentials"),
    ];
    for (token, status, reason) in cases {
        for path in ["/", "/admin/"] {
            is_refused(&world, Request::get(path).bearer(&token), status, reason).await;
        }
    }
    is_refused(&world, Request::get("/"), 401, "missing_token").await;
    is_refused(&world, Request::get("/").header("Authorization", "Basic YTpi"), 401, "missing_token").await;
    is_refused(&world, Request::new("POST", "/").body("a body"), 401, "missing_token").await;
    for path in ["/admin", "/admin/", "/admin/x?/public/"] {
        is_refused(&world, Request::get(path).bearer(&user), 403, "policy_denied").await;
    }
    let head = world.refused(&Request::new("HEAD", "/")).await;
    assert_eq!((head.status, head.body.as_str(), head.headers.all("www-authenticate")), (401, "", vec!["Bearer"]));
    let twice = world.refused(&Request::get("/").bearer(&user).bearer(&user)).await;
    // nginx does not even ask.
    assert_eq!(twice.status, if kind == Kind::Nginx { 400 } else { 401 });
}

async fn is_refused(world: &World, request: Request, status: u16, reason: &str) {
    let answer = world.refused(&request).await;
    assert_eq!((answer.status, answer.reason().as_str()), (status, reason), "{request:?} {answer:?}");
    let challenges = answer.headers.all("www-authenticate");
    assert!(challenges.len() == 1 && challenges[0].starts_with("Bearer"), "{request:?} {answer:?}");
    if reason == "missing_token" {
        assert_eq!(challenges, ["Bearer"], "no error where no token was sent");
    }
    assert_eq!(answer.headers.all("content-type"), ["application/problem+json"], "{answer:?}");
    assert_eq!(answer.headers.all("x-correlation-id").len(), 1, "{answer:?}");
}
