//! From an older schema to the present one, step by step, in one transaction. Where that happens, and when it counts, is
//! [`super::replace`]'s.

use std::ops::ControlFlow;

use serde::{Serialize, de::DeserializeOwned};

use super::{
    Error, Key, Order, Read, Span, Table, Writer,
    schema::{CURRENT, SCHEMA},
    tables::{
        access_requests::{self, ACCESS_REQUESTS},
        tokens::{self, TOKENS},
        users::{self, USERS},
    },
};

/// Brings records from one schema to the next.
type Step = fn(&mut Writer) -> Result<(), Error>;

/// The steps: the first leads from schema 1 to 2, the next from 2 to 3.
const STEPS: [Step; CURRENT as usize - 1] = [
    index_access_requests,
    index_people_and_tokens,
    know_policy_groups,
    know_roles_and_wishes,
    #[cfg(feature = "next-schema")]
    know_what_is_to_come,
];

/// Brings the database to the present schema; all or nothing.
pub(super) fn to_current(writer: &mut Writer) -> Result<(), Error> {
    run(writer, &STEPS)
}

fn run(writer: &mut Writer, steps: &[Step]) -> Result<(), Error> {
    let known = u32::try_from(steps.len() + 1).unwrap_or(u32::MAX);
    let Some(found) = writer.find(&SCHEMA, &())? else { return writer.put(&SCHEMA, &(), &known) };
    let waiting = match found.checked_sub(1).and_then(|done| steps.get(done as usize..)) {
        Some([]) => return Ok(()),
        Some(waiting) => waiting,
        None if found > known => return Err(Error::NewerSchema { found, known, kept: false }),
        None => return Err(Error::Damaged { table: SCHEMA.name(), reason: "there is no such schema".into() }),
    };
    for step in waiting {
        step(writer)?;
    }
    writer.put(&SCHEMA, &(), &known)
}

/// Schema 2 has indexes of access requests.
fn index_access_requests(writer: &mut Writer) -> Result<(), Error> {
    each(writer, &ACCESS_REQUESTS, |writer, _, request| access_requests::reindex(writer, None, request))
}

/// Schema 3 has indexes and counts of people and of tokens.
fn index_people_and_tokens(writer: &mut Writer) -> Result<(), Error> {
    each(writer, &USERS, |writer, _, record| users::reindex(writer, None, &record.user))?;
    each(writer, &TOKENS, |writer, sha256, record| tokens::reindex(writer, sha256, None, Some(record)))
}

/// Schema 4 has policy groups. Old records fit; but a version that does not know of the rules would let calls go that
/// break them, and must not open the database.
#[expect(clippy::unnecessary_wraps, reason = "a step as any other")]
fn know_policy_groups(_: &mut Writer) -> Result<(), Error> {
    Ok(())
}

/// Schema 5 has credentials that are roles, and policy groups that were asked for. Old records fit; but a version that does
/// not know of them can't read the ones, and would forget the others.
#[expect(clippy::unnecessary_wraps, reason = "a step as any other")]
fn know_roles_and_wishes(_: &mut Writer) -> Result<(), Error> {
    Ok(())
}

/// What tests of upgrades have for a next schema: other records than this version's, which it must not see.
#[cfg(feature = "next-schema")]
fn know_what_is_to_come(writer: &mut Writer) -> Result<(), Error> {
    writer.put(&Table::<(), String>::new("what_is_to_come"), &(), &"known".to_owned())
}

/// Does `work` with each record of a table that it does not change.
fn each<K: Key, V: Serialize + DeserializeOwned>(
    writer: &mut Writer,
    table: &Table<K, V>,
    work: impl Fn(&mut Writer, &K, &V) -> Result<(), Error>,
) -> Result<(), Error> {
    // A thousand at a time: what is in memory must not grow with the table.
    const AT_ONCE: usize = 1000;
    let mut span = Span::all();
    loop {
        let mut some = Vec::new();
        writer.visit(table, &span, Order::Ascending, |key, value| {
            some.push((key, value));
            Ok::<_, Error>(if some.len() < AT_ONCE { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        for (key, value) in &some {
            work(writer, key, value)?;
        }
        let Some((last, _)) = some.last() else { return Ok(()) };
        span = Span::all().after(last);
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{MasterKey, Store},
        *,
    };

    const OLD: Table<String, u32> = Table::new("ages");
    const NEW: Table<String, String> = Table::new("ages");

    /// Made up: schema 1 kept ages as numbers, schema 2 keeps them as text.
    fn ages_become_text(writer: &mut Writer) -> Result<(), Error> {
        for (name, age) in writer.all(&OLD, &Span::all(), Order::Ascending)? {
            writer.put(&NEW, &name, &format!("{age} years"))?;
        }
        Ok(())
    }

    fn fails_half_way(writer: &mut Writer) -> Result<(), Error> {
        writer.put(&NEW, &"bob".to_owned(), &"?".to_owned())?;
        Err(Error::Damaged { table: "ages", reason: "made up".into() })
    }

    fn store() -> (tempfile::TempDir, Store) {
        let directory = tempfile::tempdir().unwrap();
        let key = MasterKey::from_bytes(&[1; 32]).unwrap();
        let store = Store::open(&directory.path().join("csg.redb"), &key).unwrap();
        let old = |tx: &mut Writer| tx.put(&OLD, &"ann".to_owned(), &41).and_then(|()| tx.put(&SCHEMA, &(), &1));
        store.transact(old).unwrap();
        (directory, store)
    }

    #[test]
    fn an_old_database_is_brought_forward_once() {
        let (_directory, store) = store();
        for _ in 0..2 {
            store.transact(|tx| run(tx, &[ages_become_text])).unwrap();
            let reader = store.read().unwrap();
            assert_eq!(reader.find(&NEW, &"ann".to_owned()).unwrap().unwrap(), "41 years");
            assert_eq!(reader.find(&SCHEMA, &()).unwrap(), Some(2));
        }
    }

    #[test]
    fn a_step_that_fails_leaves_everything_as_it_was() {
        let (_directory, store) = store();
        store.transact(|tx| run(tx, &[ages_become_text, fails_half_way])).unwrap_err();
        let reader = store.read().unwrap();
        assert_eq!(reader.all(&OLD, &Span::all(), Order::Ascending).unwrap(), [("ann".to_owned(), 41)]);
        assert_eq!(reader.find(&SCHEMA, &()).unwrap(), Some(1));
    }

    #[test]
    fn a_newer_database_is_refused_in_one_sentence() {
        let (directory, store) = store();
        store.transact(|tx| tx.put(&SCHEMA, &(), &7)).unwrap();
        drop(store);
        let key = MasterKey::from_bytes(&[1; 32]).unwrap();
        let error = Store::open(&directory.path().join("csg.redb"), &key).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "the database was written by a newer version of csg (its schema is 7, this version knows up to \
                 {CURRENT}): install that version again, or put back a backup of schema {CURRENT} or less with \
                 `csg restore FILE --force`"
            )
        );
    }
}
