//! What the person did wrong, for the page to tell beside the field it is about.

use std::borrow::Cow;

use crate::{
    console::{
        error::{Problem, capital},
        pages::visitor::Visitor,
    },
    model::ids::IdError,
    workflow::{Caller, Error, FieldError},
};

/// What is wrong, by field. `check` is what a cloud had against a credential; without a field it is about the whole.
#[derive(Default)]
pub(crate) struct Wrong(Vec<FieldError>);

impl Wrong {
    pub(crate) fn new(errors: Vec<FieldError>) -> Self {
        Self(errors)
    }

    /// What is wrong with a field, as a sentence.
    pub(crate) fn of(&self, field: &str) -> Option<String> {
        self.0.iter().find(|error| error.field == field).map(|error| capital(error.message.trim_end_matches('.')))
    }

    /// What is wrong elsewhere than in these fields.
    pub(crate) fn elsewhere(&self, known: &[&str]) -> Option<String> {
        let other = self.0.iter().find(|error| !known.contains(&error.field.as_ref()))?;
        self.of(&other.field)
    }
}

/// An id as it was typed, or what is wrong with it.
pub(crate) fn id<T>(field: impl Into<Cow<'static, str>>, made: Result<T, IdError>) -> Result<T, Error> {
    made.map_err(|error| Error::Invalid(vec![no_id(field, &error)]))
}

/// What is wrong with an id.
pub(super) fn no_id(field: impl Into<Cow<'static, str>>, error: &IdError) -> FieldError {
    let message = error.to_string();
    let (_, rule) = message.split_once(" must be ").unwrap_or(("", &message));
    FieldError::new(field, format!("must be {rule}"))
}

/// Runs `work`; what the person can mend on the form is told there.
pub(crate) async fn attempt<T: Send + 'static>(
    visitor: &Visitor,
    work: impl FnOnce(&Caller) -> Result<T, Error> + Send + 'static,
) -> Result<Result<T, Wrong>, Problem> {
    let done = visitor.session.clone().try_run(|caller| match work(caller) {
        Ok(value) => Ok(Ok(value)),
        Err(Error::Invalid(errors)) => Ok(Err(Wrong(errors))),
        Err(error @ (Error::Check(_) | Error::OtherAccount { .. } | Error::Throttled { .. })) => {
            Ok(Err(Wrong(vec![FieldError::new("check", error.to_string())])))
        }
        Err(Error::Conflict { message, .. }) => Ok(Err(Wrong(vec![FieldError::new("", message)]))),
        Err(other) => Err(other.into()),
    });
    done.await
}
