mod files;
mod policies;
mod supabase;
mod variables;

use std::path::PathBuf;

use super::{Config, ConfigError, Effective, Flags, IssuerSettings};

/// A configuration from variables (`NAME=value` lines) and the text of a file.
fn load(variables: &[(&str, &str)], file: &str) -> Result<Config, ConfigError> {
    load_with(&Flags::new(), variables, file)
}

fn load_with(flags: &Flags, variables: &[(&str, &str)], file: &str) -> Result<Config, ConfigError> {
    let env = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    let file = (!file.is_empty()).then(|| (PathBuf::from("keyward.toml"), file.to_owned()));
    Config::load(flags, &env, file)
}

fn error(variables: &[(&str, &str)], file: &str) -> String {
    let message = load(variables, file).expect_err("accepted").to_string();
    assert!(!message.contains('\n'), "more than one line: {message}");
    message
}

#[track_caller]
fn check_errors(cases: &[(&str, &str)], load: impl Fn(&str) -> String) {
    for (input, expected) in cases {
        assert_eq!(load(input), *expected, "for {input}");
    }
}

impl Config {
    fn row(&self, name: &str) -> &Effective {
        self.effective().iter().find(|row| row.name == name).unwrap_or_else(|| panic!("{name} is not shown"))
    }

    fn issuer(&self, name: &str) -> &IssuerSettings {
        self.issuers.iter().find(|issuer| issuer.name == name).unwrap_or_else(|| panic!("no issuer {name}"))
    }
}

const PROJECT: (&str, &str) = ("SUPABASE_URL", "https://abc.supabase.co");
