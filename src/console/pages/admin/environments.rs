//! The environments, and the form that makes one.

use std::collections::BTreeMap;

use askama::Template;
use axum::response::Response;

use super::{PAGE, Wrong, attempt, wrong::id};
use crate::{
    console::{
        error::Problem,
        extract::Query,
        pages::{
            form::{Fields, Submitted},
            frame::{Frame, cloud_services},
            visitor::Visitor,
        },
    },
    model::{AccountId, CredentialId, EnvironmentId, Permission},
    workflow::{Caller, EnvironmentView, Error, NewEnvironment, PageRequest},
};

#[derive(Template)]
#[template(path = "admin/environments.html")]
struct Environments {
    frame: Frame,
    may_make: bool,
    rows: Vec<Row>,
    next: Option<String>,
    is_first_page: bool,
}

struct Row {
    id: String,
    name: String,
    accounts: String,
    credentials: Vec<String>,
    cloud_services: String,
}

/// Which page of a list.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct After {
    pub(super) after: Option<String>,
}

pub(crate) async fn show(visitor: Visitor, Query(query): Query<After>) -> Result<Response, Problem> {
    let is_first_page = query.after.is_none();
    let (page, names) = visitor
        .run(move |caller| {
            let anywhere =
                caller.scopes().into_iter().find(|scope| scope.permissions.contains(&Permission::EnvironmentsManage));
            caller.environment_administrator(anywhere.and_then(|scope| scope.environment).as_ref())?;
            let page = caller.environments(&PageRequest { limit: PAGE, cursor: query.after })?;
            Ok((page, names(caller)?))
        })
        .await?;
    // Whoever administers one of them may know of others, and do nothing there.
    let theirs = |view: &EnvironmentView| visitor.may(Permission::EnvironmentsManage, Some(&view.environment.id));
    let rows = page.items.into_iter().filter(theirs).map(|view| row(view, &names)).collect();
    Ok(visitor.page(&Environments {
        frame: visitor.frame().at("/environments"),
        may_make: visitor.may(Permission::EnvironmentsManage, None),
        rows,
        next: page.next_cursor.map(|cursor| format!("/environments?after={cursor}")),
        is_first_page,
    }))
}

fn row(EnvironmentView { environment, credentials }: EnvironmentView, names: &Names) -> Row {
    Row {
        cloud_services: cloud_services(&environment.id),
        accounts: accounts(&environment.accounts),
        id: environment.id.to_string(),
        name: environment.name,
        credentials: credentials.iter().map(|id| names.get(id).cloned().unwrap_or_else(|| id.to_string())).collect(),
    }
}

/// The credentials' names.
pub(super) type Names = BTreeMap<CredentialId, String>;

/// The names of the credentials that the caller may know of.
pub(super) fn names(caller: &Caller) -> Result<Names, Error> {
    match caller.credentials(None, &PageRequest { limit: 1000, cursor: None }) {
        Ok(page) => Ok(page.items.into_iter().map(|credential| (credential.id, credential.name)).collect()),
        Err(Error::Forbidden { .. }) => Ok(Names::new()),
        Err(other) => Err(other),
    }
}

pub(super) fn accounts(accounts: &[AccountId]) -> String {
    if accounts.is_empty() {
        "any".into()
    } else {
        accounts.iter().map(AccountId::as_str).collect::<Vec<_>>().join(", ")
    }
}

/// The form of a new environment.
#[derive(Template)]
#[template(path = "admin/new_environment.html")]
struct New {
    frame: Frame,
    name: String,
    id: String,
    accounts: String,
    credentials: Vec<Tick>,
    wrong: Wrong,
}

/// A box that can be ticked.
pub(super) struct Tick {
    pub(super) value: String,
    pub(super) label: String,
    pub(super) about: String,
    pub(super) ticked: bool,
}

pub(crate) async fn form(visitor: Visitor) -> Result<Response, Problem> {
    Ok(visitor.page(&new(&visitor, &Fields::default(), Wrong::default()).await?))
}

async fn new(visitor: &Visitor, fields: &Fields, wrong: Wrong) -> Result<New, Problem> {
    let known = visitor.run(|caller| {
        caller.environment_administrator(None)?;
        names(caller)
    });
    let chosen: Vec<_> = fields.all("credentials").collect();
    Ok(New {
        frame: visitor.frame().at("/environments"),
        name: fields.text("name").to_owned(),
        id: fields.text("id").to_owned(),
        accounts: fields.text("accounts").to_owned(),
        credentials: ticks(known.await?, |id| chosen.contains(&id)),
        wrong,
    })
}

pub(super) fn ticks(names: Names, ticked: impl Fn(&str) -> bool) -> Vec<Tick> {
    let tick = |(id, label): (CredentialId, String)| Tick {
        ticked: ticked(id.as_str()),
        value: id.to_string(),
        label,
        about: String::new(),
    };
    names.into_iter().map(tick).collect()
}

pub(crate) async fn make(Submitted { visitor, fields }: Submitted) -> Result<Response, Problem> {
    let typed = fields.clone();
    let made = attempt(&visitor, move |caller| {
        let administrator = caller.environment_administrator(None)?;
        administrator.create(&NewEnvironment {
            id: id("id", EnvironmentId::new(typed.text("id")))?,
            name: typed.text("name").to_owned(),
            accounts: read_accounts(&typed)?,
            credentials: read_credentials(&typed)?,
        })
    });
    match made.await? {
        Ok(made) => {
            let message = format!(
                "The environment “{}” is made. Give people roles in it, and they can ask for services.",
                made.environment.name
            );
            Ok(visitor.done(&format!("/environments/{}", made.environment.id), &message))
        }
        Err(wrong) => Ok(visitor.again(&new(&visitor, &fields, wrong).await?)),
    }
}

/// Account ids, however they are set apart.
pub(super) fn read_accounts(fields: &Fields) -> Result<Vec<AccountId>, Error> {
    let words = fields.text("accounts").split(|c: char| c.is_whitespace() || matches!(c, ',' | ';'));
    words.filter(|word| !word.is_empty()).map(|word| id("accounts", AccountId::new(word))).collect()
}

pub(super) fn read_credentials(fields: &Fields) -> Result<Vec<CredentialId>, Error> {
    fields.all("credentials").map(|text| id("credentials", CredentialId::new(text))).collect()
}
