//! `/users`: people and their roles.

use axum::{
    Json,
    http::{StatusCode, header},
    response::IntoResponse,
};
use serde::{Deserialize, Serialize};

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
#[derive(Serialize)]
pub(crate) struct Person {
    username: UserName,
    roles: Vec<RoleAssignment>,
    disabled: bool,
    created_at: Timestamp,
}

impl From<User> for Person {
    fn from(User { name, roles, disabled, created_at }: User) -> Self {
        Self { username: name, roles, disabled, created_at }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct New {
    username: UserName,
    password: Secret,
    #[serde(default)]
    roles: Vec<RoleAssignment>,
    #[serde(default)]
    disabled: bool,
}

/// What is left out stays as it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    password: Option<Secret>,
    roles: Option<Vec<RoleAssignment>>,
    disabled: Option<bool>,
}

pub(crate) async fn list(session: Session, Query(paging): Query<Paging>) -> Result<Json<Page<Person>>, Problem> {
    let page = session.run(move |caller| caller.administrator()?.users(&paging.into())).await?;
    Ok(Json(Page::of(page, Person::from)))
}

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

pub(crate) async fn show(session: Session, Id(name): Id<UserName>) -> Result<Json<Person>, Problem> {
    session.run(move |caller| caller.administrator()?.user(&name)).await.map(|user| Json(user.into()))
}

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
