//! Where a value came from.

use std::fmt;
use std::path::PathBuf;

/// The origin of an effective value. Later origins win: default, file, environment, flag.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// Nobody said anything: the documented default.
    Default,
    /// The default that `serve --dev` has instead of the documented one.
    DevDefault,
    /// A key of the file given with `--config`.
    File {
        /// The file as it was named on the command line.
        path: PathBuf,
        /// Line of the key, counted from 1.
        line: usize,
        /// Dotted key, e.g. `supabase.url` or `issuers[0].audiences`.
        key: String,
    },
    /// An environment variable.
    Environment(&'static str),
    /// A command-line flag, with its dashes.
    Flag(&'static str),
    /// Made from another setting, which is named.
    Derived(&'static str),
}

impl Source {
    /// How a message names the place where the value was written: `SUPABASE_URL`, `--listen`, `keyward.toml:3: listen`.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            Self::Default | Self::DevDefault => "default".to_owned(),
            Self::File { path, line, key } => format!("{}:{line}: {key}", path.display()),
            Self::Environment(name) | Self::Flag(name) | Self::Derived(name) => (*name).to_owned(),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::DevDefault => f.write_str("default of --dev"),
            Self::File { path, line, key } => write!(f, "{}:{line} {key}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
            Self::Derived(name) => write!(f, "derived from {name}"),
        }
    }
}
