use std::sync::Arc;
use std::time::Duration;

use keyward::{Rejection, VerifiedToken};

/// What became of a request's credential. It stands in the extensions of the answer, for outer layers that count and
/// log.
#[derive(Clone, Debug)]
pub struct AuthRecord {
    /// Who it was, or why it was refused.
    pub verdict: Arc<Result<VerifiedToken, Rejection>>,
    /// How long it took to tell; `None` when there was no token to look at.
    pub duration: Option<Duration>,
}
