//! The first steps after the set-up: a credential, an environment, the certificate. What is done is seen from what there
//! is, so that it can be left and resumed at any time.

use askama::Template;
use axum::{http::Uri, response::Response};

use super::{
    form::{Fields, Submitted},
    frame::{Frame, cloud_services},
    visitor::Visitor,
};
use crate::{
    console::error::{Problem, capital},
    model::{CloudId, Credential, EnvironmentId},
    workflow::{Caller, EnvironmentView, Error, FieldError, NewCredential, NewEnvironment, PageRequest},
};

#[derive(Template)]
#[template(path = "welcome.html")]
struct Welcome {
    frame: Frame,
    credential: Option<Credential>,
    environment: Option<EnvironmentView>,
    /// The step whose form is open.
    open: Step,
    ca_url: String,
    /// What was typed.
    name: String,
    access_key_id: String,
    id: String,
    name_error: Option<String>,
    key_error: Option<String>,
    secret_error: Option<String>,
    id_error: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Credential,
    Environment,
    Certificate,
}

impl Welcome {
    fn start(&self) -> String {
        self.environment.as_ref().map_or_else(|| "/".to_owned(), |view| cloud_services(&view.environment.id))
    }
}

pub(crate) async fn show(visitor: Visitor, uri: Uri) -> Result<Response, Problem> {
    let skipped = Fields::of_query(&uri).text("step").to_owned();
    let mut page = welcome(&visitor, &Fields::default(), &[]).await?;
    match skipped.as_str() {
        "credential" => page.open = Step::Credential,
        "environment" => page.open = Step::Environment,
        "certificate" => page.open = Step::Certificate,
        _ => {}
    }
    Ok(visitor.page(&page))
}

/// A credential that no environment may use yet: the one made in the next step is linked to it.
pub(crate) async fn add_credential(Submitted { visitor, fields }: Submitted) -> Result<Response, Problem> {
    let new = NewCredential {
        name: fields.text("name").to_owned(),
        cloud: CloudId::aws(),
        access_key_id: fields.text("access_key_id").to_owned(),
        secret_access_key: fields.secret("secret_access_key"),
        session_token: None,
        environments: Vec::new(),
    };
    match visitor.attempt(move |caller| caller.credential_administrator()?.create(&new)).await? {
        Ok(made) => Ok(visitor.done("/welcome", &format!("The credential “{}” is kept, sealed.", made.name))),
        Err(errors) => {
            let page = welcome(&visitor, &fields, &errors).await?;
            Ok(visitor.again(&Welcome { open: Step::Credential, ..page }))
        }
    }
}

pub(crate) async fn make_environment(Submitted { visitor, fields }: Submitted) -> Result<Response, Problem> {
    let (id, name) = (fields.text("id").to_owned(), fields.text("name").to_owned());
    let made = visitor.attempt(move |caller| {
        let id = EnvironmentId::new(&id).map_err(|error| {
            let message = error.to_string().replace("an environment id ", "");
            Error::Invalid(vec![FieldError { field: "id", message }])
        })?;
        let credentials = first_credential(caller)?.into_iter().map(|credential| credential.id).collect();
        let new = NewEnvironment { id, name, accounts: Vec::new(), credentials };
        caller.environment_administrator(None)?.create(&new)
    });
    match made.await? {
        Ok(made) => Ok(visitor.done("/welcome", &format!("The environment “{}” is made.", made.environment.name))),
        Err(errors) => {
            let page = welcome(&visitor, &fields, &errors).await?;
            Ok(visitor.again(&Welcome { open: Step::Environment, ..page }))
        }
    }
}

fn first_credential(caller: &Caller) -> Result<Option<Credential>, Error> {
    Ok(caller.credentials(None, &PageRequest { limit: 1, cursor: None })?.items.into_iter().next())
}

async fn welcome(visitor: &Visitor, fields: &Fields, errors: &[FieldError]) -> Result<Welcome, Problem> {
    let found = visitor.run(|caller| {
        caller.credential_administrator()?;
        caller.environment_administrator(None)?;
        let environments = caller.environments(&PageRequest { limit: 1, cursor: None })?.items;
        Ok((first_credential(caller)?, environments.into_iter().next()))
    });
    let (credential, environment) = found.await?;
    let of = |field: &str| errors.iter().find(|error| error.field == field).map(|error| capital(&error.message));
    Ok(Welcome {
        frame: visitor.frame(),
        open: match (&credential, &environment) {
            (_, Some(_)) => Step::Certificate,
            (Some(_), None) => Step::Environment,
            (None, None) => Step::Credential,
        },
        ca_url: visitor.state.ca_url(),
        name: fields.text("name").to_owned(),
        access_key_id: fields.text("access_key_id").to_owned(),
        id: fields.text("id").to_owned(),
        name_error: of("name"),
        key_error: of("access_key_id"),
        secret_error: of("secret_access_key"),
        id_error: of("id"),
        credential,
        environment,
    })
}
