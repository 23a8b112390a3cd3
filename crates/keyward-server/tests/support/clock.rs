//! The one place of these tests that reads the clock.

use std::time::{Duration, Instant};

/// How long anything that must happen may take on a machine that is busy with other things.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

pub(crate) fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "deadlines and durations of tests against a real process")]
    Instant::now()
}

/// Looks again and again until there is something to see.
///
/// # Panics
///
/// After [`PATIENCE`].
pub(crate) async fn eventually<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    within(PATIENCE, what, look).await
}

/// [`eventually`], with a deadline that is part of what is tested.
pub(crate) async fn within<T>(limit: Duration, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = now();
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(begun.elapsed() < limit, "not within {limit:?}: {what}");
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}
