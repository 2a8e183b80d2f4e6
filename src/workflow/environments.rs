//! Environments, and which credentials may be picked in them.

use super::{
    Caller, Error, Page, PageRequest, Transaction,
    caller::{demand, sees_environment},
    credentials,
    error::Checks,
    people, requests,
    transaction::{Act, Touched},
};
use crate::{
    model::{AccountId, CredentialId, Environment, EnvironmentId, Permission, User},
    store::{
        Order, Read, Span,
        tables::{
            credentials::CREDENTIALS,
            environments::ENVIRONMENTS,
            users::{self, USERS},
        },
    },
};

const LONGEST_NAME: usize = 200;

/// An environment to be made.
#[derive(Clone, Debug)]
pub struct NewEnvironment {
    /// The slug, never changed.
    pub id: EnvironmentId,
    /// The name that people read.
    pub name: String,
    /// The cloud accounts that may be addressed; any if empty.
    pub accounts: Vec<AccountId>,
    /// The credentials that may be picked at approval; naming any needs `credentials.manage`.
    pub credentials: Vec<CredentialId>,
}

/// What is to change; what is none stays.
#[derive(Clone, Debug, Default)]
pub struct EnvironmentChange {
    /// The name that people read.
    pub name: Option<String>,
    /// The cloud accounts that may be addressed; any if empty.
    pub accounts: Option<Vec<AccountId>>,
    /// The credentials that may be picked at approval; needs `credentials.manage`.
    pub credentials: Option<Vec<CredentialId>>,
}

/// An environment as it is shown.
#[derive(Clone, Debug)]
pub struct EnvironmentView {
    /// The environment.
    pub environment: Environment,
    /// The credentials linked to it; empty for who neither decides nor administers there.
    pub credentials: Vec<CredentialId>,
}

/// May administer environments, or the one it was asked for.
#[derive(Clone, Debug)]
pub struct EnvironmentAdministrator<'c> {
    caller: &'c Caller,
    scope: Option<EnvironmentId>,
}

impl Caller {
    /// The environments that the caller has to do with, by slug.
    pub fn environments(&self, page: &PageRequest) -> Result<Page<EnvironmentView>, Error> {
        let span = page.rest(Span::all(), Order::Ascending, |id| EnvironmentId::new(id).ok())?;
        let reader = self.workflow.read()?;
        page.fill(&reader, &ENVIRONMENTS, &span, Order::Ascending, |environment| {
            sees_environment(&self.user, &environment.id).then(|| view(&reader, &self.user, environment)).transpose()
        })
    }

    /// The same without the credentials linked to them: for whoever only wants to go there.
    pub fn places(&self, page: &PageRequest) -> Result<Page<Environment>, Error> {
        let span = page.rest(Span::all(), Order::Ascending, |id| EnvironmentId::new(id).ok())?;
        page.fill(&self.workflow.read()?, &ENVIRONMENTS, &span, Order::Ascending, |environment| {
            Ok(sees_environment(&self.user, &environment.id).then_some(environment))
        })
    }

    /// One environment.
    pub fn environment(&self, id: &EnvironmentId) -> Result<EnvironmentView, Error> {
        let reader = self.workflow.read()?;
        let found = reader.find(&ENVIRONMENTS, id)?.filter(|_| sees_environment(&self.user, id));
        view(&reader, &self.user, found.ok_or(Error::NotFound("environment"))?)
    }

    /// The handle for environments: needs `environments.manage`, in `scope` or account-wide.
    pub fn environment_administrator(
        &self,
        scope: Option<&EnvironmentId>,
    ) -> Result<EnvironmentAdministrator<'_>, Error> {
        self.demand(Permission::EnvironmentsManage, scope)?;
        Ok(EnvironmentAdministrator { caller: self, scope: scope.cloned() })
    }
}

