//! The executable `csg`: exit codes, nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    csg::cli::run()
}
