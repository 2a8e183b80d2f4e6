//! What must hold after any sequence of steps by anybody: no access without somebody else's yes, none after its end,
//! none without the rules that were attached to it, and none without those that were asked for unless whoever said yes has
//! said so.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use proptest::{collection::vec, prelude::*, sample::Index};

use super::{
    fixture::{Fixture, approval, env, wish},
    *,
};
use crate::{
    model::{
        AccessRequestId, CloudId, Conditions, Credential, Permission, PolicyGroupId, PolicyStatus, Role, RuleType,
        Snapshot, Status,
    },
    store::Read as _,
};

type Roles = &'static [(Role, Option<&'static str>)];

/// `dan` may decide where he asks.
const PEOPLE: [(&str, Roles); 5] = [
    ("root", &[(Role::Admin, None)]),
    ("ann", &[(Role::Approver, None)]),
    ("pia", &[(Role::Approver, Some("prod"))]),
    ("dan", &[(Role::Developer, Some("dev")), (Role::Approver, Some("dev"))]),
    ("dora", &[(Role::Developer, None)]),
];

#[derive(Clone, Debug)]
enum Step {
    Advance(u64),
    Approve(usize, Index, usize),
    Archive(usize, Index),
    Deny(usize, Index),
    Disable(usize, bool),
    Expire,
    Regroup(usize, usize, Vec<bool>),
    Restart,
    Reveal(usize, Index),
    Revoke(usize, Index),
    Rotate(usize, Index, u64),
    Submit(usize, bool, Option<u64>, usize),
    Ungroup(usize, usize),
    Withdraw(usize, Index),
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..PEOPLE.len();
    let on = || (0..PEOPLE.len(), any::<Index>());
    prop_oneof![
        2 => (1..200_u64).prop_map(Step::Advance),
        8 => (on(), 0..6_usize).prop_map(|((who, on), group)| Step::Approve(who, on, group)),
        1 => on().prop_map(|(who, on)| Step::Archive(who, on)),
        1 => on().prop_map(|(who, on)| Step::Deny(who, on)),
        2 => (1..PEOPLE.len(), any::<bool>()).prop_map(|(who, disabled)| Step::Disable(who, disabled)),
        2 => Just(Step::Expire),
        3 => (0..2_usize, 0..2_usize, vec(any::<bool>(), 0..3)).prop_map(|(who, on, rules)| Step::Regroup(who, on, rules)),
        1 => Just(Step::Restart),
        8 => on().prop_map(|(who, on)| Step::Reveal(who, on)),
        1 => on().prop_map(|(who, on)| Step::Revoke(who, on)),
        3 => (on(), 0..100_u64).prop_map(|((who, on), overlap)| Step::Rotate(who, on, overlap)),
        6 => (who, any::<bool>(), proptest::option::of(1..300_u64), 0..3_usize)
            .prop_map(|(who, dev, span, group)| Step::Submit(who, dev, span, group)),
        3 => (0..2_usize, 0..2_usize).prop_map(|(who, on)| Step::Ungroup(who, on)),
        1 => on().prop_map(|(who, on)| Step::Withdraw(who, on)),
    ]
}

/// What the test itself knows of the requests.
#[derive(Default)]
struct Known {
    requests: Vec<AccessRequestId>,
    /// Which policy group each asked for.
    asked: BTreeMap<AccessRequestId, Option<PolicyGroupId>>,
    /// What was said of it with the yes.
    approved: BTreeMap<AccessRequestId, Attach>,
    revealed: BTreeMap<AccessRequestId, usize>,
    ended: BTreeSet<AccessRequestId>,
    disabled: BTreeSet<usize>,
}

impl Known {
    /// The policy group that holds for a request to which somebody has said yes in this way.
    fn attached(&self, request: &AccessRequestId, said: &Attach) -> Option<PolicyGroupId> {
        match said {
            Attach::AsAsked => self.asked[request].clone(),
            Attach::Group(id) => Some(id.clone()),
            Attach::Nothing => None,
        }
    }
}

struct World {
    fixture: Fixture,
    credentials: [Credential; 2],
    groups: [PolicyGroupId; 2],
    known: Known,
}

impl World {
    fn new() -> Self {
        let fixture = Fixture::furnished();
        for (name, roles) in PEOPLE {
            fixture.person(name, roles);
        }
        let credentials = [fixture.credential("1", &["dev"]), fixture.credential("2", &["prod"])];
        let make = |name: &str| {
            let root = fixture.person("root", PEOPLE[0].1);
            root.policy_administrator().unwrap().create(&rules(name, &[true])).unwrap().group.id
        };
        let groups = ["a", "b"].map(make);
        Self { fixture, credentials, groups, known: Known::default() }
    }

    fn caller(&self, who: usize) -> Caller {
        let reader = self.fixture.workflow.read().unwrap();
        let name = super::fixture::user(PEOPLE[who].0);
        let user = reader.find(&crate::store::tables::users::USERS, &name).unwrap().unwrap().user;
        let token =
            super::caller::TokenOf { sha256: String::new(), is_session: true, expires_at: self.fixture.clock.now() };
        Caller { workflow: self.fixture.workflow.clone(), user, token }
    }

