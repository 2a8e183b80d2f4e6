//! The request body as the client sends it: held, streamed, or, after a refusal, read away.

use std::time::Duration;

use http::{HeaderMap, header};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::{
    accept::Accepted,
    body::RequestBody,
    hold::{Budget, Held, HoldError},
    ledger::Ledger,
};

/// Of a refused request's body, this much is read away.
const DRAIN_BYTES: u64 = 256 * 1024 * 1024;

/// And for no longer than this.
const DRAIN_TIME: Duration = Duration::from_secs(30);

/// A body that nobody has read yet, or not to its end.
pub(super) struct Upload {
    body: Incoming,
    /// The client sends nothing before it is told to (`Expect: 100-continue`), and it is told so by the first read.
    awaits_word: bool,
}

impl Upload {
    pub(super) fn new(body: Incoming, headers: &HeaderMap) -> Self {
        let awaits_word = headers.contains_key(header::EXPECT);
        Self { body, awaits_word }
    }

    /// Is there no body at all?
    pub(super) fn is_empty(&self) -> bool {
        self.body.is_end_stream()
    }

    /// Reads all of it into memory.
    pub(super) async fn hold(&mut self, budget: &Budget) -> Result<Held, HoldError> {
        if self.body.size_hint().exact().is_none_or(|length| length <= budget.limit()) {
            self.awaits_word = false;
        }
        budget.hold(&mut self.body).await
    }

    /// Hands it on as it arrives, its end only if the whole has `sha256`.
    pub(super) fn stream(self, sha256: [u8; 32], ledger: &mut Ledger) -> RequestBody {
        RequestBody::checked(self.body, sha256, ledger.counter())
    }

    /// After a refusal: reads on for a while, so that a client that sends first and reads later reads the refusal
    /// instead of meeting a closed connection (RFC 9112, section 9.6).
    pub(super) fn drain(self, accepted: &Accepted) {
        let Self { mut body, awaits_word } = self;
        if awaits_word || body.is_end_stream() {
            return;
        }
        let stop = accepted.stop.clone();
        let drain = timeout(DRAIN_TIME, async move {
            let mut drained = 0;
            while let Some(Ok(frame)) = body.frame().await {
                drained += frame.data_ref().map_or(0, |data| data.len() as u64);
                if drained > DRAIN_BYTES {
                    break;
                }
            }
        });
        accepted.tasks.spawn(async move { stop.run_until_cancelled(drain).await });
    }
}
