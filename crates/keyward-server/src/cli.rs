//! The command line.

use std::ffi::OsString;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::commands;
use crate::config::{Flags, settings};
use crate::exit::Exit;

/// Keeps an API authenticated when its identity provider is not there.
#[derive(Debug, Parser)]
#[command(name = "keyward", version, propagate_version = true, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the service: everything that is configured
    Serve(commands::serve::ServeArgs),
    /// Explain or verify a token read from standard input or a file
    #[command(subcommand)]
    Token(commands::token::TokenCommand),
    /// Show or compare key sets
    #[command(subcommand)]
    Jwks(commands::jwks::JwksCommand),
    /// Look at the configuration
    #[command(subcommand)]
    Config(commands::config::ConfigCommand),
}

/// How a command prints its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people
    #[default]
    Text,
    /// For programs, with the same content
    Json,
}

/// Flags that override the environment and the file. Values are checked with the configuration, so that a mistake
/// reads the same wherever it was made.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Settings (override the environment and the file)")]
pub struct SettingsArgs {
    /// Project URL; sets issuer and JWKS URL when they are not given (SUPABASE_URL)
    #[arg(long, value_name = "URL")]
    pub supabase_url: Option<String>,
    /// Where the key set is (SUPABASE_JWT_JWKS_URL)
    #[arg(long, value_name = "URL")]
    pub jwks_url: Option<String>,
    /// Accepted `iss`, comma-separated (SUPABASE_JWT_ISSUER)
    #[arg(long, value_name = "ISS,…")]
    pub issuer: Option<String>,
    /// Accepted `aud`, comma-separated (SUPABASE_JWT_AUDIENCE)
    #[arg(long, value_name = "AUD,…")]
    pub audience: Option<String>,
    /// Keys are fresh for this long (JWKS_CACHE_TTL_SECONDS)
    #[arg(long, value_name = "SECONDS")]
    pub jwks_cache_ttl_seconds: Option<String>,
    /// Keys are usable for this long after the last success (JWKS_STALE_TTL_SECONDS)
    #[arg(long, value_name = "SECONDS")]
    pub jwks_stale_ttl_seconds: Option<String>,
    /// One fetch attempt (JWKS_REFRESH_TIMEOUT_SECONDS)
    #[arg(long, value_name = "SECONDS")]
    pub jwks_refresh_timeout_seconds: Option<String>,
    /// Further attempts in one refresh (JWKS_REFRESH_RETRIES)
    #[arg(long, value_name = "COUNT")]
    pub jwks_refresh_retries: Option<String>,
    /// Clock skew tolerated on exp, nbf and iat (JWT_LEEWAY_SECONDS)
    #[arg(long, value_name = "SECONDS")]
    pub leeway_seconds: Option<String>,
    /// A longer token is refused (JWT_MAX_TOKEN_BYTES)
    #[arg(long, value_name = "BYTES")]
    pub max_token_bytes: Option<String>,
    /// API, health and metrics (KEYWARD_LISTEN)
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Health and metrics on an address of their own (KEYWARD_OPS_LISTEN)
    #[arg(long, value_name = "ADDRESS")]
    pub ops_listen: Option<String>,
    /// Operator API and console (KEYWARD_ADMIN_LISTEN)
    #[arg(long, value_name = "ADDRESS")]
    pub admin_listen: Option<String>,
    /// Envoy ext_authz over gRPC, or off (KEYWARD_GRPC_LISTEN)
    #[arg(long, value_name = "ADDRESS")]
    pub grpc_listen: Option<String>,
    /// Database file and last-known-good key sets (KEYWARD_DATA_DIR)
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// A level, or directives such as info,hyper=warn (KEYWARD_LOG)
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
    /// json, pretty or auto (KEYWARD_LOG_FORMAT)
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
}

