//! What browsers send: preflights and cookies.

use base64_simd::URL_SAFE_NO_PAD;
use serde_json::json;

use crate::message::Request;
use crate::proxy::Kind;
use crate::world::{Identity, World, identity};

const COOKIE: &str = "sb-abcdefgh-auth-token";

pub(crate) async fn preflights(kind: Kind) {
    let off = World::start(kind, "").await;
    for path in ["/api", "/admin/"] {
        assert_eq!(off.refused(&preflight("OPTIONS", path)).await.status, 401);
    }
    drop(off);
    let on = World::start(kind, "preflight = true").await;
    for path in ["/api", "/admin/"] {
        let forged = preflight("OPTIONS", path).header("X-Auth-Subject", "admin");
        let received = on.passes(&forged).await;
        assert_eq!((received.method.as_str(), identity(&received)), ("OPTIONS", Identity::new()));
        for method in ["GET", "POST", "DELETE"] {
            let pretended = preflight(method, path).header("X-Forwarded-Method", "OPTIONS");
            assert_eq!(on.refused(&pretended).await.status, 401, "{method} {path}");
            let pretended = pretended.hop_by_hop("X-Forwarded-Method");
            assert_eq!(on.refused(&pretended).await.status, 401, "{method} {path}");
        }
        assert_eq!(on.refused(&Request::new("OPTIONS", path)).await.status, 401, "no preflight");
    }
}

fn preflight(method: &str, path: &str) -> Request {
    let request = Request::new(method, path).header("Origin", "https://app.example");
    request.header("Access-Control-Request-Method", "POST")
}

pub(crate) async fn cookies(kind: Kind) {
    let off = World::start(kind, "").await;
    let (token, _) = off.user("aal1");
    let whole = Request::get("/").header("Cookie", &format!("{COOKIE}={token}"));
    assert_eq!(off.refused(&whole).await.status, 401);
    drop(off);
    let on = World::start(kind, &format!("cookie = \"{COOKIE}\"")).await;
    let (token, expected) = on.user("aal1");
    let session = json!({"access_token": token, "token_type": "bearer", "refresh_token": "r"}).to_string();
    let encoded = format!("base64-{}", URL_SAFE_NO_PAD.encode_to_string(&session));
    let chunks = |value: &str| {
        let (first, second) = value.split_at(value.len() / 2);
        [format!("{COOKIE}.0={first}"), format!("{COOKIE}.1={second}")]
    };
    let [first, second] = chunks(&encoded);
    for cookie in [
        format!("theme=dark; {COOKIE}={encoded}"),
        format!("{COOKIE}={}", session.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>()),
        format!("{second}; theme=dark; {first}"),
    ] {
        let received = on.passes(&Request::get("/").header("Cookie", &cookie)).await;
        assert_eq!(identity(&received), expected);
        assert_eq!(received.headers.all("cookie"), [cookie]);
    }
    let received = on.passes(&Request::get("/").header("Cookie", &format!("{COOKIE}=x")).bearer(&token)).await;
    assert_eq!(identity(&received), expected, "the header comes first");
    for (cookie, reason) in [(first, "malformed_token"), ("theme=dark".to_owned(), "missing_token")] {
        let answer = on.refused(&Request::get("/").header("Cookie", &cookie)).await;
        assert_eq!((answer.status, answer.reason().as_str()), (401, reason));
    }
}
