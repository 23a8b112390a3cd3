//! No keys, and no Keyward.

use crate::message::Request;
use crate::proxy::Kind;
use crate::world::World;

pub(crate) async fn outage(kind: Kind) {
    let (mut world, token) = World::start_without_keys(kind).await;
    for request in [
        Request::get("/").bearer(&token),
        Request::new("POST", "/admin/").body("a body").bearer(&token),
        Request::new("HEAD", "/").bearer(&token),
    ] {
        let answer = world.refused(&request).await;
        assert_eq!(answer.status, 503, "{request:?} {answer:?}");
        let retry_after: u64 = answer.headers.first("retry-after").unwrap().parse().unwrap();
        assert!((1..=30).contains(&retry_after), "{answer:?}");
        assert_eq!(answer.headers.all("www-authenticate"), [""; 0], "another token would not help");
        // Envoy keeps nothing but the status.
        if kind != Kind::Envoy && answer.headers.first("content-length") != Some("0") && !answer.body.is_empty() {
            assert_eq!(answer.reason(), "keys_unavailable");
        }
    }
    assert_eq!(world.refused(&Request::get("/")).await.status, 401, "no token is no token, keys or not");
    world.passes(&Request::get("/public/")).await;

    world.issuer.start_again().await;
    world.keyward.ready().await;
    world.passes(&Request::get("/").bearer(&token)).await;

    world.keyward.signal(rustix::process::Signal::TERM);
    world.keyward.process.ended().await;
    let answer = world.refused(&Request::get("/").bearer(&token)).await;
    let expected = match kind {
        Kind::Nginx | Kind::Envoy => 503,
        Kind::Caddy => 502,
        Kind::Traefik => 500,
    };
    assert_eq!(answer.status, expected, "{answer:?}");
    assert_eq!(answer.headers.first("retry-after").is_some(), expected == 503, "{answer:?}");
    world.passes(&Request::get("/public/")).await;
}
