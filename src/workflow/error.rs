//! Why a use case did not happen. No HTTP here; every variant's words may be shown to the person who asked.

use std::{borrow::Cow, time::Duration};

use crate::{
    cloud::CheckError,
    model::{AccountId, Permission, Status},
    store,
};

/// Why a use case did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A credential was tried with its cloud, in vain.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// The thing is not in a state that allows it, or something else stands in the way.
    #[error("{message}")]
    Conflict {
        /// What stands in the way.
        message: String,
        /// Where the access request stands, if it is about one.
        status: Option<Status>,
    },
    /// A permission is missing.
    #[error("this needs the permission {}", permission.name())]
    Forbidden {
        /// The permission.
        permission: Permission,
    },
    /// It was there once, and could be had only once.
    #[error("{0}")]
    Gone(&'static str),
    /// The input will not do; every mistake is told.
    #[error("{}", FieldError::sentence(.0))]
    Invalid(Vec<FieldError>),
    /// A rule that no permission lifts.
    #[error("{0}")]
    NotAllowed(&'static str),
    /// There is no such thing, or the caller may not know of it.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// A new secret is good, but for another account than the credential has been of.
    #[error("the new key is of account {found}, while the credential has been of {before}")]
    OtherAccount {
        /// The account so far.
        before: AccountId,
        /// The account of the new key.
        found: AccountId,
    },
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    Random,
    /// The password is right, and a code is needed too.
    #[error("this account has a second factor: the code of its authenticator app, or a recovery code, is needed too")]
    SecondFactorRequired,
    /// Reading or writing state failed. The source is for the log.
    #[error("the appliance could not read or write its state: its log says why")]
    Storage(#[from] store::Error),
    /// Too many attempts.
    #[error("too many attempts: try again in {} s", retry_after.as_secs().max(1))]
    Throttled {
        /// When to try again.
        retry_after: Duration,
    },
    /// Nobody knows who this is.
    #[error("sign in: the name, password or token is not valid, or has expired")]
    Unauthenticated,
}

/// What is wrong with one field of the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The field, as the REST API calls it; `policies[1].value` where it lies deeper.
    pub field: Cow<'static, str>,
    /// What is wrong: `must not be empty`.
    pub message: String,
}

impl FieldError {
    /// What is wrong with a field.
    pub fn new(field: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }

    fn sentence(errors: &[Self]) -> String {
        let parts: Vec<_> = errors.iter().map(|error| format!("{} {}", error.field, error.message)).collect();
        parts.join("; ")
    }
}

impl Error {
    /// A conflict that is not about an access request's state.
    pub(super) fn conflict(message: impl Into<String>) -> Self {
        Self::Conflict { message: message.into(), status: None }
    }

    /// The access request stands where `what` can't be done.
    pub(super) fn state(status: Status) -> Self {
        Self::Conflict { message: format!("the access request is {}", status.name()), status: Some(status) }
    }

    /// One field is wrong.
    pub(super) fn invalid(field: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError::new(field, message)])
    }
}

/// Collects what is wrong with an input, so that all of it is told at once.
#[derive(Default)]
pub(super) struct Checks(Vec<FieldError>);

impl Checks {
    pub(super) fn require(&mut self, good: bool, field: impl Into<Cow<'static, str>>, message: impl Into<String>) {
        if !good {
            self.0.push(FieldError::new(field, message));
        }
    }

    /// Text that people read: not empty (unless it may be), not endless, no control characters but line breaks.
    pub(super) fn text(&mut self, text: &str, longest: usize, field: impl Into<Cow<'static, str>>) {
        let field = field.into();
        self.require(!text.trim().is_empty(), field.clone(), "must not be empty");
        self.comment(Some(text), longest, field);
    }

    pub(super) fn comment(&mut self, text: Option<&str>, longest: usize, field: impl Into<Cow<'static, str>>) {
        let (text, field) = (text.unwrap_or_default(), field.into());
        self.require(text.len() <= longest, field.clone(), format!("must not be longer than {longest} bytes"));
        let printable = !text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'));
        self.require(printable, field, "must not hold control characters");
    }

    pub(super) fn done(self) -> Result<(), Error> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::Invalid(self.0)) }
    }
}
