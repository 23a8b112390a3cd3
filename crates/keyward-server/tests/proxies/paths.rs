//! Paths and queries that proxy and application could read differently.

use crate::message::Request;
use crate::proxy::Kind;
use crate::world::World;

pub(crate) async fn odd(kind: Kind) {
    let world = World::start(kind, "").await;
    let (user, _) = world.user("aal1");
    for target in [
        "/",
        "/?",
        "/api?",
        "/api/x?",
        "/api/x?a=%2F..%2F&b=//",
        "/api/x?redirect=/public/../admin/",
        "/api/%20x",
        "/api/%C3%BC",
        "/api/x;p=1",
        "/api/a+b,c=d",
        "/api/...",
        "/api/.well-known/x",
        "/api/x%3Fy",
        "/administration",
    ] {
        let received = world.passes(&Request::get(target).bearer(&user)).await;
        assert_eq!(received.target, target);
    }
    for start in ["/public", "/api", "", "/admin/..", "/public/x"] {
        for way in [
            "/../admin/x",
            "/../../admin/x",
            "/%2e%2e/admin/x",
            "/.%2E/admin/x",
            "/..%2fadmin/x",
            "/..%2Fadmin/x",
            "/..%5cadmin/x",
            "/..\\admin/x",
            "/./../admin/x",
            "//../admin/x",
            "//admin/x",
            "/.//admin/x",
            "%2f..%2fadmin/x",
            "/..;/admin/x",
            "/%2e%2e%2fadmin/x",
            "/../%61dmin/x",
            "/../admin%2fx",
            "/../admin",
            "/../public/../admin/x",
        ] {
            is_no_way_in(&world, &format!("{start}{way}"), &user).await;
        }
    }
    for target in [
        "/admin%2fx",
        "/%61dmin/x",
        "/admin%00/x",
        "/admin\\x",
        "/admin/%2e%2e/api",
        "/admin/../public/x",
        "/PUBLIC/x",
        "/public%2fx",
        "//public/x",
        "/public",
        "/admin//x",
        "/%2e/admin/x",
        "/admin;",
        "/;/admin/x",
        "/;x=y/admin/x",
        "/public/%2e%2e;/admin/x",
        "/public/%2e%2e;x/admin/y",
        "/public/%2e%2e%3bx/admin/y",
        "/public;x/y",
        "/public/.;/../admin/x",
        "/admin;x/y",
        "/public/../x",
    ] {
        is_no_way_in(&world, target, &user).await;
    }
    // A proxy may resolve a whole URL as target; the host in it must not move the path.
    is_no_way_in(&world, "http://api.example/admin/x", &user).await;
    is_no_way_in(&world, "http://api.example/public/../admin/x", &user).await;
}

/// Nothing that could be read as another path reaches the application under the policy of this one.
async fn is_no_way_in(world: &World, target: &str, user: &str) {
    let (answer, received) = world.send(&Request::get(target)).await;
    if let Some(received) = received {
        let public = readings(&received.target).iter().all(|path| path.starts_with("/public/"));
        assert!(public, "open without a token: {target} as {}", received.target);
    } else {
        assert!((300..500).contains(&answer.status), "{target}: {answer:?}");
    }
    let (answer, received) = world.send(&Request::get(target).bearer(user)).await;
    if let Some(received) = received {
        let readings = readings(&received.target);
        let admin = readings.iter().any(|path| path == "/admin" || path.starts_with("/admin/"));
        assert!(!admin, "open without the policy staff: {target} as {}: {readings:?}", received.target);
    } else {
        assert!((300..500).contains(&answer.status), "{target}: {answer:?}");
    }
}

/// The paths that an application could see in a target: as it is, and with escapes decoded, backslashes turned,
/// parameters cut off and dot and empty segments resolved.
fn readings(target: &str) -> Vec<String> {
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    let path = path.strip_prefix("http://").and_then(|rest| rest.find('/').map(|at| &rest[at..])).unwrap_or(path);
    let decoded = decode(path).replace('\\', "/");
    let cut: Vec<&str> =
        decoded.split('/').map(|segment| segment.split_once(';').map_or(segment, |(name, _)| name)).collect();
    vec![path.to_owned(), resolve(path), resolve(&decoded), resolve(&cut.join("/"))]
}

fn decode(path: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let escaped = (*byte == b'%').then(|| std::str::from_utf8(after.get(..2)?).ok()).flatten();
        match escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(escaped) => (bytes.push(escaped), rest = &after[2..]).1,
            None => (bytes.push(*byte), rest = after).1,
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn resolve(path: &str) -> String {
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            other => segments.push(other),
        }
    }
    let end = if path.ends_with('/') && !segments.is_empty() { "/" } else { "" };
    format!("/{}{end}", segments.join("/"))
}
