//! One person: their roles, their API tokens, their password, and whether they may come in.

use askama::Template;
use axum::{http::Uri, response::Response};

use super::{
    Wrong, attempt,
    confirm::Confirm,
    credentials::all_environments,
    people::{RoleChoice, described, handed_over, password, read_role, role_choices, word},
    tokens::Row as Token,
};
use crate::{
    console::{
        error::Problem,
        extract::Id,
        pages::{
            form::{Fields, Submitted},
            frame::Frame,
            visitor::Visitor,
            words::When,
        },
    },
    model::{RoleAssignment, Status, User, UserName},
    workflow::{Error, FieldError, PageRequest, RequestFilter, UserChange},
};

/// More than this of a person's access requests are not counted.
const COUNTED: usize = 100;

#[derive(Template)]
#[template(path = "admin/person.html")]
struct Details {
    frame: Frame,
    name: UserName,
    me: bool,
    disabled: bool,
    added: When,
    roles: Vec<Held>,
    tokens: Vec<Token>,
    choices: Vec<RoleChoice>,
    environments: Vec<(String, String)>,
    environment: String,
    wrong: Wrong,
}

/// A role that is held.
struct Held {
    label: &'static str,
    place: String,
    /// The address of the page that asks whether to take it.
    take: String,
}

pub(crate) async fn show(visitor: Visitor, Id(name): Id<UserName>) -> Result<Response, Problem> {
    Ok(visitor.page(&details(&visitor, name, &Fields::default(), Wrong::default()).await?))
}

async fn details(visitor: &Visitor, name: UserName, fields: &Fields, wrong: Wrong) -> Result<Details, Problem> {
    let wanted = name.clone();
    let (user, tokens, environments) = visitor
        .run(move |caller| {
            let administrator = caller.administrator()?;
            Ok((administrator.user(&wanted)?, administrator.api_tokens(&wanted)?, all_environments(caller)?))
        })
        .await?;
    let tokens = tokens.into_iter().map(|token| {
        let end = format!("/people/{name}/tokens/{}/end", token.id);
        Token::new(visitor, token, end)
    });
    Ok(Details {
        frame: visitor.frame().at("/people"),
        me: name == *visitor.name(),
        disabled: user.disabled,
        added: visitor.when(user.created_at),
        roles: user.roles.iter().map(|held| Held::new(&user, held)).collect(),
        tokens: tokens.collect(),
        choices: role_choices(fields.text("role")),
        environment: fields.text("environment").to_owned(),
        environments,
        wrong,
        name,
    })
}

impl Held {
    fn new(user: &User, held: &RoleAssignment) -> Self {
        let place = held.environment.as_ref().map_or("*", |environment| environment.as_str());
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("role", held.role.name())
            .append_pair("environment", place)
            .finish();
        Self {
            label: word(held.role),
            place: held.environment.as_ref().map_or_else(|| "everywhere".to_owned(), |place| format!("in {place}")),
            take: format!("/people/{}/roles/take?{query}", user.name),
        }
    }
}

fn a_role(fields: &Fields) -> Result<RoleAssignment, Error> {
    let missing = || Error::Invalid(vec![FieldError::new("roles", "must be one of the list")]);
    read_role(fields)?.ok_or_else(missing)
}

pub(crate) async fn give_role(
    Id(name): Id<UserName>,
    Submitted { visitor, fields }: Submitted,
) -> Result<Response, Problem> {
    let (wanted, typed) = (name.clone(), fields.clone());
    let given = attempt(&visitor, move |caller| {
        let role = a_role(&typed)?;
        caller.administrator()?.give_role(&wanted, &role)?;
        Ok(role)
    });
    match given.await? {
        Ok(role) => {
            Ok(visitor.done(&format!("/people/{name}"), &format!("{name} is now {}.", lower(&described(&role)))))
        }
        Err(wrong) => Ok(visitor.again(&details(&visitor, name, &fields, wrong).await?)),
    }
}

