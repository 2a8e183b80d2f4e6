//! The first steps after the set-up: a credential, an environment, the certificate. What is done is seen from what there
//! is, so that it can be left and resumed at any time.

use askama::Template;
use axum::{http::Uri, response::Response};

use super::{
    admin::{Wrong, adder, attempt, told},
    form::{Fields, Submitted},
    frame::{Frame, cloud_services},
    visitor::Visitor,
};
use crate::{
    console::error::Problem,
    model::{Credential, EnvironmentId},
    workflow::{Caller, EnvironmentView, Error, FieldError, NewEnvironment, PageRequest},
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
    wrong: Wrong,
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
    let mut page = welcome(&visitor, &Fields::default(), Wrong::default()).await?;
    match skipped.as_str() {
        "credential" => page.open = Step::Credential,
        "environment" => page.open = Step::Environment,
        "certificate" => page.open = Step::Certificate,
        _ => {}
    }
    Ok(visitor.page(&page))
}

/// A credential that no environment may use yet: the one made in the next step is linked to it. Tried with AWS first.
pub(crate) async fn add_credential(Submitted { visitor, fields }: Submitted) -> Result<Response, Problem> {
    match attempt(&visitor, adder(&fields)).await? {
        Ok(made) => Ok(visitor.done("/welcome", &told(&made))),
        Err(wrong) => {
            let page = welcome(&visitor, &fields, wrong).await?;
            Ok(visitor.again(&Welcome { open: Step::Credential, ..page }))
        }
    }
}

pub(crate) async fn make_environment(Submitted { visitor, fields }: Submitted) -> Result<Response, Problem> {
    let (id, name) = (fields.text("id").to_owned(), fields.text("name").to_owned());
    let made = attempt(&visitor, move |caller| {
        let id = EnvironmentId::new(&id).map_err(|error| {
            let message = error.to_string().replace("an environment id ", "");
            Error::Invalid(vec![FieldError::new("id", message)])
        })?;
        let credentials = first_credential(caller)?.into_iter().map(|credential| credential.id).collect();
        let new = NewEnvironment { id, name, accounts: Vec::new(), credentials };
        caller.environment_administrator(None)?.create(&new)
    });
    match made.await? {
        Ok(made) => Ok(visitor.done("/welcome", &format!("The environment “{}” is made.", made.environment.name))),
        Err(wrong) => {
            let page = welcome(&visitor, &fields, wrong).await?;
            Ok(visitor.again(&Welcome { open: Step::Environment, ..page }))
        }
    }
}

fn first_credential(caller: &Caller) -> Result<Option<Credential>, Error> {
    Ok(caller.credentials(None, &PageRequest { limit: 1, cursor: None })?.items.into_iter().next())
}

async fn welcome(visitor: &Visitor, fields: &Fields, wrong: Wrong) -> Result<Welcome, Problem> {
    let found = visitor.run(|caller| {
        caller.credential_administrator()?;
        caller.environment_administrator(None)?;
        let environments = caller.environments(&PageRequest { limit: 1, cursor: None })?.items;
        Ok((first_credential(caller)?, environments.into_iter().next()))
    });
    let (credential, environment) = found.await?;
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
        wrong,
        credential,
        environment,
    })
}
