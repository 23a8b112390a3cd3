//! What commands print, and what they never print.
//!
//! Text out of a token or a key set was written by somebody else: before it is shown it is cut short, stripped of what
//! a terminal would obey, and of e-mail addresses and tokens.

use std::io::Write as _;

use serde::Serialize;

/// Longest text shown of a single value, in characters.
const SHOWN_CHARS: usize = 128;

/// What stands for a token or a key.
pub(super) const NOT_SHOWN: &str = "<not shown>";

/// Prints the answer on standard output.
pub(super) fn answer(text: &str) {
    // A reader that has gone away, such as head, has seen what it wanted.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// A document as indented JSON, with a line break at its end.
pub(super) fn json(document: &impl Serialize) -> String {
    // Texts, numbers, and lists and maps of them always serialize.
    let text = serde_json::to_string_pretty(document).unwrap_or_default();
    // Line breaks are the document's own; anything else that a terminal would obey stands within a string.
    let escape = |c: char| if c != '\n' && is_dangerous(c) { format!("\\u{:04x}", c as u32) } else { c.to_string() };
    text.chars().map(escape).chain(["\n".to_owned()]).collect()
}

/// Lines of aligned columns, indented by two blanks; the last column is not padded.
pub(super) fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(|column| if column + 1 == N { 0 } else { width(column) });
    let line = |row: &[String; N]| {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("  {}", cells.join("  ")).trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

/// Foreign text in quotes, as it may be shown.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", shown(text).replace('"', "\\\""))
}

/// Foreign text as it may be shown.
pub(super) fn shown(text: &str) -> String {
    printable(&shorten(&redact(text)))
}

/// Text without e-mail addresses and tokens in it.
pub(super) fn redact(text: &str) -> String {
    let words = text.split_inclusive(|c: char| c.is_whitespace() || ",;<>()[]{}\"'".contains(c));
    words.map(redact_word).collect()
}

/// An e-mail address with its first letter and its domain only.
pub(super) fn mask_email(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((local, domain)) => format!("{}@{domain}", masked(local)),
        None => hidden(address),
    }
}

fn masked(local: &str) -> String {
    format!("{}…", local.chars().next().map(String::from).unwrap_or_default())
}

/// What stands for a text that is not shown at all.
pub(super) fn hidden(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("<{} characters, not shown>", text.chars().count()) }
}

/// A count with its noun.
pub(super) fn count(number: usize, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}

fn redact_word(word: &str) -> String {
    let bare = word.trim_end_matches(|c: char| c.is_whitespace() || ",;<>()[]{}\"'".contains(c));
    let rest = &word[bare.len()..];
    if looks_like_a_secret(bare) {
        return format!("{NOT_SHOWN}{rest}");
    }
    let Some((local, domain)) = bare.rsplit_once('@').filter(|(local, domain)| !local.is_empty() && !domain.is_empty())
    else {
        return word.to_owned();
    };
    // An address may follow `mailto:`; in a URL, user and password stand before the @.
    let start = local.rfind(['/', ':', '=']).map_or(0, |at| at + 1);
    format!("{}{}@{domain}{rest}", &local[..start], masked(&local[start..]))
}

/// A JWT begins with `{"` in base64url; Supabase's keys say what they are.
pub(super) fn looks_like_a_secret(word: &str) -> bool {
    let is_token = word.contains("eyJ") && word.len() > 20 || word.starts_with("ey") && word.matches('.').count() == 2;
    is_token || word.contains("sb_secret_") || word.contains("sb_publishable_")
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Text without what a terminal would obey.
fn printable(text: &str) -> String {
    let escape = |c: char| if is_dangerous(c) { c.escape_unicode().to_string() } else { c.to_string() };
    text.chars().map(escape).collect()
}

/// Control characters, and those that change the direction of writing or are not seen.
fn is_dangerous(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_tokens_are_not_shown_wherever_they_stand() {
        for (text, expected) in [
            ("alice@example.com", "a…@example.com"),
            ("write to alice@example.com, please", "write to a…@example.com, please"),
            ("\"bob.b@mail.example.org\"", "\"b…@mail.example.org\""),
            ("mailto:alice@example.com", "mailto:a…@example.com"),
            ("https://user:secret@host.example/x", "https://user:s…@host.example/x"),
            ("x@y@example.com", "x…@example.com"),
            ("@", "@"),
            ("root@localhost", "r…@localhost"),
            ("@localhost", "@localhost"),
            ("eyJhbGciOiJFUzI1NiJ9.e30.c2ln", "<not shown>"),
            ("see eyJhbGciOiJFUzI1NiJ9.e30.c2ln.", "see <not shown>"),
            ("sb_secret_abc", "<not shown>"),
            ("authenticated", "authenticated"),
        ] {
            assert_eq!(redact(text), expected, "{text}");
        }
    }

    #[test]
    fn what_a_terminal_would_obey_is_escaped_and_long_text_is_cut() {
        assert_eq!(quoted("a\u{1b}[2Jb\n\u{202e}\"ü"), "\"a\\u{1b}[2Jb\\u{a}\\u{202e}\\\"ü\"");
        assert_eq!(shown(&"x".repeat(500)).chars().count(), SHOWN_CHARS + 1);
        let document = json(&["\u{9b}2J\u{202e}\u{7f}\n"]);
        assert_eq!(document, "[\n  \"\\u009b2J\\u202e\\u007f\\n\"\n]\n");
        assert_eq!(serde_json::from_str::<[String; 1]>(&document).unwrap(), ["\u{9b}2J\u{202e}\u{7f}\n"]);
    }

    #[test]
    fn columns_are_aligned_without_blanks_at_the_end() {
        let rows =
            [["a".to_owned(), "long".to_owned(), String::new()], ["bb".to_owned(), "x".to_owned(), "y".to_owned()]];
        assert_eq!(columns(&rows), "  a   long\n  bb  x     y\n");
    }
}
