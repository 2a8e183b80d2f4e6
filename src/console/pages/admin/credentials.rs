//! The real cloud credentials, and the form that adds one. It is tried with AWS before it is kept, unless one says not to.

use askama::Template;
use axum::response::Response;

use super::{
    PAGE, Wrong,
    assumed_role::{self, RoleFields},
    attempt,
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
    model::{AccountId, CloudId, Credential, EnvironmentId, Permission},
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
    /// As AWS says or, of a role, its ARN.
    account: Option<AccountId>,
    is_tested: bool,
    keys: String,
    is_role: bool,
    environments: Vec<String>,
    added: When,
}

pub(crate) async fn show(visitor: Visitor, Query(query): Query<After>) -> Result<Response, Problem> {
    let is_first_page = query.after.is_none();
    let page = visitor.run(move |caller| caller.credentials(None, &PageRequest { limit: PAGE, cursor: query.after }));
    let page = page.await?;
    let row = |credential: Credential| Row {
        id: credential.id.to_string(),
        name: credential.name.clone(),
        account: account(&credential),
        is_tested: credential.checked.is_some(),
        keys: credential.keys.to_string(),
        is_role: credential.keys.role().is_some(),
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

/// The account that it is of, if that is known: AWS has said so, or the ARN of its role does.
pub(super) fn account(credential: &Credential) -> Option<AccountId> {
    let said = credential.checked.as_ref().map(|checked| checked.principal.account);
    said.or_else(|| credential.keys.role()?.role_arn.account())
}

/// The form of a new credential.
#[derive(Template)]
#[template(path = "admin/new_credential.html")]
struct New {
    frame: Frame,
    name: String,
    is_role: bool,
    access_key_id: String,
    role: RoleFields,
    environments: Vec<Tick>,
    wrong: Wrong,
}

pub(crate) async fn form(visitor: Visitor) -> Result<Response, Problem> {
    Ok(visitor.page(&new(&visitor, &Fields::default(), Wrong::default()).await?))
}

async fn new(visitor: &Visitor, fields: &Fields, wrong: Wrong) -> Result<New, Problem> {
    let known = visitor.run(|caller| {
        caller.credential_administrator()?;
        Ok((all_environments(caller)?, all_credentials(caller)?))
    });
    let (environments, credentials) = known.await?;
    let chosen: Vec<_> = fields.all("environments").collect();
    Ok(New {
        frame: visitor.frame().at("/credentials"),
        name: fields.text("name").to_owned(),
        is_role: is_role(fields),
        access_key_id: fields.text("access_key_id").to_owned(),
        role: RoleFields::typed(fields, &credentials),
        environments: ticks(environments, |id| chosen.contains(&id)),
        wrong,
    })
}

pub(super) fn all_environments(caller: &Caller) -> Result<Vec<(String, String)>, Error> {
    let all = caller.places(&PageRequest { limit: OFFERED, cursor: None })?.items;
    Ok(all.into_iter().map(|environment| (environment.id.to_string(), environment.name)).collect())
}

/// Those that a role may be assumed with.
pub(super) fn all_credentials(caller: &Caller) -> Result<Vec<Credential>, Error> {
    Ok(caller.credentials(None, &PageRequest { limit: OFFERED, cursor: None })?.items)
}

/// Which half of the form counts: what was typed into the other is not looked at.
fn is_role(fields: &Fields) -> bool {
    fields.text("kind") == "role"
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
        let keys = if is_role(&fields) {
            NewKeys::Role(assumed_role::read(&fields)?)
        } else {
            NewKeys::Static {
                access_key_id: fields.text("access_key_id").to_owned(),
                secret_access_key: fields.secret("secret_access_key"),
                session_token: session_token(&fields),
            }
        };
        let environments = read_environments(&fields)?;
        let new = NewCredential { name: fields.text("name").to_owned(), cloud: CloudId::aws(), keys, environments };
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
    let name = &credential.name;
    match (credential.keys.role(), &credential.checked) {
        (Some(_), Some(checked)) => {
            format!("“{name}” is kept. AWS lets the gateway assume it: account {}.", checked.principal.account)
        }
        (Some(_), None) => format!("“{name}” is kept. It was not tried with AWS."),
        (None, Some(checked)) => {
            format!("“{name}” is kept, sealed. AWS takes it: account {}.", checked.principal.account)
        }
        (None, None) => format!("“{name}” is kept, sealed. It was not tried with AWS."),
    }
}
