//! `keyward token`: what a token says, and whether it would be accepted.

mod accepted;
mod checks;
mod claims;
mod hints;
mod input;
mod inspect;
mod moment;
mod report;
mod verify;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::OutputFormat;
use crate::exit::Exit;

const INSPECT_EXIT_CODES: &str = "\
Signature, e-mail addresses, phone numbers and user_metadata are not shown.

Exit codes:
  0  it is a token, good or bad: nothing is verified
  1  it is no token; the reason is on standard output
  2  the command line is wrong, or there is no input";

const VERIFY_EXIT_CODES: &str = "\
The checks are those of the service, in its order, up to and including the question whether the policy default wants a
sub; what else a policy asks for, and revocations, are not checked. iss and aud must be there even where any is accepted.

Exit codes:
  0  valid
  1  refused; the reason is on standard output
  2  the command line or the configuration is wrong, or there is no input
  3  undecided: the key set cannot be had, or has no usable key";

/// The commands about a token. The token comes from standard input or a file, never from the command line, where
/// other users and the shell's history would see it.
#[derive(Clone, Debug, Subcommand)]
pub enum TokenCommand {
    /// Show what a token says, without verifying it; the signature is left out
    #[command(after_help = INSPECT_EXIT_CODES)]
    Inspect(InspectArgs),
    /// Verify a token and explain each check
    #[command(after_help = VERIFY_EXIT_CODES)]
    Verify(VerifyArgs),
}

/// The command line of `keyward token inspect`.
#[derive(Args, Clone, Debug)]
pub struct InspectArgs {
    /// File with the token; - for standard input
    #[arg(value_name = "FILE|-")]
    pub input: PathBuf,
    /// Moment to judge ages by (RFC 3339 or seconds since 1970); default now
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    pub format: OutputFormat,
}

/// The command line of `keyward token verify`.
#[derive(Args, Clone, Debug)]
pub struct VerifyArgs {
    /// File with the token; - for standard input
    #[arg(value_name = "FILE|-")]
    pub input: PathBuf,
    /// Key set to verify with; default that of the configured issuer
    #[arg(long, value_name = "FILE|URL")]
    pub jwks: Option<String>,
    /// Accepted `iss`, may be given several times; default those of the configuration, else any
    #[arg(long, value_name = "ISS")]
    pub issuer: Vec<String>,
    /// Accepted `aud`, may be given several times; default those of the configuration, else any
    #[arg(long, value_name = "AUD")]
    pub audience: Vec<String>,
    /// Moment to verify at (RFC 3339 or seconds since 1970); default now
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// Configuration file (TOML), for what is not given here
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Let the key set come over plain http from beyond loopback
    #[arg(long)]
    pub allow_http: bool,
    /// Certificate authorities (PEM) for fetching the key set, besides the system's
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    pub format: OutputFormat,
}

/// Runs the command.
#[must_use]
pub fn run(command: TokenCommand) -> Exit {
    match command {
        TokenCommand::Inspect(args) => inspect::run(&args),
        TokenCommand::Verify(args) => verify::run(&args),
    }
}