impl SettingsArgs {
    /// The flags as the configuration takes them.
    #[must_use]
    pub fn flags(&self) -> Flags {
        let mut flags = Flags::new();
        for (setting, value) in [
            (&settings::SUPABASE_URL, &self.supabase_url),
            (&settings::JWKS_URL, &self.jwks_url),
            (&settings::ISSUER, &self.issuer),
            (&settings::AUDIENCE, &self.audience),
            (&settings::CACHE_TTL, &self.jwks_cache_ttl_seconds),
            (&settings::STALE_TTL, &self.jwks_stale_ttl_seconds),
            (&settings::REFRESH_TIMEOUT, &self.jwks_refresh_timeout_seconds),
            (&settings::REFRESH_RETRIES, &self.jwks_refresh_retries),
            (&settings::LEEWAY, &self.leeway_seconds),
            (&settings::MAX_TOKEN_BYTES, &self.max_token_bytes),
            (&settings::LISTEN, &self.listen),
            (&settings::OPS_LISTEN, &self.ops_listen),
            (&settings::ADMIN_LISTEN, &self.admin_listen),
            (&settings::GRPC_LISTEN, &self.grpc_listen),
            (&settings::DATA_DIR, &self.data_dir),
            (&settings::LOG, &self.log),
            (&settings::LOG_FORMAT, &self.log_format),
        ] {
            flags.set(setting, value.clone());
        }
        flags
    }
}

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> Exit {
    match parse(std::env::args_os()) {
        Ok(cli) => run(cli),
        Err(exit) => exit,
    }
}

/// Parses a command line. What clap has to say is printed: help on standard output, mistakes on standard error.
///
/// # Errors
///
/// The exit code to end with: success after `--help` and `--version`, usage otherwise.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Cli, Exit> {
    Cli::try_parse_from(args).map_err(|error| {
        if !error.use_stderr() {
            // Nobody is left to tell when this fails.
            let _ = error.print();
            return Exit::Success;
        }
        let text = error.render().to_string();
        if commands::hides_secrets(&text) {
            // It quotes what was typed, and a token may have been typed where none belongs.
            eprintln!(
                "error: the command line is not understood; it has a token or key in it, which is read from standard \
                       input or a file only"
            );
        } else {
            let _ = error.print();
        }
        Exit::Usage
    })
}

fn run(cli: Cli) -> Exit {
    match cli.command {
        Command::Serve(args) => commands::serve::run(args),
        Command::Token(command) => commands::token::run(command),
        Command::Jwks(command) => commands::jwks::run(command),
        Command::Config(command) => commands::config::run(command),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::config::Config;

    fn parse_line(line: &str) -> Result<Cli, Exit> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_mistaken_command_line_is_usage_and_help_is_success() {
        assert_eq!(parse_line("keyward serve --no-such-flag").unwrap_err(), Exit::Usage);
        assert_eq!(parse_line("keyward").unwrap_err(), Exit::Usage);
        assert_eq!(parse_line("keyward --version").unwrap_err(), Exit::Success);
    }

    #[test]
    fn a_message_that_would_quote_a_token_is_known() {
        let token = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl";
        let error = Cli::try_parse_from(["keyward", "token", "verify", "-", token]).unwrap_err();
        assert!(commands::hides_secrets(&error.render().to_string()));
        let error = Cli::try_parse_from(["keyward", "token", "verify", "-", "other"]).unwrap_err();
        assert!(!commands::hides_secrets(&error.render().to_string()));
    }

    #[test]
    fn every_flag_of_the_settings_exists_and_reaches_the_configuration() {
        let samples = [("LISTEN", "127.0.0.1:1"), ("SECONDS", "7200"), ("BYTES", "7200"), ("RETRIES", "7")];
        for setting in settings::ALL.iter().filter(|setting| setting.flag.is_some()) {
            let flag = setting.flag.unwrap();
            let name = setting.name();
            let value = match flag {
                "--supabase-url" | "--jwks-url" => "https://flag.example",
                "--issuer" => "https://flag.example/auth/v1",
                "--log" => "debug",
                "--log-format" => "pretty",
                "--jwks-cache-ttl-seconds" | "--leeway-seconds" | "--jwks-refresh-timeout-seconds" => "60",
                _ => samples.iter().find(|(part, _)| name.contains(part)).map_or("value", |(_, value)| value),
            };
            let cli = parse_line(&format!("keyward serve {flag} {value}")).unwrap();
            let Command::Serve(args) = cli.command else { panic!("not serve") };
            let env = |name: &str| (name == "SUPABASE_URL").then(|| "https://env.example".to_owned());
            let config = Config::load(&args.settings.flags(), &env, None).unwrap();
            let effective = config.effective().iter().find(|effective| effective.name == name).unwrap();
            assert_eq!(effective.source.to_string(), format!("flag {flag}"));
        }
    }
}
