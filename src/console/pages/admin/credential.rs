//! One credential: whose it is, where it is used, another secret or role in place of the one it has, and its end.

use std::time::Duration;

use askama::Template;
use axum::response::Response;

use super::{
    PAGE, Wrong,
    assumed_role::{self, Policies, RoleFields},
    attempt,
    confirm::{Blocked, Confirm},
    credentials::{account, all_credentials, all_environments, read_environments, session_token, ticks, told},
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
            words::{self, When},
        },
    },
    model::{AccountId, AssumedRole, Credential, CredentialId, Permission, Principal},
    workflow::{Caller, CredentialChange, Error, PageRequest},
};

#[derive(Template)]
#[template(path = "admin/credential.html")]
struct Details {
    frame: Frame,
    id: CredentialId,
    title: String,
    keys: String,
    added: When,
    /// If it is one.
    role: Option<RoleView>,
    /// As far as it is known without a test.
    account: Option<AccountId>,
    principal: Option<Principal>,
    checked_at: Option<When>,
    may_manage: bool,
    uses: Vec<Line>,
    /// The roles that are assumed with it: where they are, their names, and themselves.
    assumed: Vec<(String, String, String)>,
    /// So many more than those.
    more_assumed: usize,
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

/// What the page says of a role.
struct RoleView {
    /// The credential it is assumed with: where it is, and its name. None if the person may not see it.
    source: Option<(String, String)>,
    external_id: Option<String>,
    lasts: String,
    /// For who may change it.
    policies: Policies,
    fields: RoleFields,
}

/// Which form of the page was sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent {
    Nothing,
    About,
    Role,
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
    let (credential, uses, assumed, environments, around) = visitor
        .run(move |caller| {
            let credential = caller.credential(&wanted)?;
            let uses = caller.standing_on(&wanted, &PageRequest { limit: PAGE, cursor: after })?;
            let around = credential.keys.role().map(|role| around(caller, &wanted, role)).transpose()?;
            Ok((credential, uses, caller.assumed_with(&wanted)?, all_environments(caller)?, around))
        })
        .await?;
    let account = account(&credential);
    let Credential { name, keys, environments: linked, created_at, checked, .. } = credential;
    let typed = (sent == Sent::Role).then_some(fields);
    let role = keys.role().zip(around).map(|(role, around)| view(role, &around, typed));
    let keys = keys.to_string();
    let ticked = |id: &str| match sent {
        Sent::About => fields.all("environments").any(|chosen| chosen == id),
        _ => linked.iter().any(|linked| linked.as_str() == id),
    };
    Ok(Details {
        frame: visitor.frame().at("/credentials"),
        added: visitor.when(created_at),
        checked_at: checked.as_ref().map(|checked| visitor.when(checked.at)),
        principal: checked.map(|checked| checked.principal),
        role,
        account,
        may_manage: visitor.may(Permission::CredentialsManage, None),
        more_assumed: assumed.len().saturating_sub(NAMED),
        assumed: assumed.iter().take(NAMED).map(assumed_line).collect(),
        uses: uses.items.iter().map(|request| Line::new(visitor, request)).collect(),
        next: uses.next_cursor.map(|cursor| format!("/credentials/{id}?after={cursor}#uses")),
        first: format!("/credentials/{id}#uses"),
        is_first_page,
        name: if sent == Sent::About { fields.text("name").to_owned() } else { name.clone() },
        new_key: if sent == Sent::Secret { fields.text("access_key_id").to_owned() } else { keys.clone() },
        title: name,
        keys,
        environments: ticks(environments, ticked),
        wrong,
        refused: None,
        id,
    })
}

/// What there is around a role: the credential it is assumed with, if the caller sees it, and those it could be.
struct Around {
    source: Option<Credential>,
    others: Vec<Credential>,
}

fn around(caller: &Caller, id: &CredentialId, role: &AssumedRole) -> Result<Around, Error> {
    let source = match caller.credential(&role.source_credential) {
        Ok(found) => Some(found),
        Err(Error::NotFound(_)) => None,
        Err(other) => return Err(other),
    };
    let mut others = if caller.credential_administrator().is_ok() { all_credentials(caller)? } else { Vec::new() };
    others.retain(|other| other.id != *id);
    Ok(Around { source, others })
}

