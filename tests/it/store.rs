//! Databases that earlier versions of the program have written: they open, and nothing is lost.
//!
//! `tests/fixtures/db/schema-N.redb` was made by the last version that wrote schema N, through the workflow, at noon of
//! 23 November 2026 and the hours after it; its master key is 32 times the byte 7, everybody's password the tests' own.

use std::{collections::BTreeSet, fs, path::Path};

use csg::{
    clock::{Clock, Timestamp},
    cloud::aws::Catalogue,
    model::{
        AssumedRole, CloudId, Conditions, EnvironmentId, IdentitySource, Keys, PolicyStatus, Publisher, RoleArn,
        RuleType, ServiceId, Status, User, UserName,
    },
    secret::Secret,
    store::{Draft, Item, MasterKey, Store},
    workflow::{
        AccessRequestView, Approval, Attach, Caller, Error, NewCredential, NewKeys, NewPolicy, NewPolicyGroup, Origin,
        Page, PageRequest, RequestFilter, UserChange, Workflow,
    },
};

use crate::api::harness::PASSWORD;

fn open(schema: u32) -> (tempfile::TempDir, Workflow) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("csg.redb");
    let fixture = format!("{}/tests/fixtures/db/schema-{schema}.redb", env!("CARGO_MANIFEST_DIR"));
    fs::copy(fixture, &path).unwrap();
    let workflow = open_at(&path);
    (directory, workflow)
}

fn open_at(path: &Path) -> Workflow {
    let store = Store::open(path, &MasterKey::from_bytes(&[7; 32]).unwrap()).unwrap();
    let clock = Clock::manual(Timestamp::parse_rfc3339("2026-11-23T15:00:00Z").unwrap());
    let services = Catalogue::embedded().services().iter().map(|service| service.id.clone()).collect();
    Workflow::open(store, clock, [(CloudId::aws(), services)].into(), Publisher::new()).unwrap()
}

fn sign_in(workflow: &Workflow, name: &str) -> Caller {
    let signed_in = workflow.sign_in(name, &Secret::new(PASSWORD), None, &Origin::default()).unwrap();
    workflow.caller(&signed_in.token).unwrap()
}

fn told(page: Result<Page<AccessRequestView>, Error>) -> Vec<String> {
    let line = |view: AccessRequestView| {
        let services: Vec<_> = view.request.services.iter().map(ServiceId::as_str).collect();
        format!("{} {} {}", view.request.status.name(), view.request.requested_by, services.join(","))
    };
    page.unwrap().items.into_iter().map(line).collect()
}

#[test]
fn a_database_of_schema_1_is_found_in_by_all_that_its_requests_are() {
    let (directory, workflow) = open(1);
    let check = |workflow: &Workflow| {
        let [anna, paula, dora] = ["anna", "paula", "dora"].map(|name| sign_in(workflow, name));
        let (all, first) = (RequestFilter::default(), PageRequest::default());
        let queue = [
            "pending dora dynamodb",
            "pending peter sns",
            "active peter dynamodb",
            "archived dora dynamodb",
            "expired dora ecs",
            "revoked dora dynamodb",
            "withdrawn dora dynamodb",
            "denied dora dynamodb",
            "active dora lambda",
            "approved dora ses,sns",
        ];
        assert_eq!(told(anna.access_request_queue(&all, &first)), queue);
        assert_eq!(told(paula.access_request_queue(&all, &first)), ["pending peter sns", "active peter dynamodb"]);
        assert_eq!(told(dora.access_requests(&all, &first)).len(), 8);
        assert_eq!((anna.waiting().unwrap(), paula.waiting().unwrap(), dora.waiting().unwrap()), (2, 1, 0));
        let filter = RequestFilter {
            statuses: BTreeSet::from([Status::Pending, Status::Approved]),
            environment: EnvironmentId::new("dev").ok(),
            requested_by: UserName::new("dora").ok(),
            service: ServiceId::new("sns").ok(),
        };
        assert_eq!(told(anna.all_access_requests(&filter, &first)), ["approved dora ses,sns"]);
    };
    check(&workflow);
    assert_eq!(workflow.subscribe().load().grants.values().filter(|live| live.grant.active).count(), 2);
    let root = sign_in(&workflow, "root");
    let credential = root.credentials(None, &PageRequest::default()).unwrap().items.remove(0).id;
    let refused = root.credential_administrator().unwrap().delete(&credential).unwrap_err();
    assert_eq!(refused.to_string(), "the credential is in use by 2 access requests: end those first");
    drop((root, workflow));
    // Opened a second time there is nothing left to do.
    check(&open_at(&directory.path().join("csg.redb")));
}

