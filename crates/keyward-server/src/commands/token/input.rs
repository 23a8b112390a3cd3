//! Reading a token, and leaving out what people paste along with it.

use std::fs::File;
use std::io::{IsTerminal as _, Read};
use std::path::Path;

use crate::commands::output::{NOT_SHOWN, redact};

/// Longest input that is read, in bytes: far more than any token.
pub(super) const MAX_BYTES: usize = 4 * 1024 * 1024;
/// Wrappings within each other that are taken off, such as a quoted `Bearer` header.
const MOST_LAYERS: usize = 4;

/// A token as it came.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Input {
    /// The token, bare.
    pub(super) token: String,
    /// What was left out, for standard error.
    pub(super) notes: Vec<&'static str>,
}

/// Reads a token from a file, or from standard input for `-`.
///
/// # Errors
///
/// When there is none. The message never holds what was read, nor a path that looks like a token.
pub(super) fn read(path: &Path) -> Result<Input, String> {
    let name = path.display().to_string();
    if name == "-" {
        if std::io::stdin().is_terminal() {
            eprintln!("paste the token, then press Enter and Ctrl-D");
        }
        return take(std::io::stdin(), "standard input");
    }
    if redact(&name).contains(NOT_SHOWN) || name.starts_with("sb_") || name.len() > 1024 {
        return Err("give the token on standard input (-) or in a file, not as an argument: other users and the \
                    shell's history would see it"
            .to_owned());
    }
    let file = File::open(path).map_err(|error| format!("{name}: cannot be read: {error}"))?;
    take(file, &name)
}

fn take(source: impl Read, name: &str) -> Result<Input, String> {
    let mut bytes = Vec::new();
    let most = MAX_BYTES as u64 + 1;
    source.take(most).read_to_end(&mut bytes).map_err(|error| format!("{name}: cannot be read: {error}"))?;
    if bytes.len() > MAX_BYTES {
        return Err(format!("{name}: longer than 4 MiB: this is no token"));
    }
    let text = String::from_utf8(bytes).map_err(|_| format!("{name}: not text: this is no token"))?;
    let input = unwrap(&text);
    if input.token.is_empty() { Err(format!("{name}: there is no token")) } else { Ok(input) }
}

/// Takes off blanks, quotes, `Authorization:` and `Bearer`. Whatever is left is the token, good or bad.
fn unwrap(text: &str) -> Input {
    let (mut token, mut notes) = (text.trim_start_matches('\u{feff}').trim(), Vec::new());
    for _ in 0..MOST_LAYERS {
        let Some((inner, note)) = unwrap_once(token) else { break };
        notes.push(note);
        token = inner.trim();
    }
    Input { token: token.to_owned(), notes }
}

fn unwrap_once(text: &str) -> Option<(&str, &'static str)> {
    for quote in ['"', '\'', '`'] {
        if let Some(inner) = text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return Some((inner, "the quotes around the token were left out; a client that sends them is refused"));
        }
    }
    if let Some(rest) = without_prefix(text, "authorization:") {
        return Some((rest, "the header's name \"Authorization:\" was left out"));
    }
    let rest =
        without_prefix(text, "bearer").filter(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))?;
    Some((rest, "the prefix \"Bearer\" was left out: it belongs to the header, not to the token"))
}

/// Header names and schemes are case-insensitive (RFC 9110 sections 5.1 and 11.1).
fn without_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let start = text.get(..prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pasted_along_is_left_out_with_a_note() {
        for (text, token, notes) in [
            ("a.b.c", "a.b.c", 0),
            (" \r\na.b.c\n", "a.b.c", 0),
            ("\u{feff}a.b.c", "a.b.c", 0),
            ("Bearer a.b.c", "a.b.c", 1),
            ("bearer\ta.b.c\n", "a.b.c", 1),
            ("\"a.b.c\"", "a.b.c", 1),
            ("'Authorization: Bearer \"a.b.c\"'", "a.b.c", 4),
            ("Bearer", "", 1),
            ("bearera.b.c", "bearera.b.c", 0),
            ("\"", "\"", 0),
            ("a b", "a b", 0),
        ] {
            let input = unwrap(text);
            assert_eq!((input.token.as_str(), input.notes.len()), (token, notes), "{text:?}");
        }
    }

    #[test]
    fn input_without_a_token_is_an_error_that_quotes_nothing() {
        for bytes in [&b""[..], b" \n", b"Bearer \n", b"\xff\xfe", &[b'a'; MAX_BYTES + 1]] {
            let message = take(bytes, "standard input").unwrap_err();
            assert!(message.len() < 80, "{message}");
        }
        assert!(take(&[b'a'; MAX_BYTES][..], "standard input").is_ok());
    }

    #[test]
    fn a_token_in_place_of_a_file_is_not_repeated() {
        for path in ["eyJhbGciOiJub25lIn0.e30.", "Bearer eyJhbGciOiJub25lIn0.e30.", "sb_secret_abc"] {
            let message = read(Path::new(path)).unwrap_err();
            assert!(message.contains("standard input") && !message.contains(path));
        }
    }
}
