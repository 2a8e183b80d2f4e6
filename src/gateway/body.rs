//! Bodies on their way: what goes towards the cloud, in whichever form, and what comes back, counted.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::{
    chunked::Recoded,
    events::EventStream,
    hold::{Content, Held},
    last_word::LastWord,
    leash::Silence,
    ledger::Ledger,
    room::Place,
    spool::Unsealed,
    streamed::Streamed,
    turn::Turn,
    upload::UploadError,
    upstream::{CloudBody, causes},
};
use crate::{
    cloud::Refusal,
    sigv4::{ChunkError, EventError},
};

/// For the next byte of an upload.
pub(super) const UPLOAD_SILENCE: Duration = Duration::from_mins(1);

/// For the next byte of an answer: a Lambda function may think for 15 minutes.
pub(super) const ANSWER_SILENCE: Duration = Duration::from_mins(16);

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    #[error("access ended while the answer was on its way")]
    AccessEnded,
    #[error("the body's {0} is not the one that its trailer says")]
    Checksum(&'static str),
    #[error("the body's aws-chunked coding: {0}")]
    Chunked(#[source] ChunkError),
    #[error("the client's body broke off: {0}")]
    Client(#[source] UploadError),
    #[error("the cloud's answer broke off: {0}")]
    Cloud(#[source] hyper::Error),
    #[error("the event stream: {0}")]
    Event(#[source] EventError),
    #[error("the file that the body was kept in can't be read: {0}")]
    File(#[source] io::Error),
    #[error("the body's SHA-256 is not the one that was signed")]
    HashMismatch,
    #[error("the request of a stream both ways: {0}")]
    Request(#[source] Box<Self>),
    #[error("nothing moved for too long")]
    Silence,
    #[error("the cloud's answer broke off: {0}")]
    Stream(#[source] h2::Error),
}

impl BodyError {
    /// Of an answer that ended because its request did: what was wrong with that.
    pub(super) fn of_request(&self) -> Option<&Self> {
        match self {
            Self::Cloud(error) => causes(error).find_map(|cause| cause.downcast_ref()),
            Self::Request(error) => Some(error),
            _ => None,
        }
    }

    /// What the client is told of a request whose body ended so.
    pub(super) fn refusal(&self) -> Refusal {
        match self {
            Self::Checksum(header) => Refusal::ChecksumMismatch { header },
            Self::Chunked(ChunkError::Signature) | Self::Event(EventError::Signature) => Refusal::SignatureMismatch,
            Self::Chunked(error) => Refusal::Malformed { what: error.to_string() },
            Self::Event(error) => Refusal::Malformed { what: error.to_string() },
            Self::File(_) => {
                Refusal::GatewayUnavailable { reason: "a request that was kept on disk can't be read again".to_owned() }
            }
            Self::HashMismatch => Refusal::PayloadHashMismatch,
            _ => Refusal::Malformed { what: self.to_string() },
        }
    }

    /// The word for it in the record of the call.
    fn code(&self) -> &'static str {
        match self.of_request().unwrap_or(self) {
            Self::AccessEnded => "AccessEnded",
            Self::Checksum(_) => "ChecksumMismatch",
            Self::Chunked(_) => "ChunkMismatch",
            Self::Client(_) => "RequestBrokeOff",
            Self::Cloud(_) | Self::Request(_) | Self::Stream(_) => "AnswerBrokeOff",
            Self::Event(_) => "EventMismatch",
            Self::File(_) => "FileUnreadable",
            Self::HashMismatch => "HashMismatch",
            Self::Silence => "Silence",
        }
    }
}

/// A body on its way to the cloud.
pub(super) enum RequestBody {
    /// In aws-chunked coding, verified and written anew as it goes by.
    Chunked(Box<Recoded>),
    /// An event stream, each of its messages verified and signed anew.
    Events(Box<EventStream>),
    /// Known in full; given out in one piece. Its place in the budget goes with it.
    Held(Option<(Bytes, Place)>),
    /// Of a call of the appliance's own.
    Own(Option<Bytes>),
    /// Goes on as it arrives.
    Streamed(Box<Streamed>),
    /// Known in full, in a file.
    Unsealed(Box<Unsealed>),
}

impl RequestBody {
    pub(super) fn held(held: Held) -> Self {
        match held.content {
            Content::Memory(bytes, place) => Self::Held(Some((bytes, place)).filter(|(bytes, _)| !bytes.is_empty())),
            Content::Sealed(sealed) => Self::Unsealed(Box::new(Unsealed::new(*sealed))),
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let data = match &mut *self {
            Self::Chunked(recoded) => ready!(recoded.poll_data(cx)),
            Self::Events(events) => ready!(events.poll_data(cx)),
            Self::Held(held) => held.take().map(|(bytes, _)| Ok(bytes)),
            Self::Own(own) => own.take().map(Ok),
            Self::Streamed(streamed) => ready!(streamed.poll_data(cx)),
            Self::Unsealed(unsealed) => ready!(unsealed.poll_data(cx)).map(|data| data.map_err(BodyError::File)),
        };
        Poll::Ready(data.map(|data| data.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Chunked(recoded) => recoded.is_end_stream(),
            Self::Events(events) => events.is_end_stream(),
            Self::Held(held) => held.is_none(),
            Self::Own(own) => own.is_none(),
            Self::Streamed(streamed) => streamed.is_end_stream(),
            Self::Unsealed(unsealed) => unsealed.left() == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Chunked(recoded) => recoded.size_hint(),
            // As long as it lasts.
            Self::Events(_) => SizeHint::new(),
            Self::Held(held) => SizeHint::with_exact(held.as_ref().map_or(0, |(bytes, _)| bytes.len() as u64)),
            Self::Own(own) => SizeHint::with_exact(own.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Streamed(streamed) => streamed.size_hint(),
            Self::Unsealed(unsealed) => SizeHint::with_exact(unsealed.left()),
        }
    }
}

/// A body on its way to the client.
pub(super) enum ResponseBody {
    /// The gateway's own words.
    Own(Option<Bytes>),
    /// The cloud's answer.
    Cloud(Box<Answer>),
}

impl ResponseBody {
    /// The gateway's own words.
    pub(super) fn own(bytes: impl Into<Bytes>) -> Self {
        Self::Own(Some(bytes.into()).filter(|bytes: &Bytes| !bytes.is_empty()))
    }

    /// The cloud's answer, as it arrives; what came of the call is entered in `ledger` at its end. If that comes before
    /// its time, the client is told by `last_word`.
    pub(super) fn cloud(body: CloudBody, last_word: Option<Box<LastWord>>, turn: Turn, ledger: Ledger) -> Self {
        let silence = Silence::new(ANSWER_SILENCE);
        Self::Cloud(Box::new(Answer { inner: body, last_word, over: false, failed: None, turn, silence, ledger }))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut *self {
            Self::Own(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Cloud(answer) => answer.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(bytes) => bytes.is_none(),
            Self::Cloud(answer) => answer.is_end(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Cloud(answer) => answer.inner.size_hint(),
        }
    }
}

/// The cloud's answer, tied to the access it was given under.
pub(super) struct Answer {
    inner: CloudBody,
    /// None if there is no way to say one.
    last_word: Option<Box<LastWord>>,
    /// The last word was said.
    over: bool,
    /// What it broke off with.
    failed: Option<BodyError>,
    turn: Turn,
    silence: Silence,
    ledger: Ledger,
}

impl Answer {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Some(Err(error)));
        }
        if self.over {
            return Poll::Ready(None);
        }
        loop {
            return match ready!(self.poll_next(cx)).map(|next| next.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => match self.whole(data) {
                    Some(data) => Poll::Ready(Some(Ok(Frame::data(data)))),
                    None => continue,
                },
                // Nothing follows the trailers, and nobody asks for more.
                Some(Ok(Err(trailers))) => {
                    self.ledger.complete();
                    Poll::Ready(Some(Ok(trailers)))
                }
                Some(Err(error)) => self.end(error, cx),
                None => {
                    let rest = self.last_word.take().map(|mut events| events.rest()).filter(|rest| !rest.is_empty());
                    if let Some(rest) = &rest {
                        self.ledger.sent(rest.len());
                    }
                    self.over = true;
                    self.ledger.complete();
                    Poll::Ready(rest.map(|rest| Ok(Frame::data(rest))))
                }
            };
        }
    }

    /// What of `data` may go on now, if anything.
    fn whole(&mut self, data: Bytes) -> Option<Bytes> {
        let data = match &mut self.last_word {
            Some(events) => Some(events.pass(data)).filter(|data| !data.is_empty())?,
            None => data,
        };
        self.ledger.sent(data.len());
        Some(data)
    }

    /// Ends before its time: with a word to the client where there is one, else by breaking off.
    fn end(&mut self, error: BodyError, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let last_word = self.last_word.take().and_then(|events| events.say(&error));
        if let Some(last_word) = &last_word {
            self.ledger.sent(last_word.len());
        }
        self.ledger.cut(error.code());
        if let Some(last_word) = last_word {
            self.over = true;
            return Poll::Ready(Some(Ok(Frame::data(last_word))));
        }
        // At an error the server drops what it has not sent yet: let it send that first.
        self.failed = Some(error);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Nothing more is to be had from it.
    fn is_end(&self) -> bool {
        // What an event stream keeps back comes when its end is asked for.
        self.over || (self.last_word.is_none() && self.inner.is_end_stream())
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if !self.turn.may_give() {
            return Poll::Ready(Some(Err(BodyError::AccessEnded)));
        }
        if let Poll::Ready(next) = Pin::new(&mut self.inner).poll_frame(cx) {
            self.silence.broken();
            self.turn.has_given();
            return Poll::Ready(next);
        }
        self.silence.poll_lasted(cx).map(|()| Some(Err(BodyError::Silence)))
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // The server drops a body of known length as soon as it has its last piece, without asking for the end behind it.
        if self.is_end() {
            self.ledger.complete();
        } else if self.turn.is_off() {
            self.ledger.cut(BodyError::AccessEnded.code());
        } else if self.turn.is_stalled() {
            self.ledger.cut(BodyError::Silence.code());
        }
    }
}
