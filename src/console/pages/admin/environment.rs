//! One environment: its name, its accounts, the credentials that may be picked in it, and its end.

use askama::Template;
use axum::response::Response;

use super::{
    Wrong, attempt,
    confirm::{Blocked, Confirm},
    environments::{Tick, names, read_accounts, read_credentials, ticks},
};
use crate::{
    console::{
        error::Problem,
        extract::Id,
        pages::{
            form::{Fields, Submitted},
            frame::{Frame, cloud_services, usage},
            visitor::Visitor,
            words::{When, services},
        },
    },
    model::{AccessRequest, AccountId, CredentialId, EnvironmentId, Permission, Status, UserName},
    workflow::{EnvironmentChange, EnvironmentView, PageRequest, RequestFilter},
};

/// So many of what is in the way are named.
pub(super) const NAMED: usize = 20;

#[derive(Template)]
#[template(path = "admin/environment.html")]
struct Details {
    frame: Frame,
    id: EnvironmentId,
    title: String,
    made: When,
    name: String,
    accounts: String,
    credentials: Vec<Tick>,
    may_link: bool,
    may_delete: bool,
    wrong: Wrong,
}

impl Details {
    fn cloud_services(&self) -> String {
        cloud_services(&self.id)
    }

    fn usage(&self) -> String {
        usage(&self.id)
    }
}

pub(crate) async fn show(visitor: Visitor, Id(id): Id<EnvironmentId>) -> Result<Response, Problem> {
    Ok(visitor.page(&details(&visitor, id, None, Wrong::default()).await?))
}

async fn details(
    visitor: &Visitor,
    id: EnvironmentId,
    typed: Option<&Fields>,
    wrong: Wrong,
) -> Result<Details, Problem> {
    let place = id.clone();
    let (EnvironmentView { environment, credentials }, names) = visitor
        .run(move |caller| {
            caller.environment_administrator(Some(&place))?;
            Ok((caller.environment(&place)?, names(caller)?))
        })
        .await?;
    let linked = |id: &str| match typed {
        Some(fields) => fields.all("credentials").any(|chosen| chosen == id),
        None => credentials.iter().any(|linked| linked.as_str() == id),
    };
    let text = |field: &str, stored: &str| typed.map_or(stored, |fields| fields.text(field)).to_owned();
    let accounts = environment.accounts.iter().map(AccountId::as_str).collect::<Vec<_>>().join(" ");
    Ok(Details {
        frame: visitor.frame().at("/environments"),
        made: visitor.when(environment.created_at),
        name: text("name", &environment.name),
        accounts: text("accounts", &accounts),
        title: environment.name,
        credentials: ticks(names, linked),
        may_link: visitor.may(Permission::CredentialsManage, None),
        may_delete: visitor.may(Permission::EnvironmentsManage, None),
        wrong,
        id,
    })
}

pub(crate) async fn change(
    Id(id): Id<EnvironmentId>,
    Submitted { visitor, fields }: Submitted,
) -> Result<Response, Problem> {
    let (place, typed) = (id.clone(), fields.clone());
    let may_link = visitor.may(Permission::CredentialsManage, None);
    let changed = attempt(&visitor, move |caller| {
        let administrator = caller.environment_administrator(Some(&place))?;
        let credentials: Option<Vec<CredentialId>> = may_link.then(|| read_credentials(&typed)).transpose()?;
        let name = Some(typed.text("name").to_owned());
        administrator.change(&place, &EnvironmentChange { name, accounts: Some(read_accounts(&typed)?), credentials })
    });
    match changed.await? {
        Ok(_) => Ok(visitor.done(&format!("/environments/{id}"), "The changes are saved.")),
        Err(wrong) => Ok(visitor.again(&details(&visitor, id, Some(&fields), wrong).await?)),
    }
}

pub(crate) async fn ask_delete(visitor: Visitor, Id(id): Id<EnvironmentId>) -> Result<Response, Problem> {
    let place = id.clone();
    let (environment, living, holders) = visitor
        .run(move |caller| {
            caller.environment_administrator(None)?;
            let filter = RequestFilter { statuses: LIVING.into(), ..RequestFilter::default() };
            let page = PageRequest { limit: NAMED, cursor: None };
            let living = caller.environment_access_requests(&place, &filter, &page)?;
            let environment = caller.environment(&place)?.environment;
            Ok((environment, living.items, caller.administrator()?.holders(&place)?))
        })
        .await?;
    let address = format!("/environments/{id}");
    Ok(visitor.page(&Confirm {
        frame: visitor.frame().at("/environments"),
        title: format!("Delete the environment “{}”?", environment.name),
        tells: vec![
            format!("{} Nobody can ask for services in it any more.", losing(&holders)),
            "Its credentials are no longer linked to it; they stay, and so does what they can be used for elsewhere."
                .into(),
            "What happened in it stays in the audit log. This can't be undone.".into(),
        ],
        blocked: blocked(
            living.iter().map(|view| &view.request),
            "It can't be deleted while access in it is waited for or in use. End these first:",
        ),
        action: format!("{address}/delete"),
        fields: Vec::new(),
        button: "Delete the environment",
        back: (address, environment.name),
    }))
}

/// Whom it is taken from.
fn losing(holders: &[UserName]) -> String {
    let named = holders.iter().take(NAMED).map(UserName::as_str).collect::<Vec<_>>().join(", ");
    match (holders.len(), holders.len().saturating_sub(NAMED)) {
        (0, _) => "Nobody holds a role in it.".into(),
        (1, _) => format!("{named} loses the role held in it."),
        (_, 0) => format!("These people lose the roles that they hold in it: {named}."),
        (_, more) => format!("These people lose the roles that they hold in it: {named}, and {more} more."),
    }
}

/// Access that is waited for or in use.
const LIVING: [Status; 3] = [Status::Pending, Status::Approved, Status::Active];

/// What stands in the way, if anything does.
pub(super) fn blocked<'r>(living: impl Iterator<Item = &'r AccessRequest>, why: &str) -> Option<Blocked> {
    let link = |request: &AccessRequest| {
        let text = format!("{}, {} in {}", services(request), request.requested_by, request.environment);
        (format!("/access-requests/{}", request.id), text)
    };
    let links: Vec<_> = living.map(link).collect();
    (!links.is_empty()).then(|| Blocked { why: why.into(), links })
}

pub(crate) async fn delete(
    Id(id): Id<EnvironmentId>,
    Submitted { visitor, .. }: Submitted,
) -> Result<Response, Problem> {
    let message = format!("The environment {id} is deleted.");
    visitor.run(move |caller| caller.environment_administrator(None)?.delete(&id)).await?;
    Ok(visitor.done("/environments", &message))
}
