//! The command line: one file per subcommand. The only module where `anyhow` is allowed.
