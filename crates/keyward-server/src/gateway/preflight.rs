//! CORS preflights, which browsers send without a token (Fetch standard, section 4.8).

use http::header::{ACCESS_CONTROL_REQUEST_METHOD, ORIGIN};
use http::{HeaderMap, Method, Request};
use ipnet::IpNet;

use super::Peer;

const FORWARDED_METHOD: &str = "x-forwarded-method";

/// Whether a request is, or is about, a preflight. What `X-Forwarded-Method` says counts from trusted peers only:
/// anybody can send one, and a preflight passes unverified.
pub(super) fn is_preflight<B>(request: &Request<B>, trusted: &[IpNet]) -> bool {
    let headers = request.headers();
    let asks = headers.contains_key(ORIGIN) && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    asks && original_method_is_options(request.method(), headers, is_trusted(request, trusted))
}

fn original_method_is_options(method: &Method, headers: &HeaderMap, trusted: bool) -> bool {
    let mut forwarded = headers.get_all(FORWARDED_METHOD).iter();
    match (forwarded.next(), forwarded.next()) {
        (Some(original), None) if trusted => original == "OPTIONS",
        (Some(_), _) if trusted => false,
        _ => *method == Method::OPTIONS,
    }
}

fn is_trusted<B>(request: &Request<B>, trusted: &[IpNet]) -> bool {
    let peer = request.extensions().get::<Peer>().map(|Peer(address)| address.ip().to_canonical());
    peer.is_some_and(|peer| trusted.iter().any(|network| network.contains(&peer)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, forwarded: &[&str], peer: &str, cors: bool) -> Request<()> {
        let mut request = Request::builder().method(method).uri("/verify");
        for value in forwarded {
            request = request.header(FORWARDED_METHOD, *value);
        }
        if cors {
            request = request.header(ORIGIN, "https://app.example").header(ACCESS_CONTROL_REQUEST_METHOD, "POST");
        }
        let mut request = request.body(()).unwrap();
        request.extensions_mut().insert(Peer(peer.parse().unwrap()));
        request
    }

    #[test]
    fn a_preflight_is_an_options_request_with_both_headers_of_cors() {
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let is = |method, forwarded, peer, cors| is_preflight(&request(method, forwarded, peer, cors), &trusted);
        assert!(is("OPTIONS", &[], "192.0.2.1:1", true));
        assert!(!is("OPTIONS", &[], "192.0.2.1:1", false));
        assert!(!is("GET", &[], "192.0.2.1:1", true));
        assert!(is("GET", &["OPTIONS"], "10.1.2.3:1", true));
        assert!(is("GET", &["OPTIONS"], "[::ffff:10.1.2.3]:1", true), "IPv4 in IPv6 is IPv4");
        assert!(!is("GET", &["OPTIONS"], "192.0.2.1:1", true), "a client's own header is not believed");
        assert!(!is("GET", &["OPTIONS"], "127.0.0.1:1", true), "nor is this machine's");
        assert!(!is("OPTIONS", &["POST"], "10.1.2.3:1", true), "the proxy knows the original method");
        assert!(!is("GET", &["OPTIONS", "OPTIONS"], "10.1.2.3:1", true), "two are none");
    }
}
