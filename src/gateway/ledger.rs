//! What is known of one call so far. Whatever becomes of it, it leaves exactly one record: also when it is dropped.

use std::{
    io::{self, ErrorKind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use http::StatusCode;

use super::{Deps, upstream::causes};
use crate::{
    audit::Slot,
    model::{AccessKeyId, CallRecord, Grant, Outcome, ServiceId},
};

/// The open record of one call.
pub(super) struct Ledger {
    /// None once it is given away.
    record: Option<CallRecord>,
    /// None where there is no place for the record.
    slot: Option<Slot>,
    /// Bytes of request body taken from the client.
    passed: Arc<AtomicU64>,
    started: Instant,
}

impl Ledger {
    /// Opens the record of a call to `host`.
    pub(super) fn open(deps: &Deps, client: &Arc<str>, host: Arc<str>) -> Self {
        Self {
            record: Some(CallRecord {
                at: deps.clock.now(),
                id: deps.ids.next(),
                client: Arc::clone(client),
                access_key_id: None,
                request: None,
                user: None,
                environment: None,
                host,
                service: None,
                operation: None,
                region: None,
                outcome: Outcome::Cut,
                error: None,
                status: 0,
                bytes_in: 0,
                bytes_out: 0,
                duration_us: 0,
                cloud_request_id: None,
            }),
            slot: deps.sink.reserve().ok(),
            passed: Arc::default(),
            started: Instant::now(),
        }
    }

    /// The gateway's id of the call.
    pub(super) fn id(&self) -> &str {
        self.record.as_ref().map_or("", |record| &record.id)
    }

    /// What is known until now.
    pub(super) const fn record(&self) -> Option<&CallRecord> {
        self.record.as_ref()
    }

    /// Will the record be kept? If not, the call must not leave unless the installation allows that.
    pub(super) const fn has_place(&self) -> bool {
        self.slot.is_some()
    }

    /// What the client claims, before any of it is proven.
    pub(super) fn claims(&mut self, key: Option<AccessKeyId>, region: &str) {
        self.note(|record| {
            record.access_key_id = key;
            record.region = Some(region.to_owned());
        });
    }

    /// The signature was right: this grant it is.
    pub(super) fn proves(&mut self, grant: &Grant) {
        self.note(|record| {
            record.request = Some(grant.request.clone());
            record.user = Some(grant.user.clone());
            record.environment = Some(grant.environment.clone());
        });
    }

    /// What is called.
    pub(super) fn calls(&mut self, service: &ServiceId, operation: Option<&str>) {
        self.note(|record| {
            record.service = Some(service.clone());
            record.operation = operation.map(str::to_owned);
        });
    }

    /// It is signed for this region, and goes to this host if it is another than the client called.
    pub(super) fn goes_to(&mut self, region: &str, host: Option<&Arc<str>>) {
        self.note(|record| {
            record.region = Some(region.to_owned());
            if let Some(host) = host {
                record.host = Arc::clone(host);
            }
        });
    }

    /// Bytes of request body taken from the client.
    pub(super) fn took(&self, bytes: u64) {
        self.passed.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Where bytes of request body are counted that are still on their way.
    pub(super) fn counter(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.passed)
    }

    /// Bytes of response body given to the client.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.note(|record| record.bytes_out += bytes as u64);
    }

    /// The cloud has begun to answer.
    pub(super) fn answered(&mut self, status: StatusCode, cloud_request_id: Option<&str>) {
        self.note(|record| {
            record.status = status.as_u16();
            record.cloud_request_id = cloud_request_id.map(str::to_owned);
        });
    }

    /// The whole answer was given to the client.
    pub(super) fn complete(&mut self) {
        self.close(Outcome::Allowed);
    }

    /// The request's body ended in `error`. If that is because the client went away, nothing else became of the call:
    /// what is still said to it, it will not read.
    pub(super) fn broke_off(&mut self, error: &(dyn std::error::Error + 'static)) {
        let kind = causes(error).find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
        // What is malformed is an I/O error too, but not one of these.
        let left =
            [ErrorKind::BrokenPipe, ErrorKind::ConnectionAborted, ErrorKind::ConnectionReset, ErrorKind::UnexpectedEof];
        if kind.is_none_or(|kind| left.contains(&kind)) {
            self.close(Outcome::Cut);
        }
    }

    /// The gateway or the cloud ended the answer before its end.
    pub(super) fn cut(&mut self, code: &str) {
        self.note(|record| record.error = Some(code.to_owned()));
        self.close(Outcome::Cut);
    }

    /// The gateway answered by itself: it said no, or could not ask the cloud.
    pub(super) fn rejected(&mut self, outcome: Outcome, code: &str, status: StatusCode) {
        self.note(|record| {
            record.error = Some(code.to_owned());
            record.status = status.as_u16();
        });
        self.close(outcome);
    }

    fn note(&mut self, note: impl FnOnce(&mut CallRecord)) {
        if let Some(record) = &mut self.record {
            note(record);
        }
    }

    fn close(&mut self, outcome: Outcome) {
        let (Some(mut record), Some(slot)) = (self.record.take(), self.slot.take()) else { return };
        record.outcome = outcome;
        record.bytes_in = self.passed.load(Ordering::Relaxed);
        record.duration_us = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        slot.record(record);
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.close(Outcome::Cut);
    }
}

/// Makes the ids of calls: unique over restarts, without asking for randomness each time.
pub(super) struct CallIds {
    /// The part that all have in common.
    start: String,
    count: AtomicU64,
}

impl CallIds {
    /// `start` is random.
    pub(super) fn new(start: u64) -> Self {
        let start = format!("{:08x}-{:04x}-{:04x}-", start >> 32, (start >> 16) & 0xffff, start & 0xffff);
        Self { start, count: AtomicU64::new(0) }
    }

    /// In the form of a UUID, as AWS's own request ids are. Written by hand: every call does it.
    fn next(&self) -> String {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let digit = |nibble: u8| char::from(if nibble < 10 { b'0' + nibble } else { b'a' - 10 + nibble });
        let mut id = String::with_capacity(36);
        id.push_str(&self.start);
        for (place, byte) in count.to_be_bytes().into_iter().enumerate() {
            if place == 2 {
                id.push('-');
            }
            id.push(digit(byte >> 4));
            id.push(digit(byte & 15));
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_form_of_a_uuid_and_differ() {
        let ids = CallIds::new(0x0123_4567_89ab_cdef);
        assert_eq!(ids.next(), "01234567-89ab-cdef-0000-000000000000");
        assert_eq!(ids.next(), "01234567-89ab-cdef-0000-000000000001");
    }
}
