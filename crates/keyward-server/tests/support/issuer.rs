//! The issuer of a test, in its own process, on a port of its own that it keeps.

use std::ops::Deref;
use std::time::Duration;

use keyward_issuer::{Issuer, IssuerConfig, IssuerError, Mint, Rotate, SeedUser};
use tempfile::TempDir;
use uuid::Uuid;

use super::clock::eventually;
use super::secrets;

/// Dereferences to the running [`Issuer`].
pub(crate) struct TestIssuer {
    running: Option<Issuer>,
    config: IssuerConfig,
    _home: TempDir,
}

impl TestIssuer {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut IssuerConfig)) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let mut config = IssuerConfig {
            listen: ([127, 0, 0, 1], 0).into(),
            users: vec![
                SeedUser::new("alice@example.com", "a password"),
                SeedUser::new("bob@example.com", "a password"),
            ],
            state_file: Some(home.path().join("issuer.json")),
            ..IssuerConfig::default()
        };
        change(&mut config);
        let issuer = Issuer::start(config.clone()).await.expect("the issuer starts");
        config.listen = issuer.address();
        config.base_url = Some(issuer.url().to_owned());
        Self { running: Some(issuer), config, _home: home }
    }

    /// Stops it: connections are refused from now on.
    pub(crate) async fn stop(&mut self) {
        self.running.take().expect("it runs").stop().await;
    }

    /// Starts it again where it was, with the keys it had.
    pub(crate) async fn start_again(&mut self) {
        let started = eventually("the issuer's port", async || match Issuer::start(self.config.clone()).await {
            Ok(issuer) => Some(issuer),
            // Lent to somebody's outgoing connection meanwhile.
            Err(IssuerError::Bind { .. }) => None,
            Err(error) => panic!("{error}"),
        });
        self.running = Some(started.await);
    }

    /// A token to order, which must never be seen in a log.
    pub(crate) fn mint(&self, mint: Mint) -> String {
        let token = self.deref().mint(mint);
        secrets::remember_token(&token);
        token
    }

    /// An ordinary token.
    pub(crate) fn token(&self) -> String {
        self.mint(Mint::new())
    }

    /// So many ordinary tokens, each another one.
    pub(crate) fn tokens(&self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.token()).collect()
    }

    /// A token in order but for its key, which nobody has.
    pub(crate) fn token_of_unknown_key(&self) -> String {
        self.mint(Mint::new().header("kid", Uuid::new_v4().to_string()))
    }

    /// A worker's token.
    pub(crate) fn worker_token(&self) -> String {
        let token = self.service_role_token(Duration::from_secs(3600));
        secrets::remember_token(&token);
        token
    }

    /// Makes a new key and gives its kid.
    pub(crate) fn rotate_now(&self) -> String {
        self.rotate(Rotate::default())
    }
}

impl Deref for TestIssuer {
    type Target = Issuer;

    fn deref(&self) -> &Issuer {
        self.running.as_ref().expect("the issuer runs")
    }
}
