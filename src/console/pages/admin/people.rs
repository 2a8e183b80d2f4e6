//! People, and the form that adds somebody.

use askama::Template;
use axum::{http::Uri, response::Response};

use super::{PAGE, Wrong, attempt, credentials::all_environments, once::Once, wrong::id};
use crate::{
    console::{
        error::Problem,
        pages::{
            form::{Fields, Submitted},
            frame::Frame,
            visitor::Visitor,
            words::When,
        },
    },
    model::{EnvironmentId, Role, RoleAssignment, User, UserName},
    secret::Secret,
    workflow::{Administrator, Error, FieldError, NewUser, PageRequest},
};

#[derive(Template)]
#[template(path = "admin/people.html")]
struct People {
    frame: Frame,
    query: String,
    rows: Vec<PersonRow>,
    /// The address of the next page.
    next: Option<String>,
    is_first_page: bool,
}

/// A line of a list of people.
pub(crate) struct PersonRow {
    pub(crate) name: String,
    pub(crate) roles: Vec<String>,
    pub(crate) disabled: bool,
    pub(crate) added: When,
}

impl PersonRow {
    pub(crate) fn new(visitor: &Visitor, user: &User) -> Self {
        Self {
            roles: user.roles.iter().map(described).collect(),
            name: user.name.to_string(),
            disabled: user.disabled,
            added: visitor.when(user.created_at),
        }
    }
}

pub(crate) async fn show(visitor: Visitor, uri: Uri) -> Result<Response, Problem> {
    let fields = Fields::of_query(&uri);
    let (query, cursor) = (fields.text("q").to_owned(), fields.optional("after").map(str::to_owned));
    let is_first_page = cursor.is_none();
    let text = query.clone();
    let page =
        visitor.run(move |caller| caller.administrator()?.find_users(&text, &PageRequest { limit: PAGE, cursor }));
    let page = page.await?;
    let next = page.next_cursor.map(|cursor| format!("/people?{}", fields.filters(&["q"], Some(&cursor))));
    Ok(visitor.page(&People {
        frame: visitor.frame(),
        query,
        rows: page.items.iter().map(|user| PersonRow::new(&visitor, user)).collect(),
        next,
        is_first_page,
    }))
}

/// `Developer in payments-dev`.
pub(super) fn described(held: &RoleAssignment) -> String {
    match &held.environment {
        Some(environment) => format!("{} in {environment}", word(held.role)),
        None => format!("{} everywhere", word(held.role)),
    }
}

pub(super) fn word(role: Role) -> &'static str {
    match role {
        Role::Admin => "Administrator",
        Role::Approver => "Approver",
        Role::Auditor => "Auditor",
        Role::Developer => "Developer",
    }
}

/// What a role is for.
pub(super) const ROLES: [(Role, &str); 4] = [
    (Role::Developer, "asks for cloud services, and uses them"),
    (Role::Approver, "decides requests, and revokes access"),
    (Role::Auditor, "reads the audit log"),
    (Role::Admin, "everything, people and credentials included"),
];

/// What can be picked as a role.
pub(super) struct RoleChoice {
    pub(super) value: &'static str,
    pub(super) label: &'static str,
    pub(super) about: &'static str,
    pub(super) picked: bool,
}

pub(super) fn role_choices(picked: &str) -> Vec<RoleChoice> {
    let choice = |(role, about): (Role, &'static str)| RoleChoice {
        value: role.name(),
        label: word(role),
        about,
        picked: role.name() == picked,
    };
    ROLES.into_iter().map(choice).collect()
}

/// The role that a form names; none if it names none.
pub(super) fn read_role(fields: &Fields) -> Result<Option<RoleAssignment>, Error> {
    let Some(name) = fields.optional("role") else { return Ok(None) };
    let role = Role::ALL.into_iter().find(|role| role.name() == name);
    let invalid = |field, message: &str| Error::Invalid(vec![FieldError::new(field, message)]);
    let role = role.ok_or_else(|| invalid("roles", "must be one of the list"))?;
    let environment = match fields.text("environment") {
        // Where a role counts decides how much it gives: nobody is to get it everywhere by leaving a field alone.
        "" => return Err(invalid("environment", "must say where the role counts")),
        "*" => None,
        text => Some(id("environment", EnvironmentId::new(text))?),
    };
    Ok(Some(RoleAssignment { role, environment }))
}

#[derive(Template)]
#[template(path = "admin/new_person.html")]
struct New {
    frame: Frame,
    username: String,
    roles: Vec<RoleChoice>,
    environments: Vec<(String, String)>,
    environment: String,
    wrong: Wrong,
}

pub(crate) async fn form(visitor: Visitor) -> Result<Response, Problem> {
    Ok(visitor.page(&new(&visitor, &Fields::default(), Wrong::default()).await?))
}

async fn new(visitor: &Visitor, fields: &Fields, wrong: Wrong) -> Result<New, Problem> {
    let environments = visitor.run(|caller| {
        caller.administrator()?;
        all_environments(caller)
    });
    Ok(New {
        frame: visitor.frame().at("/people"),
        username: fields.text("username").to_owned(),
        roles: role_choices(fields.text("role")),
        environments: environments.await?,
        environment: fields.text("environment").to_owned(),
        wrong,
    })
}

pub(crate) async fn add(Submitted { visitor, fields }: Submitted) -> Result<Response, Problem> {
    let typed = fields.clone();
    let added = attempt(&visitor, move |caller| {
        let administrator = caller.administrator()?;
        let (password, made) = password(&administrator, &typed)?;
        let name = id("username", UserName::new(typed.text("username")))?;
        let new = NewUser { name, password, roles: read_role(&typed)?.into_iter().collect(), disabled: false };
        Ok((administrator.create_user(&new)?, made))
    });
    match added.await? {
        Ok((user, made)) => Ok(handed_over(&visitor, &user, made, &format!("{} is added.", user.name))),
        Err(wrong) => Ok(visitor.again(&new(&visitor, &fields, wrong).await?)),
    }
}

/// The password that was typed; or one that is made, and then shown once.
pub(super) fn password(administrator: &Administrator<'_>, fields: &Fields) -> Result<(Secret, Option<Secret>), Error> {
    if fields.text("password").is_empty() {
        let made = administrator.suggest_password()?;
        return Ok((made.clone(), Some(made)));
    }
    Ok((fields.secret("password"), None))
}

/// Shows a password that was made, this once; or goes to the person's page.
pub(super) fn handed_over(visitor: &Visitor, user: &User, made: Option<Secret>, message: &str) -> Response {
    let back = format!("/people/{}", user.name);
    let Some(made) = made else { return visitor.done(&back, message) };
    visitor.page(&Once {
        frame: visitor.frame().at("/people"),
        title: format!("Hand this to {}", user.name),
        what: "This password",
        lost: "If it is lost, reset it again. They can change it on their account's page.",
        beside: vec![("User name", user.name.to_string()), ("Sign in at", visitor.state.console.to_string())],
        label: "Password",
        secret: made.expose().to_owned(),
        example: None,
        back,
    })
}
