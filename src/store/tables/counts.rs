//! How many there are of what would take long to count.

use super::super::{Error, Read, Table, Writer};

/// By what is counted; there is no record of what there is none of.
const COUNTS: Table<String, u64> = Table::new("counts");

/// Something that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted(&'static str);

/// API tokens, with those that have ended and were not yet forgotten.
pub const API_TOKENS: Counted = Counted("api_tokens");
/// People who may not sign in.
pub const DISABLED_PEOPLE: Counted = Counted("disabled_people");
/// People who may.
pub const PEOPLE: Counted = Counted("people");
/// Sessions, with those that have ended and were not yet forgotten.
pub const SESSIONS: Counted = Counted("sessions");

/// How many there are.
pub fn of(read: &impl Read, counted: Counted) -> Result<u64, Error> {
    Ok(read.find(&COUNTS, &counted.0.to_owned())?.unwrap_or(0))
}

/// Something was counted among those of `before`, if any, and now is among those of `now`, if any.
pub(super) fn moved(writer: &mut Writer, before: Option<Counted>, now: Option<Counted>) -> Result<(), Error> {
    if before == now {
        return Ok(());
    }
    if let Some(before) = before {
        change(writer, before, |count| count.saturating_sub(1))?;
    }
    if let Some(now) = now {
        change(writer, now, |count| count.saturating_add(1))?;
    }
    Ok(())
}

fn change(writer: &mut Writer, counted: Counted, change: impl Fn(u64) -> u64) -> Result<(), Error> {
    match change(of(writer, counted)?) {
        0 => writer.remove(&COUNTS, &counted.0.to_owned()).map(drop),
        count => writer.put(&COUNTS, &counted.0.to_owned(), &count),
    }
}
