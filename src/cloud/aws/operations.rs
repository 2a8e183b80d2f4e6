//! The operations of a service: by name, and by route where it has routes.
//!
//! A table is made of the catalogue's lines when its service is first called, so that the hundreds of services that an
//! installation never uses cost it nothing but their lines.

use super::{
    creation::Places,
    route::{Condition, Router},
};
use crate::model::{Auth, Creates, Operation};

/// What a service can be asked to do.
#[derive(Debug, Default)]
pub(super) struct Operations {
    /// Sorted by name.
    all: Box<[Operation]>,
    pub(super) routes: Router,
    /// What every request to the service is, whatever it looks like: a customer's own interface.
    pub(super) any: Option<Operation>,
    /// Of those that name what they create: where. Sorted by name.
    places: Box<[(&'static str, Places)]>,
}

impl Operations {
    /// Reads the `op` lines of a service.
    pub(super) fn parse(lines: &'static str) -> Result<Self, &'static str> {
        let (mut all, mut routes, mut any, mut named) = (Vec::new(), Router::default(), None, Vec::new());
        for line in lines.lines() {
            let mut fields = line.split('\t').skip(1);
            let mut next = || fields.next().ok_or("too few fields");
            let (name, remarks) = (next()?, next()?);
            let route = fields.next().map(|method| fields.next().map(|template| (method, template)));
            let route = route.map(|route| route.ok_or("too few fields")).transpose()?;
            let (operation, places) = operation(name, remarks, route.map_or("", |(_, template)| template))?;
            all.push(operation);
            if !places.is_empty() {
                named.push((operation.name, places));
            }
            let Some((method, template)) = route else { continue };
            let condition = match fields.next().map(|text| text.split_once(' ').unwrap_or((text, ""))) {
                None => None,
                Some(("header", name)) => Some(Condition::Header(name)),
                Some(("signed", name)) => Some(Condition::Signed(name)),
                Some(("never", "")) => continue,
                Some(_) => return Err("unknown condition"),
            };
            if method == "*" {
                any = Some(operation);
            } else if !routes.add(method, template, condition, operation) {
                return Err("too many labels");
            }
            if fields.next().is_some() {
                return Err("too many fields");
            }
        }
        all.sort_unstable_by_key(|operation| operation.name);
        all.dedup();
        named.sort_unstable_by_key(|(name, _)| *name);
        Ok(Self { all: all.into(), routes, any, places: named.into() })
    }

    /// Where the operation `name` says the names of what it creates.
    pub(super) fn places(&self, name: &str) -> Option<&Places> {
        let place = self.places.binary_search_by_key(&name, |(name, _)| name).ok()?;
        self.places.get(place).map(|(_, places)| places)
    }

    pub(super) fn named(&self, name: &str) -> Option<Operation> {
        let place = self.all.binary_search_by_key(&name, |operation| operation.name).ok()?;
        self.all.get(place).copied()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = Operation> {
        self.all.iter().copied()
    }
}

/// An operation and what is remarkable about it: `credentials sends-events`, or `-`. `template` is its path.
fn operation(name: &'static str, remarks: &'static str, template: &str) -> Result<(Operation, Places), &'static str> {
    let (mut operation, mut places) = (Operation::plain(name), Places::default());
    for remark in remarks.split(' ') {
        match remark {
            "-" => {}
            "answers-events" => operation.answers_events = true,
            "bearer" => operation.auth = Auth::SignedOrBearer,
            "bearer-only" => operation.auth = Auth::Bearer,
            "credentials" => operation.hands_out_credentials = true,
            "sends-events" => operation.sends_events = true,
            "unsigned" => operation.auth = Auth::Unsigned,
            "unsigned-body" => operation.unsigned_body = true,
            "untold" => operation.creates = Creates::Untold,
            place if places.take(place, template) => operation.creates = Creates::Named,
            _ => return Err("unknown remark about an operation"),
        }
    }
    Ok((operation, places))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_make_no_sense_are_refused() {
        for lines in [
            "op\tA",
            "op\tA\tfrightening",
            "op\tA\t-\tGET",
            "op\tA\t-\tGET\t/\tweekday monday",
            "op\tA\t-\tGET\t/\theader x\tmore",
            "op\tA\tname=",
            "op\tA\tcalled=x",
            "op\tA\tname=/x\tGET\t/{y}",
            "op\tA\t-\tGET\t/{a}/{a}/{a}/{a}/{a}/{a}/{a}/{a}/{a}/{a}/{a}/{a}/{a}",
        ] {
            assert!(Operations::parse(lines).is_err(), "{lines}");
        }
        let named = Operations::parse("op\tA\tuntold\nop\tB\tname=/x also=New\tPUT\t/{x}").unwrap();
        assert_eq!(["A", "B"].map(|name| named.named(name).unwrap().creates), [Creates::Untold, Creates::Named]);
        assert!(named.places("A").is_none() && named.places("B").is_some());
        let two = Operations::parse("op\tB\tcredentials bearer\nop\tA\tunsigned sends-events answers-events").unwrap();
        let (a, b) = (two.named("A").unwrap(), two.named("B").unwrap());
        assert!(a.auth == Auth::Unsigned && a.sends_events && a.answers_events && !a.hands_out_credentials);
        assert!(b.auth == Auth::SignedOrBearer && b.hands_out_credentials && !b.sends_events);
    }
}