/// For the middle of a sentence.
fn lower(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

pub(crate) async fn ask_take_role(visitor: Visitor, Id(name): Id<UserName>, uri: Uri) -> Result<Response, Problem> {
    let fields = Fields::of_query(&uri);
    let wanted = name.clone();
    let role = visitor.run(move |caller| {
        let role = a_role(&fields)?;
        let held = caller.administrator()?.user(&wanted)?.roles.contains(&role);
        if held { Ok(role) } else { Err(Error::NotFound("role of this person")) }
    });
    let role = role.await?;
    let place = role.environment.as_ref().map_or("*", |environment| environment.as_str()).to_owned();
    let tells = vec![
        format!(
            "From their next click or call on, {name} can no longer do what the role allows, unless another role does."
        ),
        "Keys that were approved for them go on working: revoke those if they are to end.".into(),
    ];
    Ok(visitor.page(&Confirm {
        frame: visitor.frame().at("/people"),
        back: (format!("/people/{name}"), name.to_string()),
        title: format!("Take a role from {name}: {}?", lower(&described(&role))),
        tells,
        blocked: None,
        action: format!("/people/{name}/roles/take"),
        fields: vec![("role", role.role.name().to_owned()), ("environment", place)],
        button: "Take the role",
    }))
}

pub(crate) async fn take_role(
    Id(name): Id<UserName>,
    Submitted { visitor, fields }: Submitted,
) -> Result<Response, Problem> {
    let (wanted, typed) = (name.clone(), fields.clone());
    let taken = attempt(&visitor, move |caller| caller.administrator()?.take_role(&wanted, &a_role(&typed)?));
    match taken.await? {
        // Whoever took the role of administrator from themselves can't see the page any more.
        Ok(user) if user.name == *visitor.name() => Ok(visitor.done("/account", "The role is taken from you.")),
        Ok(_) => Ok(visitor.done(&format!("/people/{name}"), "The role is taken.")),
        Err(wrong) => Ok(visitor.again(&details(&visitor, name, &Fields::default(), wrong).await?)),
    }
}

pub(crate) async fn ask_disable(visitor: Visitor, Id(name): Id<UserName>) -> Result<Response, Problem> {
    let wanted = name.clone();
    let (user, tokens, living) = visitor
        .run(move |caller| {
            let administrator = caller.administrator()?;
            let filter = RequestFilter {
                statuses: [Status::Approved, Status::Active].into(),
                requested_by: Some(wanted.clone()),
                ..RequestFilter::default()
            };
            let living = caller.plain_access_requests(&filter, &PageRequest { limit: COUNTED, cursor: None })?;
            let living = (living.items.len(), living.next_cursor.is_some());
            Ok((administrator.user(&wanted)?, administrator.api_tokens(&wanted)?.len(), living))
        })
        .await?;
    let keys = match living {
        (0, _) => "No access of theirs is in use.".to_owned(),
        (1, false) => {
            "The keys of one access request of theirs stop working with the next call, for every application that \
              uses them; what is on its way is cut within 5 seconds."
                .to_owned()
        }
        (count, more) => format!(
            "The keys of {}{count} access requests of theirs stop working with the next call, for every application \
             that uses them; what is on its way is cut within 5 seconds.",
            if more { "more than " } else { "" },
        ),
    };
    let tells = vec![
        format!("{} can't sign in any more. Their sessions and API tokens ({tokens}) end now.", user.name),
        keys,
        "It can be undone: enabling brings the keys back, but neither sessions nor API tokens.".into(),
    ];
    Ok(visitor.page(&Confirm {
        frame: visitor.frame().at("/people"),
        back: (format!("/people/{name}"), name.to_string()),
        title: format!("Disable {name}?"),
        tells,
        blocked: None,
        action: format!("/people/{name}/disable"),
        fields: Vec::new(),
        button: "Disable",
    }))
}

pub(crate) async fn disable(Id(name): Id<UserName>, Submitted { visitor, .. }: Submitted) -> Result<Response, Problem> {
    set_disabled(visitor, name, true, "is disabled: signed out, and their keys have stopped.").await
}

pub(crate) async fn enable(Id(name): Id<UserName>, Submitted { visitor, .. }: Submitted) -> Result<Response, Problem> {
    set_disabled(visitor, name, false, "can sign in again, and their keys work.").await
}

async fn set_disabled(visitor: Visitor, name: UserName, disabled: bool, told: &str) -> Result<Response, Problem> {
    let wanted = name.clone();
    let change = UserChange { disabled: Some(disabled), ..UserChange::default() };
    match attempt(&visitor, move |caller| caller.administrator()?.change_user(&wanted, &change)).await? {
        Ok(_) => Ok(visitor.done(&format!("/people/{name}"), &format!("{name} {told}"))),
        Err(wrong) => Ok(visitor.again(&details(&visitor, name, &Fields::default(), wrong).await?)),
    }
}

pub(crate) async fn reset_password(
    Id(name): Id<UserName>,
    Submitted { visitor, fields }: Submitted,
) -> Result<Response, Problem> {
    let wanted = name.clone();
    let reset = attempt(&visitor, move |caller| {
        let administrator = caller.administrator()?;
        let (new, made) = password(&administrator, &fields)?;
        let change = UserChange { password: Some(new), ..UserChange::default() };
        Ok((administrator.change_user(&wanted, &change)?, made))
    });
    match reset.await? {
        Ok((user, made)) => {
            let message = format!("{} has a new password; their sessions and API tokens have ended.", user.name);
            Ok(handed_over(&visitor, &user, made, &message))
        }
        Err(wrong) => Ok(visitor.again(&details(&visitor, name, &Fields::default(), wrong).await?)),
    }
}

pub(crate) async fn ask_end_token(
    visitor: Visitor,
    Id((name, token)): Id<(UserName, String)>,
) -> Result<Response, Problem> {
    let (wanted, id) = (name.clone(), token.clone());
    let known = visitor.run(move |caller| {
        let tokens = caller.administrator()?.api_tokens(&wanted)?;
        tokens.into_iter().find(|token| token.id == id).ok_or(Error::NotFound("token"))
    });
    let known = known.await?;
    Ok(visitor.page(&Confirm {
        frame: visitor.frame().at("/people"),
        back: (format!("/people/{name}"), name.to_string()),
        title: format!("End the API token “{}” of {name}?", known.name),
        tells: vec![super::tokens::STOPS.into()],
        blocked: None,
        action: format!("/people/{name}/tokens/{token}/end"),
        fields: Vec::new(),
        button: "End the token",
    }))
}

pub(crate) async fn end_token(
    Id((name, token)): Id<(UserName, String)>,
    Submitted { visitor, .. }: Submitted,
) -> Result<Response, Problem> {
    let back = format!("/people/{name}");
    visitor.run(move |caller| caller.administrator()?.delete_api_token(&name, &token)).await?;
    Ok(visitor.done(&back, "The token has ended."))
}
