//! API tokens of one's own, for programs that act as oneself.

use askama::Template;
use axum::response::Response;

use super::{Wrong, attempt, confirm::Confirm, once::Once};
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
    workflow::{ApiToken, Caller, Error, FieldError, NewApiToken},
};

/// How long a token may live: what people pick from.
const LIVES: [(&str, &str); 4] = [("7d", "7 days"), ("30d", "30 days"), ("90d", "90 days"), ("365d", "1 year")];
const USUAL_LIFE: &str = "90d";

/// What ending a token means.
pub(super) const STOPS: &str =
    "Whatever program uses it is refused from its next call on. It can't be undone; a new token can be made.";

#[derive(Template)]
#[template(path = "admin/tokens.html")]
struct Tokens {
    frame: Frame,
    rows: Vec<Row>,
    name: String,
    lives: Vec<(&'static str, &'static str, bool)>,
    wrong: Wrong,
}

/// A token of a list.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) made: When,
    pub(super) ends: When,
    pub(super) over: bool,
    /// The address of the page that asks whether to end it.
    pub(super) end: String,
}

impl Row {
    pub(super) fn new(visitor: &Visitor, token: ApiToken, end: String) -> Self {
        Self {
            name: token.name,
            made: visitor.when(token.created_at),
            ends: visitor.when(token.expires_at),
            over: token.expires_at <= visitor.now,
            end,
        }
    }
}

pub(crate) async fn show(visitor: Visitor) -> Result<Response, Problem> {
    Ok(visitor.page(&list(&visitor, &Fields::default(), Wrong::default()).await?))
}

async fn list(visitor: &Visitor, fields: &Fields, wrong: Wrong) -> Result<Tokens, Problem> {
    let tokens = visitor.run(Caller::api_tokens).await?;
    let row = |token: ApiToken| {
        let end = format!("/tokens/{}/end", token.id);
        Row::new(visitor, token, end)
    };
    let life = fields.optional("duration").unwrap_or(USUAL_LIFE);
    Ok(Tokens {
        frame: visitor.frame(),
        rows: tokens.into_iter().map(row).collect(),
        name: fields.text("name").to_owned(),
        lives: LIVES.map(|(value, label)| (value, label, value == life)).into(),
        wrong,
    })
}

pub(crate) async fn make(Submitted { visitor, fields }: Submitted) -> Result<Response, Problem> {
    let typed = fields.clone();
    let made = attempt(&visitor, move |caller| {
        let duration = typed
            .span("duration")
            .map_err(|error| Error::Invalid(vec![FieldError::new("duration", error.to_string())]))?;
        caller.create_api_token(&NewApiToken { name: typed.text("name").to_owned(), duration })
    });
    match made.await? {
        Ok((token, secret)) => Ok(visitor.page(&Once {
            frame: visitor.frame(),
            title: "Save your API token now".into(),
            what: "This token",
            lost: "If it is lost, end it and make another. Whoever has it can do what you can do.",
            beside: vec![("Name", token.name), ("Ends", visitor.when(token.expires_at).exact())],
            label: "Token",
            example: Some(format!("export CSG_URL={}\nexport CSG_TOKEN={}", visitor.state.console, secret.expose())),
            secret: secret.expose().to_owned(),
            back: "/tokens".into(),
        })),
        Err(wrong) => Ok(visitor.again(&list(&visitor, &fields, wrong).await?)),
    }
}

pub(crate) async fn ask_end(visitor: Visitor, Id(id): Id<String>) -> Result<Response, Problem> {
    let wanted = id.clone();
    let token = visitor.run(move |caller| {
        caller.api_tokens()?.into_iter().find(|token| token.id == wanted).ok_or(Error::NotFound("token"))
    });
    let token = token.await?;
    Ok(visitor.page(&Confirm {
        frame: visitor.frame(),
        back: ("/tokens".into(), "API tokens".into()),
        title: format!("End the API token “{}”?", token.name),
        tells: vec![STOPS.into()],
        blocked: None,
        action: format!("/tokens/{id}/end"),
        fields: Vec::new(),
        button: "End the token",
    }))
}

pub(crate) async fn end(Id(id): Id<String>, Submitted { visitor, .. }: Submitted) -> Result<Response, Problem> {
    visitor.run(move |caller| caller.delete_api_token(&id)).await?;
    Ok(visitor.done("/tokens", "The token has ended."))
}
