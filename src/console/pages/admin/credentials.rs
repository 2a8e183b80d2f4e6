//! The real cloud credentials, and the form that adds one. It is tried with AWS before it is kept, unless one says not to.

use askama::Template;
use axum::response::Response;

use super::{
    PAGE, Wrong, attempt,
    environments::{After, Tick},
    wrong::id,
};
use crate::{
    console::{
        error::Problem,
        extract::Query,
        pages::{
            form::{Fields, Submitted},
            frame::Frame,
            visitor::Visitor,
            words::When,
        },
    },
    model::{CloudId, Credential, EnvironmentId, Permission, Principal},
    secret::Secret,
    workflow::{Caller, Error, NewCredential, NewKeys, PageRequest},
};

/// Environments are offered up to this many; the others can be linked on their own pages.
const OFFERED: usize = 1000;

#[derive(Template)]
#[template(path = "admin/credentials.html")]
struct Credentials {
    frame: Frame,
    may_add: bool,
    rows: Vec<Row>,
    next: Option<String>,
    is_first_page: bool,
}

struct Row {
    id: String,
    name: String,
    checked: Option<Principal>,
    access_key_id: String,
    environments: Vec<String>,
    added: When,
}

pub(crate) async fn show(visitor: Visitor, Query(query): Query<After>) -> Result<Response, Problem> {
    let is_first_page = query.after.is_none();
    let page = visitor.run(move |caller| caller.credentials(None, &PageRequest { limit: PAGE, cursor: query.after }));
    let page = page.await?;
    let row = |credential: Credential| Row {
        id: credential.id.to_string(),
        name: credential.name,
        checked: credential.checked.map(|checked| checked.principal),
        access_key_id: credential.keys.to_string(),
        environments: credential.environments.iter().map(ToString::to_string).collect(),
        added: visitor.when(credential.created_at),
    };
    Ok(visitor.page(&Credentials {
        frame: visitor.frame(),
        may_add: visitor.may(Permission::CredentialsManage, None),
        rows: page.items.into_iter().map(row).collect(),
        next: page.next_cursor.map(|cursor| format!("/credentials?after={cursor}")),
        is_first_page,
    }))
}

/// The form of a new credential.
#[derive(Template)]
#[template(path = "admin/new_credential.html")]
struct New {
    frame: Frame,
    name: String,
    access_key_id: String,
    environments: Vec<Tick>,
    wrong: Wrong,
}

pub(crate) async fn form(visitor: Visitor) -> Result<Response, Problem> {
    Ok(visitor.page(&new(&visitor, &Fields::default(), Wrong::default()).await?))
}

async fn new(visitor: &Visitor, fields: &Fields, wrong: Wrong) -> Result<New, Problem> {
    let known = visitor.run(|caller| {
        caller.credential_administrator()?;
        all_environments(caller)
    });
    let chosen: Vec<_> = fields.all("environments").collect();
    Ok(New {
        frame: visitor.frame().at("/credentials"),
        name: fields.text("name").to_owned(),
        access_key_id: fields.text("access_key_id").to_owned(),
        environments: ticks(known.await?, |id| chosen.contains(&id)),
        wrong,
    })
}

pub(super) fn all_environments(caller: &Caller) -> Result<Vec<(String, String)>, Error> {
    let all = caller.places(&PageRequest { limit: OFFERED, cursor: None })?.items;
    Ok(all.into_iter().map(|environment| (environment.id.to_string(), environment.name)).collect())
}

pub(super) fn ticks(environments: Vec<(String, String)>, ticked: impl Fn(&str) -> bool) -> Vec<Tick> {
    let tick = |(value, label): (String, String)| Tick { ticked: ticked(&value), about: value.clone(), value, label };
    environments.into_iter().map(tick).collect()
}

pub(crate) async fn add(Submitted { visitor, fields }: Submitted) -> Result<Response, Problem> {
    match attempt(&visitor, adder(&fields)).await? {
        Ok(made) => Ok(visitor.done(&format!("/credentials/{}", made.id), &told(&made))),
        Err(wrong) => Ok(visitor.again(&new(&visitor, &fields, wrong).await?)),
    }
}

/// Adds what the form says: tried first, unless it says not to.
pub(crate) fn adder(fields: &Fields) -> impl FnOnce(&Caller) -> Result<Credential, Error> + Send + 'static {
    let unchecked = fields.ticked("unchecked");
    let fields = fields.clone();
    move |caller| {
        let administrator = caller.credential_administrator()?;
        let new = NewCredential {
            name: fields.text("name").to_owned(),
            cloud: CloudId::aws(),
            keys: NewKeys::Static {
                access_key_id: fields.text("access_key_id").to_owned(),
                secret_access_key: fields.secret("secret_access_key"),
                session_token: session_token(&fields),
            },
            environments: read_environments(&fields)?,
        };
        if unchecked { administrator.create(&new) } else { administrator.create_checked(&new) }
    }
}

pub(super) fn session_token(fields: &Fields) -> Option<Secret> {
    fields.optional("session_token").map(|_| fields.secret("session_token"))
}

pub(super) fn read_environments(fields: &Fields) -> Result<Vec<EnvironmentId>, Error> {
    fields.all("environments").map(|text| id("environments", EnvironmentId::new(text))).collect()
}

/// What became of it.
pub(crate) fn told(credential: &Credential) -> String {
    match &credential.checked {
        Some(checked) => {
            format!("“{}” is kept, sealed. AWS takes it: account {}.", credential.name, checked.principal.account)
        }
        None => format!("“{}” is kept, sealed. It was not tried with AWS.", credential.name),
    }
}
