//! Where log lines go and how they look: standard error, for systemd's journal or a container's collector to take.

use std::{
    io::{self, IsTerminal},
    sync::OnceLock,
};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{EnvFilter, fmt};

use crate::config::{Log, LogFormat};

/// Changes what is written; set once logging has begun.
static CHANGE: OnceLock<Box<dyn Fn(EnvFilter) + Send + Sync>> = OnceLock::new();

/// Begins to log. Only the first call in a process has an effect.
pub fn start(log: &Log) {
    let builder = fmt().with_writer(io::stderr);
    match log.format {
        LogFormat::Json => {
            let builder = builder.json().flatten_event(true).with_current_span(false);
            let builder = builder.with_env_filter(filter(log.level)).with_filter_reloading();
            let handle = builder.reload_handle();
            keep(&builder.try_init(), move |filter| drop(handle.reload(filter)));
        }
        LogFormat::Text => {
            let builder = builder.with_ansi(io::stderr().is_terminal() && no_color().is_none());
            let builder = builder.with_env_filter(filter(log.level)).with_filter_reloading();
            let handle = builder.reload_handle();
            keep(&builder.try_init(), move |filter| drop(handle.reload(filter)));
        }
    }
}

/// An error means that a subscriber is set already, by a test or by whoever embeds us; that one stays.
fn keep<E>(begun: &Result<(), E>, change: impl Fn(EnvFilter) + Send + Sync + 'static) {
    if begun.is_ok() {
        drop(CHANGE.set(Box::new(change)));
    }
}

/// From now on, only what is of this `level` or above is written.
pub(super) fn set_level(level: LevelFilter) {
    if let Some(change) = CHANGE.get() {
        change(filter(level));
    }
}

fn filter(level: LevelFilter) -> EnvFilter {
    // What libraries say below a warning is for their authors.
    let others = level.min(LevelFilter::WARN);
    EnvFilter::new(format!("{others},csg={level}"))
}

fn no_color() -> Option<std::ffi::OsString> {
    std::env::var_os("NO_COLOR").filter(|value| !value.is_empty())
}
