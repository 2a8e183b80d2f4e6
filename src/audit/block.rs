//! How a block of records lies on disk: a format byte, the texts that repeat, then the records.
//!
//! A gateway's records repeat the same few hosts, keys and operations; written once a block, a record takes a third of
//! its JSON and a fraction of the time. A new layout gets a new format byte; old ones stay readable.
//!
//! ```text
//! block   = 1, count, text*, base (8 bytes, big-endian), count, record*
//! text    = length, UTF-8
//! record  = at - base, id (text), client, host, key?, request?, user?, environment?, service?, operation?, region?,
//!           error?, cloud request id? (text), outcome (1 byte), status, bytes in, bytes out, duration
//! ```
//! Numbers are LEB128. `client` and `host` are places in the list of texts; with a `?`, a place plus one, or 0 for none.

use std::collections::HashMap;

use crate::{
    clock::Timestamp,
    model::{AccessKeyId, AccessRequestId, CallRecord, EnvironmentId, Outcome, ServiceId, UserName},
};

const FORMAT: u8 = 1;

/// Why a block can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// A newer version wrote it.
    #[error("format {0} is unknown to this version")]
    Format(u8),
    /// It ends early, or holds what can't be.
    #[error("it is damaged")]
    Damaged,
}

/// Writes `records` as one block.
pub(super) fn encode(records: &[CallRecord]) -> Vec<u8> {
    let mut texts = Texts::default();
    let mut before: [Column<'_>; 10] = Default::default();
    let [client, host, key, request, user, environment, service, operation, region, error] = &mut before;
    let mut body = Vec::with_capacity(records.len() * 112);
    let base = records.iter().map(|record| record.at.millis()).min().unwrap_or_default();
    body.extend_from_slice(&base.to_be_bytes());
    number(&mut body, records.len() as u64);
    for record in records {
        number(&mut body, record.at.millis().abs_diff(base));
        text(&mut body, &record.id);
        number(&mut body, client.place(&mut texts, &record.client));
        number(&mut body, host.place(&mut texts, &record.host));
        number(&mut body, key.optional(&mut texts, record.access_key_id.as_ref().map(AccessKeyId::as_str)));
        number(&mut body, request.optional(&mut texts, record.request.as_ref().map(AccessRequestId::as_str)));
        number(&mut body, user.optional(&mut texts, record.user.as_ref().map(UserName::as_str)));
        number(&mut body, environment.optional(&mut texts, record.environment.as_ref().map(EnvironmentId::as_str)));
        number(&mut body, service.optional(&mut texts, record.service.as_ref().map(ServiceId::as_str)));
        number(&mut body, operation.optional(&mut texts, record.operation.as_deref()));
        number(&mut body, region.optional(&mut texts, record.region.as_deref()));
        number(&mut body, error.optional(&mut texts, record.error.as_deref()));
        match &record.cloud_request_id {
            None => body.push(0),
            Some(id) => {
                body.push(1);
                text(&mut body, id);
            }
        }
        body.push(outcome_byte(record.outcome));
        number(&mut body, u64::from(record.status));
        number(&mut body, record.bytes_in);
        number(&mut body, record.bytes_out);
        number(&mut body, record.duration_us);
    }
    let mut block = Vec::with_capacity(body.len() + texts.bytes + 16);
    block.push(FORMAT);
    number(&mut block, texts.list.len() as u64);
    for each in texts.list {
        text(&mut block, each);
    }
    block.extend_from_slice(&body);
    block
}

/// A block whose list of texts has been read, and its records not yet.
pub(super) struct Block<'b> {
    texts: Vec<&'b str>,
    body: Bytes<'b>,
}

impl<'b> Block<'b> {
    /// Reads the head of a block.
    pub(super) fn open(block: &'b [u8]) -> Result<Self, BlockError> {
        let mut body = Bytes(block);
        match body.byte()? {
            FORMAT => {}
            other => return Err(BlockError::Format(other)),
        }
        let count = body.number()?;
        let texts = (0..count).map(|_| body.text()).collect::<Result<_, _>>()?;
        Ok(Self { texts, body })
    }

