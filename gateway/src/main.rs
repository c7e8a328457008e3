//! The `bellwether` binary; everything is in the library, so that tests can boot it.

use std::process::ExitCode;

fn main() -> ExitCode {
    bellwether::cli::main()
}