#[test]
fn a_database_of_schema_2_knows_its_people_and_tokens_by_index() {
    let (directory, workflow) = open(2);
    let check = |workflow: &Workflow, sessions: u64| {
        let root = sign_in(workflow, "root");
        let administrator = root.administrator().unwrap();
        let names = |people: Vec<User>| people.into_iter().map(|user| user.name.to_string()).collect::<Vec<_>>();
        let page = |cursor| PageRequest { limit: 2, cursor };
        let found = administrator.find_users("AN", &page(None)).unwrap();
        let rest = administrator.find_users("AN", &page(found.next_cursor)).unwrap();
        assert_eq!((names(found.items), names(rest.items)), (vec!["dan".into(), "banana".into()], vec!["anna".into()]));
        assert_eq!(rest.next_cursor, None);
        let holders = administrator.holders(&EnvironmentId::new("dev").unwrap()).unwrap();
        assert_eq!(holders.iter().map(UserName::as_str).collect::<Vec<_>>(), ["banana", "dan", "dora"]);
        let state = administrator.state().unwrap();
        assert_eq!((state.people, state.disabled_people), (7, 1));
        // One of the two API tokens has ended since.
        assert_eq!((state.sessions, state.api_tokens), (sessions, 1));
        let tokens = administrator.api_tokens(&UserName::new("dora").unwrap()).unwrap();
        assert_eq!(tokens.iter().map(|token| token.name.as_str()).collect::<Vec<_>>(), ["nightly build"]);
        let last = administrator.change_user(
            &UserName::new("root").unwrap(),
            &UserChange { disabled: Some(true), ..UserChange::default() },
        );
        assert_eq!(last.unwrap_err().to_string(), "the last administrator can't be disabled or lose that role");
    };
    check(&workflow, 6);
    drop(workflow);
    // Opened a second time there is nothing left to do.
    check(&open_at(&directory.path().join("csg.redb")), 7);
}

#[test]
fn access_of_a_database_of_schema_3_has_no_policy_group_and_new_access_can_have_one() {
    let (directory, workflow) = open(3);
    let [root, anna, dora] = ["root", "anna", "dora"].map(|name| sign_in(&workflow, name));
    let all = anna.access_request_queue(&RequestFilter::default(), &PageRequest::default()).unwrap().items;
    let stands: Vec<_> =
        all.iter().map(|view| (view.request.status.name(), view.request.policy_group.clone())).collect();
    assert_eq!(stands, [("pending", None), ("approved", None), ("revoked", None), ("active", None)]);
    let working = |workflow: &Workflow| {
        let snapshot = workflow.subscribe().load().clone();
        let active = snapshot.grants.values().filter(|live| live.grant.active);
        let mut rules: Vec<_> = active.map(|live| live.grant.policies.len()).collect();
        rules.sort_unstable();
        rules
    };
    assert_eq!(working(&workflow), [0]);

    let administrator = root.policy_administrator().unwrap();
    let conditions = Conditions { cloud: CloudId::aws(), service: None, operation: None };
    let (kind, value) = (RuleType::ResourceNamePrefix, "team-".to_owned());
    let policies = vec![NewPolicy { kind, value, status: PolicyStatus::Enforced, conditions }];
    let group = administrator.create(&NewPolicyGroup { name: "teams".into(), policies }).unwrap().group;
    let approval = Approval {
        credential: root.credentials(None, &PageRequest::default()).unwrap().items.remove(0).id,
        policy_group: Attach::Group(group.id.clone()),
        expires_at: None,
        allow_credential_operations: Vec::new(),
        comment: None,
    };
    let waits = &all[0].request.id;
    anna.approver(waits).unwrap().approve(&approval).unwrap();
    dora.owner(waits).unwrap().reveal().unwrap();
    let refused = administrator.delete(&group.id).unwrap_err().to_string();
    assert_eq!(refused, "the policy group is in use by an access request: end that first");
    assert_eq!(working(&workflow), [0, 1]);
    drop((root, anna, dora, workflow));
    assert_eq!(working(&open_at(&directory.path().join("csg.redb"))), [0, 1]);
}

#[test]
fn a_key_of_a_database_of_schema_4_can_assume_roles_and_its_access_goes_on() {
    let (directory, workflow) = open(4);
    let root = sign_in(&workflow, "root");
    let found = root.credentials(None, &PageRequest::default()).unwrap().items.remove(0);
    assert_eq!(found.keys, Keys::Static { access_key_id: "ASIAEXAMPLEEXAMPLE01".into() });
    let behind = |workflow: &Workflow| {
        let snapshot = workflow.subscribe().load().clone();
        let live = snapshot.grants.values().next().unwrap();
        let IdentitySource::Keys(keys) = live.identity.as_ref().unwrap() else { panic!("no keys") };
        let token = keys.session_token.as_ref().unwrap().expose().to_owned();
        (live.grant.active, live.grant.policies.len(), keys.secret_access_key.expose().to_owned(), token)
    };
    let expected = (true, 1, "the-real-secret".to_owned(), "a-token".to_owned());
    assert_eq!(behind(&workflow), expected);
    let role = AssumedRole {
        role_arn: RoleArn::new("arn:aws:iam::123456789012:role/gateway").unwrap(),
        source_credential: found.id,
        external_id: None,
        session_seconds: 3600,
    };
    let new = NewCredential {
        name: "a role".into(),
        cloud: CloudId::aws(),
        keys: NewKeys::Role(role.clone()),
        environments: vec![EnvironmentId::new("dev").unwrap()],
    };
    let made = root.credential_administrator().unwrap().create(&new).unwrap().id;
    drop((root, workflow));
    let workflow = open_at(&directory.path().join("csg.redb"));
    assert_eq!(sign_in(&workflow, "root").credential(&made).unwrap().keys, Keys::Role(role));
    assert_eq!(behind(&workflow), expected);
}

/// `schema-99.redb`, for tests of what a database of a version to come is answered with: nothing but its schema.
#[test]
#[ignore = "writes the fixture"]
fn write_the_database_of_a_version_to_come() {
    let path = format!("{}/tests/fixtures/db/schema-99.redb", env!("CARGO_MANIFEST_DIR"));
    drop(fs::remove_file(&path));
    let mut draft = Draft::create(Path::new(&path)).unwrap();
    draft.take(Item::Table("schema")).unwrap();
    draft.take(Item::Record { key: &[0], value: b"99" }).unwrap();
    draft.finish().unwrap();
}