    /// Does any record hold `text`? Lets a search pass over most blocks without reading them.
    pub(super) fn mentions(&self, text: &str) -> bool {
        self.texts.contains(&text)
    }

    /// Hands each record to `each`, in the order they were given to [`encode`].
    pub(super) fn records(mut self, mut each: impl FnMut(CallRecord)) -> Result<(), BlockError> {
        let base = i64::from_be_bytes(self.body.take(8)?.try_into().map_err(|_| BlockError::Damaged)?);
        for _ in 0..self.body.number()? {
            each(self.record(base)?);
        }
        Ok(())
    }

    fn record(&mut self, base: i64) -> Result<CallRecord, BlockError> {
        let offset = i64::try_from(self.body.number()?).map_err(|_| BlockError::Damaged)?;
        Ok(CallRecord {
            at: Timestamp::from_millis(base.saturating_add(offset)),
            id: self.body.text()?.to_owned(),
            client: self.required()?.into(),
            host: self.required()?.into(),
            access_key_id: self.optional()?.map(AccessKeyId::new).transpose().map_err(|_| BlockError::Damaged)?,
            request: self.optional()?.map(AccessRequestId::new).transpose().map_err(|_| BlockError::Damaged)?,
            user: self.optional()?.map(UserName::new).transpose().map_err(|_| BlockError::Damaged)?,
            environment: self.optional()?.map(EnvironmentId::new).transpose().map_err(|_| BlockError::Damaged)?,
            service: self.optional()?.map(ServiceId::new).transpose().map_err(|_| BlockError::Damaged)?,
            operation: self.optional()?.map(str::to_owned),
            region: self.optional()?.map(str::to_owned),
            error: self.optional()?.map(str::to_owned),
            cloud_request_id: if self.body.byte()? == 0 { None } else { Some(self.body.text()?.to_owned()) },
            outcome: outcome(self.body.byte()?)?,
            status: u16::try_from(self.body.number()?).map_err(|_| BlockError::Damaged)?,
            bytes_in: self.body.number()?,
            bytes_out: self.body.number()?,
            duration_us: self.body.number()?,
        })
    }

    fn required(&mut self) -> Result<&'b str, BlockError> {
        let place = self.body.number()?;
        self.at(place)
    }

    fn optional(&mut self) -> Result<Option<&'b str>, BlockError> {
        match self.body.number()? {
            0 => Ok(None),
            place => self.at(place - 1).map(Some),
        }
    }

    fn at(&self, place: u64) -> Result<&'b str, BlockError> {
        let place = usize::try_from(place).map_err(|_| BlockError::Damaged)?;
        self.texts.get(place).copied().ok_or(BlockError::Damaged)
    }
}

/// The texts of a block, each once.
#[derive(Default)]
struct Texts<'r> {
    places: HashMap<&'r str, u64>,
    list: Vec<&'r str>,
    bytes: usize,
}

impl<'r> Texts<'r> {
    fn place(&mut self, text: &'r str) -> u64 {
        *self.places.entry(text).or_insert_with(|| {
            self.list.push(text);
            self.bytes += text.len() + 3;
            self.list.len() as u64 - 1
        })
    }
}

/// A field of the records. Most hold what the one before them held, which is sooner compared than looked up.
#[derive(Default)]
struct Column<'r>(Option<(&'r str, u64)>);

impl<'r> Column<'r> {
    fn place(&mut self, texts: &mut Texts<'r>, text: &'r str) -> u64 {
        match self.0 {
            Some((before, place)) if before == text => place,
            _ => self.0.insert((text, texts.place(text))).1,
        }
    }

    fn optional(&mut self, texts: &mut Texts<'r>, text: Option<&'r str>) -> u64 {
        text.map_or(0, |text| self.place(texts, text) + 1)
    }
}

