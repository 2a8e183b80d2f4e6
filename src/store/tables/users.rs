//! People, what they are found by, and how many there are.
//!
//! A name is found by any part of it, so each of its endings has an entry: those that begin with what is looked for lie
//! together.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    super::{Error, Key, Read as _, Table, Writer},
    counts,
};
use crate::model::{EnvironmentId, Role, User, UserName};

/// People by their sign-in name. Written by [`put`] alone, which keeps the indexes.
pub const USERS: Table<UserName, UserRecord> = Table::new("users");

/// The names that end so, in small letters.
pub const USERS_BY_ENDING: Table<(String, UserName), ()> = Table::new("users_by_ending");

/// Who holds a role in an environment, or account-wide.
pub const HOLDERS: Table<(Held, UserName), ()> = Table::new("role_holders");

/// A role and where it is held, as the key of an index.
pub type Held = (Option<EnvironmentId>, Role);

/// A person, with the hash of their password.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UserRecord {
    /// The person.
    pub user: User,
    /// argon2id, as a PHC string.
    pub password: String,
}

/// Keeps the person as they are now.
pub fn put(writer: &mut Writer, record: &UserRecord) -> Result<(), Error> {
    let before = writer.find(&USERS, &record.user.name)?;
    writer.put(&USERS, &record.user.name, record)?;
    reindex(writer, before.as_ref().map(|record| &record.user), &record.user)
}

/// Takes the entries of the person as they were out of the indexes, and puts in those of them as they are.
pub(in crate::store) fn reindex(writer: &mut Writer, before: Option<&User>, now: &User) -> Result<(), Error> {
    if before.is_none() {
        for ending in endings(&now.name) {
            writer.put(&USERS_BY_ENDING, &(ending, now.name.clone()), &())?;
        }
    }
    let held = |user: &User| user.roles.iter().map(|held| (held.environment.clone(), held.role)).collect();
    let (old, new): (BTreeSet<Held>, BTreeSet<Held>) = (before.map(held).unwrap_or_default(), held(now));
    for held in old.difference(&new) {
        writer.remove(&HOLDERS, &(held.clone(), now.name.clone()))?;
    }
    for held in new.difference(&old) {
        writer.put(&HOLDERS, &(held.clone(), now.name.clone()), &())?;
    }
    let counted = |user: &User| if user.disabled { counts::DISABLED_PEOPLE } else { counts::PEOPLE };
    counts::moved(writer, before.map(counted), Some(counted(now)))
}

/// The name as it is looked for.
pub fn folded(name: &UserName) -> String {
    name.as_str().to_lowercase()
}

fn endings(name: &UserName) -> Vec<String> {
    let name = folded(name);
    name.char_indices().filter_map(|(start, _)| name.get(start..).map(str::to_owned)).collect()
}

/// The number that stands for a role on disk: never changed.
impl Key for Role {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(match self {
            Self::Admin => 1,
            Self::Approver => 2,
            Self::Auditor => 3,
            Self::Developer => 4,
        });
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        Some(match bytes.split_off_first()? {
            1 => Self::Admin,
            2 => Self::Approver,
            3 => Self::Auditor,
            4 => Self::Developer,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::super::{MasterKey, Order, Span, Store},
        *,
    };
    use crate::{clock::Timestamp, model::RoleAssignment};

    #[test]
    fn a_person_is_found_by_any_part_of_the_name_and_by_the_roles_of_now() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("csg.redb"), &MasterKey::from_bytes(&[7; 32]).unwrap()).unwrap();
        let dev = EnvironmentId::new("dev").unwrap();
        let role =
            |role, environment: Option<&EnvironmentId>| RoleAssignment { role, environment: environment.cloned() };
        let user = User {
            name: UserName::new("anna").unwrap(),
            roles: vec![role(Role::Admin, None), role(Role::Developer, Some(&dev))],
            disabled: false,
            created_at: Timestamp::from_millis(0),
            second_factor: false,
        };
        let mut record = UserRecord { user, password: String::new() };
        store.transact(|tx| put(tx, &record)).unwrap();
        let held = |held: Held| store.read().unwrap().all(&HOLDERS, &Span::of(&held), Order::Ascending).unwrap().len();
        assert_eq!((held((None, Role::Admin)), held((Some(dev.clone()), Role::Developer))), (1, 1));
        let reader = store.read().unwrap();
        let found = |text: &str| {
            reader
                .all(&USERS_BY_ENDING, &Span::starting(text), Order::Ascending)
                .unwrap()
                .into_iter()
                .map(|(key, ())| key.0)
        };
        assert_eq!(found("nn").collect::<Vec<_>>(), ["nna"]);
        assert_eq!(found("a").collect::<Vec<_>>(), ["a", "anna"]);
        assert_eq!(found("").count(), 4);
        assert_eq!(found("annab").count(), 0);

        record.user.roles.pop();
        record.user.disabled = true;
        store.transact(|tx| put(tx, &record)).unwrap();
        assert_eq!((held((None, Role::Admin)), held((Some(dev.clone()), Role::Developer))), (1, 0));
        let count = |of| counts::of(&store.read().unwrap(), of).unwrap();
        assert_eq!((count(counts::PEOPLE), count(counts::DISABLED_PEOPLE)), (0, 1));
    }

    #[test]
    fn a_role_is_read_as_it_was_written() {
        for role in Role::ALL {
            assert_eq!(Role::decode(&mut super::super::super::codec::encode(&role).as_slice()), Some(role));
        }
        assert_eq!(Role::decode(&mut [0].as_slice()), None);
    }
}
