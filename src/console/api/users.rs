//! `/users`: people and their roles.

use axum::{
    Json,
    http::{StatusCode, header},
    response::IntoResponse,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::list::{Page, Paging};
use crate::{
    clock::Timestamp,
    console::{
        error::Problem,
        extract::{self, Id, Query},
        session::Session,
    },
    model::{RoleAssignment, User, UserName},
    secret::Secret,
    workflow::{NewUser, UserChange},
};

/// A user as the API shows one.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub(crate) struct Person {
    username: UserName,
    roles: Vec<RoleAssignment>,
    disabled: bool,
    created_at: Timestamp,
    /// Does signing in need a code of an authenticator app, besides the password?
    second_factor: bool,
}

impl From<User> for Person {
    fn from(User { name, roles, disabled, created_at, second_factor }: User) -> Self {
        Self { username: name, roles, disabled, created_at, second_factor }
    }
}

/// A person to be added.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewUser)]
#[serde(deny_unknown_fields)]
pub(crate) struct New {
    username: UserName,
    /// 8 to 1,024 bytes.
    #[schema(value_type = String, format = Password, write_only, min_length = 8, max_length = 1024)]
    password: Secret,
    #[serde(default)]
    roles: Vec<RoleAssignment>,
    #[serde(default)]
    disabled: bool,
}

/// What is left out stays as it is.
#[derive(Deserialize, ToSchema)]
#[schema(as = UserChange)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    /// 8 to 1,024 bytes.
    #[schema(value_type = Option<String>, format = Password, write_only, min_length = 8, max_length = 1024)]
    password: Option<Secret>,
    roles: Option<Vec<RoleAssignment>>,
    disabled: Option<bool>,
}

/// List people
///
/// Needs `users.manage`. By name.
#[utoipa::path(
    get,
    path = "/api/v1/users",
    operation_id = "list_users",
    tag = "People",
    params(Paging),
    responses((status = 200, description = "A page of the list.", body = Page<Person>)),
)]
pub(crate) async fn list(session: Session, Query(paging): Query<Paging>) -> Result<Json<Page<Person>>, Problem> {
    let page = session.run(move |caller| caller.administrator()?.users(&paging.into())).await?;
    Ok(Json(Page::of(page, Person::from)))
}

/// Add a person
///
/// Needs `users.manage`.
#[utoipa::path(
    post,
    path = "/api/v1/users",
    operation_id = "create_user",
    tag = "People",
    request_body = New,
    responses((status = 201, description = "Made.", body = Person, headers(("location" = String, description = "Where what was made is."))), (status = 409, description = "There is one with this name.")),
)]
pub(crate) async fn create(
    session: Session,
    extract::Json(new): extract::Json<New>,
) -> Result<impl IntoResponse, Problem> {
    let New { username, password, roles, disabled } = new;
    let new = NewUser { name: username, password, roles, disabled };
    let made = session.run(move |caller| caller.administrator()?.create_user(&new)).await?;
    let location = [(header::LOCATION, format!("/api/v1/users/{}", made.name))];
    Ok((StatusCode::CREATED, location, Json(Person::from(made))))
}

/// Show a person
///
/// Needs `users.manage`.
#[utoipa::path(
    get,
    path = "/api/v1/users/{id}",
    operation_id = "show_user",
    tag = "People",
    params(("id" = UserName, Path, description = "The user name.")),
    responses((status = 200, description = "As it is now.", body = Person)),
)]
pub(crate) async fn show(session: Session, Id(name): Id<UserName>) -> Result<Json<Person>, Problem> {
    session.run(move |caller| caller.administrator()?.user(&name)).await.map(|user| Json(user.into()))
}

/// Change a person
///
/// Needs `users.manage`. A new password, or being disabled, ends the person's sessions and API tokens; the keys of somebody disabled stop working.
#[utoipa::path(
    patch,
    path = "/api/v1/users/{id}",
    operation_id = "change_user",
    tag = "People",
    params(("id" = UserName, Path, description = "The user name.")),
    request_body = Change,
    responses((status = 200, description = "As it is now.", body = Person), (status = 409, description = "Nobody would be left who may manage people.")),
)]
pub(crate) async fn change(
    session: Session,
    Id(name): Id<UserName>,
    extract::Json(change): extract::Json<Change>,
) -> Result<Json<Person>, Problem> {
    let Change { password, roles, disabled } = change;
    let change = UserChange { password, roles, disabled };
    let changed = session.run(move |caller| caller.administrator()?.change_user(&name, &change));
    changed.await.map(|user| Json(user.into()))
}
