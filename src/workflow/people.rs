//! People and their roles.

use super::{Caller, Error, Page, PageRequest, Transaction, caller::demand, error::Checks, tokens, transaction::Act};
use crate::{
    model::{EnvironmentId, Permission, RoleAssignment, User, UserName},
    secret::Secret,
    store::{
        Order, Read as _, Span,
        tables::{
            environments::ENVIRONMENTS,
            users::{USERS, UserRecord},
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

    /// Those whose name holds `text`, in any case, by name.
    pub fn find_users(&self, text: &str, page: &PageRequest) -> Result<Page<User>, Error> {
        let wanted = text.to_lowercase();
        let span = page.rest(Span::all(), Order::Ascending, |name| UserName::new(name).ok())?;
        let reader = self.caller.workflow.read()?;
        page.fill(&reader, &USERS, &span, Order::Ascending, |record| {
            Ok(record.user.name.as_str().to_lowercase().contains(&wanted).then_some(record.user))
        })
    }

    /// Those who hold a role in this environment, by name.
    pub fn holders(&self, environment: &EnvironmentId) -> Result<Vec<UserName>, Error> {
        let everybody = self.caller.workflow.read()?.all(&USERS, &Span::all(), Order::Ascending)?;
        let holds =
            |record: &UserRecord| record.user.roles.iter().any(|held| held.environment.as_ref() == Some(environment));
        Ok(everybody.into_iter().filter(|(_, record)| holds(record)).map(|(name, _)| name).collect())
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
            tx.writer.put(&USERS, &user.name, &record)?;
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
            tx.writer.put(&USERS, name, &record)?;
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
                tx.writer.put(&USERS, name, &record)?;
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
    let everybody = tx.writer.all(&USERS, &Span::all(), Order::Ascending)?;
    let anybody = everybody.iter().any(|(_, record)| record.user.may(Permission::UsersManage, None));
    if anybody { Ok(()) } else { Err(Error::conflict("the last administrator can't be disabled or lose that role")) }
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
