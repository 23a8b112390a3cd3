//! The only reader of the system clock in this crate: everything else takes `now` as an argument.

use std::time::SystemTime;

use time::OffsetDateTime;

/// The current time, in UTC.
#[expect(
    clippy::disallowed_methods,
    reason = "the issuer stamps its tokens and sessions with real time; this is its one reader of the clock"
)]
pub(crate) fn now() -> OffsetDateTime {
    OffsetDateTime::from(SystemTime::now())
}
