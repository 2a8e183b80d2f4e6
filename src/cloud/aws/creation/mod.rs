//! The names that a request gives to what it creates, read from where the catalogue says that they are.
//!
//! What the cloud might read otherwise than it is read here is not read at all: a member that is there twice, or in
//! another case, or in another shape, a coding, a content type that does not belong to the protocol. Then the name is
//! untold, and a rule that needs it refuses the call.

mod cbor;
mod json;
mod place;
mod query;
mod value;
mod xml;

use std::borrow::Cow;

use http::{HeaderMap, header, request::Parts};
use place::Where;
pub(super) use place::{Place, Places};
use value::Value;

use super::{
    catalogue::{Protocol, Service},
    form,
    host::{Claim, bucket_in},
    name::Dialect,
};
use crate::model::{Call, Names, Operation, ServiceId};

/// What might be read in two ways, or not at all.
#[derive(Debug, PartialEq, Eq)]
struct Doubt;

impl Claim<'_, '_> {
    /// Is a name that `call` gives in its body, so that the body has to be read to tell it?
    pub fn names_in_body(&self, call: &Call) -> bool {
        let mut all = call_and_twins(call).filter_map(|(service, operation)| self.places(service, operation));
        all.any(|places| places.all().any(Place::is_in_body))
    }

    /// The names that `call` gives to what it creates. `body` is the whole of it; none if it is not at hand.
    pub fn names(&self, call: &Call, dialect: Dialect<'_>, parts: &Parts, body: Option<&[u8]>) -> Names {
        let request = Request { dialect, parts, body, bucket_in_host: self.host.names_bucket() };
        let mut names = Vec::new();
        for (service, operation) in call_and_twins(call) {
            let Some(places) = self.places(service, operation) else { continue };
            match request.read(places) {
                Ok(found) => names.extend(found),
                Err(Doubt) => return Names::Untold,
            }
        }
        Names::Told(names)
    }

    fn places(&self, service: &ServiceId, operation: Operation) -> Option<&Places> {
        self.services()
            .find(|known| known.id == *service)
            .and_then(|known: &Service| known.table().places(operation.name))
    }
}

fn call_and_twins(call: &Call) -> impl Iterator<Item = (&ServiceId, Operation)> {
    let itself = call.operation.map(|operation| (&call.service, operation));
    itself.into_iter().chain(call.twins.iter().map(|(service, operation)| (service, *operation)))
}

/// A request as its names are read.
struct Request<'p> {
    dialect: Dialect<'p>,
    parts: &'p Parts,
    body: Option<&'p [u8]>,
    bucket_in_host: bool,
}

impl<'p> Request<'p> {
    fn read(&self, places: &Places) -> Result<Vec<String>, Doubt> {
        let body = if places.all().any(Place::is_in_body) { Some(self.content(places)?) } else { None };
        let mut names = Vec::new();
        for place in &places.must {
            names.extend(self.at(place, body.as_ref(), true)?);
        }
        // A name that is left out is made up by the cloud.
        if !places.must.is_empty() && !names.iter().any(|name| !name.is_empty()) {
            return Err(Doubt);
        }
        for place in &places.may {
            names.extend(self.at(place, body.as_ref(), false)?);
        }
        Ok(names)
    }

    fn at(&self, place: &Place, body: Option<&Value<'p>>, must: bool) -> Result<Vec<String>, Doubt> {
        let found = match &place.stands {
            Where::Body(steps) => value::found(body.ok_or(Doubt)?, steps, must)?,
            Where::Header(name) => self.header(name)?.into_iter().collect(),
            Where::Label(index) => vec![self.label(*index)?],
            Where::Query(key) => self.query(key)?.into_iter().collect(),
        };
        Ok(found.iter().map(|text| place.name(text).to_owned()).collect())
    }

    /// The body as far as `places` care, in whichever form the protocol has it.
    fn content(&self, places: &Places) -> Result<Value<'p>, Doubt> {
        let body = self.body.ok_or(Doubt)?;
        let headers = &self.parts.headers;
        if headers.contains_key(header::CONTENT_ENCODING) {
            return Err(Doubt);
        }
        let protocol = self.dialect.protocol;
        if protocol.is_query() {
            // That it is a form was seen when it was named.
            let query = self.parts.uri.query().unwrap_or_default().as_bytes();
            return query::read(query, body, places);
        }
        let kind = content_type(headers)?;
        let is = |known: &[&str]| kind.is_none_or(|kind| known.iter().any(|known| kind.eq_ignore_ascii_case(known)));
        match protocol {
            Protocol::Cbor if is(&["application/cbor"]) => cbor::read(body),
            Protocol::Json10 | Protocol::Json11 if self.dialect.in_cbor => cbor::read(body),
            Protocol::RestXml if is(&["application/xml", "text/xml"]) => xml::read(body),
            Protocol::Json10 | Protocol::Json11 | Protocol::RestJson
                if is(&["application/json", "application/x-amz-json-1.0", "application/x-amz-json-1.1"]) =>
            {
                json::read(body)
            }
            _ => Err(Doubt),
        }
    }

    /// A segment of the path; of the first one, what the host says in its stead.
    fn label(&self, index: usize) -> Result<Cow<'p, str>, Doubt> {
        if self.bucket_in_host && index == 0 {
            let host = self.parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).ok_or(Doubt)?;
            let bucket = bucket_in(&host.to_ascii_lowercase()).map(|bucket| Cow::Owned(bucket.to_owned()));
            return bucket.ok_or(Doubt);
        }
        let index = index - usize::from(self.bucket_in_host);
        let label = self.parts.uri.path().split('/').filter(|part| !part.is_empty()).nth(index).ok_or(Doubt)?;
        // In a path, `+` is no space. What is encoded twice may be decoded twice.
        let plain = if label.contains('%') {
            let decoded = form::decode(label.replace('+', "%2B").as_bytes()).ok_or(Doubt)?.to_vec();
            Cow::Owned(String::from_utf8(decoded).map_err(|_| Doubt)?)
        } else {
            Cow::Borrowed(label)
        };
        if plain.contains('%') { Err(Doubt) } else { Ok(plain) }
    }

    fn query(&self, key: &str) -> Result<Option<Cow<'p, str>>, Doubt> {
        let query = self.parts.uri.query().unwrap_or_default().as_bytes();
        let mut all = form::values(query, key);
        let (first, times) = (all.next(), form::count_in_any_case(query, key));
        match (first, times) {
            (None, 0) => Ok(None),
            (Some(value), 1) => query::text(value).map(Some),
            _ => Err(Doubt),
        }
    }

    fn header(&self, name: &str) -> Result<Option<Cow<'p, str>>, Doubt> {
        let mut all = self.parts.headers.get_all(name).iter();
        let first = all.next().map(|value| value.to_str().map_err(|_| Doubt)).transpose()?;
        if all.next().is_some() { Err(Doubt) } else { Ok(first.map(Cow::Borrowed)) }
    }
}

fn content_type(headers: &HeaderMap) -> Result<Option<&str>, Doubt> {
    let mut all = headers.get_all(header::CONTENT_TYPE).iter();
    let first = all.next().map(|value| value.to_str().map_err(|_| Doubt)).transpose()?;
    if all.next().is_some() {
        return Err(Doubt);
    }
    Ok(first.map(|value| value.split(';').next().unwrap_or_default().trim()))
}
