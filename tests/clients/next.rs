//! A csg of a version to come, whose database has one schema more (the feature `next-schema`): for tests of upgrades.

use std::process::ExitCode;

fn main() -> ExitCode {
    csg::cli::run()
}
