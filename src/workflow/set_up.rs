//! The first administrator: through a link that works once, or named at installation.

use std::time::Duration;

use super::{Error, Origin, SignedIn, Transaction, Workflow, random, sign_in, transaction::Act};
use crate::{
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

impl Workflow {
    /// Is there anybody yet?
    pub fn is_set_up(&self) -> Result<bool, Error> {
        is_set_up(&self.read()?)
    }

    /// Makes the set-up token, which is valid for an hour and once; one made before is void.
    pub fn begin_set_up(&self) -> Result<Secret, Error> {
        let token = random::token("csg_setup_")?;
        let token_sha256 = random::token_sha256(&token);
        self.commit(None, |tx| {
            refuse_if_set_up(tx.writer)?;
            let record = SetUpRecord { token_sha256: token_sha256.clone(), expires_at: tx.now.plus(TOKEN_LIFE) };
            tx.writer.put(&SET_UP, &(), &record)?;
            tx.record(Act { action: "set_up.begin", subject: "set_up".into(), ..Act::default() })
        })?;
        Ok(token)
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
