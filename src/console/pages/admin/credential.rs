//! One credential: whose it is, where it is used, another secret in place of the one it has, and its end.

use askama::Template;
use axum::response::Response;

use super::{
    PAGE, Wrong, attempt,
    confirm::Confirm,
    credentials::{all_environments, read_environments, session_token, ticks, told},
    environment::{NAMED, blocked},
    environments::{After, Tick},
};
use crate::{
    console::{
        error::Problem,
        extract::{Id, Query},
        pages::{
            form::{Fields, Submitted},
            frame::Frame,
            line::Line,
            visitor::Visitor,
            words::When,
        },
    },
    model::{Credential, CredentialId, Permission, Principal},
    workflow::{CredentialChange, PageRequest},
};

#[derive(Template)]
#[template(path = "admin/credential.html")]
struct Details {
    frame: Frame,
    id: CredentialId,
    title: String,
    access_key_id: String,
    added: When,
    principal: Option<Principal>,
    checked_at: Option<When>,
    may_manage: bool,
    uses: Vec<Line>,
    /// Where more of them are.
    next: Option<String>,
    first: String,
    is_first_page: bool,
    name: String,
    /// The key id as it was typed.
    new_key: String,
    environments: Vec<Tick>,
    wrong: Wrong,
    /// What AWS had against it when it was tested.
    refused: Option<String>,
}

/// Which form of the page was sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent {
    Nothing,
    About,
    Secret,
}

pub(crate) async fn show(
    visitor: Visitor,
    Id(id): Id<CredentialId>,
    Query(query): Query<After>,
) -> Result<Response, Problem> {
    let (fields, wrong) = (Fields::default(), Wrong::default());
    Ok(visitor.page(&page(&visitor, id, query.after, Sent::Nothing, &fields, wrong).await?))
}

async fn details(
    visitor: &Visitor,
    id: CredentialId,
    sent: Sent,
    fields: &Fields,
    wrong: Wrong,
) -> Result<Details, Problem> {
    page(visitor, id, None, sent, fields, wrong).await
}

async fn page(
    visitor: &Visitor,
    id: CredentialId,
    after: Option<String>,
    sent: Sent,
    fields: &Fields,
    wrong: Wrong,
) -> Result<Details, Problem> {
    let (wanted, is_first_page) = (id.clone(), after.is_none());
    let (credential, uses, environments) = visitor
        .run(move |caller| {
            let credential = caller.credential(&wanted)?;
            let uses = caller.standing_on(&wanted, &PageRequest { limit: PAGE, cursor: after })?;
            Ok((credential, uses, all_environments(caller)?))
        })
        .await?;
    let Credential { name, keys, environments: linked, created_at, checked, .. } = credential;
    let access_key_id = keys.to_string();
    let ticked = |id: &str| match sent {
        Sent::About => fields.all("environments").any(|chosen| chosen == id),
        _ => linked.iter().any(|linked| linked.as_str() == id),
    };
    Ok(Details {
        frame: visitor.frame().at("/credentials"),
        added: visitor.when(created_at),
        checked_at: checked.as_ref().map(|checked| visitor.when(checked.at)),
        principal: checked.map(|checked| checked.principal),
        may_manage: visitor.may(Permission::CredentialsManage, None),
        uses: uses.items.iter().map(|request| Line::new(visitor, request)).collect(),
        next: uses.next_cursor.map(|cursor| format!("/credentials/{id}?after={cursor}#uses")),
        first: format!("/credentials/{id}#uses"),
        is_first_page,
        name: if sent == Sent::About { fields.text("name").to_owned() } else { name.clone() },
        new_key: if sent == Sent::Secret { fields.text("access_key_id").to_owned() } else { access_key_id.clone() },
        title: name,
        access_key_id,
        environments: ticks(environments, ticked),
        wrong,
        refused: None,
        id,
    })
}

