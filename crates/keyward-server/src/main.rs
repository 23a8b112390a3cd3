//! The `keyward` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    keyward_server::cli::main().into()
}
