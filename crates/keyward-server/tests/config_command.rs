//! `keyward config show` as a process: exit codes, and what goes where.

use std::process::{Command, Output};

fn keyward(args: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyward"));
    command.env_clear().args(args).envs(variables.iter().copied()).output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("output is UTF-8")
}

#[test]
fn an_invalid_value_is_one_clear_line_and_exit_code_2() {
    let output = keyward(&["config", "show"], &[("JWKS_CACHE_TTL_SECONDS", "abc")]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(text(&output.stdout), "");
    assert_eq!(
        text(&output.stderr),
        "JWKS_CACHE_TTL_SECONDS: \"abc\" is not a whole number of seconds (accepted: 1 to 86400)\n"
    );
}

#[test]
fn values_go_to_standard_output_and_warnings_to_standard_error() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("keyward.toml");
    std::fs::write(&file, "[policies.p]\nclaims = [{ path = 'user_metadata.admin', equals = true }]\n").unwrap();
    let args = ["config", "show", "--format", "json", "--config", file.to_str().unwrap(), "--listen", "127.0.0.1:1"];
    let output = keyward(
        &args,
        &[("SUPABASE_URL", "https://abc.supabase.co"), ("KEYWARD_ADMIN_TOKEN", "hunter2hunter2hunter2")],
    );
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stderr).starts_with("warning: the policy \"p\" relies on user_metadata"));
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let row =
        |name: &str| shown["settings"].as_array().unwrap().iter().find(|row| row["name"] == name).unwrap().clone();
    assert_eq!(row("KEYWARD_LISTEN")["source"], "flag --listen");
    assert_eq!(row("KEYWARD_ADMIN_TOKEN")["value"], "<redacted>");
    assert_eq!(shown["warnings"].as_array().unwrap().len(), 1);
    assert!(!text(&output.stdout).contains("hunter2"));
}

#[test]
fn a_mistaken_command_line_is_exit_code_2_and_help_is_0() {
    assert_eq!(keyward(&["config", "shwo"], &[]).status.code(), Some(2));
    assert_eq!(keyward(&["config", "show", "--config", "no/such/file"], &[]).status.code(), Some(2));
    let help = keyward(&["serve", "--help"], &[]);
    assert_eq!(help.status.code(), Some(0));
    assert!(text(&help.stdout).contains("--dev") && help.stderr.is_empty());
}
