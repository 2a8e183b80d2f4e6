//! Which policy group an access request asks for, which one a yes attaches, and how both are told.
//!
//! A yes that says nothing attaches what was asked for. Where that is no longer there it is refused: nothing becomes
//! wider because a group went away.

use super::{
    super::{Caller, Error, Transaction, error::Checks},
    visible,
};
use crate::{
    model::{AccessRequest, AccessRequestId, PolicyGroup, PolicyGroupId},
    store::{
        Order, Read, Span,
        tables::{
            events::{EVENTS, EVENTS_BY_REQUEST},
            policy_groups::POLICY_GROUPS,
        },
    },
};

/// Which policy group a yes attaches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Attach {
    /// The one that was asked for; none where none was.
    #[default]
    AsAsked,
    /// This one, whatever was asked for.
    Group(PolicyGroupId),
    /// None, whatever was asked for.
    Nothing,
}

/// The policy groups of an access request.
#[derive(Clone, Debug)]
pub struct RequestGroups {
    /// The one that was asked for.
    pub asked: Option<NamedGroup>,
    /// The one whose rules its calls must keep.
    pub attached: Option<NamedGroup>,
}

/// A policy group that an access request names.
#[derive(Clone, Debug)]
pub struct NamedGroup {
    /// Its id.
    pub id: PolicyGroupId,
    /// Its name now; of one that is gone, the name that it was asked for by, or the id.
    pub name: String,
    /// What it demands; none if it was deleted since.
    pub group: Option<PolicyGroup>,
}

impl Caller {
    /// The policy groups of an access request that the caller may see.
    pub fn policy_groups_of(&self, id: &AccessRequestId) -> Result<RequestGroups, Error> {
        let reader = self.workflow.read()?;
        let request = visible(&reader, &self.user, id)?;
        let asked = match request.requested_policy_group {
            None => None,
            Some(id) => {
                let group = reader.find(&POLICY_GROUPS, &id)?;
                let was = if group.is_none() { asked_by_name(&reader, &request.id, &id)? } else { None };
                Some(NamedGroup::new(id, group, was))
            }
        };
        let attached = match request.policy_group {
            None => None,
            Some(id) => {
                let was = asked.as_ref().filter(|asked| asked.id == id).map(|asked| asked.name.clone());
                Some(NamedGroup::new(id.clone(), reader.find(&POLICY_GROUPS, &id)?, was))
            }
        };
        Ok(RequestGroups { asked, attached })
    }
}

impl NamedGroup {
    fn new(id: PolicyGroupId, group: Option<PolicyGroup>, was: Option<String>) -> Self {
        let name = group.as_ref().map(|group| group.name.clone()).or(was).unwrap_or_else(|| id.to_string());
        Self { id, name, group }
    }
}

/// The policy group that somebody asks for, if there is such a one.
pub(super) fn wished(
    read: &impl Read,
    id: Option<&PolicyGroupId>,
    checks: &mut Checks,
) -> Result<Option<PolicyGroup>, Error> {
    let group = id.map(|id| read.find(&POLICY_GROUPS, id)).transpose()?.flatten();
    checks.require(group.is_some() || id.is_none(), "policy_group", "must be a policy group that there is, or null");
    Ok(group)
}

/// The policy group that a yes attaches.
pub(super) fn attached(
    read: &impl Read,
    attach: &Attach,
    request: &AccessRequest,
    checks: &mut Checks,
) -> Result<Option<PolicyGroup>, Error> {
    match (attach, &request.requested_policy_group) {
        (Attach::Nothing, _) | (Attach::AsAsked, None) => Ok(None),
        (Attach::Group(id), _) => wished(read, Some(id), checks),
        (Attach::AsAsked, Some(id)) => {
            let group = read.find(&POLICY_GROUPS, id)?;
            let rule = "must be given, as the one that was asked for is no longer there: another, or null for none";
            checks.require(group.is_some(), "policy_group", rule);
            Ok(group)
        }
    }
}

/// What is asked for, for the trail: `dynamodb, sns; policy group 01m… (teams)`.
pub(super) fn describe_wish(request: &AccessRequest, group: Option<&PolicyGroup>) -> String {
    let services: Vec<_> = request.services.iter().map(crate::model::ServiceId::as_str).collect();
    let services = services.join(", ");
    match group {
        Some(group) => format!("{services}; policy group {}", told(group)),
        None => services,
    }
}