fn number(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            return out.push(low & 0x7f);
        }
        out.push(low | 0x80);
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    number(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

const fn outcome_byte(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Allowed => 0,
        Outcome::Cut => 1,
        Outcome::Failed => 2,
        Outcome::Refused => 3,
    }
}

const fn outcome(byte: u8) -> Result<Outcome, BlockError> {
    Ok(match byte {
        0 => Outcome::Allowed,
        1 => Outcome::Cut,
        2 => Outcome::Failed,
        3 => Outcome::Refused,
        _ => return Err(BlockError::Damaged),
    })
}

/// What is left to read.
struct Bytes<'b>(&'b [u8]);

impl<'b> Bytes<'b> {
    fn take(&mut self, count: usize) -> Result<&'b [u8], BlockError> {
        let (head, rest) = self.0.split_at_checked(count).ok_or(BlockError::Damaged)?;
        self.0 = rest;
        Ok(head)
    }

    fn byte(&mut self) -> Result<u8, BlockError> {
        let (&byte, rest) = self.0.split_first().ok_or(BlockError::Damaged)?;
        self.0 = rest;
        Ok(byte)
    }

    fn number(&mut self) -> Result<u64, BlockError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(BlockError::Damaged)
    }

    fn text(&mut self) -> Result<&'b str, BlockError> {
        let length = usize::try_from(self.number()?).map_err(|_| BlockError::Damaged)?;
        str::from_utf8(self.take(length)?).map_err(|_| BlockError::Damaged)
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, option, prelude::*};

    use super::*;

    fn any_record() -> impl Strategy<Value = CallRecord> {
        let who = (
            option::of("[A-Z0-9]{20}"),
            option::of("[a-z0-9]{1,20}"),
            option::of("[a-z]{1,3}"),
            option::of("[a-z]{1,3}"),
            option::of("[a-z]{1,3}"),
        );
        let texts = (".*", "[0-9.]{1,9}", ".*", option::of(".*"), option::of(".*"), option::of(".*"), option::of(".*"));
        let numbers = (0..253_402_300_799_000_i64, 0..4_u8, any::<u16>(), any::<[u64; 3]>());
        (who, texts, numbers).prop_map(|(who, texts, numbers)| CallRecord {
            at: Timestamp::from_millis(numbers.0),
            id: texts.0,
            client: texts.1.into(),
            access_key_id: who.0.map(|id| AccessKeyId::new(id).unwrap()),
            request: who.1.map(|id| AccessRequestId::new(id).unwrap()),
            user: who.2.map(|id| UserName::new(id).unwrap()),
            environment: who.3.map(|id| EnvironmentId::new(id).unwrap()),
            host: texts.2.into(),
            service: who.4.map(|id| ServiceId::new(id).unwrap()),
            operation: texts.3,
            region: texts.4,
            outcome: outcome(numbers.1).unwrap(),
            error: texts.5,
            status: numbers.2,
            bytes_in: numbers.3[0],
            bytes_out: numbers.3[1],
            duration_us: numbers.3[2],
            cloud_request_id: texts.6,
        })
    }

    fn decode(block: &[u8]) -> Result<Vec<CallRecord>, BlockError> {
        let mut records = Vec::new();
        Block::open(block)?.records(|record| records.push(record))?;
        Ok(records)
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(records in vec(any_record(), 0..20)) {
            prop_assert_eq!(decode(&encode(&records)).unwrap(), records);
        }

        /// A block cut short is told, and no bytes whatever make reading panic.
        #[test]
        fn damage_is_told(records in vec(any_record(), 1..5), cut in any::<prop::sample::Index>(), junk in vec(any::<u8>(), 0..200)) {
            let block = encode(&records);
            prop_assert!(decode(&block[..cut.index(block.len())]).is_err());
            let _ = decode(&junk);
            let _ = decode(&[&[FORMAT], junk.as_slice()].concat());
        }
    }

    #[test]
    fn a_newer_format_is_named() {
        assert_eq!(decode(&[9, 0]), Err(BlockError::Format(9)));
    }
}
