//! What a client is told when the answer on its way to it ends before its end. In most forms nothing can be said any more
//! and the connection breaks; an event stream has room for an error behind each event.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, header, response::Parts};

use super::body::BodyError;
use crate::cloud::{
    Refusal,
    aws::{
        Dialect,
        error::{code_in, empty_in},
        event_stream::{self, Events},
    },
};

/// An event stream on its way.
pub(super) struct LastWord {
    events: Events,
    /// Has the client been given anything of it?
    begun: bool,
    dialect: Dialect<'static>,
    host: Arc<str>,
}

impl LastWord {
    /// None if the answer with this head leaves no room for it.
    pub(super) fn new(head: &Parts, dialect: Dialect<'static>, host: &Arc<str>) -> Option<Box<Self>> {
        let has_room = is_event_stream(&head.headers)
            && !head.headers.contains_key(header::CONTENT_LENGTH)
            && !head.headers.contains_key(header::CONTENT_ENCODING);
        let new = || Self { events: Events::default(), begun: false, dialect, host: Arc::clone(host) };
        has_room.then(|| Box::new(new()))
    }

    /// What can be given out once `data` has come, too.
    pub(super) fn pass(&mut self, data: Bytes) -> Bytes {
        let passed = self.events.take(data);
        self.begun |= !passed.is_empty();
        passed
    }

    /// What is left at the end that the cloud has made.
    pub(super) fn rest(&mut self) -> Bytes {
        self.events.rest()
    }

    /// The error, if it can be told.
    pub(super) fn say(&self, error: &BodyError) -> Option<Bytes> {
        let host = || self.host.to_string();
        let refusal = match (error, error.of_request()) {
            (_, Some(of_request)) => of_request.refusal(),
            (BodyError::AccessEnded, _) => Refusal::NotActive,
            (BodyError::Silence, _) => {
                Refusal::UpstreamTimeout { host: host(), reason: "the stream fell silent".to_owned() }
            }
            _ => Refusal::UpstreamUnavailable { host: host(), reason: "the stream broke off".to_owned() },
        };
        let code = code_in(&refusal, self.dialect);
        self.events.is_between().then(|| self.behind_the_first(event_stream::error(code, &refusal.to_string())))
    }

    /// `event`, and before it what a reader wants first, if that has not come: an SDK that waits for it would not look at
    /// the error, and raise one of its own.
    fn behind_the_first(&self, event: Bytes) -> Bytes {
        match empty_in(self.dialect).filter(|_| !self.begun) {
            Some((kind, payload)) => [event_stream::initial_response(kind, payload), event].concat().into(),
            None => event,
        }
    }
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(event_stream::CONTENT_TYPE)
}
