//! Policy groups: rules about the names of what calls create, which people ask for and an approver attaches to access.

use super::{
    Caller, Error, Page, PageRequest, Transaction,
    caller::demand,
    error::Checks,
    random, requests,
    transaction::{Act, Touched},
};
use crate::{
    cloud::{Creates, creates, creating_operations},
    model::{
        AccessRequest, Conditions, Permission, Policy, PolicyGroup, PolicyGroupId, PolicyStatus, Rule, RuleType,
        Status,
        policy_group::{LONGEST_VALUE, MOST_POLICIES},
    },
    store::{
        Order, Read, Span,
        tables::{
            access_requests::{ACCESS_REQUEST_INDEX, ACCESS_REQUESTS, Facet},
            policy_groups::POLICY_GROUPS,
        },
    },
};

const LONGEST_NAME: usize = 200;
/// An approver picks one of them, and each that is in use is kept in memory.
const MOST_GROUPS: usize = 1000;
/// So many rules are told in the trail word for word.
const TOLD: usize = 20;

/// A policy group as it is to be.
#[derive(Clone, Debug)]
pub struct NewPolicyGroup {
    /// The name that people read; no other group has it.
    pub name: String,
    /// The rules.
    pub policies: Vec<NewPolicy>,
}

/// A rule as it is to be.
#[derive(Clone, Debug)]
pub struct NewPolicy {
    /// What it demands.
    pub kind: RuleType,
    /// A prefix, or a pattern.
    pub value: String,
    /// Is it in force?
    pub status: PolicyStatus,
    /// To which calls it applies.
    pub conditions: Conditions,
}

/// A policy group as it is shown.
#[derive(Clone, Debug)]
pub struct PolicyGroupView {
    /// The group.
    pub group: PolicyGroup,
    /// How much access its rules hold for now; one more than a hundred stands for any number beyond. None for who only
    /// asks for access: what others have is not theirs to know.
    pub bound: Option<usize>,
}

/// May administer policy groups.
#[derive(Clone, Debug)]
pub struct PolicyAdministrator<'c> {
    caller: &'c Caller,
}

impl Caller {
    /// The policy groups, the oldest first: for who manages them, for who picks one when they decide on access, and for
    /// who may ask for one.
    pub fn policy_groups(&self, page: &PageRequest) -> Result<Page<PolicyGroupView>, Error> {
        if !self.lists_policy_groups() {
            return Err(Error::Forbidden { permission: Permission::PoliciesManage });
        }
        let span = page.rest(Span::all(), Order::Ascending, |id| PolicyGroupId::new(id).ok())?;
        let reader = self.workflow.read()?;
        page.fill(&reader, &POLICY_GROUPS, &span, Order::Ascending, |group| {
            self.policy_group_view(&reader, group).map(Some)
        })
    }

    /// One policy group: also for who has made an access request that asked for it, or that it was attached to.
    pub fn policy_group(&self, id: &PolicyGroupId) -> Result<PolicyGroupView, Error> {
        let reader = self.workflow.read()?;
        if !self.lists_policy_groups() && !self.has_named(&reader, id)? {
            return Err(Error::NotFound("policy group"));
        }
        self.policy_group_view(&reader, reader.find(&POLICY_GROUPS, id)?.ok_or(Error::NotFound("policy group"))?)
    }

