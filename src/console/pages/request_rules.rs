//! The policy groups of an access request, as its page tells them: the one that was asked for, and the one that was
//! attached.

use super::rules::RuleWords;
use crate::{
    model::{AccessRequest, PolicyGroupId},
    workflow::{NamedGroup, RequestGroups},
};

/// One of them, as a fact of the request.
pub(super) struct Fact {
    pub(super) title: &'static str,
    /// Where there is nothing to name: `None`.
    pub(super) group: Option<Group>,
    pub(super) note: &'static str,
    /// What it demands, where that holds or is asked to hold; none where it doesn't.
    pub(super) rules: Option<Vec<RuleWords>>,
}

pub(super) struct Group {
    pub(super) id: PolicyGroupId,
    pub(super) name: String,
    pub(super) is_gone: bool,
}

/// What is to be told, in the order of what happened.
pub(super) fn facts(request: &AccessRequest, RequestGroups { asked, attached }: &RequestGroups) -> Vec<Fact> {
    const ASKED: &str = "Policy group asked for";
    const ATTACHED: &str = "Policy group";
    let as_asked = request.requested_policy_group == request.policy_group;
    match (asked, attached) {
        (None, None) => Vec::new(),
        (_, Some(attached)) if as_asked => vec![in_force(ATTACHED, attached, "as asked")],
        (None, Some(attached)) => vec![in_force(ATTACHED, attached, "")],
        (Some(asked), Some(attached)) => vec![named(ASKED, asked), in_force(ATTACHED, attached, "")],
        (Some(asked), None) if request.credential.is_some() => {
            vec![named(ASKED, asked), Fact { title: ATTACHED, group: None, note: "", rules: None }]
        }
        // Nobody has said yes, or not yet.
        (Some(asked), None) => vec![in_force(ASKED, asked, "")],
    }
}

fn in_force(title: &'static str, named: &NamedGroup, note: &'static str) -> Fact {
    Fact { note, rules: named.group.as_ref().map(RuleWords::in_force), ..self::named(title, named) }
}

fn named(title: &'static str, NamedGroup { id, name, group }: &NamedGroup) -> Fact {
    let group = Group { id: id.clone(), name: name.clone(), is_gone: group.is_none() };
    Fact { title, group: Some(group), note: "", rules: None }
}

/// What the history says of it, beside who asked.
pub(super) fn wish(groups: &RequestGroups) -> Option<String> {
    groups.asked.as_ref().map(|asked| format!("Under the policy group “{}”.", asked.name))
}

/// What the history says of it, beside who said yes.
pub(super) fn answer(request: &AccessRequest, RequestGroups { asked, attached }: &RequestGroups) -> Option<String> {
    Some(match (asked, attached) {
        (None, None) => return None,
        (None, Some(attached)) => format!("With the policy group “{}”.", attached.name),
        (Some(asked), None) => format!("Without a policy group, where “{}” was asked for.", asked.name),
        (Some(_), Some(attached)) if request.requested_policy_group == request.policy_group => {
            format!("With the policy group “{}”, as asked.", attached.name)
        }
        (Some(asked), Some(attached)) => {
            format!("With the policy group “{}”, where “{}” was asked for.", attached.name, asked.name)
        }
    })
}
