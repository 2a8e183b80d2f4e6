//! REST routes: from method, path and query to the operation, by a tree of path segments.
//!
//! A literal segment wins over a label, a label over a greedy one, more fixed query keys over fewer (Smithy HTTP
//! bindings, "Specificity routing"). What could be read in two ways by two parsers is not matched at all.

use super::{account, form};
use crate::model::{AccountId, Operation};

/// All REST routes of a service.
#[derive(Debug)]
pub(super) struct Router {
    nodes: Vec<Node>,
}

/// What a request matched.
#[derive(Debug)]
pub(super) struct Match {
    pub(super) operation: Operation,
    /// The accounts that its labels name.
    pub(super) accounts: Vec<AccountId>,
    /// How specific its route is: two bits a segment, then the number of fixed query keys and conditions.
    pub(super) rank: u128,
}

/// The request can be read in two ways, so it must not be matched at all, not even by a less specific route.
struct Doubt;

#[derive(Debug, Default)]
struct Node {
    literals: Vec<(&'static str, usize)>,
    label: Option<usize>,
    greedy: Option<usize>,
    routes: Vec<Route>,
}

#[derive(Debug)]
struct Route {
    method: &'static str,
    /// Fixed query keys, with their value if the template gives one.
    query: Vec<(&'static str, Option<&'static str>)>,
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
    /// Adds `template`, such as `/{accountId}/vaults/{vaultName}/tags?operation=add`.
    pub(super) fn add(
        &mut self,
        method: &'static str,
        template: &'static str,
        condition: Option<Condition>,
        operation: Operation,
    ) {
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
        if let Some(node) = self.nodes.get_mut(at) {
            node.routes.push(Route { method, query, condition, rank, account, operation });
        }
    }

    fn child(&mut self, at: usize, segment: &'static str) -> usize {
        let fresh = self.nodes.len();
        let Some(node) = self.nodes.get_mut(at) else { return at };
        let found = if segment.ends_with("+}") {
            *node.greedy.get_or_insert(fresh)
        } else if segment.starts_with('{') {
            *node.label.get_or_insert(fresh)
        } else if let Some((_, child)) = node.literals.iter().find(|(literal, _)| *literal == segment) {
            *child
        } else {
            node.literals.push((segment, fresh));
            fresh
        };
        if found == fresh {
            self.nodes.push(Node::default());
        }
        found
    }

    /// The one operation that the request is, or none. `normalised` services have no empty and no dot segments.
    pub(super) fn find(
        &self,
        method: &str,
        path: &str,
        query: &str,
        normalised: bool,
        holds: &dyn Fn(Condition) -> bool,
    ) -> Option<Match> {
        let rest = path.strip_prefix('/')?;
        let rest = if normalised { rest.strip_suffix('/').unwrap_or(rest) } else { rest };
        // S3: `/bucket/` is the bucket, as `/bucket` is. A key that is empty there is none.
        let rest = rest.strip_suffix('/').filter(|bucket| !bucket.contains('/')).unwrap_or(rest);
        let parts: Vec<&str> = if rest.is_empty() { Vec::new() } else { rest.split('/').collect() };
        if !parts.iter().all(|part| form::is_well_encoded(part)) {
            return None;
        }
        if normalised && parts.iter().any(|part| part.is_empty() || form::has_dot_segment(part)) {
            return None;
        }
        let mut walk = Walk { router: self, method, query, holds, normalised, labels: Vec::new() };
        walk.descend(0, &parts).ok().flatten()
    }
}

struct Walk<'r, 'p> {
    router: &'r Router,
    method: &'p str,
    query: &'p str,
    holds: &'p dyn Fn(Condition) -> bool,
    normalised: bool,
    labels: Vec<&'p str>,
}

impl<'p> Walk<'_, 'p> {
    fn descend(&mut self, at: usize, rest: &[&'p str]) -> Result<Option<Match>, Doubt> {
        let Some(node) = self.router.nodes.get(at) else { return Ok(None) };
        let Some((&segment, after)) = rest.split_first() else { return self.settle(node) };
        for &(literal, child) in &node.literals {
            if literal == segment {
                if let Some(found) = self.descend(child, after)? {
                    return Ok(Some(found));
                }
            } else if segment.contains('%') && form::decodes_to(segment, literal) {
                return Err(Doubt); // a literal to a server that decodes first, a label to one that does not
            }
        }
        if let Some(child) = node.label.filter(|_| !segment.is_empty()) {
            self.labels.push(segment);
            if let Some(found) = self.descend(child, after)? {
                return Ok(Some(found));
            }
            self.labels.pop();
        }
        node.greedy.map_or(Ok(None), |greedy| self.descend_greedily(greedy, rest))
    }

    /// A greedy label takes as many segments as it can.
    fn descend_greedily(&mut self, greedy: usize, rest: &[&'p str]) -> Result<Option<Match>, Doubt> {
        let ends = |next: &Node| next.literals.is_empty() && next.label.is_none();
        let shortest = if self.router.nodes.get(greedy).is_some_and(ends) { rest.len() } else { 1 };
        for taken in (shortest..=rest.len()).rev() {
            let Some((label, after)) = rest.split_at_checked(taken) else { break };
            let before = self.labels.len();
            // Where paths are taken as they are, this is a key that people make up, whatever stands in it.
            self.labels.extend(label.iter().filter(|_| self.normalised));
            if let Some(found) = self.descend(greedy, after)? {
                return Ok(Some(found));
            }
            self.labels.truncate(before);
        }
        Ok(None)
    }

    /// Of the routes that end here, the one that fits with the most fixed query keys; two that fit alike are a doubt.
    fn settle(&self, node: &Node) -> Result<Option<Match>, Doubt> {
        let mine = || node.routes.iter().filter(|route| route.method == self.method);
        // A key that decides here must not be there twice: which one counts, two parsers may see differently.
        for (key, _) in mine().flat_map(|route| &route.query) {
            if form::values(self.query.as_bytes(), key).nth(1).is_some() {
                return Err(Doubt);
            }
        }
        let fits = |route: &&Route| {
            route.condition.is_none_or(self.holds) && route.query.iter().all(|(key, value)| self.has(key, *value))
        };
        let Some(best) = mine().filter(fits).max_by_key(|route| route.rank) else { return Ok(None) };
        if mine().filter(fits).filter(|route| route.rank == best.rank).count() > 1 {
            return Err(Doubt);
        }
        Ok(Some(Match { operation: best.operation, accounts: self.accounts(best), rank: best.rank }))
    }

    fn has(&self, key: &str, value: Option<&str>) -> bool {
        form::values(self.query.as_bytes(), key).any(|found| value.is_none_or(|value| form::decodes_to(found, value)))
    }

    /// The accounts that the labels name.
    fn accounts(&self, route: &Route) -> Vec<AccountId> {
        let named = |(index, label): (usize, &&str)| {
            if route.account == Some(index) { account::whole(label) } else { account::inside(label) }
        };
        self.labels.iter().enumerate().filter_map(named).collect()
    }
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
            router.add(verb, template, None, Operation::plain(name));
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        router.find(method, path, query, normalised, &|_| false).map(|found| found.operation.name)
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
            ("Flag", "GET /a/b?flag"),
            ("Value", "GET /a/b?flag&key=v"),
            ("Twin", "GET /twin/{x}"),
            ("OtherTwin", "GET /twin/{y}"),
        ];
        for (method, target, found) in [
            ("GET", "/", Some("Root")),
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
            ("GET", "/t/end", None),
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