pub(crate) async fn change(
    Id(id): Id<CredentialId>,
    Submitted { visitor, fields }: Submitted,
) -> Result<Response, Problem> {
    let (wanted, typed) = (id.clone(), fields.clone());
    let changed = attempt(&visitor, move |caller| {
        let change = CredentialChange {
            name: Some(typed.text("name").to_owned()),
            environments: Some(read_environments(&typed)?),
            ..CredentialChange::default()
        };
        caller.credential_administrator()?.change(&wanted, &change)
    });
    match changed.await? {
        Ok(_) => Ok(visitor.done(&format!("/credentials/{id}"), "The changes are saved.")),
        Err(wrong) => Ok(visitor.again(&details(&visitor, id, Sent::About, &fields, wrong).await?)),
    }
}

pub(crate) async fn test(Id(id): Id<CredentialId>, Submitted { visitor, .. }: Submitted) -> Result<Response, Problem> {
    let wanted = id.clone();
    match attempt(&visitor, move |caller| caller.credential_administrator()?.test(&wanted)).await? {
        Ok(tested) => {
            let account = tested.checked.map_or_else(String::new, |checked| checked.principal.account.to_string());
            Ok(visitor.done(&format!("/credentials/{id}"), &format!("AWS takes it: account {account}.")))
        }
        Err(wrong) => {
            let refused = wrong.elsewhere(&[]);
            let page = details(&visitor, id, Sent::Nothing, &Fields::default(), Wrong::default()).await?;
            Ok(visitor.again(&Details { refused, ..page }))
        }
    }
}

pub(crate) async fn replace(
    Id(id): Id<CredentialId>,
    Submitted { visitor, fields }: Submitted,
) -> Result<Response, Problem> {
    let (wanted, typed) = (id.clone(), fields.clone());
    let replaced = attempt(&visitor, move |caller| {
        let administrator = caller.credential_administrator()?;
        let change = CredentialChange {
            access_key_id: typed.optional("access_key_id").map(str::to_owned),
            secret_access_key: Some(typed.secret("secret_access_key")),
            session_token: session_token(&typed),
            ..CredentialChange::default()
        };
        if typed.ticked("unchecked") {
            administrator.change(&wanted, &change)
        } else {
            administrator.change_checked(&wanted, &change)
        }
    });
    match replaced.await? {
        Ok(changed) => {
            let message = format!("{} Calls are signed with the new secret from now on.", told(&changed));
            Ok(visitor.done(&format!("/credentials/{id}"), &message))
        }
        Err(wrong) => Ok(visitor.again(&details(&visitor, id, Sent::Secret, &fields, wrong).await?)),
    }
}

pub(crate) async fn ask_delete(visitor: Visitor, Id(id): Id<CredentialId>) -> Result<Response, Problem> {
    let wanted = id.clone();
    let (credential, uses) = visitor
        .run(move |caller| {
            caller.credential_administrator()?;
            let uses = caller.standing_on(&wanted, &PageRequest { limit: NAMED, cursor: None })?;
            Ok((caller.credential(&wanted)?, uses.items))
        })
        .await?;
    let address = format!("/credentials/{id}");
    Ok(visitor.page(&Confirm {
        frame: visitor.frame().at("/credentials"),
        title: format!("Delete the credential “{}”?", credential.name),
        tells: vec![
            "It can no longer be picked when a request is approved, and its sealed secret is removed from this gateway."
                .into(),
            format!(
                "The key {} itself goes on working at AWS: end it there, too. This can't be undone.",
                credential.keys
            ),
        ],
        blocked: blocked(uses.iter(), "It can't be deleted while access stands on it. End these first:"),
        action: format!("{address}/delete"),
        fields: Vec::new(),
        button: "Delete the credential",
        back: (address, credential.name),
    }))
}

pub(crate) async fn delete(
    Id(id): Id<CredentialId>,
    Submitted { visitor, .. }: Submitted,
) -> Result<Response, Problem> {
    visitor.run(move |caller| caller.credential_administrator()?.delete(&id)).await?;
    Ok(visitor.done("/credentials", "The credential is deleted."))
}