/// What is attached, and what of it was not asked for, for the trail.
pub(super) fn describe(
    tx: &Transaction<'_>,
    request: &AccessRequest,
    group: Option<&PolicyGroup>,
) -> Result<Option<String>, Error> {
    let asked = match &request.requested_policy_group {
        None => None,
        Some(id) => Some(match tx.writer.find(&POLICY_GROUPS, id)? {
            Some(group) => told(&group),
            None => format!("{id} (deleted since)"),
        }),
    };
    Ok(match (group, asked) {
        (None, None) => None,
        (Some(group), None) => Some(format!("policy group {}", told(group))),
        (Some(group), Some(_)) if request.requested_policy_group.as_ref() == Some(&group.id) => {
            Some(format!("policy group {}, as asked", told(group)))
        }
        (Some(group), Some(asked)) => Some(format!("policy group {}, where {asked} was asked for", told(group))),
        (None, Some(asked)) => Some(format!("no policy group, where {asked} was asked for")),
    })
}

fn told(PolicyGroup { id, name, .. }: &PolicyGroup) -> String {
    format!("{id} ({name})")
}

/// By which name a group was asked for that is no longer there: as [`describe_wish`] wrote it down.
fn asked_by_name(read: &impl Read, request: &AccessRequestId, group: &PolicyGroupId) -> Result<Option<String>, Error> {
    let Some(((_, event), ())) = read.first(&EVENTS_BY_REQUEST, &Span::of(request), Order::Ascending)? else {
        return Ok(None);
    };
    let detail = read.find(&EVENTS, &event)?.and_then(|event| event.detail).unwrap_or_default();
    let name = detail.split_once(&format!("; policy group {group} (")).and_then(|(_, name)| name.strip_suffix(')'));
    Ok(name.map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::{
        super::super::{
            Approval, NewAccessRequest, NewPolicyGroup,
            fixture::{Fixture, approval, env, wish},
        },
        *,
    };
    use crate::model::Role;

    /// Dora, who asks in dev, and ann, who decides; the policy groups `teams` and `people`.
    struct Office {
        fixture: Fixture,
        dora: Caller,
        ann: Caller,
        teams: PolicyGroupId,
        people: PolicyGroupId,
    }

    fn office() -> Office {
        let fixture = Fixture::furnished();
        let root = fixture.person("root", &[(Role::Admin, None)]);
        let [teams, people] = ["teams", "people"].map(|name| {
            let new = NewPolicyGroup { name: name.into(), policies: Vec::new() };
            root.policy_administrator().unwrap().create(&new).unwrap().group.id
        });
        let dora = fixture.person("dora", &[(Role::Developer, Some("dev"))]);
        let ann = fixture.person("ann", &[(Role::Approver, None)]);
        Office { fixture, dora, ann, teams, people }
    }

    impl Office {
        fn ask(&self, group: Option<&PolicyGroupId>) -> Result<AccessRequestId, Error> {
            let new = NewAccessRequest { policy_group: group.cloned(), ..wish(&["dynamodb", "sts"], None) };
            Ok(self.dora.requester(&env("dev"))?.submit(&new)?.request.id)
        }

        fn delete(&self, group: &PolicyGroupId) {
            let root = self.fixture.person("root", &[(Role::Admin, None)]);
            root.policy_administrator().unwrap().delete(group).unwrap();
        }

        fn yes(&self, id: &AccessRequestId, attach: Attach) -> Result<AccessRequest, Error> {
            let yes = Approval { policy_group: attach, ..approval(&self.fixture.credential("1", &["dev"])) };
            Ok(self.ann.approver(id)?.approve(&yes)?.request)
        }

        fn trail(&self, id: &AccessRequestId) -> Vec<String> {
            self.dora.history(id).unwrap().into_iter().filter_map(|event| event.detail).collect()
        }
    }

    #[test]
    fn what_was_asked_for_is_attached_unless_the_yes_says_otherwise() {
        let office = office();
        let (teams, people) = (&office.teams, &office.people);
        let group = |id: &PolicyGroupId| Attach::Group(id.clone());
        for (asked, said, attached, told) in [
            (None, Attach::AsAsked, None, String::new()),
            (None, Attach::Nothing, None, String::new()),
            (None, group(people), Some(people), format!("; policy group {people} (people)")),
            (Some(teams), Attach::AsAsked, Some(teams), format!("; policy group {teams} (teams), as asked")),
            (Some(teams), group(teams), Some(teams), format!("; policy group {teams} (teams), as asked")),
            (
                Some(teams),
                group(people),
                Some(people),
                format!("; policy group {people} (people), where {teams} (teams) was asked for"),
            ),
            (Some(teams), Attach::Nothing, None, format!("; no policy group, where {teams} (teams) was asked for")),
        ] {
            let id = office.ask(asked).unwrap();
            let request = office.yes(&id, said.clone()).unwrap();
            assert_eq!(request.policy_group.as_ref(), attached, "{asked:?} {said:?}");
            assert_eq!(request.requested_policy_group.as_ref(), asked, "what was asked for stays");
            let wish = asked.map(|id| format!("; policy group {id} (teams)")).unwrap_or_default();
            let yes = format!("credential {}{told}", request.credential.unwrap());
            assert_eq!(office.trail(&id), [format!("dynamodb, sts{wish}"), yes]);
        }
    }

    #[test]
    fn nothing_becomes_wider_because_a_group_went_away() {
        let office = office();
        let (teams, people) = (&office.teams, &office.people);
        let [first, second, third] = [0; 3].map(|_| office.ask(Some(teams)).unwrap());
        office.delete(teams);
        let rule =
            "policy_group must be given, as the one that was asked for is no longer there: another, or null for none";
        assert_eq!(office.yes(&first, Attach::AsAsked).unwrap_err().to_string(), rule);
        let gone = "policy_group must be a policy group that there is, or null";
        assert_eq!(office.yes(&first, Attach::Group(teams.clone())).unwrap_err().to_string(), gone);
        assert_eq!(office.ask(Some(teams)).unwrap_err().to_string(), gone);
        // Who decides still reads by which name it was asked for.
        let groups = office.ann.policy_groups_of(&first).unwrap();
        let asked = groups.asked.unwrap();
        assert_eq!((&asked.id, asked.name.as_str(), asked.group.is_none()), (teams, "teams", true));
        assert!(groups.attached.is_none());

        assert_eq!(office.yes(&first, Attach::Group(people.clone())).unwrap().policy_group.as_ref(), Some(people));
        assert_eq!(office.yes(&second, Attach::Nothing).unwrap().policy_group, None);
        for (id, said) in [(&first, format!("policy group {people} (people)")), (&second, "no policy group".into())] {
            let told = format!("; {said}, where {teams} (deleted since) was asked for");
            assert!(office.trail(id)[1].ends_with(&told), "{:?}", office.trail(id));
        }
        office.ann.approver(&third).unwrap().deny(None).unwrap();
    }

    #[test]
    fn a_group_goes_by_its_present_name_while_it_is_there() {
        let office = office();
        let id = office.ask(Some(&office.teams)).unwrap();
        let root = office.fixture.person("root", &[(Role::Admin, None)]);
        let renamed = NewPolicyGroup { name: "; policy group (a) (b)".into(), policies: Vec::new() };
        root.policy_administrator().unwrap().replace(&office.teams, &renamed).unwrap();
        office.yes(&id, Attach::AsAsked).unwrap();
        let groups = office.dora.policy_groups_of(&id).unwrap();
        let names = [groups.asked, groups.attached].map(|named| named.unwrap().name);
        assert_eq!(names, [renamed.name.as_str(); 2]);
        // A name that looks like the trail's own words is read back whole.
        let second = office.ask(Some(&office.teams)).unwrap();
        office.ann.approver(&id).unwrap().revoke(None).unwrap();
        office.delete(&office.teams);
        assert_eq!(office.ann.policy_groups_of(&second).unwrap().asked.unwrap().name, renamed.name);
        let ended = office.ann.policy_groups_of(&id).unwrap().attached.unwrap();
        assert_eq!((ended.name.as_str(), ended.group.is_none()), ("teams", true), "by the name it was asked for");
    }

    #[test]
    fn who_has_asked_for_a_group_may_read_it_and_whatever_is_wrong_is_told_at_once() {
        let office = office();
        let id = office.ask(Some(&office.teams)).unwrap();
        let former = office.fixture.person("dora", &[(Role::Auditor, Some("dev"))]);
        assert!(former.policy_group(&office.teams).is_ok() && former.policy_group(&office.people).is_err());
        assert_eq!(former.policy_groups_of(&id).unwrap().asked.unwrap().name, "teams");
        let dora = office.fixture.person("dora", &[(Role::Developer, Some("dev"))]);
        let new = NewAccessRequest {
            policy_group: PolicyGroupId::new("none").ok(),
            justification: String::new(),
            ..wish(&["dynamodb"], None)
        };
        let Err(Error::Invalid(errors)) = dora.requester(&env("dev")).unwrap().submit(&new) else { panic!("taken") };
        let fields: Vec<_> = errors.iter().map(|error| error.field.as_ref()).collect();
        assert_eq!(fields, ["justification", "policy_group"]);
    }
}
