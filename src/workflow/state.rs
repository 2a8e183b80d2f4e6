//! How much there is in the state, for whoever looks after the appliance.

use std::ops::ControlFlow;

use super::{Administrator, Error};
use crate::{
    clock::Timestamp,
    model::CredentialId,
    secret::Secret,
    store::{
        Order, Read as _, SCHEMA_VERSION, Span,
        tables::{counts, credentials::CREDENTIALS, environments::ENVIRONMENTS, events::EVENTS, tokens::TOKENS_BY_END},
    },
};

/// What there is.
#[derive(Clone, Debug)]
pub struct StateSummary {
    /// The schema of the database.
    pub schema: u32,
    /// How often it was written to.
    pub commits: u64,
    /// People who may sign in.
    pub people: u64,
    /// People who may not.
    pub disabled_people: u64,
    /// Environments.
    pub environments: usize,
    /// Real credentials.
    pub credentials: usize,
    /// Those that their cloud has never confirmed.
    pub unchecked_credentials: Vec<(CredentialId, String)>,
    /// Keys that work now.
    pub active_keys: usize,
    /// Sessions that have not ended.
    pub sessions: u64,
    /// API tokens that have not ended.
    pub api_tokens: u64,
    /// When the newest act was recorded.
    pub newest_event_at: Option<Timestamp>,
}

impl Administrator<'_> {
    /// How much there is.
    pub fn state(&self) -> Result<StateSummary, Error> {
        let workflow = &self.caller.workflow;
        let (reader, now) = (workflow.read()?, workflow.0.clock.now());
        let mut environments = 0;
        reader.visit(&ENVIRONMENTS, &Span::all(), Order::Ascending, |_, _| {
            environments += 1;
            Ok::<_, Error>(ControlFlow::Continue(()))
        })?;
        // Those that have ended and were not forgotten yet.
        let (mut sessions, mut tokens) = (0, 0);
        reader.visit(&TOKENS_BY_END, &Span::up_to(&now), Order::Ascending, |_, is_session| {
            *(if is_session { &mut sessions } else { &mut tokens }) += 1;
            Ok::<_, Error>(ControlFlow::Continue(()))
        })?;
        let credentials = reader.all(&CREDENTIALS, &Span::all(), Order::Ascending)?;
        let unchecked = credentials.iter().filter(|(_, record)| record.credential.checked.is_none());
        Ok(StateSummary {
            schema: SCHEMA_VERSION,
            commits: reader.version()?,
            people: counts::of(&reader, counts::PEOPLE)?,
            disabled_people: counts::of(&reader, counts::DISABLED_PEOPLE)?,
            environments,
            unchecked_credentials: unchecked.map(|(id, record)| (id.clone(), record.credential.name.clone())).collect(),
            credentials: credentials.len(),
            active_keys: workflow.0.publisher.current().grants.values().filter(|live| live.grant.active).count(),
            sessions: counts::of(&reader, counts::SESSIONS)?.saturating_sub(sessions),
            api_tokens: counts::of(&reader, counts::API_TOKENS)?.saturating_sub(tokens),
            newest_event_at: reader.first(&EVENTS, &Span::all(), Order::Descending)?.map(|(_, event)| event.at),
        })
    }

    /// A password for somebody to begin with.
    pub fn suggest_password(&self) -> Result<Secret, Error> {
        super::random::password()
    }
}
