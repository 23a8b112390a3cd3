//! `keyward jwks`: what is in a key set, and what changed between two.

mod diff;
mod hints;
mod key;
mod show;
mod source;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use keyward::FetchOptions;

use crate::cli::OutputFormat;
use crate::exit::Exit;

pub(super) use self::hints::no_usable_key;
pub(super) use self::key::KeyRow;
pub(super) use self::source::{Location, Unobtainable, load, load_source};

const SHOW_EXIT_CODES: &str = "\
Exit codes:
  0  at least one key is usable
  1  no key is usable
  2  the command line is wrong, or the file does not exist
  3  the key set cannot be had: not reachable, not readable, or not a JWK Set";

const DIFF_EXIT_CODES: &str = "\
Keys are matched by kid and material (RFC 7638 thumbprint), never by their order.

Exit codes:
  0  both sets have the same keys
  1  they differ
  2  the command line is wrong, or a file does not exist
  3  a key set cannot be had: not reachable, not readable, or not a JWK Set";

/// How long a fetch may take, in seconds.
const TIMEOUTS: std::ops::RangeInclusive<f64> = 0.05..=60.0;

/// The commands about key sets.
#[derive(Clone, Debug, Subcommand)]
pub enum JwksCommand {
    /// Show the keys of a set, and why any is unusable
    #[command(after_help = SHOW_EXIT_CODES)]
    Show(ShowArgs),
    /// Compare two sets key by key, whatever their order
    #[command(after_help = DIFF_EXIT_CODES)]
    Diff(DiffArgs),
}

/// The command line of `keyward jwks show`.
#[derive(Args, Clone, Debug)]
pub struct ShowArgs {
    /// The key set; - for standard input
    #[arg(value_name = "URL|FILE|-")]
    pub source: String,
    /// How it is fetched and shown.
    #[command(flatten)]
    pub options: JwksOptions,
}

/// The command line of `keyward jwks diff`.
#[derive(Args, Clone, Debug)]
pub struct DiffArgs {
    /// The older key set: URL, file, or - for standard input
    #[arg(value_name = "A")]
    pub old: String,
    /// The newer key set: URL, file, or - for standard input
    #[arg(value_name = "B")]
    pub new: String,
    /// How they are fetched and shown.
    #[command(flatten)]
    pub options: JwksOptions,
}

/// How key sets are fetched and shown.
#[derive(Args, Clone, Debug)]
pub struct JwksOptions {
    /// Let key sets come over plain http from beyond loopback
    #[arg(long)]
    pub allow_http: bool,
    /// Certificate authorities (PEM) for fetching, besides the system's
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Longest time for one fetch
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    pub timeout_seconds: f64,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    pub format: OutputFormat,
}

impl JwksOptions {
    fn fetching(&self) -> Result<(FetchOptions, Duration), Unobtainable> {
        if !TIMEOUTS.contains(&self.timeout_seconds) {
            let (seconds, least, most) = (self.timeout_seconds, TIMEOUTS.start(), TIMEOUTS.end());
            let message = format!("--timeout-seconds: {seconds} is out of range (accepted: {least} to {most})");
            return Err(Unobtainable { is_usage: true, message, hint: None });
        }
        let options =
            FetchOptions { ca_file: self.ca_file.clone(), allow_http: self.allow_http, connect_timeout: None };
        Ok((options, Duration::from_secs_f64(self.timeout_seconds)))
    }
}

/// Runs the command.
#[must_use]
pub fn run(command: JwksCommand) -> Exit {
    match command {
        JwksCommand::Show(args) => show::run(&args),
        JwksCommand::Diff(args) => diff::run(&args),
    }
}
