//! SIGHUP: the configuration is read again. What can change while calls are under way does; what can't is named. A
//! configuration with a mistake changes nothing.

use super::{Running, gateway_config, logging, systemd};
use crate::config::{Config, Problems};

/// Reads it with `read`, and lets count what can.
pub(super) fn reload(running: &mut Running, read: &impl Fn() -> Result<Config, Problems>) {
    systemd::reloading();
    match read() {
        Ok(next) => apply(running, next),
        Err(Problems(problems)) => {
            for problem in problems {
                tracing::error!(%problem, "the configuration has a mistake: nothing was changed");
            }
        }
    }
    systemd::ready(&running.console_url);
}

fn apply(running: &mut Running, next: Config) {
    let changes = running.config.changes(&next);
    let config = running.config.with_live_of(next);
    // The only step that can fail, as it reads the file with roots anew.
    let configured = gateway_config(&config).and_then(|config| Ok(running.data_plane.reconfigure(config)?));
    if let Err(error) = configured {
        tracing::error!(%error, "the configuration can't be used: nothing was changed");
        return;
    }
    running.audit.keep_for(config.audit.retention);
    logging::set_level(config.log.level);
    running.config = config;
    for change in &changes {
        let (key, before, after) = (change.key, &change.before, &change.after);
        if change.is_live {
            tracing::info!(key, before, after, "the configuration was changed");
        } else {
            tracing::warn!(key, before, after, "this change counts after a restart");
        }
    }
    tracing::info!(changes = changes.len(), "the configuration was read again");
}
