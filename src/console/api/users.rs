//! `/users`: people and their roles.

use axum::{
    Json,
    http::{StatusCode, header},
    response::IntoResponse,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    list::{Limit, Page},
    tokens::ApiTokenView,
};
use crate::{
    clock::Timestamp,
    console::{
        error::Problem,
        extract::{self, Id, Query},
        session::Session,
    },
    model::{RoleAssignment, User, UserName},
    secret::Secret,
    workflow::{NewUser, PageRequest, UserChange},
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

/// Which people.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    /// A part of the name, in any case.
    #[serde(default)]
    #[param(required = false)]
    search: String,
    /// How many items the page may have.
    #[serde(default)]
    #[param(inline, required = false)]
    limit: Limit,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// List people
///
/// Needs `users.manage`. By name.
#[utoipa::path(
    get,
    path = "/api/v1/users",
    operation_id = "list_users",
    tag = "People",
    params(Filter),
    responses((status = 200, description = "A page of the list.", body = Page<Person>)),
)]
pub(crate) async fn list(session: Session, Query(filter): Query<Filter>) -> Result<Json<Page<Person>>, Problem> {
    let Filter { search, limit: Limit(limit), cursor } = filter;
    let page = session.run(move |caller| caller.administrator()?.find_users(&search, &PageRequest { limit, cursor }));
    let page = page.await?;
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

/// List a person's API tokens
///
/// Needs `users.manage`. Never the tokens themselves.
#[utoipa::path(
    get,
    path = "/api/v1/users/{id}/tokens",
    operation_id = "list_user_tokens",
    tag = "People",
    params(("id" = UserName, Path, description = "The user name.")),
    responses((status = 200, description = "All of them, on one page.", body = Page<ApiTokenView>)),
)]
pub(crate) async fn tokens(session: Session, Id(name): Id<UserName>) -> Result<Json<Page<ApiTokenView>>, Problem> {
    let tokens = session.run(move |caller| caller.administrator()?.api_tokens(&name)).await?;
    Ok(Json(Page { items: tokens.into_iter().map(ApiTokenView::from).collect(), next_cursor: None }))
}

/// End one of a person's API tokens
///
/// Needs `users.manage`.
#[utoipa::path(
    delete,
    path = "/api/v1/users/{id}/tokens/{token}",
    operation_id = "delete_user_token",
    tag = "People",
    params(("id" = UserName, Path, description = "The user name."), ("token" = String, Path, description = "The token's id, which is not the token.", pattern = "^[a-z0-9-]{1,64}$")),
    responses((status = 204, description = "Removed.")),
)]
pub(crate) async fn delete_token(
    session: Session,
    Id((name, token)): Id<(UserName, String)>,
) -> Result<StatusCode, Problem> {
    let deleted = session.run(move |caller| caller.administrator()?.delete_api_token(&name, &token));
    deleted.await.map(|()| StatusCode::NO_CONTENT)
}