fn view(role: &AssumedRole, around: &Around, typed: Option<&Fields>) -> RoleView {
    let fields = typed.map(|fields| RoleFields::typed(fields, &around.others));
    RoleView {
        source: around.source.as_ref().map(|source| (format!("/credentials/{}", source.id), source.name.clone())),
        external_id: role.external_id.clone(),
        lasts: words::span(Duration::from_secs(role.session_seconds.into())),
        policies: Policies::of(role, around.source.as_ref()),
        fields: fields.unwrap_or_else(|| RoleFields::kept(role, &around.others)),
    }
}

fn assumed_line(credential: &Credential) -> (String, String, String) {
    (format!("/credentials/{}", credential.id), credential.name.clone(), credential.keys.to_string())
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

pub(crate) async fn change_role(
    Id(id): Id<CredentialId>,
    Submitted { visitor, fields }: Submitted,
) -> Result<Response, Problem> {
    let (wanted, typed) = (id.clone(), fields.clone());
    let changed = attempt(&visitor, move |caller| {
        let administrator = caller.credential_administrator()?;
        let AssumedRole { role_arn, source_credential, external_id, session_seconds } = assumed_role::read(&typed)?;
        let change = CredentialChange {
            role_arn: Some(role_arn),
            source_credential: Some(source_credential),
            external_id: Some(external_id),
            session_seconds: Some(session_seconds),
            ..CredentialChange::default()
        };
        if typed.ticked("unchecked") {
            administrator.change(&wanted, &change)
        } else {
            administrator.change_checked(&wanted, &change)
        }
    });
    match changed.await? {
        Ok(changed) => Ok(visitor.done(&format!("/credentials/{id}"), &told(&changed))),
        Err(wrong) => Ok(visitor.again(&details(&visitor, id, Sent::Role, &fields, wrong).await?)),
    }
}

pub(crate) async fn ask_delete(visitor: Visitor, Id(id): Id<CredentialId>) -> Result<Response, Problem> {
    let wanted = id.clone();
    let (credential, uses, assumed) = visitor
        .run(move |caller| {
            caller.credential_administrator()?;
            let uses = caller.standing_on(&wanted, &PageRequest { limit: NAMED, cursor: None })?;
            Ok((caller.credential(&wanted)?, uses.items, caller.assumed_with(&wanted)?))
        })
        .await?;
    let blocked =
        blocked(uses.iter(), "It can't be deleted while access stands on it. End these first:").or_else(|| {
            let why =
                "It can't be deleted while roles are assumed with it. Delete these first, or give them another source:";
            stood_on(&assumed, why)
        });
    let address = format!("/credentials/{id}");
    Ok(visitor.page(&Confirm {
        frame: visitor.frame().at("/credentials"),
        title: format!("Delete the credential “{}”?", credential.name),
        tells: ends(&credential),
        blocked,
        action: format!("{address}/delete"),
        fields: Vec::new(),
        button: "Delete the credential",
        back: (address, credential.name),
    }))
}

/// What its end means.
fn ends(credential: &Credential) -> Vec<String> {
    let keys = &credential.keys;
    if keys.role().is_some() {
        vec![
            "It can no longer be picked when a request is approved, and this gateway no longer assumes its role."
                .into(),
            format!(
                "The role {keys} itself stays at AWS: take the gateway out of its trust policy there, too. This can't be \
                 undone."
            ),
        ]
    } else {
        vec![
            "It can no longer be picked when a request is approved, and its sealed secret is removed from this gateway."
                .into(),
            format!("The key {keys} itself goes on working at AWS: end it there, too. This can't be undone."),
        ]
    }
}

fn stood_on(assumed: &[Credential], why: &str) -> Option<Blocked> {
    let links: Vec<_> = assumed.iter().take(NAMED).map(assumed_line).map(|(href, name, _)| (href, name)).collect();
    (!links.is_empty()).then(|| Blocked { why: why.into(), links })
}

pub(crate) async fn delete(
    Id(id): Id<CredentialId>,
    Submitted { visitor, .. }: Submitted,
) -> Result<Response, Problem> {
    visitor.run(move |caller| caller.credential_administrator()?.delete(&id)).await?;
    Ok(visitor.done("/credentials", "The credential is deleted."))
}
