//! Where log lines go and how they look: standard error, for systemd's journal or a container's collector to take.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{EnvFilter, fmt};

use crate::config::{Log, LogFormat};

/// Begins to log. Only the first call in a process has an effect.
pub fn start(log: &Log) {
    // What libraries say below a warning is for their authors.
    let others = log.level.min(LevelFilter::WARN);
    let filter = EnvFilter::new(format!("{others},csg={}", log.level));
    let builder = fmt().with_env_filter(filter).with_writer(io::stderr);
    // An error means that a subscriber is set already, by a test or by whoever embeds us; that one stays.
    drop(match log.format {
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).try_init(),
        LogFormat::Text => builder.with_ansi(io::stderr().is_terminal() && no_color().is_none()).try_init(),
    });
}

fn no_color() -> Option<std::ffi::OsString> {
    std::env::var_os("NO_COLOR").filter(|value| !value.is_empty())
}
