use std::sync::Arc;
use std::time::Duration;

use keyward::time::Instant;
use keyward::{Authenticator, Rejection, VerifiedToken};

/// What became of a request's credential. It stands in the extensions of the answer, for outer layers that count and
/// log.
#[derive(Clone, Debug)]
pub struct AuthRecord {
    /// Who it was, or why it was refused.
    pub verdict: Arc<Result<VerifiedToken, Rejection>>,
    /// How long it took to tell; `None` when there was no token to look at.
    pub duration: Option<Duration>,
}

impl AuthRecord {
    /// Of a request without a token to look at.
    #[must_use]
    pub fn without_token(rejection: Rejection) -> Self {
        Self { verdict: Arc::new(Err(rejection)), duration: None }
    }

    /// Of a token that `authenticator` has looked at since `since`.
    #[must_use]
    pub fn looked_at(authenticator: &Authenticator, since: Instant, verdict: Result<VerifiedToken, Rejection>) -> Self {
        let duration = authenticator.clock().now().instant.since(since);
        Self { verdict: Arc::new(verdict), duration: Some(duration) }
    }
}
