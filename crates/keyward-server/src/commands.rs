//! One module per command.

pub mod config;
pub mod jwks;
mod output;
pub mod serve;
pub mod token;

/// Whether a text has something in it that looks like a token or an API key.
pub(crate) fn hides_secrets(text: &str) -> bool {
    text.split([' ', '\'', '"', '\n', '=']).any(output::looks_like_a_secret)
}