    fn approve(&mut self, who: usize, id: AccessRequestId, group: usize) {
        let caller = self.caller(who);
        let said = match group {
            known @ 0..2 => Attach::Group(self.groups[known].clone()),
            2 => Attach::Nothing,
            _ => Attach::AsAsked,
        };
        let done = self.credentials.iter().find_map(|one| {
            let yes = Approval { policy_group: said.clone(), ..approval(one) };
            caller.approver(&id).ok()?.approve(&yes).ok()
        });
        let Some(AccessRequestView { request, .. }) = done else { return };
        assert!(caller.may(Permission::AccessRequestsManage, Some(&request.environment)));
        assert_ne!(request.requested_by, caller.user().name);
        assert!(!self.known.disabled.contains(&who));
        assert_eq!(request.policy_group, self.known.attached(&id, &said), "not as was asked or said");
        assert!(self.known.approved.insert(id, said).is_none());
    }

    fn take(mut self, step: &Step) -> Self {
        let on =
            |index: &Index, known: &Known| (!known.requests.is_empty()).then(|| index.get(&known.requests).clone());
        match step {
            Step::Advance(seconds) => self.fixture.advance(Duration::from_secs(*seconds)),
            Step::Expire => self.fixture.workflow.expire_due().unwrap(),
            Step::Restart => self.fixture = self.fixture.restarted(),
            Step::Disable(who, disabled) => {
                let change = UserChange { disabled: Some(*disabled), ..UserChange::default() };
                let root = self.caller(0);
                root.administrator().unwrap().change_user(&self.caller(*who).user().name, &change).unwrap();
                if *disabled {
                    self.known.disabled.insert(*who)
                } else {
                    self.known.disabled.remove(who)
                };
            }
            Step::Submit(who, dev, span, group) => {
                let caller = self.caller(*who);
                let place = env(if *dev { "dev" } else { "prod" });
                let policy_group = self.groups.get(*group).cloned();
                let new = NewAccessRequest {
                    policy_group: policy_group.clone(),
                    ..wish(&["dynamodb"], span.map(Duration::from_secs))
                };
                if let Ok(view) = caller.requester(&place).and_then(|requester| requester.submit(&new)) {
                    assert_eq!(view.request.requested_policy_group, policy_group);
                    self.known.asked.insert(view.request.id.clone(), policy_group);
                    assert!(caller.may(Permission::CloudServicesRequest, Some(&place)));
                    self.known.requests.push(view.request.id);
                }
            }
            Step::Regroup(who, group, statuses) => {
                let new = rules(["a", "b"][*group], statuses);
                let caller = self.caller(*who);
                let done = caller.policy_administrator().and_then(|admin| admin.replace(&self.groups[*group], &new));
                assert!(done.is_err() || *who == 0);
            }
            Step::Ungroup(who, group) => {
                let caller = self.caller(*who);
                let done = caller.policy_administrator().and_then(|admin| admin.delete(&self.groups[*group]));
                assert!(done.is_err() || *who == 0);
            }
            Step::Approve(who, index, group) => {
                if let Some(id) = on(index, &self.known) {
                    self.approve(*who, id, *group);
                }
            }
            Step::Reveal(who, index) => {
                if let Some(id) = on(index, &self.known) {
                    let caller = self.caller(*who);
                    if caller.owner(&id).and_then(|owner| owner.reveal()).is_ok() {
                        assert_eq!(caller.access_request(&id).unwrap().request.requested_by, caller.user().name);
                        *self.known.revealed.entry(id).or_default() += 1;
                    }
                }
            }
            Step::Rotate(who, index, overlap) => {
                if let Some(id) = on(index, &self.known) {
                    let _ = self.caller(*who).owner(&id).and_then(|owner| owner.rotate(Duration::from_secs(*overlap)));
                }
            }
            Step::Withdraw(who, index) => {
                if let Some(id) = on(index, &self.known)
                    && self.caller(*who).owner(&id).and_then(|owner| owner.withdraw(None)).is_ok()
                {
                    self.known.ended.insert(id);
                }
            }
            Step::Archive(who, index) | Step::Deny(who, index) | Step::Revoke(who, index) => {
                if let Some(id) = on(index, &self.known) {
                    let caller = self.caller(*who);
                    let done = caller.approver(&id).and_then(|approver| match step {
                        Step::Archive(..) => approver.archive(None),
                        Step::Deny(..) => approver.deny(None),
                        _ => approver.revoke(None),
                    });
                    if let Ok(view) = done {
                        assert!(caller.may(Permission::AccessRequestsManage, Some(&view.request.environment)));
                        self.known.ended.insert(id);
                    }
                }
            }
        }
        self
    }

