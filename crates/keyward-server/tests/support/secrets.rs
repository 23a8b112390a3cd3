//! What must never be written anywhere.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// Shorter ones could stand in a line by chance.
const SHORTEST: usize = 16;

static SECRETS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Remembers a token by its signature, which stands for the whole: without it a token is of no use.
pub(crate) fn remember_token(token: &str) {
    if let Some((_, signature)) = token.rsplit_once('.') {
        remember(signature);
    }
}

/// Remembers any other secret.
pub(crate) fn remember(secret: &str) {
    if secret.len() >= SHORTEST {
        SECRETS.lock().unwrap_or_else(PoisonError::into_inner).insert(secret.to_owned());
    }
}

/// Fails when a line holds a secret.
pub(crate) fn assert_none_in(lines: &[String]) {
    let secrets = SECRETS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    // One search for each secret through everything is faster than many through each line.
    let text = lines.join("\n");
    for secret in &secrets {
        if let Some(at) = text.find(secret.as_str()) {
            let line = text[..at].matches('\n').count();
            panic!("a token or secret was written: {}", lines[line].replace(secret.as_str(), "<SECRET>"));
        }
    }
}
