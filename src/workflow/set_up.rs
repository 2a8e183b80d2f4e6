//! The first administrator: through a link that works once, or named at installation.

use std::time::Duration;

use super::{Error, Origin, SignedIn, Transaction, Workflow, random, sign_in, transaction::Act};
use crate::{
    clock::Timestamp,
    model::{Role, RoleAssignment, User, UserName},
    secret::Secret,
    store::{
        Order, Read, Span,
        tables::{
            set_up::{SET_UP, SetUpRecord},
            users::{self, USERS, UserRecord},
        },
    },
};

const TOKEN_LIFE: Duration = Duration::from_hours(1);

/// The set-up link, at a start.
#[derive(Clone, Debug)]
pub enum FirstLink {
    /// One was asked for before, and still works: who asked has it.
    Given {
        /// Until when.
        until: Timestamp,
    },
    /// Here is its token.
    New(Secret),
    /// None is needed: somebody can sign in.
    SetUp,
}

impl Workflow {
    /// Is there anybody yet?
    pub fn is_set_up(&self) -> Result<bool, Error> {
        is_set_up(&self.read()?)
    }

    /// What a start has to say to whoever sets the appliance up.
    pub fn first_link(&self) -> Result<FirstLink, Error> {
        let reader = self.read()?;
        if is_set_up(&reader)? {
            return Ok(FirstLink::SetUp);
        }
        let record = reader.find(&SET_UP, &())?;
        match record.filter(|record| record.asked && record.expires_at > self.0.clock.now()) {
            Some(record) => Ok(FirstLink::Given { until: record.expires_at }),
            None => self.begin_set_up().map(FirstLink::New),
        }
    }

    /// Makes the set-up token, which is valid for an hour and once; one made before is void.
    pub fn begin_set_up(&self) -> Result<Secret, Error> {
        self.make_token(None).map(|(token, _)| token)
    }

    /// The same for somebody who asks for it at the machine, `by` as that calls them; and until when it is valid.
    pub fn begin_set_up_locally(&self, by: &str) -> Result<(Secret, Timestamp), Error> {
        self.make_token(Some(by))
    }

    fn make_token(&self, by: Option<&str>) -> Result<(Secret, Timestamp), Error> {
        let token = random::token("csg_setup_")?;
        let token_sha256 = random::token_sha256(&token);
        let expires_at = self.commit(None, |tx| {
            refuse_if_set_up(tx.writer)?;
            let expires_at = tx.now.plus(TOKEN_LIFE);
            let record = SetUpRecord { token_sha256: token_sha256.clone(), expires_at, asked: by.is_some() };
            tx.writer.put(&SET_UP, &(), &record)?;
            let detail = by.map(|by| format!("on the machine itself, by {by}"));
            tx.record(Act { action: "set_up.begin", subject: "set_up".into(), detail, ..Act::default() })?;
            Ok(expires_at)
        })?;
        Ok((token, expires_at))
    }

    /// Is this token the one that [`Workflow::finish_set_up`] would take now?
    pub fn check_set_up_token(&self, token: &Secret) -> Result<(), Error> {
        let reader = self.read()?;
        refuse_if_set_up(&reader)?;
        let good = reader.find(&SET_UP, &())?.is_some_and(|record| {
            // Both are hashes of which an attacker knows neither: comparing them tells nothing of the token.
            record.token_sha256 == random::token_sha256(token) && record.expires_at > self.0.clock.now()
        });
        if good { Ok(()) } else { Err(Error::Unauthenticated) }
    }

    /// Makes the first administrator with the set-up token, and signs them in.
    pub fn finish_set_up(
        &self,
        token: &Secret,
        name: &UserName,
        password: &Secret,
        origin: &Origin,
    ) -> Result<SignedIn, Error> {
        self.check_set_up_token(token)?;
        self.make_first(name, password, Some(&random::token_sha256(token)), origin)
    }

    /// Makes the first administrator: for whoever installs the appliance.
    pub fn set_up(&self, name: &UserName, password: &Secret) -> Result<SignedIn, Error> {
        refuse_if_set_up(&self.read()?)?;
        self.make_first(name, password, None, &Origin::default())
    }

    fn make_first(
        &self,
        name: &UserName,
        password: &Secret,
        token: Option<&str>,
        origin: &Origin,
    ) -> Result<SignedIn, Error> {
        let password = self.0.passwords.hash(password)?;
        let session = sign_in::new_session(name, origin, self.0.clock.now())?;
        self.commit(None, |tx| {
            refuse_if_set_up(tx.writer)?;
            if let Some(token) = token {
                let stored = tx.writer.find(&SET_UP, &())?.ok_or(Error::Unauthenticated)?;
                if stored.token_sha256 != token || stored.expires_at <= tx.now {
                    return Err(Error::Unauthenticated);
                }
            }
            tx.writer.remove(&SET_UP, &())?;
            let user = User {
                name: name.clone(),
                roles: vec![RoleAssignment { role: Role::Admin, environment: None }],
                disabled: false,
                created_at: tx.now,
                second_factor: false,
            };
            users::put(tx.writer, &UserRecord { user: user.clone(), password: password.clone() })?;
            session.keep(tx)?;
            record_finished(tx, name)?;
            Ok(session.signed_in(user))
        })
    }
}

fn record_finished(tx: &mut Transaction<'_>, name: &UserName) -> Result<(), Error> {
    tx.record(Act {
        action: "set_up.finish",
        subject: name.to_string(),
        detail: Some("the first administrator".into()),
        ..Act::default()
    })
}

fn is_set_up(read: &impl Read) -> Result<bool, Error> {
    Ok(read.first(&USERS, &Span::all(), Order::Ascending)?.is_some())
}

fn refuse_if_set_up(read: &impl Read) -> Result<(), Error> {
    if is_set_up(read)? { Err(Error::Gone("this appliance is set up already")) } else { Ok(()) }
}
