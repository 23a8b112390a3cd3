//! Exit codes of the `keyward` binary.

use std::process::ExitCode;

/// How a command ended. What 1 means is each command's own: a token refused, a cause found, a difference seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything is as it should be.
    Success = 0,
    /// The command worked, and its answer is no.
    Negative = 1,
    /// The command line or the configuration is wrong; nothing was done.
    Usage = 2,
    /// The answer could not be found out.
    Unavailable = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