    /// What somebody finds who decides everywhere is what there is, as it is.
    fn check_lists(&self, ann: &Caller, reader: &crate::store::Reader) {
        let table = &crate::store::tables::access_requests::ACCESS_REQUESTS;
        let all = PageRequest { limit: 1000, cursor: None };
        let queue = ann.access_request_queue(&RequestFilter::default(), &all).unwrap().items;
        assert_eq!(queue.len(), self.known.requests.len());
        let waiting = self.known.requests.iter().map(|id| reader.find(table, id).unwrap().unwrap());
        let waiting: BTreeSet<_> =
            waiting.filter(|request| request.status == Status::Pending).map(|request| request.id).collect();
        let first = queue.iter().take(waiting.len()).map(|view| view.request.id.clone());
        assert_eq!(first.collect::<BTreeSet<_>>(), waiting);
        let of_others = queue.iter().filter(|view| view.request.requested_by != ann.user().name);
        let count = of_others.filter(|view| view.request.status == Status::Pending).count();
        assert_eq!(ann.waiting().unwrap(), count);
    }

    fn check(&mut self) {
        let (workflow, now) = (&self.fixture.workflow, self.fixture.clock.now());
        let snapshot = workflow.subscribe().load().clone();
        let reader = workflow.read().unwrap();
        let mut working: BTreeMap<AccessRequestId, usize> = BTreeMap::new();
        for (key, live) in &snapshot.grants {
            let grant = &live.grant;
            assert_eq!(grant.active, !live.ended.is_set(), "{key}");
            // The data plane refuses by the time, whatever the snapshot says.
            if !grant.active || grant.expires_at.is_some_and(|end| end <= now) {
                continue;
            }
            *working.entry(grant.request.clone()).or_default() += 1;
            let said = self.known.approved.get(&grant.request).expect("access without approval");
            let attached = self.known.attached(&grant.request, said);
            assert!(self.known.revealed.contains_key(&grant.request), "access before the secret was shown");
            assert!(!self.known.ended.contains(&grant.request), "access after its end");
            assert_eq!(grant.policies.to_vec(), demanded(&reader, attached), "access with other rules");
            assert!(!self.known.disabled.iter().any(|&who| PEOPLE[who].0 == grant.user.as_str()));
            let credential = self.credentials.iter().find(|one| one.id == grant.credential).unwrap();
            assert!(credential.environments.contains(&grant.environment));
        }
        assert!(working.values().all(|&keys| keys <= 2));
        for id in &self.known.requests {
            let table = &crate::store::tables::access_requests::ACCESS_REQUESTS;
            let request = reader.find(table, id).unwrap().unwrap();
            if matches!(request.status, Status::Expired) {
                self.known.ended.insert(id.clone());
            }
            let lives = matches!(request.status, Status::Pending | Status::Approved | Status::Active);
            assert!(!(lives && self.known.ended.contains(id)), "{id} came back");
        }
        if !self.known.disabled.contains(&1) {
            self.check_lists(&self.caller(1), &reader);
        }
        // Step by step and all at once lead to the same; time alone may have ended something that is still published.
        let fresh = super::grants::all(&reader, workflow.0.store.sealer(), now, &Snapshot::default()).unwrap();
        assert_eq!(fresh.grants.len(), snapshot.grants.len());
        for (key, live) in &fresh.grants {
            let published = &snapshot.grants[key].grant;
            let over = published.expires_at.is_some_and(|end| end <= now);
            assert!(live.grant.active == published.active || over);
            assert_eq!(live.grant.expires_at, published.expires_at);
            assert_eq!(live.grant.secret_access_key, published.secret_access_key);
            // Access that has ended is not made anew when its group changes: nobody asks for its rules.
            assert!(live.grant.policies == published.policies || !published.active);
        }
    }
}

/// The rules in force of the group that has to be attached.
fn demanded(reader: &crate::store::Reader, group: Option<PolicyGroupId>) -> Vec<crate::model::Policy> {
    use crate::store::tables::policy_groups::POLICY_GROUPS;
    let group = group.map(|id| reader.find(&POLICY_GROUPS, &id).unwrap().expect("access whose group was deleted"));
    let policies = group.map(|group| group.policies).unwrap_or_default().into_iter();
    policies.filter(|policy| policy.status == PolicyStatus::Enforced).collect()
}

/// As many rules, in force or not.
fn rules(name: &str, statuses: &[bool]) -> NewPolicyGroup {
    let rule = |(number, enforced): (usize, &bool)| NewPolicy {
        kind: RuleType::ResourceNamePrefix,
        value: format!("{number}-"),
        status: if *enforced { PolicyStatus::Enforced } else { PolicyStatus::Disabled },
        conditions: Conditions { cloud: CloudId::aws(), service: None, operation: None },
    };
    NewPolicyGroup { name: name.into(), policies: statuses.iter().enumerate().map(rule).collect() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn nobody_works_without_a_yes_or_after_the_end(steps in vec(step(), 0..60)) {
        let mut world = World::new();
        for step in &steps {
            world = world.take(step);
            world.check();
        }
    }
}