    /// The handle for policy groups: needs `policies.manage`, account-wide.
    pub fn policy_administrator(&self) -> Result<PolicyAdministrator<'_>, Error> {
        self.demand(Permission::PoliciesManage, None)?;
        Ok(PolicyAdministrator { caller: self })
    }

    /// May the caller look through all policy groups? Their rules are no secret of those who are bound by them, and who
    /// asks for one has to know what it demands.
    pub fn lists_policy_groups(&self) -> bool {
        self.knows_their_use() || self.asks_somewhere()
    }

    fn knows_their_use(&self) -> bool {
        self.user.may(Permission::PoliciesManage, None) || self.decides_somewhere()
    }

    fn policy_group_view(&self, read: &impl Read, group: PolicyGroup) -> Result<PolicyGroupView, Error> {
        if self.knows_their_use() { view(read, group) } else { Ok(PolicyGroupView { group, bound: None }) }
    }

    /// Does an access request of the caller's own name the group?
    fn has_named(&self, read: &impl Read, id: &PolicyGroupId) -> Result<bool, Error> {
        let mine = Facet { requested_by: Some(self.user.name.clone()), ..Facet::default() };
        for status in Status::ALL {
            let own = read.all(&ACCESS_REQUEST_INDEX, &Span::of(&(mine.clone(), status)), Order::Descending)?;
            for ((_, request), ()) in own {
                let request = read.find(&ACCESS_REQUESTS, &request)?;
                let names = |request: AccessRequest| {
                    [request.requested_policy_group, request.policy_group].iter().flatten().any(|named| named == id)
                };
                if request.is_some_and(names) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

impl PolicyAdministrator<'_> {
    /// Makes a group.
    pub fn create(&self, new: &NewPolicyGroup) -> Result<PolicyGroupView, Error> {
        let policies = self.checked(new)?;
        self.act(|tx| {
            let all = tx.writer.all(&POLICY_GROUPS, &Span::all(), Order::Ascending)?;
            if all.len() >= MOST_GROUPS {
                return Err(Error::conflict(format!(
                    "there are {MOST_GROUPS} policy groups already: delete one first"
                )));
            }
            refuse_name(&all, &new.name, None)?;
            let id = PolicyGroupId::new(random::id(tx.now)?).map_err(|_| Error::Random)?;
            let group = PolicyGroup { id, name: new.name.clone(), policies: policies.clone(), created_at: tx.now };
            tx.writer.put(&POLICY_GROUPS, &group.id, &group)?;
            record(tx, "policy_group.create", &group, Some(told(&group.policies)))?;
            view(tx.writer, group)
        })
    }

    /// Puts another name and other rules in the place of a group's; they hold from the next call on.
    pub fn replace(&self, id: &PolicyGroupId, new: &NewPolicyGroup) -> Result<PolicyGroupView, Error> {
        let policies = self.checked(new)?;
        self.act(|tx| {
            let all = tx.writer.all(&POLICY_GROUPS, &Span::all(), Order::Ascending)?;
            refuse_name(&all, &new.name, Some(id))?;
            let mut group = tx.writer.find(&POLICY_GROUPS, id)?.ok_or(Error::NotFound("policy group"))?;
            let (renamed, changed) = (group.name != new.name, group.policies != policies);
            if renamed || changed {
                let before = std::mem::replace(&mut group.name, new.name.clone());
                group.policies.clone_from(&policies);
                tx.writer.put(&POLICY_GROUPS, id, &group)?;
                tx.touched.push(Touched::PolicyGroup(id.clone()));
                let parts = [renamed.then(|| format!("was {before}")), changed.then(|| told(&group.policies))];
                let detail = parts.into_iter().flatten().collect::<Vec<_>>().join("; ");
                record(tx, "policy_group.change", &group, Some(detail))?;
            }
            view(tx.writer, group)
        })
    }

    /// Deletes a group whose rules hold for no access. What waits may ask for it: then whoever says yes has to say to what.
    pub fn delete(&self, id: &PolicyGroupId) -> Result<(), Error> {
        self.act(|tx| {
            let group = tx.writer.find(&POLICY_GROUPS, id)?.ok_or(Error::NotFound("policy group"))?;
            requests::refuse_if_policy_group_in_use(tx, id)?;
            tx.writer.remove(&POLICY_GROUPS, id)?;
            tx.touched.push(Touched::PolicyGroup(id.clone()));
            record(tx, "policy_group.delete", &group, None)
        })
    }

    fn act<T>(&self, mut work: impl FnMut(&mut Transaction<'_>) -> Result<T, Error>) -> Result<T, Error> {
        self.caller.act(|tx, me| {
            demand(me, Permission::PoliciesManage, None)?;
            work(tx)
        })
    }

    /// The rules, if all of what is given will do.
    fn checked(&self, new: &NewPolicyGroup) -> Result<Vec<Policy>, Error> {
        let mut checks = Checks::default();
        checks.text(&new.name, LONGEST_NAME, "name");
        let few = new.policies.len() <= MOST_POLICIES;
        checks.require(few, "policies", format!("must not be more than {MOST_POLICIES} rules"));
        let mut policies = Vec::new();
        for (number, policy) in new.policies.iter().take(MOST_POLICIES).enumerate() {
            policies.extend(check_value(&mut checks, number, policy));
            self.check_conditions(&mut checks, number, &policy.conditions);
        }
        checks.done()?;
        Ok(policies)
    }

    /// A rule that can concern no call, or that no call can keep, is a slip of the pen.
    fn check_conditions(&self, checks: &mut Checks, number: usize, conditions: &Conditions) {
        let Conditions { cloud, service, operation } = conditions;
        let field = |name: &str| format!("policies[{number}].conditions.{name}");
        let Some(services) = self.caller.workflow.0.services.get(cloud) else {
            return checks.require(false, field("cloud"), "must be a cloud that this gateway knows");
        };
        match (service, operation) {
            (None, None) => {}
            (None, Some(_)) => checks.require(false, field("service"), "must be given with an operation"),
            (Some(service), _) if !services.contains(service) => {
                checks.require(false, field("service"), format!("must be a service of {cloud}; not {service}"));
            }
            (Some(service), None) => {
                let any = !creating_operations(cloud, service).is_empty();
                let rule = format!("must be a service that creates something with a name; {service} creates nothing");
                checks.require(any, field("service"), rule);
            }
            (Some(service), Some(operation)) => {
                let rule = match creates(cloud, service, operation) {
                    Some(Creates::Named | Creates::Untold) => return,
                    Some(Creates::Nothing) => "must be an operation that creates something with a name",
                    None => "must be an operation of the service, in the cloud's own words",
                };
                checks.require(false, field("operation"), format!("{rule}; not {operation:?}"));
            }
        }
    }
}

fn check_value(checks: &mut Checks, number: usize, policy: &NewPolicy) -> Option<Policy> {
    let NewPolicy { kind, value, status, conditions } = policy;
    let field = format!("policies[{number}].value");
    // What is too long is not looked at more closely.
    if value.trim().is_empty() || value.len() > LONGEST_VALUE {
        checks.text(value, LONGEST_VALUE, field);
        return None;
    }
    checks.text(value, LONGEST_VALUE, field.clone());
    let rule = Rule::new(*kind, value).inspect_err(|error| checks.require(false, field, error.to_string())).ok()?;
    Some(Policy { rule, status: *status, conditions: conditions.clone() })
}

/// Two groups of one name could not be told apart by who picks one.
fn refuse_name(all: &[(PolicyGroupId, PolicyGroup)], name: &str, but: Option<&PolicyGroupId>) -> Result<(), Error> {
    if all.iter().any(|(id, group)| group.name == name && Some(id) != but) {
        return Err(Error::conflict(format!("there is a policy group called {name} already")));
    }
    Ok(())
}

fn view(read: &impl Read, group: PolicyGroup) -> Result<PolicyGroupView, Error> {
    Ok(PolicyGroupView { bound: Some(requests::bound(read, &group.id)?), group })
}

/// The rules, for the trail.
fn told(policies: &[Policy]) -> String {
    let one = |policy: &Policy| {
        let Conditions { cloud, service, operation } = &policy.conditions;
        let service = service.as_ref().map_or("any service", |service| service.as_str());
        let operation = operation.as_deref().map(|name| format!(":{name}")).unwrap_or_default();
        let (kind, value) = (policy.rule.type_name(), policy.rule.value());
        let off = if policy.status == PolicyStatus::Disabled { " (disabled)" } else { "" };
        format!("{kind} {value} on {cloud} {service}{operation}{off}")
    };
    let mut parts: Vec<_> = policies.iter().take(TOLD).map(one).collect();
    match policies.len().saturating_sub(TOLD) {
        0 => {}
        more => parts.push(format!("and {more} more rules")),
    }
    if parts.is_empty() { "no rules".into() } else { parts.join("; ") }
}

fn record(
    tx: &mut Transaction<'_>,
    action: &'static str,
    group: &PolicyGroup,
    what: Option<String>,
) -> Result<(), Error> {
    let detail = match what {
        Some(what) => format!("{}: {what}", group.name),
        None => group.name.clone(),
    };
    tx.record(Act { action, subject: group.id.to_string(), detail: Some(detail), ..Act::default() })
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Approval, Attach, CredentialChange,
            fixture::{DAY, Fixture, approval, approve, submit, wish},
        },
        *,
    };
    use crate::model::{AccessRequestId, CloudId, CredentialId, Role, ServiceId};

    fn rule(kind: RuleType, value: &str, service: Option<&str>, operation: Option<&str>) -> NewPolicy {
        NewPolicy {
            kind,
            value: value.into(),
            status: PolicyStatus::Enforced,
            conditions: Conditions {
                cloud: CloudId::aws(),
                service: service.map(|id| ServiceId::new(id).unwrap()),
                operation: operation.map(str::to_owned),
            },
        }
    }

    fn prefix(value: &str) -> NewPolicy {
        rule(RuleType::ResourceNamePrefix, value, Some("dynamodb"), Some("CreateTable"))
    }

    fn named(name: &str, policies: &[NewPolicy]) -> NewPolicyGroup {
        NewPolicyGroup { name: name.into(), policies: policies.to_vec() }
    }

    fn root(fixture: &Fixture) -> Caller {
        fixture.person("root", &[(Role::Admin, None)])
    }

    fn make(fixture: &Fixture, new: &NewPolicyGroup) -> PolicyGroup {
        root(fixture).policy_administrator().unwrap().create(new).unwrap().group
    }

    /// Dora's access in dev under a group, approved by ann; with the secret read or not.
    fn bound(fixture: &Fixture, group: &PolicyGroup, credential: &CredentialId) -> (Caller, AccessRequestId) {
        let dora = fixture.person("dora", &[(Role::Developer, Some("dev"))]);
        let ann = fixture.person("ann", &[(Role::Approver, Some("dev"))]);
        let id = submit(&dora, "dev", None);
        let yes = Approval {
            credential: credential.clone(),
            policy_group: Attach::Group(group.id.clone()),
            expires_at: None,
            allow_credential_operations: Vec::new(),
            comment: None,
        };
        ann.approver(&id).unwrap().approve(&yes).unwrap();
        (dora, id)
    }

    fn values(policies: &[Policy]) -> Vec<&str> {
        policies.iter().map(|policy| policy.rule.value()).collect()
    }

    #[test]
    fn the_data_plane_gets_the_rules_in_force_and_each_change_at_once() {
        let fixture = Fixture::furnished();
        let disabled = NewPolicy { status: PolicyStatus::Disabled, ..prefix("off-") };
        let group = make(&fixture, &named("teams", &[prefix("team-"), disabled.clone()]));
        let credential = fixture.credential("1", &["dev"]);
        let (dora, id) = bound(&fixture, &group, &credential.id);
        let key = dora.owner(&id).unwrap().reveal().unwrap().access_key_id;
        let rules = |fixture: &Fixture| {
            assert!(fixture.is_active(&key));
            values(&fixture.grant(&key).unwrap().grant.policies).join(" ")
        };
        assert_eq!(rules(&fixture), "team-");
        let ended = fixture.grant(&key).unwrap().ended.clone();

        let caller = root(&fixture);
        let administrator = caller.policy_administrator().unwrap();
        let enabled = NewPolicy { status: PolicyStatus::Enforced, ..disabled };
        for (policies, says) in [(vec![prefix("mine-"), enabled], "mine- off-"), (vec![], ""), (vec![prefix("x")], "x")]
        {
            administrator.replace(&group.id, &named("teams", &policies)).unwrap();
            assert_eq!(rules(&fixture), says);
        }
        assert!(!ended.is_set(), "what is in flight goes on under the rules that it began under");
        // Another change of the grant keeps them, and so does a restart.
        let change = CredentialChange {
            secret_access_key: Some(crate::secret::Secret::new("another")),
            ..CredentialChange::default()
        };
        caller.credential_administrator().unwrap().change(&credential.id, &change).unwrap();
        assert_eq!(rules(&fixture), "x");
        drop((caller, dora));
        assert_eq!(rules(&fixture.restarted()), "x");
    }

    #[test]
    fn without_its_group_access_does_not_work() {
        let fixture = Fixture::furnished();
        let group = make(&fixture, &named("teams", &[prefix("team-")]));
        let (dora, id) = bound(&fixture, &group, &fixture.credential("1", &["dev"]).id);
        let key = dora.owner(&id).unwrap().reveal().unwrap().access_key_id;
        let lose = |tx: &mut Transaction<'_>| {
            tx.touched.push(Touched::PolicyGroup(group.id.clone()));
            assert!(tx.writer.remove(&POLICY_GROUPS, &group.id)?);
            Ok(())
        };
        fixture.workflow.commit(None, lose).unwrap();
        assert!(!fixture.is_active(&key));
        drop(dora);
        assert!(!fixture.restarted().is_active(&key));
    }

    #[test]
    fn a_group_that_access_has_is_not_deleted() {
        let fixture = Fixture::furnished();
        let group = make(&fixture, &named("teams", &[prefix("team-")]));
        let credential = fixture.credential("1", &["dev"]).id;
        let caller = root(&fixture);
        let administrator = caller.policy_administrator().unwrap();
        let (dora, first) = bound(&fixture, &group, &credential);
        let told = |administrator: &PolicyAdministrator<'_>| administrator.delete(&group.id).unwrap_err().to_string();
        // Approved is enough: the key will work once its secret is read.
        assert_eq!(told(&administrator), "the policy group is in use by an access request: end that first");
        dora.owner(&first).unwrap().reveal().unwrap();
        fixture.advance(DAY);
        let (_, second) = bound(&fixture, &group, &credential);
        assert_eq!(told(&administrator), "the policy group is in use by 2 access requests: end those first");
        assert_eq!(caller.policy_group(&group.id).unwrap().bound, Some(2));
        let page = caller.bound_by(&group.id, &PageRequest::default()).unwrap();
        assert_eq!(
            page.items.into_iter().map(|request| request.id).collect::<Vec<_>>(),
            [second.clone(), first.clone()]
        );
        for id in [&first, &second] {
            caller.approver(id).unwrap().revoke(None).unwrap();
        }
        administrator.delete(&group.id).unwrap();
        assert!(matches!(administrator.delete(&group.id), Err(Error::NotFound(_))));
        let gone = caller.policy_groups_of(&first).unwrap().attached.unwrap();
        assert_eq!((gone.id, gone.group.is_none()), (group.id.clone(), true));
        let late = Approval {
            policy_group: Attach::Group(group.id.clone()),
            ..approval(&caller.credential(&credential).unwrap())
        };
        let third = submit(&dora, "dev", None);
        let refused = caller.approver(&third).unwrap().approve(&late).unwrap_err().to_string();
        assert_eq!(refused, "policy_group must be a policy group that there is, or null");
    }

    #[test]
    fn who_manages_who_picks_and_who_only_has_it() {
        let fixture = Fixture::furnished();
        let group = make(&fixture, &named("teams", &[prefix("team-")]));
        let (dora, id) = bound(&fixture, &group, &fixture.credential("1", &["dev"]).id);
        let first = PageRequest::default();
        let [paul, dan, ada] = [
            ("paul", [(Role::Approver, Some("prod"))]),
            ("dan", [(Role::Developer, Some("dev"))]),
            ("ada", [(Role::Auditor, None)]),
        ]
        .map(|(name, roles)| fixture.person(name, &roles));
        let place = fixture.person("place", &[(Role::Admin, Some("dev"))]);
        for (who, lists, knows_use, manages) in [
            (&root(&fixture), true, true, true),
            (&paul, true, true, false),
            // Groups are for all environments.
            (&place, true, true, false),
            // Who may ask for one has to know what there is, and not who else has it.
            (&dora, true, false, false),
            (&dan, true, false, false),
            (&ada, false, false, false),
        ] {
            let name = &who.user().name;
            let listed = who.policy_groups(&first).map(|page| page.items[0].bound);
            let seen = who.policy_group(&group.id).map(|view| view.bound);
            let bound = knows_use.then_some(1);
            assert_eq!((listed.ok(), seen.ok()), (lists.then_some(bound), lists.then_some(bound)), "{name}");
            assert_eq!(who.policy_administrator().is_ok(), manages, "{name}");
        }
        // Who may ask no longer still sees what their own access is bound by, and nothing else.
        let other = make(&fixture, &named("others", &[]));
        let dora = fixture.person(dora.user().name.as_str(), &[(Role::Auditor, Some("dev"))]);
        assert!(dora.policy_groups(&first).is_err() && dora.policy_group(&other.id).is_err());
        assert_eq!(dora.policy_group(&group.id).unwrap().bound, None);
        assert_eq!(dora.policy_groups_of(&id).unwrap().attached.unwrap().id, group.id);
        assert!(matches!(dan.policy_groups_of(&id), Err(Error::NotFound(_))));
        // Taken away between the page and the click.
        let caller = root(&fixture);
        let administrator = caller.policy_administrator().unwrap();
        fixture.person("root", &[(Role::Approver, None)]);
        for refused in [
            administrator.create(&named("more", &[])).map(drop),
            administrator.replace(&group.id, &named("more", &[])).map(drop),
            administrator.delete(&group.id),
        ] {
            assert!(matches!(refused, Err(Error::Forbidden { .. })));
        }
    }

    #[test]
    fn a_group_is_looked_at_whole() {
        let fixture = Fixture::furnished();
        let caller = root(&fixture);
        let administrator = caller.policy_administrator().unwrap();
        let (begins, matches) = (RuleType::ResourceNamePrefix, RuleType::ResourceNameValidationPattern);
        let elsewhere = |mut policy: NewPolicy| {
            policy.conditions.cloud = CloudId::new("gcp").unwrap();
            policy
        };
        let policies = [
            prefix(" "),
            rule(matches, "team", Some("dynamodb"), None),
            rule(matches, "/(/", None, Some("CreateTable")),
            rule(begins, &"x".repeat(1001), Some("dynamodb"), Some("GetItem")),
            rule(begins, "a\u{7}", Some("dynamodb"), Some("createtable")),
            rule(begins, "a", Some("s4"), Some("CreateBucket")),
            rule(begins, "a", Some("sts"), None),
            elsewhere(prefix("a")),
            prefix("good"),
        ];
        let Err(Error::Invalid(errors)) = administrator.create(&named(" ", &policies)) else { panic!("accepted") };
        let told: Vec<_> = errors.iter().map(|error| format!("{} {}", error.field, error.message)).collect();
        assert_eq!(
            told,
            [
                "name must not be empty",
                "policies[0].value must not be empty",
                "policies[1].value must be written /expression/ or /expression/i",
                "policies[2].value is not a regular expression that is understood here: unclosed group",
                "policies[2].conditions.service must be given with an operation",
                "policies[3].value must not be longer than 1000 bytes",
                "policies[3].conditions.operation must be an operation that creates something with a name; not \"GetItem\"",
                "policies[4].value must not hold control characters",
                "policies[4].conditions.operation must be an operation of the service, in the cloud's own words; not \
                 \"createtable\"",
                "policies[5].conditions.service must be a service of aws; not s4",
                "policies[6].conditions.service must be a service that creates something with a name; sts creates nothing",
                "policies[7].conditions.cloud must be a cloud that this gateway knows",
            ]
        );
        let many = vec![prefix("a"); MOST_POLICIES + 1];
        let refused = administrator.create(&named("many", &many)).unwrap_err().to_string();
        assert_eq!(refused, "policies must not be more than 100 rules");
        let first = administrator.create(&named("many", &many[1..])).unwrap().group;
        assert_eq!(first.policies.len(), MOST_POLICIES);
        // Of two groups of one name nobody could tell which one they pick.
        let taken = administrator.create(&named("many", &[])).unwrap_err().to_string();
        assert_eq!(taken, "there is a policy group called many already");
        fixture.advance(DAY);
        let second = administrator.create(&named("few", &[])).unwrap().group;
        assert!(matches!(administrator.replace(&second.id, &named("many", &[])), Err(Error::Conflict { .. })));
        administrator.replace(&first.id, &named("many", &[])).unwrap();
        let all = caller.policy_groups(&PageRequest { limit: 1, cursor: None }).unwrap();
        assert_eq!((&all.items[0].group.id, all.next_cursor.as_deref()), (&first.id, Some(first.id.as_str())));
    }

    #[test]
    fn every_act_is_told_with_the_rules_as_they_were_written() {
        let fixture = Fixture::furnished();
        let caller = root(&fixture);
        let administrator = caller.policy_administrator().unwrap();
        let pattern = rule(RuleType::ResourceNameValidationPattern, "/^a/i", None, None);
        let group = make(&fixture, &named("teams", &[prefix("team-"), pattern]));
        let ann = fixture.person("ann", &[(Role::Approver, None)]);
        let (_, id) = bound(&fixture, &group, &fixture.credential("1", &["dev"]).id);
        let off = NewPolicy { status: PolicyStatus::Disabled, ..prefix("team-") };
        administrator.replace(&group.id, &named("people", &[off])).unwrap();
        administrator.replace(&group.id, &named("people", &vec![prefix("a"); 25])).unwrap();
        // Nothing new is no act.
        administrator.replace(&group.id, &named("people", &vec![prefix("a"); 25])).unwrap();
        ann.approver(&id).unwrap().revoke(None).unwrap();
        administrator.delete(&group.id).unwrap();
        let filter = super::super::EventFilter::default();
        let events = caller.auditor(None).unwrap().events(&filter, &PageRequest::default()).unwrap().items;
        let told: Vec<_> = events
            .iter()
            .filter(|event| event.action.starts_with("policy_group"))
            .map(|event| format!("{} {}", event.action, event.detail.as_deref().unwrap_or_default()))
            .collect();
        let on = "on aws dynamodb:CreateTable";
        let long = format!("policy_group.change people: {}", format!("csg.resource.name.prefix a {on}; ").repeat(20));
        assert_eq!(
            told,
            [
                "policy_group.delete people".to_owned(),
                format!("{long}and 5 more rules"),
                format!("policy_group.change people: was teams; csg.resource.name.prefix team- {on} (disabled)"),
                format!(
                    "policy_group.create teams: csg.resource.name.prefix team- {on}; \
                     csg.resource.name.validation_pattern /^a/i on aws any service"
                ),
            ]
        );
        let approved = caller.history(&id).unwrap().into_iter().find(|event| event.action == "access_request.approve");
        assert!(approved.unwrap().detail.unwrap().contains(&format!("; policy group {} (teams)", group.id)));
    }

    #[test]
    fn an_approval_without_a_group_binds_nothing() {
        let fixture = Fixture::furnished();
        let group = make(&fixture, &named("teams", &[prefix("team-")]));
        let dora = fixture.person("dora", &[(Role::Developer, Some("dev"))]);
        let ann = fixture.person("ann", &[(Role::Approver, None)]);
        let id = dora.requester(&super::super::fixture::env("dev")).unwrap().submit(&wish(&["dynamodb"], None));
        let id = id.unwrap().request.id;
        approve(&ann, &id, &fixture.credential("1", &["dev"])).unwrap();
        let key = dora.owner(&id).unwrap().reveal().unwrap().access_key_id;
        assert!(fixture.is_active(&key) && fixture.grant(&key).unwrap().grant.policies.is_empty());
        root(&fixture).policy_administrator().unwrap().delete(&group.id).unwrap();
    }
}
