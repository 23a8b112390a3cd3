//! Identity headers that a client sends, in every spelling.

use keyward_issuer::Mint;

use crate::message::Request;
use crate::proxy::Kind;
use crate::world::{Identity, World, identity};

const NAMES: [&str; 8] = ["Subject", "Role", "Email", "Session", "Issuer", "Assurance", "Anonymous", "Reason"];
/// What stands for `-` in a header's name, to those who turn names into variables.
const ALIASES: &str = "-_.!#$%&'*+^`|~";

pub(crate) async fn forged(kind: Kind) {
    let world = World::start(kind, "").await;
    // There is no email and no session in it, which are the easiest to forge.
    let mint = Mint::new().claim("sub", "alice").without_claim("email").without_claim("session_id");
    let token = world.issuer.mint(mint);
    let expected = identity(&world.passes(&Request::get("/").bearer(&token)).await);
    assert_eq!(expected["subject"], "alice");
    assert!(!expected.contains_key("email") && !expected.contains_key("session"), "{expected:?}");

    let (full_token, full) = world.user("aal1");
    for forge in forgeries() {
        reaches(&world, &forge(Request::get("/").bearer(&token)), &expected).await;
        reaches(&world, &forge(Request::get("/").bearer(&full_token)), &full).await;
        reaches(&world, &forge(Request::get("/public/").bearer(&token)), &Identity::new()).await;
    }
    let all = NAMES.iter().fold(Request::get("/"), |request, name| request.header(&format!("X-Auth-{name}"), "admin"));
    assert_eq!(world.refused(&all).await.status, 401);
}

/// The application sees exactly this identity, if it sees the request.
async fn reaches(world: &World, request: &Request, expected: &Identity) {
    let (answer, received) = world.send(request).await;
    match received {
        Some(received) => assert_eq!(identity(&received), *expected, "{request:?} {received:?}"),
        None => assert_eq!(answer.status, 400, "{request:?} {answer:?}"),
    }
}

type Forge = Box<dyn Fn(Request) -> Request>;

fn forgeries() -> Vec<Forge> {
    let mut forgeries: Vec<Forge> = Vec::new();
    // Every sign for either dash, on one name; every name, with each of the likelier signs.
    for first in ALIASES.chars() {
        for second in ALIASES.chars() {
            forgeries.push(header(format!("X{first}Auth{second}Subject")));
        }
    }
    for name in NAMES {
        for (first, second) in [('-', '-'), ('_', '_'), ('-', '_'), ('_', '-'), ('.', '.')] {
            forgeries.push(header(format!("x{first}auth{second}{name}")));
            forgeries.push(header(format!("X{first}AUTH{second}{}", name.to_uppercase())));
        }
        let own = format!("X-Auth-{name}");
        let twice = own.clone();
        forgeries.push(Box::new(move |request| request.header(&twice, "admin").header(&twice, "root")));
        let named = own.clone();
        forgeries.push(Box::new(move |request| request.hop_by_hop(&named)));
        forgeries.push(Box::new(move |request| request.header(&own, "admin").hop_by_hop(&own)));
    }
    forgeries
}

fn header(name: String) -> Forge {
    Box::new(move |request| request.header(&name, "admin"))
}
