//! What a form sends, read field by field: everything is text, and what is missing is empty.

use std::time::Duration;

use axum::{
    extract::{FromRequest, FromRequestParts as _, Request},
    http::{HeaderMap, Uri, header},
    response::{IntoResponse as _, Response},
};

use super::{redirect, visitor::Visitor};
use crate::{
    console::{State, csrf, error::Problem, extract},
    secret::Secret,
};

/// The fields of a form that came from one of our own pages.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads `name=value&…`.
    pub(crate) fn parse(text: &[u8]) -> Self {
        Self(form_urlencoded::parse(text).into_owned().collect())
    }

    /// The fields of the query, which a form that was sent in vain is filled with again.
    pub(crate) fn of_query(uri: &Uri) -> Self {
        Self::parse(uri.query().unwrap_or_default().as_bytes())
    }

    /// A field's text without space around it; empty if there is none.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// A field's text, or none if that is empty.
    pub(crate) fn optional(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// All values of a field that can be there several times, as ticked boxes are.
    pub(crate) fn all<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A field as it was typed, to be kept from eyes and logs.
    pub(crate) fn secret(&self, name: &str) -> Secret {
        Secret::new(self.raw(name))
    }

    /// A ticked box.
    pub(crate) fn ticked(&self, name: &str) -> bool {
        !self.text(name).is_empty()
    }

    /// A span of time that is picked in a list: `30d`; none if it is empty.
    pub(crate) fn span(&self, name: &'static str) -> Result<Option<Duration>, crate::workflow::DurationError> {
        self.optional(name).map(crate::workflow::parse_duration).transpose()
    }

    /// Those of the fields `names` that hold something, as a query: a list with the same filters, from `after` on.
    pub(crate) fn filters(&self, names: &[&str], after: Option<&str>) -> String {
        let set = names.iter().filter_map(|name| Some((*name, self.optional(name)?)));
        let after = after.map(|cursor| ("after", cursor));
        form_urlencoded::Serializer::new(String::new()).extend_pairs(set).extend_pairs(after).finish()
    }

    /// As a query, without what must not be seen there.
    pub(super) fn to_query(&self) -> String {
        const HIDDEN: [&str; 5] = ["csrf", "password", "secret", "token", "code"];
        let shown = self.0.iter().filter(|(name, _)| !HIDDEN.iter().any(|hidden| name.contains(hidden)));
        form_urlencoded::Serializer::new(String::new()).extend_pairs(shown).finish()
    }

    fn raw(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }
}

impl FromRequest<State> for Fields {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &State) -> Result<Self, Problem> {
        let (head, body) = request.into_parts();
        // Read even if it is refused: an answer before the end of the body would close the connection.
        let body = extract::body(body).await?;
        csrf::check_origin(&head.headers)?;
        if !is_form(&head.headers) {
            return Err(Problem::malformed("This is not a form of the console."));
        }
        Ok(Self::parse(&body))
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"))
}

/// A form that somebody who is signed in has sent, from a page of this very session. Every write takes one.
pub(crate) struct Submitted {
    /// Who.
    pub(crate) visitor: Visitor,
    /// What.
    pub(crate) fields: Fields,
}

impl FromRequest<State> for Submitted {
    type Rejection = Response;

    async fn from_request(request: Request, state: &State) -> Result<Self, Response> {
        let (mut head, body) = request.into_parts();
        let visitor = Visitor::from_request_parts(&mut head, state).await;
        let (headers, uri) = (head.headers.clone(), head.uri.clone());
        let fields = Fields::from_request(Request::from_parts(head, body), state).await;
        let fields = fields.map_err(Problem::into_response)?;
        // Whoever was signed out meanwhile gets the form back with what was typed.
        let visitor = visitor.map_err(|_| redirect::to_sign_in(&redirect::form_again(&uri, &headers, &fields)))?;
        visitor.check_csrf(fields.raw("csrf")).map_err(|problem| {
            // Signed in anew in another tab: the browser vouches that the form was ours.
            if headers.get("sec-fetch-site").is_some_and(|site| site == "same-origin") {
                let message = "You have signed in anew since this form was opened, so nothing was done yet. \
                               Look at it and send it once more.";
                visitor.done(redirect::own(&redirect::form_again(&uri, &headers, &fields)), message)
            } else {
                problem.into_response()
            }
        })?;
        Ok(Self { visitor, fields })
    }
}
