//! What is wrong with a configuration, in one line.

use std::fmt;
use std::path::PathBuf;

use super::Source;

/// A value longer than this is cut in messages, in characters.
const SHOWN_CHARS: usize = 120;

/// A configuration that cannot be used. `Display` is one line that names the place, the value unless it is secret,
/// and what is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// A value that is not accepted.
    Invalid {
        /// Where it was written.
        at: Box<Source>,
        /// The value, quoted when it is text; `None` when it is secret or there is none to show.
        value: Option<String>,
        /// What is wrong with it, as the end of a sentence.
        problem: String,
        /// What would be accepted.
        accepted: String,
    },
    /// A key of the file that nothing reads.
    UnknownKey {
        /// The key and its line.
        at: Box<Source>,
        /// The known key that was probably meant.
        meant: Option<String>,
    },
    /// The file is not TOML.
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// The file cannot be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        message: String,
    },
    /// Something that must be said was not.
    Missing {
        /// What is missing, as a whole sentence.
        message: String,
    },
}

impl ConfigError {
    /// An error about a value that may be shown; `value` is written as it is, so quote text before.
    pub(crate) fn invalid(
        at: &Source,
        value: Option<String>,
        problem: impl Into<String>,
        accepted: impl Into<String>,
    ) -> Self {
        Self::Invalid { at: Box::new(at.clone()), value, problem: problem.into(), accepted: accepted.into() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid { at, value, problem, accepted } => {
                let value = value.as_deref().map_or_else(|| "the value".into(), |v| cut(v, SHOWN_CHARS));
                write!(f, "{}: {value} {problem} (accepted: {accepted})", at.place())
            }
            Self::UnknownKey { at, meant: Some(meant) } => {
                write!(f, "{}: unknown key (did you mean {meant}?)", at.place())
            }
            Self::UnknownKey { at, meant: None } => write!(f, "{}: unknown key", at.place()),
            Self::Syntax { path, line, message } => {
                write!(f, "{}:{line}: not TOML: {message}", path.display())
            }
            Self::Unreadable { path, message } => write!(f, "{}: cannot be read: {message}", path.display()),
            Self::Missing { message } => f.write_str(message),
        }
    }
}

impl std::error::Error for ConfigError {}

fn cut(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
