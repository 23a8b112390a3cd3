//! Heads of requests, from long to too long.

use keyward_issuer::Mint;

use crate::message::Request;
use crate::proxy::Kind;
use crate::world::{World, identity};

pub(crate) async fn heads(kind: Kind) {
    let world = World::start(kind, "").await;
    let (token, _) = world.user("aal1");
    let many = with_headers(Request::get("/").bearer(&token), 160, 100);
    let received = world.passes(&many).await;
    assert_eq!(received.headers.iter().filter(|(name, _)| name.to_lowercase().starts_with("x-filler-")).count(), 160);

    // As long as identity headers may be.
    let names = [("sub", 's'), ("role", 'r'), ("email", 'e'), ("session_id", 'i')];
    let longest =
        names.iter().fold(Mint::new(), |mint, (claim, letter)| mint.claim(claim, letter.to_string().repeat(512)));
    let longest = longest.claim("aal", "l".repeat(512));
    let identity = identity(&world.passes(&Request::get("/").bearer(&world.issuer.mint(longest))).await);
    for (name, letter) in [("subject", 's'), ("role", 'r'), ("email", 'e'), ("session", 'i'), ("assurance", 'l')] {
        assert_eq!(identity[name], letter.to_string().repeat(512));
    }

    let metadata = serde_json::json!({"about": "a".repeat(11_000)});
    let long = world.issuer.mint(Mint::new().claim("user_metadata", metadata));
    assert!(long.len() > 14_000 && long.len() < 16_384, "{} bytes", long.len());
    world.passes(&Request::get("/").bearer(&long)).await;
    world.passes(&with_headers(Request::get("/").bearer(&long), 4, 4000)).await;

    let too_long = world.refused(&with_headers(Request::get("/").bearer(&token), 20, 4000)).await;
    assert_eq!(too_long.status, 431, "{too_long:?}");
}

fn with_headers(request: Request, count: usize, bytes: usize) -> Request {
    let value = "v".repeat(bytes);
    (0..count).fold(request, |request, index| request.header(&format!("X-Filler-{index}"), &value))
}
