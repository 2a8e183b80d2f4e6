//! People and their roles.

use std::{collections::BTreeSet, ops::ControlFlow};

use super::{Caller, Error, Page, PageRequest, Transaction, caller::demand, error::Checks, tokens, transaction::Act};
use crate::{
    model::{EnvironmentId, Permission, Role, RoleAssignment, User, UserName},
    secret::Secret,
    store::{
        Order, Read, Span,
        tables::{
            environments::ENVIRONMENTS,
            users::{self, HOLDERS, USERS, USERS_BY_ENDING, UserRecord},
        },
    },
};

use super::transaction::Touched;

/// A person to be added.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// The sign-in name.
    pub name: UserName,
    /// The first password.
    pub password: Secret,
    /// The roles, and where.
    pub roles: Vec<RoleAssignment>,
    /// Not to sign in yet?
    pub disabled: bool,
}

/// What is to change; what is none stays.
#[derive(Clone, Debug, Default)]
pub struct UserChange {
    /// A new password: ends all sessions and API tokens of the person.
    pub password: Option<Secret>,
    /// The roles, in place of those held.
    pub roles: Option<Vec<RoleAssignment>>,
    /// Disabling stops the person's keys and ends their sessions; enabling brings the keys back.
    pub disabled: Option<bool>,
}

/// May administer people and settings.
#[derive(Clone, Debug)]
pub struct Administrator<'c> {
    pub(super) caller: &'c Caller,
}

impl Caller {
    /// The handle for people and settings: needs `users.manage`, account-wide.
    pub fn administrator(&self) -> Result<Administrator<'_>, Error> {
        self.demand(Permission::UsersManage, None)?;
        Ok(Administrator { caller: self })
    }
}

