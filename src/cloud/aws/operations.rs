//! The operations of a service: by name, and by route where it has routes.
//!
//! A table is made of the catalogue's lines when its service is first called, so that the hundreds of services that an
//! installation never uses cost it nothing but their lines.

use super::route::{Condition, Router};
use crate::model::{Auth, Operation};

/// What a service can be asked to do.
#[derive(Debug, Default)]
pub(super) struct Operations {
    /// Sorted by name.
    all: Box<[Operation]>,
    pub(super) routes: Router,
    /// What every request to the service is, whatever it looks like: a customer's own interface.
    pub(super) any: Option<Operation>,
}

impl Operations {
    /// Reads the `op` lines of a service.
    pub(super) fn parse(lines: &'static str) -> Result<Self, &'static str> {
        let (mut all, mut routes, mut any) = (Vec::new(), Router::default(), None);
        for line in lines.lines() {
            let mut fields = line.split('\t').skip(1);
            let mut next = || fields.next().ok_or("too few fields");
            let operation = operation(next()?, next()?)?;
            all.push(operation);
            let Some(method) = fields.next() else { continue };
            let template = fields.next().ok_or("too few fields")?;
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
        Ok(Self { all: all.into(), routes, any })
    }

    pub(super) fn named(&self, name: &str) -> Option<Operation> {
        let place = self.all.binary_search_by_key(&name, |operation| operation.name).ok()?;
        self.all.get(place).copied()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = Operation> {
        self.all.iter().copied()
    }
}

/// An operation and what is remarkable about it: `credentials sends-events`, or `-`.
fn operation(name: &'static str, remarks: &str) -> Result<Operation, &'static str> {
    let mut operation = Operation::plain(name);
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
            _ => return Err("unknown remark about an operation"),
        }
    }
    Ok(operation)
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
            "op\tA\t-\tGET\t/{a}/{a}/{a}/{a}/{a}/{a}/{a}/{a}/{a}/{a}/{a}/{a}/{a}",
        ] {
            assert!(Operations::parse(lines).is_err(), "{lines}");
        }
        let two = Operations::parse("op\tB\tcredentials bearer\nop\tA\tunsigned sends-events answers-events").unwrap();
        let (a, b) = (two.named("A").unwrap(), two.named("B").unwrap());
        assert!(a.auth == Auth::Unsigned && a.sends_events && a.answers_events && !a.hands_out_credentials);
        assert!(b.auth == Auth::SignedOrBearer && b.hands_out_credentials && !b.sends_events);
    }
}
