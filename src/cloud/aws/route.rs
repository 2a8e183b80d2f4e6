//! REST routes: from method, path and query to the operation, by a tree of path segments.
//!
//! A literal segment wins over a label, a label over a greedy one, more fixed query keys over fewer (Smithy HTTP
//! bindings, "Specificity routing"). What could be read in two ways by two parsers is not matched at all.

use super::form;
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
    /// Accounts named by its labels disagree with each other.
    pub(super) account: Result<Option<AccountId>, Disagreement>,
}

/// Two places of one request name different accounts.
#[derive(Debug)]
pub(super) struct Disagreement;

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
    /// Which of the labels is the account id.
    account: Option<usize>,
    operation: Operation,
}

impl Default for Router {
    fn default() -> Self {
        Self { nodes: vec![Node::default()] }
    }
}

impl Router {
    /// Adds `template`, such as `/{accountId}/vaults/{vaultName}/tags?operation=add`.
    pub(super) fn add(&mut self, method: &'static str, template: &'static str, operation: Operation) {
        let (path, query) = template.split_once('?').unwrap_or((template, ""));
        let (mut at, mut labels, mut account) = (0, 0, None);
        for segment in segments(path) {
            if segment.starts_with('{') {
                if segment.eq_ignore_ascii_case("{accountid}") {
                    account = Some(labels);
                }
                labels += 1;
            }
            at = self.child(at, segment);
        }
        let query = query.split('&').filter(|pair| !pair.is_empty());
        let query = query.map(|pair| pair.split_once('=').map_or((pair, None), |(k, v)| (k, Some(v)))).collect();
        if let Some(node) = self.nodes.get_mut(at) {
            node.routes.push(Route { method, query, account, operation });
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
    pub(super) fn find(&self, method: &str, path: &str, query: &str, normalised: bool) -> Option<Match> {
        let rest = path.strip_prefix('/')?;
        let rest = if normalised { rest.strip_suffix('/').unwrap_or(rest) } else { rest };
        let parts: Vec<&str> = if rest.is_empty() { Vec::new() } else { rest.split('/').collect() };
        if !parts.iter().all(|part| form::is_well_encoded(part)) {
            return None;
        }
        if normalised && parts.iter().any(|part| part.is_empty() || form::has_dot_segment(part)) {
            return None;
        }
        let mut walk = Walk { router: self, method, query, labels: Vec::new() };
        walk.descend(0, &parts)
    }
}

struct Walk<'r, 'p> {
    router: &'r Router,
    method: &'p str,
    query: &'p str,
    labels: Vec<&'p str>,
}

impl<'p> Walk<'_, 'p> {
    fn descend(&mut self, at: usize, rest: &[&'p str]) -> Option<Match> {
        let node = self.router.nodes.get(at)?;
        let Some((&segment, after)) = rest.split_first() else { return self.settle(node) };
        for &(literal, child) in &node.literals {
            if literal == segment {
                if let Some(found) = self.descend(child, after) {
                    return Some(found);
                }
            } else if segment.contains('%') && form::decodes_to(segment, literal) {
                return None; // a literal to a server that decodes first, a label to one that does not
            }
        }
        if let Some(child) = node.label.filter(|_| !segment.is_empty()) {
            self.labels.push(segment);
            if let Some(found) = self.descend(child, after) {
                return Some(found);
            }
            self.labels.pop();
        }
        let greedy = node.greedy?;
        let follows =
            self.router.nodes.get(greedy).is_some_and(|next| next.literals.is_empty() && next.label.is_none());
        let shortest = if follows { rest.len() } else { 1 };
        for taken in (shortest..=rest.len()).rev() {
            let (label, after) = rest.split_at_checked(taken)?;
            let before = self.labels.len();
            self.labels.extend(label);
            if let Some(found) = self.descend(greedy, after) {
                return Some(found);
            }
            self.labels.truncate(before);
        }
        None
    }

    /// Of the routes that end here, the one that fits with the most fixed query keys; none if two fit equally well.
    fn settle(&self, node: &Node) -> Option<Match> {
        let mine = || node.routes.iter().filter(|route| route.method == self.method);
        // A key that decides here must not be there twice: which one counts, two parsers may see differently.
        for (key, _) in mine().flat_map(|route| &route.query) {
            if form::values(self.query.as_bytes(), key).nth(1).is_some() {
                return None;
            }
        }
        let fits = |route: &&Route| route.query.iter().all(|(key, value)| self.has(key, *value));
        let best = mine().filter(fits).max_by_key(|route| route.query.len())?;
        let equals = mine().filter(fits).filter(|route| route.query.len() == best.query.len()).count();
        (equals == 1).then(|| Match { operation: best.operation, account: self.account(best) })
    }

    fn has(&self, key: &str, value: Option<&str>) -> bool {
        form::values(self.query.as_bytes(), key).any(|found| value.is_none_or(|value| form::decodes_to(found, value)))
    }

    fn account(&self, route: &Route) -> Result<Option<AccountId>, Disagreement> {
        let mut named: Option<AccountId> = None;
        for (index, label) in self.labels.iter().enumerate() {
            let found = if route.account == Some(index) { AccountId::new(label).ok() } else { account_in(label) };
            match (&named, found) {
                (Some(one), Some(other)) if *one != other => return Err(Disagreement),
                (None, Some(found)) => named = Some(found),
                _ => {}
            }
        }
        Ok(named)
    }
}

/// The account in an ARN (`arn:aws:lambda:us-east-1:123456789012:function:x`), whole or begun at the account, as
/// Lambda takes it (`123456789012:function:x`).
fn account_in(label: &str) -> Option<AccountId> {
    let text = form::decode(label.as_bytes())?;
    let text = std::str::from_utf8(&text).ok()?;
    let (account, _) = match text.strip_prefix("arn:") {
        Some(arn) => arn.splitn(4, ':').nth(3)?.split_once(':')?,
        None => text.split_once(':')?,
    };
    AccountId::new(account).ok()
}

fn segments(path: &'static str) -> impl Iterator<Item = &'static str> {
    path.split('/').filter(|segment| !segment.is_empty())
}
