//! Host names by their labels, read from the right, as a tree: a name is looked up by one step a label.
//!
//! A step is a number, that of the label in the templates (`{region}` for every region), so that only the label itself is
//! hashed. What the tables hold never changes, so a hash that is quick, and known beforehand, serves.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::{catalogue::Region, host::Form};
use crate::model::AccountId;

/// All templates of hosts.
#[derive(Debug)]
pub(super) struct Labels {
    words: HashMap<&'static str, Word, FixedState>,
    nodes: Vec<Node>,
}

/// A place in the tree: what is to the right of it.
pub(super) type Place = usize;

/// Nothing is to the right.
pub(super) const ROOT: Place = 0;

/// What a label turned out to be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Label {
    Account(AccountId),
    Other,
    Region(Region),
}

#[derive(Clone, Copy, Debug)]
struct Word {
    /// Of the label in templates that it stands for.
    number: usize,
    region: Option<Region>,
}

#[derive(Debug, Default)]
struct Node {
    /// By the number of the label to the left, sorted.
    below: Vec<(usize, Place)>,
    /// The hosts that end here, and those that a customer's name stands before.
    forms: Vec<Form>,
}

impl Default for Labels {
    fn default() -> Self {
        Self { words: HashMap::default(), nodes: vec![Node::default()] }
    }
}

impl Labels {
    /// Makes a region known, as a label and as what may stand behind `s3-` in one.
    pub(super) fn add_region(&mut self, region: Region) {
        let number = self.number("{region}");
        self.words.insert(region.name, Word { number, region: Some(region) });
    }

    /// Adds a form of hosts under its template, without the customer's name in front.
    pub(super) fn add(&mut self, template: &'static str, form: Form) -> Result<(), &'static str> {
        let mut at = ROOT;
        for label in template.rsplit('.') {
            if self.region(label).is_some() {
                return Err("a template with the name of a region");
            }
            let number = self.number(label);
            let fresh = self.nodes.len();
            let Some(node) = self.nodes.get_mut(at) else { break };
            at = match node.below.binary_search_by_key(&number, |(number, _)| *number) {
                Ok(place) => node.below.get(place).map_or(at, |(_, below)| *below),
                Err(place) => {
                    node.below.insert(place, (number, fresh));
                    self.nodes.push(Node::default());
                    fresh
                }
            };
        }
        if let Some(node) = self.nodes.get_mut(at) {
            node.forms.push(form);
        }
        Ok(())
    }

    /// The region of that name.
    pub(super) fn region(&self, name: &str) -> Option<Region> {
        self.words.get(name)?.region
    }

    /// Where the hosts are whose templates end in `label`, which is a label of templates.
    pub(super) fn under(&self, label: &str) -> Option<Place> {
        self.below(ROOT, self.words.get(label)?.number)
    }

    /// One step to the left, over a label of a host's name (in lower case), and what that label is.
    pub(super) fn step(&self, at: Place, label: &str) -> Option<(Place, Label)> {
        if let Some(word) = self.words.get(label) {
            return Some((self.below(at, word.number)?, word.region.map_or(Label::Other, Label::Region)));
        }
        if let Some(region) = label.strip_prefix("s3-").and_then(|region| self.region(region)) {
            return Some((self.template(at, "s3-{region}")?, Label::Region(region)));
        }
        if let Ok(account) = AccountId::new(label) {
            return Some((self.template(at, "{account}")?, Label::Account(account)));
        }
        if is_vpc_endpoint(label) {
            return Some((self.template(at, "{vpce}")?, Label::Other));
        }
        let place = match before_zone(label)? {
            "s3express-" => self.template(at, "s3express-{zone}"),
            "s3express-fips-" => self.template(at, "s3express-fips-{zone}"),
            _ => None,
        };
        Some((place?, Label::Other))
    }

    /// The forms of the hosts there.
    pub(super) fn forms(&self, at: Place) -> &[Form] {
        self.nodes.get(at).map_or(&[], |node| &node.forms)
    }

    fn template(&self, at: Place, label: &str) -> Option<Place> {
        self.below(at, self.words.get(label)?.number)
    }

    fn below(&self, at: Place, number: usize) -> Option<Place> {
        let below = &self.nodes.get(at)?.below;
        let place = below.binary_search_by_key(&number, |(number, _)| *number).ok()?;
        below.get(place).map(|(_, below)| *below)
    }

    /// The number of a label of templates.
    fn number(&mut self, label: &'static str) -> usize {
        let fresh = self.words.len();
        self.words.entry(label).or_insert(Word { number: fresh, region: None }).number
    }
}

/// `vpce-1a2b3c4d-5e6f`, whatever zone is behind it. What others offer at endpoints is `vpce-svc-5e6f`.
fn is_vpc_endpoint(label: &str) -> bool {
    label.strip_prefix("vpce-").is_some_and(|rest| !rest.is_empty() && !rest.starts_with("svc-"))
}

/// `s3express-` of `s3express-usw2-az1`.
fn before_zone(label: &str) -> Option<&str> {
    let plain = label.strip_prefix("s3express-")?;
    let zone = plain.strip_prefix("fips-").unwrap_or(plain);
    let (place, number) = zone.split_once("-az")?;
    let is_zone = !place.is_empty()
        && place.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        && matches!(number.as_bytes(), [b'0'..=b'9'] | [b'0'..=b'9', b'0'..=b'9']);
    is_zone.then(|| label.strip_suffix(zone))?
}
