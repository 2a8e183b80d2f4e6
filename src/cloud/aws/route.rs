//! REST routes: from method, path and query to the operation, by a tree of path segments.
//!
//! A literal segment wins over a label, a label over a greedy one, more fixed query keys over fewer (Smithy HTTP
//! bindings, "Specificity routing"). What could be read in two ways by two parsers is not matched at all.

use super::{account, form};
use crate::model::{Accounts, Operation};

/// As many labels as any template has, and some more.
const MOST_LABELS: usize = 12;

/// As many fixed query keys as the routes of one path and method may have: the bits of [`Keys`].
const MOST_KEYS: usize = 128;

/// A set of the fixed query keys of one path and method.
type Keys = u128;

/// All REST routes of a service.
#[derive(Debug)]
pub(super) struct Router {
    nodes: Vec<Node>,
}

/// What of a request tells its route.
pub(super) struct Wire<'p> {
    pub(super) method: &'p str,
    pub(super) path: Path<'p>,
    pub(super) query: &'p str,
    /// The path's first label stands in the host name instead (a bucket).
    pub(super) label_in_host: bool,
    /// The path has no empty and no dot segments: everywhere but in S3, whose keys are taken as they are.
    pub(super) normalised: bool,
    pub(super) holds: &'p dyn Fn(Condition) -> bool,
}

/// A path, looked through once for all services of a host.
#[derive(Clone, Copy)]
pub(super) struct Path<'p> {
    text: &'p str,
    is_well_encoded: bool,
    /// It has no empty and no dot segments, but maybe a slash at its end.
    is_normal: bool,
}

/// What a request matched.
#[derive(Debug)]
pub(super) struct Match {
    pub(super) operation: Operation,
    /// The accounts that its labels name.
    pub(super) accounts: Accounts,
    /// How specific its route is: two bits a segment, then the number of fixed query keys and conditions.
    pub(super) rank: u128,
}

/// The request can be read in two ways, so it must not be matched at all, not even by a less specific route.
struct Doubt;

