//! `keyward config show`: the effective configuration and where each value came from.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::Value as Json;

use crate::cli::{OutputFormat, SettingsArgs};
use crate::config::Config;
use crate::exit::Exit;

/// A value longer than this does not widen the column, in characters.
const VALUE_COLUMN: usize = 60;

/// The commands about the configuration.
#[derive(Clone, Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print every effective value and where it came from, secrets redacted
    Show(ShowArgs),
}

/// The command line of `keyward config show`.
#[derive(Args, Clone, Debug)]
pub struct ShowArgs {
    /// Configuration file (TOML); environment variables and flags override it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    pub format: OutputFormat,
    /// What overrides the file and the environment.
    #[command(flatten)]
    pub settings: SettingsArgs,
}

/// Runs the command.
#[must_use]
pub fn run(command: ConfigCommand) -> Exit {
    let ConfigCommand::Show(args) = command;
    let config = match Config::read(&args.settings.flags(), args.config.as_deref()) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{error}");
            return Exit::Usage;
        }
    };
    for warning in config.warnings() {
        eprintln!("warning: {warning}");
    }
    let shown = match args.format {
        OutputFormat::Text => text(&config),
        OutputFormat::Json => json(&config),
    };
    // A reader that has gone away, such as head, has seen what it wanted.
    let _ = std::io::stdout().write_all(shown.as_bytes());
    Exit::Success
}

/// One aligned line for each value: name, value, source.
fn text(config: &Config) -> String {
    let rows: Vec<(&str, String, String)> =
        config.effective().iter().map(|row| (row.name.as_str(), plain(&row.value), row.source.to_string())).collect();
    let width = |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or(0);
    let name_width = width(&mut rows.iter().map(|row| row.0.chars().count()));
    let value_width = width(&mut rows.iter().map(|row| row.1.chars().count()).filter(|length| *length <= VALUE_COLUMN));
    let mut out = String::new();
    for (name, value, source) in rows {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{name:name_width$}  {value:value_width$}  {source}");
    }
    out
}

/// One value in JSON. A type of its own, so that the order of its members does not hang on a feature of serde_json.
#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    value: &'a Json,
    source: String,
}

#[derive(Serialize)]
struct Document<'a> {
    settings: Vec<Row<'a>>,
    warnings: &'a [String],
}

fn json(config: &Config) -> String {
    let settings = config.effective().iter().map(|effective| Row {
        name: &effective.name,
        value: &effective.value,
        source: effective.source.to_string(),
    });
    let document = Document { settings: settings.collect(), warnings: config.warnings() };
    // Texts, numbers and arrays of them always serialize.
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

fn plain(value: &Json) -> String {
    match value {
        Json::Null => "-".to_owned(),
        Json::String(text) => text.chars().flat_map(printable).collect(),
        Json::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// A character as it may go to a terminal.
fn printable(character: char) -> impl Iterator<Item = char> {
    let escaped = character.is_control().then(|| character.escape_default());
    let plain = escaped.is_none().then_some(character);
    escaped.into_iter().flatten().chain(plain)
}

#[cfg(test)]
mod tests;