impl Administrator<'_> {
    /// Everybody, by name.
    pub fn users(&self, page: &PageRequest) -> Result<Page<User>, Error> {
        let span = page.rest(Span::all(), Order::Ascending, |name| UserName::new(name).ok())?;
        let reader = self.caller.workflow.read()?;
        page.fill(&reader, &USERS, &span, Order::Ascending, |record| Ok(Some(record.user)))
    }

    /// Those whose name holds `text`, in any case: by what their names are from there on.
    pub fn find_users(&self, text: &str, page: &PageRequest) -> Result<Page<User>, Error> {
        let wanted = text.to_lowercase();
        if wanted.is_empty() || wanted.contains('\0') {
            return if wanted.is_empty() {
                self.users(page)
            } else {
                Ok(Page { items: Vec::new(), next_cursor: None })
            };
        }
        // The place in the index is told by the person: each is shown at the first place that fits.
        let place = |name: UserName| {
            let folded = users::folded(&name);
            let ending = folded.find(&wanted).and_then(|start| folded.get(start..))?.to_owned();
            Some((ending, name))
        };
        let span = Span::starting(&wanted);
        let span = page.rest(span, Order::Ascending, |name| UserName::new(name).ok().and_then(place))?;
        let (reader, limit) = (self.caller.workflow.read()?, page.limit.clamp(1, 1000));
        let mut found = Page { items: Vec::<User>::new(), next_cursor: None };
        reader.visit(&USERS_BY_ENDING, &span, Order::Ascending, |(ending, name), ()| {
            if place(name.clone()).is_some_and(|(first, _)| first == ending) {
                if found.items.len() == limit {
                    found.next_cursor = found.items.last().map(|user| user.name.to_string());
                    return Ok(ControlFlow::Break(()));
                }
                found.items.extend(reader.find(&USERS, &name)?.map(|record| record.user));
            }
            Ok::<_, Error>(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }

    /// Those who hold a role in this environment, by name.
    pub fn holders(&self, environment: &EnvironmentId) -> Result<Vec<UserName>, Error> {
        Ok(holders(&self.caller.workflow.read()?, environment)?.into_iter().collect())
    }

    /// One person.
    pub fn user(&self, name: &UserName) -> Result<User, Error> {
        let record = self.caller.workflow.read()?.find(&USERS, name)?;
        record.map(|record| record.user).ok_or(Error::NotFound("user"))
    }

    /// Adds a person.
    pub fn create_user(&self, new: &NewUser) -> Result<User, Error> {
        let password = self.caller.workflow.0.passwords.hash(&new.password)?;
        self.act(|tx, _| {
            if tx.user(&new.name)?.is_some() {
                return Err(Error::conflict(format!("there is a user {} already", new.name)));
            }
            let user = User {
                name: new.name.clone(),
                roles: checked_roles(tx, &new.roles)?,
                disabled: new.disabled,
                created_at: tx.now,
                second_factor: false,
            };
            let record = UserRecord { user: user.clone(), password: password.clone() };
            users::put(tx.writer, &record)?;
            record_act(tx, "user.create", &user, Some(describe(&user.roles)))?;
            Ok(user)
        })
    }

    /// Changes a person.
    pub fn change_user(&self, name: &UserName, change: &UserChange) -> Result<User, Error> {
        let password = match &change.password {
            Some(password) => Some(self.caller.workflow.0.passwords.hash(password)?),
            None => None,
        };
        self.act(|tx, _| {
            let mut record = tx.writer.find(&USERS, name)?.ok_or(Error::NotFound("user"))?;
            if let Some(password) = &password {
                record.password.clone_from(password);
                tokens::end_all(tx, name)?;
                record_act(tx, "user.reset_password", &record.user, None)?;
            }
            if let Some(roles) = &change.roles {
                let roles = checked_roles(tx, roles)?;
                if roles != record.user.roles {
                    record.user.roles = roles;
                    record_act(tx, "user.change_roles", &record.user, Some(describe(&record.user.roles)))?;
                }
            }
            if let Some(disabled) = change.disabled.filter(|&disabled| disabled != record.user.disabled) {
                record.user.disabled = disabled;
                tx.touched.push(Touched::User(name.clone()));
                if disabled {
                    tokens::end_all(tx, name)?;
                }
                record_act(tx, if disabled { "user.disable" } else { "user.enable" }, &record.user, None)?;
            }
            users::put(tx.writer, &record)?;
            refuse_without_administrator(tx)?;
            Ok(record.user)
        })
    }

    /// Gives a person one more role, whatever they hold meanwhile.
    pub fn give_role(&self, name: &UserName, role: &RoleAssignment) -> Result<User, Error> {
        self.change_roles(name, |roles| {
            if !roles.contains(role) {
                roles.push(role.clone());
            }
        })
    }

    /// Takes one role from a person, and no other.
    pub fn take_role(&self, name: &UserName, role: &RoleAssignment) -> Result<User, Error> {
        self.change_roles(name, |roles| roles.retain(|held| held != role))
    }

    fn change_roles(&self, name: &UserName, change: impl Fn(&mut Vec<RoleAssignment>)) -> Result<User, Error> {
        self.act(|tx, _| {
            let mut record = tx.writer.find(&USERS, name)?.ok_or(Error::NotFound("user"))?;
            let mut roles = record.user.roles.clone();
            change(&mut roles);
            let roles = checked_roles(tx, &roles)?;
            if roles != record.user.roles {
                record.user.roles = roles;
                record_act(tx, "user.change_roles", &record.user, Some(describe(&record.user.roles)))?;
                users::put(tx.writer, &record)?;
                refuse_without_administrator(tx)?;
            }
            Ok(record.user)
        })
    }

    pub(super) fn act<T>(
        &self,
        mut work: impl FnMut(&mut Transaction<'_>, &User) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.caller.act(|tx, me| {
            demand(me, Permission::UsersManage, None)?;
            work(tx, me)
        })
    }
}

fn checked_roles(tx: &Transaction<'_>, roles: &[RoleAssignment]) -> Result<Vec<RoleAssignment>, Error> {
    let (mut checks, mut checked) = (Checks::default(), Vec::new());
    for held in roles {
        if let Some(environment) = &held.environment {
            let exists = tx.writer.find(&ENVIRONMENTS, environment)?.is_some();
            checks.require(exists, "roles", format!("must not name {environment}: there is no such environment"));
        }
        if !checked.contains(held) {
            checked.push(held.clone());
        }
    }
    checks.done()?;
    Ok(checked)
}

/// Somebody must be able to let the others in again.
fn refuse_without_administrator(tx: &Transaction<'_>) -> Result<(), Error> {
    for role in Role::ALL.into_iter().filter(|role| role.permissions().contains(&Permission::UsersManage)) {
        let mut anybody = false;
        tx.writer.visit(&HOLDERS, &Span::of(&(None, role)), Order::Ascending, |(_, name), ()| {
            anybody = tx.user(&name)?.is_some_and(|user| user.may(Permission::UsersManage, None));
            Ok::<_, Error>(if anybody { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        if anybody {
            return Ok(());
        }
    }
    Err(Error::conflict("the last administrator can't be disabled or lose that role"))
}

/// Those who hold a role in this environment.
pub(super) fn holders(read: &impl Read, environment: &EnvironmentId) -> Result<BTreeSet<UserName>, Error> {
    let mut holders = BTreeSet::new();
    for role in Role::ALL {
        let held = read.all(&HOLDERS, &Span::of(&(Some(environment.clone()), role)), Order::Ascending)?;
        holders.extend(held.into_iter().map(|((_, name), ())| name));
    }
    Ok(holders)
}

fn record_act(
    tx: &mut Transaction<'_>,
    action: &'static str,
    user: &User,
    detail: Option<String>,
) -> Result<(), Error> {
    tx.record(Act { action, subject: user.name.to_string(), detail, ..Act::default() })
}

fn describe(roles: &[RoleAssignment]) -> String {
    let one = |held: &RoleAssignment| match &held.environment {
        Some(environment) => format!("{} in {environment}", held.role.name()),
        None => held.role.name().to_owned(),
    };
    if roles.is_empty() { "no roles".into() } else { roles.iter().map(one).collect::<Vec<_>>().join(", ") }
}
