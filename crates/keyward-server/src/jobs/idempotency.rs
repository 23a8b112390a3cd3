//! `Idempotency-Key`: a submission that may be repeated.

use aws_lc_rs::digest::{Context, SHA256};

use super::{InvalidInput, JsonText, Kind, Timestamp};

/// The key a client gave its submission: 1 to 255 visible ASCII characters. It belongs to the owner and lives as long
/// as the job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The key in the value of the header field.
    ///
    /// # Errors
    ///
    /// [`InvalidInput::Field`] for an empty or longer key, and for one with spaces or other characters.
    pub fn new(value: &[u8]) -> Result<Self, InvalidInput> {
        let text = std::str::from_utf8(value)
            .ok()
            .filter(|text| (1..=255).contains(&text.len()))
            .filter(|text| text.bytes().all(|b| b.is_ascii_graphic()));
        text.map(|text| Self(text.to_owned()))
            .ok_or_else(|| InvalidInput::field("Idempotency-Key", "1 to 255 visible ASCII characters"))
    }

    /// The key's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// SHA-256 of what a submission asks for. Equal for the same kind, attempts, `run_at` and payload; white space between
/// the payload's tokens is ignored, the order of its members counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of a submission with these members, `run_at` as it was sent.
    #[must_use]
    pub fn of(kind: &Kind, max_attempts: u32, run_at: Option<Timestamp>, payload: &JsonText) -> Self {
        let mut context = Context::new(&SHA256);
        // A kind has no NUL, so no two submissions hash the same bytes.
        context.update(kind.as_str().as_bytes());
        context.update(b"\0");
        context.update(&max_attempts.to_be_bytes());
        // Instants are never negative.
        context.update(&run_at.map_or(-1, Timestamp::unix_millis).to_be_bytes());
        context.update(payload.without_whitespace().as_bytes());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.finish().as_ref());
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// What makes a submission repeatable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// The client's key.
    pub key: IdempotencyKey,
    /// What it stands for.
    pub fingerprint: Fingerprint,
}
