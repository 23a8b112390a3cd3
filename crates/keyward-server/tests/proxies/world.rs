//! Everything that takes part in a case.

use std::collections::BTreeMap;

use keyward_issuer::Mint;

use crate::application::{Application, MARK, Received};
use crate::message::{Answer, Request};
use crate::proxy::{Kind, Proxy};
use crate::support::{Keyward, Setup, TestIssuer};

/// It ends in its section `[gateway]`.
const CONFIGURATION: &str = include_str!("../../../../infra/proxies/keyward.toml");

/// An issuer, Keyward, a proxy, and the application behind it.
pub(crate) struct World {
    pub(crate) issuer: TestIssuer,
    pub(crate) keyward: Keyward,
    pub(crate) application: Application,
    pub(crate) proxy: Proxy,
}

/// The identity headers that are not empty, by their names without `x-auth-`.
pub(crate) type Identity = BTreeMap<String, String>;

impl World {
    /// With this at the end of the section `[gateway]`, and keys.
    pub(crate) async fn start(kind: Kind, gateway: &str) -> Self {
        let issuer = TestIssuer::start().await;
        let keyward = setup(&issuer, gateway).start_ready().await;
        Self::around(kind, issuer, keyward).await
    }

    /// With an issuer that went away before Keyward could fetch a key; a token of its is the second.
    pub(crate) async fn start_without_keys(kind: Kind) -> (Self, String) {
        let mut issuer = TestIssuer::start().await;
        let token = issuer.token();
        let setup = setup(&issuer, "");
        issuer.stop().await;
        let keyward = setup.start().await;
        (Self::around(kind, issuer, keyward).await, token)
    }

    async fn around(kind: Kind, issuer: TestIssuer, keyward: Keyward) -> Self {
        let application = Application::start().await;
        let proxy = Proxy::start(kind, keyward.address, application.address).await;
        application.take();
        Self { issuer, keyward, application, proxy }
    }

    /// A user's token, and the identity in it.
    pub(crate) fn user(&self, aal: &str) -> (String, Identity) {
        let mint = Mint::new().claim("sub", "alice").claim("email", "alice@example.com").claim("session_id", "one");
        let issuer = self.issuer.issuer();
        let identity = [
            ("subject", "alice"),
            ("role", "authenticated"),
            ("email", "alice@example.com"),
            ("session", "one"),
            ("issuer", &issuer),
            ("assurance", aal),
            ("anonymous", "false"),
        ];
        let identity = identity.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        (self.issuer.mint(mint.claim("aal", aal)), identity)
    }

    /// The answer, and what reached the application. The application's answers, and no others, bear its mark.
    pub(crate) async fn send(&self, request: &Request) -> (Answer, Option<Received>) {
        let answer = request.send(self.proxy.address).await;
        let mut received = self.application.take();
        assert!(received.len() <= 1, "once is enough: {request:?} {received:?}");
        let marked = answer.headers.first(MARK.0).is_some();
        assert_eq!(marked, !received.is_empty(), "{request:?} {answer:?} {received:?}");
        (answer, received.pop())
    }

    /// Fails unless the application answers; what reached it.
    pub(crate) async fn passes(&self, request: &Request) -> Received {
        let (answer, received) = self.send(request).await;
        assert_eq!(answer.status, 200, "{request:?} {answer:?}");
        received.unwrap_or_else(|| panic!("the application is not reached: {request:?} {answer:?}"))
    }

    /// Fails when the application is reached.
    pub(crate) async fn refused(&self, request: &Request) -> Answer {
        let (answer, received) = self.send(request).await;
        assert!(received.is_none(), "the application is reached: {request:?} {received:?}");
        assert!(answer.status >= 400, "{request:?} {answer:?}");
        answer
    }
}

fn setup(issuer: &TestIssuer, gateway: &str) -> Setup {
    Setup::for_issuer(issuer).config(&format!("{CONFIGURATION}\n{gateway}\n"))
}

/// What an application could take for its caller's identity: as CGI, WSGI and PHP name headers, every sign that is
/// neither letter nor digit is the same.
pub(crate) fn identity(received: &Received) -> Identity {
    let mut identity = Identity::new();
    let mut seen = Vec::new();
    for (name, value) in received.headers.iter() {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        let name: String = name.chars().map(plain).collect();
        let Some(name) = name.strip_prefix("x-auth-") else { continue };
        assert!(!seen.contains(&name.to_owned()), "{name} is there twice: {received:?}");
        seen.push(name.to_owned());
        if !value.is_empty() {
            identity.insert(name.to_owned(), value.to_owned());
        }
    }
    identity
}