impl EnvironmentAdministrator<'_> {
    /// Makes an environment; needs the permission account-wide.
    pub fn create(&self, new: &NewEnvironment) -> Result<EnvironmentView, Error> {
        let mut checks = Checks::default();
        checks.text(&new.name, LONGEST_NAME, "name");
        checks.done()?;
        self.caller.act(|tx, me| {
            demand(me, Permission::EnvironmentsManage, None)?;
            if tx.writer.find(&ENVIRONMENTS, &new.id)?.is_some() {
                return Err(Error::conflict(format!("there is an environment {} already", new.id)));
            }
            let environment = Environment {
                id: new.id.clone(),
                name: new.name.clone(),
                accounts: sorted(&new.accounts),
                created_at: tx.now,
            };
            tx.writer.put(&ENVIRONMENTS, &new.id, &environment)?;
            record(tx, "environment.create", &new.id, None)?;
            if !new.credentials.is_empty() {
                link(tx, me, &new.id, &new.credentials)?;
            }
            view(tx.writer, me, environment)
        })
    }

    /// Changes an environment.
    pub fn change(&self, id: &EnvironmentId, change: &EnvironmentChange) -> Result<EnvironmentView, Error> {
        let mut checks = Checks::default();
        if let Some(name) = &change.name {
            checks.text(name, LONGEST_NAME, "name");
        }
        checks.done()?;
        self.caller.act(|tx, me| {
            self.covers(id)?;
            demand(me, Permission::EnvironmentsManage, Some(id))?;
            let mut environment = tx.writer.find(&ENVIRONMENTS, id)?.ok_or(Error::NotFound("environment"))?;
            let mut changed = Vec::new();
            if let Some(name) = change.name.clone().filter(|name| *name != environment.name) {
                environment.name = name;
                changed.push("name");
            }
            if let Some(accounts) = change.accounts.as_deref().map(sorted)
                && accounts != environment.accounts
            {
                environment.accounts = accounts;
                changed.push("accounts");
                tx.touched.push(Touched::Environment(id.clone()));
            }
            if !changed.is_empty() {
                tx.writer.put(&ENVIRONMENTS, id, &environment)?;
                record(tx, "environment.change", id, Some(changed.join(", ")))?;
            }
            if let Some(credentials) = &change.credentials {
                link(tx, me, id, credentials)?;
            }
            view(tx.writer, me, environment)
        })
    }

    /// Deletes an environment that no undecided or living access request needs; needs the permission account-wide.
    pub fn delete(&self, id: &EnvironmentId) -> Result<(), Error> {
        self.caller.act(|tx, me| {
            demand(me, Permission::EnvironmentsManage, None)?;
            if !tx.writer.remove(&ENVIRONMENTS, id)? {
                return Err(Error::NotFound("environment"));
            }
            requests::refuse_if_environment_in_use(tx, id)?;
            // What was given for this environment must not come back with another one of the same name.
            for name in people::holders(tx.writer, id)? {
                if let Some(mut held) = tx.writer.find(&USERS, &name)? {
                    held.user.roles.retain(|role| role.environment.as_ref() != Some(id));
                    users::put(tx.writer, &held)?;
                }
            }
            credentials::set_links(tx, id, &[])?;
            tx.touched.push(Touched::Environment(id.clone()));
            record(tx, "environment.delete", id, None)
        })
    }

    fn covers(&self, id: &EnvironmentId) -> Result<(), Error> {
        if self.scope.as_ref().is_none_or(|scope| scope == id) { Ok(()) } else { Err(Error::NotFound("environment")) }
    }
}

/// Which credentials may be picked is not the environment's own affair: it decides what can be reached from there.
fn link(tx: &mut Transaction<'_>, me: &User, id: &EnvironmentId, credentials: &[CredentialId]) -> Result<(), Error> {
    demand(me, Permission::CredentialsManage, None)?;
    let mut checks = Checks::default();
    for credential in credentials {
        let exists = tx.writer.find(&CREDENTIALS, credential)?.is_some();
        checks.require(exists, "credentials", format!("must not name {credential}: there is no such credential"));
    }
    checks.done()?;
    credentials::set_links(tx, id, credentials)
}

fn view(read: &impl Read, user: &User, environment: Environment) -> Result<EnvironmentView, Error> {
    let id = &environment.id;
    let shown = user.may(Permission::AccessRequestsManage, Some(id))
        || user.may(Permission::CredentialsManage, Some(id))
        || user.may(Permission::EnvironmentsManage, Some(id));
    let credentials = if shown { credentials::linked(read, id)? } else { Vec::new() };
    Ok(EnvironmentView { environment, credentials })
}

fn sorted(accounts: &[AccountId]) -> Vec<AccountId> {
    let mut accounts = accounts.to_vec();
    accounts.sort();
    accounts.dedup();
    accounts
}

fn record(
    tx: &mut Transaction<'_>,
    action: &'static str,
    id: &EnvironmentId,
    detail: Option<String>,
) -> Result<(), Error> {
    tx.record(Act { action, subject: id.to_string(), environment: Some(id.clone()), detail, ..Act::default() })
}
