//! What the installation decides for itself.

use super::{Administrator, Error, Settings, transaction::Act};
use crate::store::{Read, tables::settings::SETTINGS};

impl Administrator<'_> {
    /// The settings.
    pub fn settings(&self) -> Result<Settings, Error> {
        read(&self.caller.workflow.read()?)
    }

    /// Replaces the settings.
    pub fn change_settings(&self, settings: &Settings) -> Result<(), Error> {
        self.act(|tx, _| {
            let before = read(tx.writer)?;
            if before == *settings {
                return Ok(());
            }
            tx.writer.put(&SETTINGS, &(), settings)?;
            tx.record(Act {
                action: "settings.change",
                subject: "settings".into(),
                detail: Some(format!("self_approval {}", settings.self_approval)),
                ..Act::default()
            })
        })
    }
}

pub(super) fn read(read: &impl Read) -> Result<Settings, Error> {
    Ok(read.find(&SETTINGS, &())?.unwrap_or_default())
}
