//! Tells the binary which revision it was built from, when it is built in a clone.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=KEYWARD_REVISION");
    // Every commit and checkout appends to this file. A path that does not exist would mean building each time.
    let log = "../../.git/logs/HEAD";
    if Path::new(log).exists() {
        println!("cargo:rerun-if-changed={log}");
    } else {
        println!("cargo:rerun-if-changed=build.rs");
    }
    // A packager outside a clone sets the variable.
    let given = std::env::var("KEYWARD_REVISION").ok().filter(|revision| !revision.is_empty());
    if let Some(revision) = given.or_else(from_git) {
        println!("cargo:rustc-env=KEYWARD_REVISION={revision}");
    }
}

fn from_git() -> Option<String> {
    let output = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output().ok()?;
    let revision = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    let is_revision = output.status.success() && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_revision && !revision.is_empty()).then_some(revision)
}