#[derive(Debug, Default)]
struct Node {
    /// Sorted.
    literals: Vec<(&'static str, usize)>,
    label: Option<usize>,
    greedy: Option<usize>,
    /// Of each method that is known here.
    ends: Vec<End>,
}

/// The routes of one path and method.
#[derive(Debug)]
struct End {
    method: &'static str,
    /// All fixed query keys of the routes, sorted, each with its bit in [`Keys`].
    keys: Vec<(&'static str, Keys)>,
    /// Those of the highest rank first.
    routes: Vec<Route>,
}

#[derive(Debug)]
struct Route {
    /// The fixed query keys that must be there.
    keys: Keys,
    /// Of those whose template gives a value: the value.
    values: Vec<(&'static str, &'static str)>,
    condition: Option<Condition>,
    /// See [`Match`].
    rank: u128,
    /// Which of the labels is the account id.
    account: Option<usize>,
    operation: Operation,
}

/// What must hold besides method, path and query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// The header is there.
    Header(&'static str),
    /// The call is signed under this name.
    Signed(&'static str),
}

impl Default for Router {
    fn default() -> Self {
        Self { nodes: vec![Node::default()] }
    }
}

impl Router {
    /// Adds `template`, such as `/{accountId}/vaults/{vaultName}/tags?operation=add`; false if it has too many labels, or
    /// its path and method too many query keys.
    pub(super) fn add(
        &mut self,
        method: &'static str,
        template: &'static str,
        condition: Option<Condition>,
        operation: Operation,
    ) -> bool {
        let (path, query) = template.split_once('?').unwrap_or((template, ""));
        let (mut at, mut labels, mut account, mut rank) = (0, 0, None, 0_u128);
        for (depth, segment) in segments(path).enumerate() {
            rank |= specificity(segment) << (126 - 2 * depth.min(59));
            if segment.starts_with('{') {
                if ["{accountid}", "{awsaccountid}"].iter().any(|name| segment.eq_ignore_ascii_case(name)) {
                    account = Some(labels);
                }
                labels += 1;
            }
            at = self.child(at, segment);
        }
        let query = query.split('&').filter(|pair| !pair.is_empty());
        let query: Vec<_> =
            query.map(|pair| pair.split_once('=').map_or((pair, None), |(k, v)| (k, Some(v)))).collect();
        rank |= (query.len() + usize::from(condition.is_some())).min(63) as u128;
        let values = query.iter().filter_map(|&(key, value)| Some((key, value?))).collect();
        let Some(end) = self.nodes.get_mut(at).and_then(|node| node.end(method)) else { return false };
        let Some(keys) = query.iter().try_fold(0, |set, (key, _)| Some(set | end.bit(key)?)) else { return false };
        end.add(Route { keys, values, condition, rank, account, operation });
        labels <= MOST_LABELS
    }

    fn child(&mut self, at: usize, segment: &'static str) -> usize {
        let fresh = self.nodes.len();
        let Some(node) = self.nodes.get_mut(at) else { return at };
        let found = if segment.ends_with("+}") {
            *node.greedy.get_or_insert(fresh)
        } else if segment.starts_with('{') {
            *node.label.get_or_insert(fresh)
        } else {
            match node.literals.binary_search_by_key(&segment, |(literal, _)| literal) {
                Ok(place) => node.literals.get(place).map_or(at, |(_, child)| *child),
                Err(place) => {
                    node.literals.insert(place, (segment, fresh));
                    fresh
                }
            }
        };
        if found == fresh {
            self.nodes.push(Node::default());
        }
        found
    }

    /// The one operation that the request is, or none.
    pub(super) fn find(&self, wire: &Wire<'_>) -> Option<Match> {
        let rest = wire.path.text.strip_prefix('/')?;
        let rest = if wire.normalised { rest.strip_suffix('/').unwrap_or(rest) } else { rest };
        if !wire.path.is_well_encoded || (wire.normalised && !wire.path.is_normal) {
            return None;
        }
        let root = if wire.label_in_host { self.nodes.first()?.label? } else { 0 };
        let mut walk = Walk { router: self, wire, labels: [""; MOST_LABELS], count: usize::from(wire.label_in_host) };
        let route = walk.descend(root, (!rest.is_empty()).then_some(rest)).ok().flatten()?;
        Some(Match { operation: route.operation, accounts: walk.accounts(route), rank: route.rank })
    }
}

impl<'p> Path<'p> {
    pub(super) fn of(text: &'p str) -> Self {
        let has_signs = text.bytes().any(|byte| matches!(byte, b'.' | b'%'));
        let inner = text.strip_prefix('/').unwrap_or(text);
        let inner = inner.strip_suffix('/').unwrap_or(inner);
        let has_empty = inner.starts_with('/') || inner.ends_with('/') || inner.contains("//");
        Self {
            text,
            is_well_encoded: !has_signs || form::is_well_encoded(text),
            is_normal: !(has_empty || (has_signs && form::has_dot_segment(text))),
        }
    }
}

impl Node {
    /// The routes of `method`, none yet if it is new here.
    fn end(&mut self, method: &'static str) -> Option<&mut End> {
        if !self.ends.iter().any(|end| end.method == method) {
            self.ends.push(End { method, keys: Vec::new(), routes: Vec::new() });
        }
        self.ends.iter_mut().find(|end| end.method == method)
    }
}

impl End {
    /// The bit of a fixed query key; none if there are too many.
    fn bit(&mut self, key: &'static str) -> Option<Keys> {
        match self.keys.binary_search_by_key(&key, |(known, _)| known) {
            Ok(place) => self.keys.get(place).map(|(_, bit)| *bit),
            Err(place) => {
                let bit = (self.keys.len() < MOST_KEYS).then(|| 1 << self.keys.len())?;
                self.keys.insert(place, (key, bit));
                Some(bit)
            }
        }
    }

    fn add(&mut self, route: Route) {
        let place = self.routes.partition_point(|known| known.rank >= route.rank);
        self.routes.insert(place, route);
    }

    /// The one that fits with the most fixed query keys; two that fit alike are a doubt.
    fn settle(&self, wire: &Wire<'_>) -> Result<Option<&Route>, Doubt> {
        let there = self.keys_in(wire.query)?;
        let mut fit = self.routes.iter().filter(|route| {
            route.keys & there == route.keys
                && route.condition.is_none_or(wire.holds)
                && route.values.iter().all(|(key, value)| has(wire.query, key, value))
        });
        let best = fit.next();
        if best.is_some_and(|best| fit.next().is_some_and(|other| other.rank == best.rank)) {
            return Err(Doubt);
        }
        Ok(best)
    }

    /// Which of the keys that decide here stand in `query`. None of them must be there twice: which one counts, two
    /// parsers may see differently.
    fn keys_in(&self, query: &str) -> Result<Keys, Doubt> {
        let mut there = 0;
        if self.keys.is_empty() {
            return Ok(there);
        }
        for (key, _) in form::pairs(query.as_bytes()) {
            let Some(key) = form::decode(key) else { continue };
            let Ok(place) = self.keys.binary_search_by_key(&&*key, |(known, _)| known.as_bytes()) else { continue };
            let bit = self.keys.get(place).map_or(0, |(_, bit)| *bit);
            if there & bit != 0 {
                return Err(Doubt);
            }
            there |= bit;
        }
        Ok(there)
    }
}

/// Is the key there with this value?
fn has(query: &str, key: &str, value: &str) -> bool {
    form::values(query.as_bytes(), key).any(|found| form::decodes_to(found, value))
}

struct Walk<'r, 'p> {
    router: &'r Router,
    wire: &'r Wire<'p>,
    /// Of the way to the route that was found, or of the way so far.
    labels: [&'p str; MOST_LABELS],
    count: usize,
}

impl<'r, 'p> Walk<'r, 'p> {
    /// `rest` is what follows after a slash, none after the last segment.
    fn descend(&mut self, at: usize, rest: Option<&'p str>) -> Result<Option<&'r Route>, Doubt> {
        let Some(node) = self.router.nodes.get(at) else { return Ok(None) };
        // A slash behind a bucket's name does not begin a key.
        let Some(rest) = rest.filter(|rest| !rest.is_empty()) else {
            let end = node.ends.iter().find(|end| end.method == self.wire.method);
            return end.map_or(Ok(None), |end| end.settle(self.wire));
        };
        let (segment, after) = first(rest);
        if segment.bytes().any(|byte| byte == b'%')
            && node.literals.iter().any(|(literal, _)| form::decodes_to(segment, literal))
        {
            return Err(Doubt); // a literal to a server that decodes first, a label to one that does not
        }
        if let Ok(place) = node.literals.binary_search_by_key(&segment, |(literal, _)| literal)
            && let Some(&(_, child)) = node.literals.get(place)
            && let Some(found) = self.descend(child, after)?
        {
            return Ok(Some(found));
        }
        if let Some(child) = node.label.filter(|_| !segment.is_empty())
            && let Some(found) = self.descend_below(child, segment, after)?
        {
            return Ok(Some(found));
        }
        node.greedy.map_or(Ok(None), |greedy| self.descend_greedily(greedy, rest))
    }

    fn descend_below(&mut self, at: usize, label: &'p str, rest: Option<&'p str>) -> Result<Option<&'r Route>, Doubt> {
        *self.labels.get_mut(self.count).ok_or(Doubt)? = label;
        self.count += 1;
        let found = self.descend(at, rest)?;
        if found.is_none() {
            self.count -= 1;
        }
        Ok(found)
    }

    /// A greedy label leaves to a route what the route names behind it, and takes as many segments as it can besides.
    ///
    /// Where paths are taken as they are, it is a key that people make up, whatever stands in it.
    fn descend_greedily(&mut self, greedy: usize, rest: &'p str) -> Result<Option<&'r Route>, Doubt> {
        let is_end = |node: &Node| node.literals.is_empty() && node.label.is_none();
        if !self.router.nodes.get(greedy).is_some_and(is_end) {
            for (slash, _) in rest.rmatch_indices('/') {
                let (Some(label), after) = (rest.get(..slash), rest.get(slash + 1..)) else { break };
                let label = if self.wire.normalised { label } else { "" };
                if let Some(found) = self.descend_below(greedy, label, after)? {
                    return Ok(Some(found));
                }
            }
        }
        self.descend_below(greedy, if self.wire.normalised { rest } else { "" }, None)
    }

    /// The accounts that the labels name.
    fn accounts(&self, route: &Route) -> Accounts {
        let labels = self.labels.iter().take(self.count).enumerate();
        let may = |(index, label): &(usize, &&str)| route.account == Some(*index) || account::may_be_inside(label);
        let named = |(index, label): (usize, &&'p str)| {
            let is_account = route.account == Some(index);
            label
                .split('/')
                .filter_map(move |part| if is_account { account::whole(part) } else { account::inside(part) })
        };
        labels.filter(may).flat_map(named).collect()
    }
}

/// The first segment, and what follows after its slash, if there is one.
fn first(path: &str) -> (&str, Option<&str>) {
    let slash = path.bytes().position(|byte| byte == b'/');
    let (segment, after) = slash.and_then(|slash| path.split_at_checked(slash)).unwrap_or((path, ""));
    (segment, after.strip_prefix('/'))
}

fn specificity(segment: &str) -> u128 {
    match segment {
        greedy if greedy.ends_with("+}") => 1,
        label if label.starts_with('{') => 2,
        _ => 3,
    }
}

fn segments(path: &'static str) -> impl Iterator<Item = &'static str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(
        table: &[(&'static str, &'static str)],
        method: &str,
        target: &str,
        normalised: bool,
    ) -> Option<&'static str> {
        let mut router = Router::default();
        for &(name, line) in table {
            let (verb, template) = line.split_once(' ').unwrap();
            assert!(router.add(verb, template, None, Operation::plain(name)));
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let wire = Wire { method, path: Path::of(path), query, label_in_host: false, normalised, holds: &|_| false };
        router.find(&wire).map(|found| found.operation.name)
    }

    #[test]
    fn the_most_specific_route_wins() {
        let routes = [
            ("Root", "GET /"),
            ("Label", "GET /a/{x}"),
            ("Literal", "GET /a/b"),
            ("Deep", "GET /a/{x}/c"),
            ("PutLabel", "PUT /a/{x}"),
            ("Greedy", "GET /g/{rest+}"),
            ("GreedyThen", "GET /t/{rest+}/end"),
            ("GreedyAlone", "GET /t/{rest+}"),
            ("Flag", "GET /a/b?flag"),
            ("Value", "GET /a/b?flag&key=v"),
            ("Twin", "GET /twin/{x}"),
            ("OtherTwin", "GET /twin/{y}"),
        ];
        for (method, target, found) in [
            ("GET", "/", Some("Root")),
            ("GET", "//", Some("Root")),
            ("GET", "/a/z", Some("Label")),
            ("GET", "/a/b", Some("Literal")),
            ("GET", "/a/b/", Some("Literal")),
            ("PUT", "/a/b", Some("PutLabel")),
            ("GET", "/a/b/c", Some("Deep")),
            ("GET", "/a", None),
            ("GET", "/a/%62", None),
            ("GET", "/a/b?other", Some("Literal")),
            ("GET", "/a/b?flag", Some("Flag")),
            ("GET", "/a/b?fl%61g=", Some("Flag")),
            ("GET", "/a/b?key=v&flag", Some("Value")),
            ("GET", "/a/b?key=w&flag", Some("Flag")),
            ("GET", "/a/b?flag&flag", None),
            ("GET", "/g/x/y/z", Some("Greedy")),
            ("GET", "/g", None),
            ("GET", "/t/x/end/y/end", Some("GreedyThen")),
            ("GET", "/t/end", Some("GreedyAlone")),
            ("GET", "/t/end/x", Some("GreedyAlone")),
            ("GET", "/twin/x", None),
            ("get", "/a/b", None),
        ] {
            assert_eq!(find(&routes, method, target, true), found, "{method} {target}");
        }
    }

    /// S3 keys are taken as they are: with empty and dot segments and a slash at the end.
    #[test]
    fn keys_of_a_store_are_left_as_they_are() {
        let routes = [("List", "GET /{Bucket}"), ("Get", "GET /{Bucket}/{Key+}")];
        for (target, found) in [
            ("/bucket", Some("List")),
            ("/bucket/a//b", Some("Get")),
            ("/bucket/../a/", Some("Get")),
            ("/bucket/a%2Fb", Some("Get")),
            ("/bucket/", Some("List")),
            ("/bucket//", Some("Get")),
        ] {
            assert_eq!(find(&routes, "GET", target, false), found, "{target}");
        }
        assert_eq!(find(&routes, "GET", "/bucket/../a", true), None);
    }
}
