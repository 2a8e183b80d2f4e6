//! The use cases, one story each.

use std::{sync::Barrier, time::Duration};

use super::{
    fixture::{DAY, Fixture, approval, approve, env, keys, submit, user, wish},
    *,
};
use crate::{
    model::{AccessRequestId, Credential, Permission, PolicyGroupId, Role, RoleAssignment, Status},
    secret::Secret,
    store::tables::credentials::CREDENTIALS,
    store::{self, Read as _},
};

const MINUTE: Duration = Duration::from_mins(1);

fn password(text: &str) -> Secret {
    Secret::new(text)
}

/// A developer's request in `dev`, approved by somebody else.
fn approved(fixture: &Fixture, duration: Option<Duration>) -> (Caller, Caller, Credential, AccessRequestId) {
    let dora = fixture.person("dora", &[(Role::Developer, Some("dev"))]);
    let ann = fixture.person("ann", &[(Role::Approver, None)]);
    let credential = fixture.credential("1", &["dev"]);
    let id = submit(&dora, "dev", duration);
    approve(&ann, &id, &credential).unwrap();
    (dora, ann, credential, id)
}

fn sign_in(workflow: &Workflow, name: &str, password: &Secret) -> Result<SignedIn, Error> {
    workflow.sign_in(name, password, None, &Origin::default())
}

#[test]
fn the_set_up_token_works_once_and_for_an_hour() {
    let fixture = Fixture::new();
    let workflow = &fixture.workflow;
    assert!(!workflow.is_set_up().unwrap());
    let void = workflow.begin_set_up().unwrap();
    let token = workflow.begin_set_up().unwrap();
    let (root, secret) = (user("root"), password("correct horse"));
    assert!(matches!(workflow.finish_set_up(&void, &root, &secret, &Origin::default()), Err(Error::Unauthenticated)));
    assert!(matches!(
        workflow.finish_set_up(&token, &root, &password("short"), &Origin::default()),
        Err(Error::Invalid(_))
    ));
    fixture.advance(60 * MINUTE);
    assert!(matches!(workflow.finish_set_up(&token, &root, &secret, &Origin::default()), Err(Error::Unauthenticated)));
    let token = workflow.begin_set_up().unwrap();
    fixture.advance(59 * MINUTE);
    let signed_in = workflow.finish_set_up(&token, &root, &secret, &Origin::default()).unwrap();
    workflow.caller(&signed_in.token).unwrap().administrator().unwrap();
    assert!(matches!(workflow.finish_set_up(&token, &user("eve"), &secret, &Origin::default()), Err(Error::Gone(_))));
    assert!(matches!(workflow.set_up(&user("eve"), &secret), Err(Error::Gone(_))));
    assert!(matches!(workflow.begin_set_up(), Err(Error::Gone(_))));
    let file = std::fs::read(fixture.directory.path().join("csg.redb")).unwrap();
    for secret in [token.expose(), signed_in.token.expose(), "correct horse"] {
        assert!(!file.windows(secret.len()).any(|window| window == secret.as_bytes()));
    }
}

#[test]
fn signs_in_and_out() {
    let fixture = Fixture::new();
    let workflow = &fixture.workflow;
    workflow.set_up(&user("root"), &password("correct horse")).unwrap();
    let session = sign_in(workflow, "root", &password("correct horse")).unwrap();
    let caller = workflow.caller(&session.token).unwrap();
    for (name, secret) in [("root", "wrong horse"), ("nobody", "correct horse"), ("not a name", "correct horse")] {
        assert!(matches!(sign_in(workflow, name, &password(secret)), Err(Error::Unauthenticated)), "{name}");
    }
    caller.sign_out().unwrap();
    assert!(matches!(workflow.caller(&session.token), Err(Error::Unauthenticated)));
    let session = sign_in(workflow, "root", &password("correct horse")).unwrap();
    fixture.clock.set(session.expires_at);
    assert!(matches!(workflow.caller(&session.token), Err(Error::Unauthenticated)));
    workflow.expire_due().unwrap();
}

#[test]
fn guessing_is_slowed_down_but_never_locks_out() {
    let fixture = Fixture::new();
    let workflow = &fixture.workflow;
    workflow.set_up(&user("root"), &password("correct horse")).unwrap();
    for _ in 0..5 {
        assert!(matches!(sign_in(workflow, "root", &password("wrong horse")), Err(Error::Unauthenticated)));
    }
    assert!(matches!(sign_in(workflow, "root", &password("correct horse")), Err(Error::Throttled { .. })));
    fixture.advance(MINUTE);
    sign_in(workflow, "root", &password("correct horse")).unwrap();
}

#[test]
fn a_reset_password_and_disabling_end_sessions_and_tokens() {
    let fixture = Fixture::new();
    let workflow = &fixture.workflow;
    let root = workflow.set_up(&user("root"), &password("correct horse")).unwrap();
    let root = workflow.caller(&root.token).unwrap();
    let administrator = root.administrator().unwrap();
    let new = NewUser { name: user("dora"), password: password("battery staple"), roles: vec![], disabled: false };
    administrator.create_user(&new).unwrap();
    assert!(matches!(administrator.create_user(&new), Err(Error::Conflict { .. })));
    let reset = UserChange { password: Some(password("other battery")), ..UserChange::default() };
    let disable = UserChange { disabled: Some(true), ..UserChange::default() };
    for (change, with) in [(reset, "battery staple"), (disable, "other battery")] {
        let session = sign_in(workflow, "dora", &password(with)).unwrap().token;
        let dora = workflow.caller(&session).unwrap();
        let (_, token) = dora.create_api_token(&NewApiToken { name: "ci".into(), duration: None }).unwrap();
        workflow.caller(&token).unwrap();
        administrator.change_user(&user("dora"), &change).unwrap();
        for token in [session, token] {
            assert!(matches!(workflow.caller(&token), Err(Error::Unauthenticated)));
        }
        assert!(matches!(sign_in(workflow, "dora", &password(with)), Err(Error::Unauthenticated)));
        assert!(dora.sign_out().is_err() || dora.api_tokens().unwrap().is_empty());
    }
}

#[test]
fn an_api_token_acts_as_its_person_but_makes_no_tokens() {
    let fixture = Fixture::new();
    let workflow = &fixture.workflow;
    let root = workflow.set_up(&user("root"), &password("correct horse")).unwrap();
    let root = workflow.caller(&root.token).unwrap();
    let new = NewApiToken { name: "ci".into(), duration: Some(DAY) };
    let (made, token) = root.create_api_token(&new).unwrap();
    let program = workflow.caller(&token).unwrap();
    program.administrator().unwrap();
    assert!(matches!(program.create_api_token(&new), Err(Error::NotAllowed(_))));
    assert_eq!(program.api_tokens().unwrap(), std::slice::from_ref(&made));
    root.delete_api_token(&made.id).unwrap();
    assert!(matches!(workflow.caller(&token), Err(Error::Unauthenticated)));
    let too_long = NewApiToken { name: String::new(), duration: Some(400 * DAY) };
    let Err(Error::Invalid(errors)) = root.create_api_token(&too_long) else { panic!("accepted") };
    assert_eq!(errors.iter().map(|error| error.field.as_ref()).collect::<Vec<_>>(), ["name", "duration"]);
}

#[test]
fn access_lives_from_the_one_look_at_the_secret_until_it_is_revoked() {
    let fixture = Fixture::furnished();
    let (dora, ann, credential, id) = approved(&fixture, None);
    let before = dora.access_request(&id).unwrap();
    assert_eq!((before.request.status, before.secret_available), (Status::Approved, true));
    assert!(fixture.grant(before.access_key_id.as_ref().unwrap()).is_none());

    let revealed = dora.owner(&id).unwrap().reveal().unwrap();
    let live = fixture.grant(&revealed.access_key_id).unwrap();
    assert!(live.grant.active && live.grant.secret_access_key == revealed.secret_access_key);
    assert_eq!((&live.grant.user, &live.grant.credential), (&user("dora"), &credential.id));
    assert_eq!(keys(&live).secret_access_key, Secret::new("secret-of-1"));
    assert!(matches!(dora.owner(&id).unwrap().reveal(), Err(Error::Gone(_))));
    let after = dora.access_request(&id).unwrap();
    assert_eq!((after.request.status, after.secret_available), (Status::Active, false));
    assert_eq!(after.access_key_id.unwrap(), revealed.access_key_id);

    ann.approver(&id).unwrap().revoke(Some("no longer needed")).unwrap();
    assert!(live.ended.is_set());
    assert!(!fixture.is_active(&revealed.access_key_id) && fixture.grant(&revealed.access_key_id).is_some());
    assert!(matches!(dora.owner(&id).unwrap().reveal(), Err(Error::Gone(_))));
    let again = ann.approver(&id).unwrap().approve(&approval(&credential));
    assert!(matches!(again, Err(Error::Conflict { status: Some(Status::Revoked), .. })));
    ann.approver(&id).unwrap().archive(None).unwrap();
    let story: Vec<_> = dora.history(&id).unwrap().into_iter().map(|event| event.action).collect();
    let steps = ["submit", "approve", "reveal", "revoke", "archive"].map(|step| format!("access_request.{step}"));
    assert_eq!(story, steps);
}

#[test]
fn only_the_requester_reads_the_secret_or_withdraws() {
    let fixture = Fixture::furnished();
    let (dora, ann, _, id) = approved(&fixture, None);
    assert!(matches!(ann.owner(&id), Err(Error::NotAllowed(_))));
    assert!(matches!(dora.approver(&id), Err(Error::Forbidden { permission: Permission::AccessRequestsManage })));
    assert!(matches!(
        dora.owner(&id).unwrap().withdraw(None),
        Err(Error::Conflict { status: Some(Status::Approved), .. })
    ));
    let id = submit(&dora, "dev", None);
    dora.owner(&id).unwrap().withdraw(Some("found another way")).unwrap();
    assert!(matches!(dora.owner(&id).unwrap().reveal(), Err(Error::Conflict { status: Some(Status::Withdrawn), .. })));
}

#[test]
fn who_may_not_see_a_thing_is_told_there_is_none() {
    let fixture = Fixture::furnished();
    let (_, _, credential, id) = approved(&fixture, None);
    let outsider = fixture.person("otto", &[(Role::Admin, Some("prod"))]);
    for error in [
        outsider.access_request(&id).unwrap_err(),
        outsider.approver(&id).unwrap_err(),
        outsider.owner(&id).unwrap_err(),
        outsider.history(&id).unwrap_err(),
        outsider.environment(&env("dev")).unwrap_err(),
        outsider.requester(&env("dev")).unwrap_err(),
        outsider.auditor(Some(&env("dev"))).unwrap_err(),
        outsider.environment_administrator(Some(&env("dev"))).unwrap_err(),
        outsider.credential(&credential.id).unwrap_err(),
    ] {
        assert!(matches!(error, Error::NotFound(_)), "{error:?}");
    }
    // An administrator of one environment is none of the installation.
    for error in [
        outsider.administrator().unwrap_err(),
        outsider.credential_administrator().unwrap_err(),
        outsider.environment_administrator(None).unwrap_err(),
        outsider.auditor(None).unwrap_err(),
        outsider.all_access_requests(&RequestFilter::default(), &PageRequest::default()).unwrap_err(),
    ] {
        assert!(matches!(error, Error::Forbidden { .. }), "{error:?}");
    }
    let page = PageRequest::default();
    assert!(outsider.access_requests(&RequestFilter::default(), &page).unwrap().items.is_empty());
    assert!(outsider.credentials(None, &page).unwrap().items.is_empty());
    let seen: Vec<_> = outsider.environments(&page).unwrap().items;
    assert_eq!(seen.iter().map(|view| view.environment.id.as_str()).collect::<Vec<_>>(), ["prod"]);
    let change = EnvironmentChange { name: Some("Prod".into()), ..EnvironmentChange::default() };
    let administrator = outsider.environment_administrator(Some(&env("prod"))).unwrap();
    administrator.change(&env("prod"), &change).unwrap();
    assert!(matches!(administrator.change(&env("dev"), &change), Err(Error::NotFound(_))));
    assert!(matches!(administrator.delete(&env("prod")), Err(Error::Forbidden { .. })));
    let link = EnvironmentChange { credentials: Some(vec![credential.id]), ..EnvironmentChange::default() };
    assert!(matches!(administrator.change(&env("prod"), &link), Err(Error::Forbidden { .. })));
}

#[test]
fn nobody_approves_their_own_request_unless_the_installation_says_so() {
    let fixture = Fixture::furnished();
    let credential = fixture.credential("1", &["dev"]);
    let root = fixture.person("root", &[(Role::Admin, None)]);
    let id = submit(&root, "dev", None);
    assert!(matches!(approve(&root, &id, &credential), Err(Error::NotAllowed(_))));
    root.administrator().unwrap().change_settings(&Settings { self_approval: true }).unwrap();
    assert!(root.administrator().unwrap().settings().unwrap().self_approval);
    approve(&root, &id, &credential).unwrap();
}

#[test]
fn a_role_taken_away_counts_at_once() {
    let fixture = Fixture::furnished();
    let (dora, ann, credential, _) = approved(&fixture, None);
    let id = submit(&dora, "dev", None);
    let approver = ann.approver(&id).unwrap();
    fixture.person("ann", &[(Role::Approver, Some("prod"))]);
    assert!(matches!(approver.approve(&approval(&credential)), Err(Error::Forbidden { .. })));
}

#[test]
fn an_approval_is_looked_at_whole() {
    let fixture = Fixture::furnished();
    let (dora, ann, _, _) = approved(&fixture, None);
    let other = fixture.credential("2", &["prod"]);
    let id = submit(&dora, "dev", None);
    let mut bad = Approval {
        policy_group: Attach::Group(PolicyGroupId::new("strict").unwrap()),
        expires_at: Some(fixture.clock.now()),
        allow_credential_operations: vec!["sts:AssumeRole".into(), "dynamodb".into(), "dynamodb:".into()],
        ..approval(&other)
    };
    let Err(Error::Invalid(errors)) = ann.approver(&id).unwrap().approve(&bad) else { panic!("accepted") };
    let fields: Vec<_> = errors.iter().map(|error| error.field.as_ref()).collect();
    let operations = "allow_credential_operations";
    assert_eq!(fields, ["credential", "policy_group", "expires_at", operations, operations, operations]);
    let id = dora.requester(&env("dev")).unwrap().submit(&wish(&["sts", "dynamodb", "sts"], None)).unwrap().request.id;
    let linked = fixture.credential("3", &["dev"]);
    let by_name = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    // Only what hands out credentials can be allowed by name: what a wrong name would come to allow, nobody knows.
    for (name, rule) in [
        ("sts:GetCallerIdentity", "must be an operation that hands out cloud credentials"),
        ("sts:AssumeRoleAgain", "must be an operation that hands out cloud credentials"),
        ("sts:assumerole", "must be an operation that hands out cloud credentials"),
        ("sts:*", "must be an operation that hands out cloud credentials"),
        ("sts: AssumeRole", "must be an operation that hands out cloud credentials"),
        ("dynamodb:AssumeRole", "must be an operation that hands out cloud credentials"),
        ("lambda:AssumeRole", "must be an operation of a requested service"),
        ("AssumeRole", "must be of the form service:Operation"),
    ] {
        bad.allow_credential_operations = by_name(&["sts:AssumeRole", name]);
        bad.policy_group = Attach::Nothing;
        bad.expires_at = None;
        bad.credential = linked.id.clone();
        let Err(Error::Invalid(errors)) = ann.approver(&id).unwrap().approve(&bad) else { panic!("accepted {name}") };
        let [error] = &errors[..] else { panic!("{errors:?}") };
        assert_eq!((error.field.as_ref(), &error.message), (operations, &format!("{rule}; not {name:?}")));
    }
    bad = Approval {
        allow_credential_operations: by_name(&["sts:GetSessionToken", "sts:AssumeRole", "sts:AssumeRole"]),
        expires_at: Some(fixture.clock.now().plus(DAY)),
        ..approval(&linked)
    };
    let good = ann.approver(&id).unwrap().approve(&bad).unwrap().request;
    assert_eq!(good.allow_credential_operations, ["sts:AssumeRole", "sts:GetSessionToken"]);
    let event = dora.history(&id).unwrap().pop().unwrap();
    assert_eq!(event.action, "access_request.approve");
    assert!(event.detail.unwrap().contains("; may call sts:AssumeRole, sts:GetSessionToken"));
    assert_eq!(good.expires_at, bad.expires_at);
}

#[test]
fn a_request_is_looked_at_whole() {
    let fixture = Fixture::furnished();
    let dora = fixture.person("dora", &[(Role::Developer, Some("dev")), (Role::Auditor, Some("prod"))]);
    let requester = dora.requester(&env("dev")).unwrap();
    let bad = NewAccessRequest { justification: " ".into(), ..wish(&["dynamo", "s4"], Some(Duration::ZERO)) };
    let Err(Error::Invalid(errors)) = requester.submit(&bad) else { panic!("accepted") };
    let fields: Vec<_> = errors.iter().map(|error| error.field.as_ref()).collect();
    assert_eq!(fields, ["services", "services", "justification", "duration"]);
    assert!(matches!(dora.requester(&env("prod")), Err(Error::Forbidden { .. })));
    assert!(matches!(dora.requester(&env("none")), Err(Error::NotFound(_))));
}

#[test]
fn access_ends_with_its_time() {
    let fixture = Fixture::furnished();
    let (dora, _, _, id) = approved(&fixture, Some(DAY));
    let key = dora.owner(&id).unwrap().reveal().unwrap().access_key_id;
    let end = fixture.clock.now().plus(DAY);
    assert_eq!(fixture.workflow.next_expiry().unwrap(), Some(end));
    assert_eq!(fixture.grant(&key).unwrap().grant.expires_at, Some(end));
    fixture.workflow.expire_due().unwrap();
    assert!(fixture.is_active(&key));
    fixture.clock.set(end);
    fixture.workflow.expire_due().unwrap();
    assert!(!fixture.is_active(&key));
    let request = dora.access_request(&id).unwrap().request;
    assert_eq!(request.status, Status::Expired);
    let last = dora.history(&id).unwrap().pop().unwrap();
    assert_eq!((last.action.as_str(), last.actor), ("access_request.expire", None));
    assert_eq!(fixture.workflow.next_expiry().unwrap(), None);
}

/// A secret that was never read must not come alive after its time, even if nobody has looked at the deadlines yet.
#[test]
fn a_secret_is_not_shown_after_its_time() {
    let fixture = Fixture::furnished();
    let (dora, others, _, id) = approved(&fixture, Some(DAY));
    fixture.advance(DAY);
    assert!(!dora.access_request(&id).unwrap().secret_available);
    assert!(matches!(dora.owner(&id).unwrap().reveal(), Err(Error::Conflict { status: Some(Status::Expired), .. })));
    drop((dora, others));
    assert_eq!(fixture.restarted().workflow.next_expiry().unwrap(), None);
}

#[test]
fn a_replaced_key_works_until_its_overlap_ends() {
    let fixture = Fixture::furnished();
    let (dora, _, _, id) = approved(&fixture, None);
    let owner = dora.owner(&id).unwrap();
    assert!(matches!(owner.rotate(MINUTE), Err(Error::Conflict { status: Some(Status::Approved), .. })));
    let first = owner.reveal().unwrap().access_key_id;
    assert!(matches!(owner.rotate(8 * DAY), Err(Error::Invalid(_))));
    let live = fixture.grant(&first).unwrap();
    let view = owner.rotate(MINUTE).unwrap();
    assert!(view.secret_available);
    assert_eq!(view.access_key_id.as_ref(), Some(&first));
    assert!(matches!(owner.rotate(MINUTE), Err(Error::Conflict { .. })));
    fixture.advance(DAY);
    fixture.workflow.expire_due().unwrap();
    assert!(fixture.is_active(&first), "while the new secret was not read the old key works");

    let second = owner.reveal().unwrap().access_key_id;
    assert_ne!(first, second);
    assert!(fixture.is_active(&first) && fixture.is_active(&second));
    assert!(!live.ended.is_set(), "a grant that goes on keeps its flag");
    let end = fixture.grant(&first).unwrap().grant.expires_at.unwrap();
    assert_eq!((end, fixture.workflow.next_expiry().unwrap()), (fixture.clock.now().plus(MINUTE), Some(end)));
    fixture.clock.set(end);
    fixture.workflow.expire_due().unwrap();
    assert!(!fixture.is_active(&first) && fixture.is_active(&second) && live.ended.is_set());

    // Never more than two: with a third, the one that was on its way out is out.
    fixture.advance(MINUTE);
    owner.rotate(DAY).unwrap();
    let third = owner.reveal().unwrap().access_key_id;
    owner.rotate(Duration::ZERO).unwrap();
    let fourth = owner.reveal().unwrap().access_key_id;
    assert_eq!([second, third, fourth].map(|key| fixture.is_active(&key)), [false, false, true]);
    fixture.advance(2 * DAY);
    fixture.workflow.expire_due().unwrap();
    let told = dora.history(&id).unwrap();
    assert_eq!(told.iter().filter(|event| event.action == "access_request.end_replaced_key").count(), 3);
}

#[test]
fn disabling_a_person_stops_their_keys_and_enabling_brings_them_back() {
    let fixture = Fixture::furnished();
    let (dora, ann, _, id) = approved(&fixture, None);
    let key = dora.owner(&id).unwrap().reveal().unwrap().access_key_id;
    let live = fixture.grant(&key).unwrap();
    let root = fixture.person("root", &[(Role::Admin, None)]);
    let administrator = root.administrator().unwrap();
    let set = |disabled| {
        administrator
            .change_user(&user("dora"), &UserChange { disabled: Some(disabled), ..UserChange::default() })
            .unwrap()
    };
    set(true);
    assert!(live.ended.is_set() && !fixture.is_active(&key));
    assert!(matches!(dora.requester(&env("dev")).unwrap().submit(&wish(&["sts"], None)), Err(Error::Unauthenticated)));
    set(false);
    assert!(fixture.is_active(&key));
    set(true);
    ann.approver(&id).unwrap().revoke(None).unwrap();
    set(false);
    assert!(!fixture.is_active(&key));
}

#[test]
fn a_replaced_credential_takes_effect_without_ending_anything() {
    let fixture = Fixture::furnished();
    let (dora, _, credential, id) = approved(&fixture, None);
    let key = dora.owner(&id).unwrap().reveal().unwrap().access_key_id;
    let live = fixture.grant(&key).unwrap();
    let root = fixture.person("root", &[(Role::Admin, None)]);
    let administrator = root.credential_administrator().unwrap();
    let change = CredentialChange {
        secret_access_key: Some(Secret::new("another")),
        session_token: Some(Secret::new("token")),
        ..CredentialChange::default()
    };
    administrator.change(&credential.id, &change).unwrap();
    let identity = keys(&fixture.grant(&key).unwrap());
    assert_eq!(identity.secret_access_key, Secret::new("another"));
    assert_eq!(identity.session_token, Some(Secret::new("token")));
    assert!(!live.ended.is_set());

    for conflict in [
        administrator.delete(&credential.id).unwrap_err(),
        administrator
            .change(&credential.id, &CredentialChange { environments: Some(vec![]), ..CredentialChange::default() })
            .unwrap_err(),
        root.environment_administrator(None).unwrap().delete(&env("dev")).unwrap_err(),
        root.environment_administrator(None)
            .unwrap()
            .change(&env("dev"), &EnvironmentChange { credentials: Some(vec![]), ..EnvironmentChange::default() })
            .unwrap_err(),
    ] {
        assert!(matches!(conflict, Error::Conflict { status: None, .. }), "{conflict:?}");
    }
    let key_alone = CredentialChange { access_key_id: Some("AKIA0000000000000000".into()), ..Default::default() };
    assert!(matches!(administrator.change(&credential.id, &key_alone), Err(Error::Invalid(_))));
    root.approver(&id).unwrap().archive(None).unwrap();
    administrator.delete(&credential.id).unwrap();
    root.environment_administrator(None).unwrap().delete(&env("dev")).unwrap();
    assert!(!fixture.is_active(&key) && fixture.grant(&key).is_some());
    let dora = root.administrator().unwrap().user(&user("dora")).unwrap();
    assert!(dora.roles.is_empty(), "what was given for an environment ends with it");
}

#[test]
fn accounts_of_an_environment_reach_the_data_plane() {
    let fixture = Fixture::furnished();
    let (dora, _, _, id) = approved(&fixture, None);
    let key = dora.owner(&id).unwrap().reveal().unwrap().access_key_id;
    let accounts = vec![crate::model::AccountId::new("123456789012").unwrap()];
    let root = fixture.person("root", &[(Role::Admin, None)]);
    let change = EnvironmentChange { accounts: Some(accounts.clone()), ..EnvironmentChange::default() };
    root.environment_administrator(Some(&env("dev"))).unwrap().change(&env("dev"), &change).unwrap();
    assert_eq!(fixture.grant(&key).unwrap().grant.accounts, accounts);
}

#[test]
fn there_is_always_an_administrator() {
    let fixture = Fixture::furnished();
    let root = fixture.person("root", &[(Role::Admin, None)]);
    fixture.person("otto", &[(Role::Admin, Some("dev"))]);
    let administrator = root.administrator().unwrap();
    let disable = UserChange { disabled: Some(true), ..UserChange::default() };
    let local = RoleAssignment { role: Role::Admin, environment: Some(env("dev")) };
    let demote = UserChange { roles: Some(vec![local]), ..UserChange::default() };
    for change in [&disable, &demote] {
        assert!(matches!(administrator.change_user(&user("root"), change), Err(Error::Conflict { .. })));
    }
    let nowhere = RoleAssignment { role: Role::Developer, environment: Some(env("none")) };
    let change = UserChange { roles: Some(vec![nowhere]), ..UserChange::default() };
    assert!(matches!(administrator.change_user(&user("otto"), &change), Err(Error::Invalid(_))));
    let promote = RoleAssignment { role: Role::Admin, environment: None };
    let change = UserChange { roles: Some(vec![promote]), ..UserChange::default() };
    administrator.change_user(&user("otto"), &change).unwrap();
    administrator.change_user(&user("root"), &disable).unwrap();
    assert!(matches!(administrator.change_user(&user("root"), &disable), Err(Error::Unauthenticated)));
}

/// Runs both at the same moment, and returns what came of it.
fn race<T: Send>(one: impl FnOnce() -> T + Send, other: impl FnOnce() -> T + Send) -> [T; 2] {
    let barrier = Barrier::new(2);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            barrier.wait();
            other()
        });
        barrier.wait();
        [one(), other.join().unwrap()]
    })
}

#[test]
fn of_two_at_once_one_wins() {
    let fixture = Fixture::furnished();
    let (dora, ann, credential, _) = approved(&fixture, None);
    let abe = fixture.person("abe", &[(Role::Approver, Some("dev"))]);
    for _ in 0..20 {
        let id = submit(&dora, "dev", None);
        let decisions =
            race(|| approve(&ann, &id, &credential).map(|_| ()), || abe.approver(&id).unwrap().deny(None).map(|_| ()));
        assert_eq!(decisions.iter().filter(|decision| decision.is_ok()).count(), 1);
        let status = dora.access_request(&id).unwrap().request.status;
        let lost = decisions.into_iter().find_map(Result::err).unwrap();
        assert!(matches!(lost, Error::Conflict { status: Some(now), .. } if now == status), "{lost:?}");

        let id = submit(&dora, "dev", None);
        let both = race(|| approve(&ann, &id, &credential).is_ok(), || approve(&abe, &id, &credential).is_ok());
        assert_eq!(both.iter().filter(|&&won| won).count(), 1);
        assert_eq!(dora.access_request(&id).unwrap().keys.len(), 1);
        let owner = dora.owner(&id).unwrap();
        let looks = race(|| owner.reveal(), || owner.reveal());
        assert_eq!(looks.iter().filter(|look| look.is_ok()).count(), 1);
        assert!(looks.iter().any(|look| matches!(look, Err(Error::Gone(_)))));
    }
}

#[test]
fn a_restart_keeps_everything() {
    let fixture = Fixture::furnished();
    fixture.workflow.save_authority(b"certificate", b"key").unwrap();
    let (dora, ann, _, id) = approved(&fixture, Some(DAY));
    let revealed = dora.owner(&id).unwrap().reveal().unwrap();
    let (_, token) = dora.create_api_token(&NewApiToken { name: "ci".into(), duration: None }).unwrap();
    let ended = submit(&dora, "dev", None);
    approve(&ann, &ended, &fixture.credential("2", &["dev"])).unwrap();
    let ended_key = dora.owner(&ended).unwrap().reveal().unwrap().access_key_id;
    ann.approver(&ended).unwrap().revoke(None).unwrap();
    drop((dora, ann));

    let fixture = fixture.restarted();
    let live = fixture.grant(&revealed.access_key_id).unwrap();
    assert!(fixture.is_active(&revealed.access_key_id));
    assert_eq!(live.grant.secret_access_key, revealed.secret_access_key);
    assert!(fixture.grant(&ended_key).is_some() && !fixture.is_active(&ended_key));
    let dora = fixture.workflow.caller(&token).unwrap();
    assert!(matches!(dora.owner(&id).unwrap().reveal(), Err(Error::Gone(_))));
    let authority = fixture.workflow.authority().unwrap().unwrap();
    assert_eq!((authority.certificate.as_slice(), authority.key.as_slice()), (&b"certificate"[..], &b"key"[..]));
    drop((dora, live));

    fixture.advance(DAY);
    let fixture = fixture.restarted();
    assert!(!fixture.is_active(&revealed.access_key_id), "what ran out while the appliance was off has ended");
}

/// Who can write the database but has no master key might put a credential's secret in another's place.
#[test]
fn a_sealed_secret_moved_to_another_record_is_refused() {
    let fixture = Fixture::furnished();
    let (dora, _, credential, id) = approved(&fixture, None);
    let key = dora.owner(&id).unwrap().reveal().unwrap().access_key_id;
    let other = fixture.credential("2", &["prod"]);
    let store = &fixture.workflow.0.store;
    store
        .transact::<_, store::Error>(|tx| {
            let mut mine = tx.find(&CREDENTIALS, &credential.id)?.unwrap();
            mine.secret_access_key = tx.find(&CREDENTIALS, &other.id)?.unwrap().secret_access_key;
            tx.put(&CREDENTIALS, &credential.id, &mine)
        })
        .unwrap();
    drop(dora);
    let fixture = fixture.restarted();
    let live = fixture.grant(&key).unwrap();
    assert!(live.grant.active && live.identity.is_none());
}

#[test]
fn lists_come_newest_first_page_by_page() {
    let fixture = Fixture::furnished();
    let dora = fixture.person("dora", &[(Role::Developer, None)]);
    let dan = fixture.person("dan", &[(Role::Developer, Some("dev"))]);
    let ann = fixture.person("ann", &[(Role::Approver, Some("dev"))]);
    let mut ids = Vec::new();
    for number in 0..7 {
        fixture.advance(MINUTE);
        let who = if number % 2 == 0 { &dora } else { &dan };
        ids.push(submit(who, "dev", None));
    }
    fixture.advance(MINUTE);
    submit(&dora, "prod", None);
    ids.reverse();
    let mut seen = Vec::new();
    let mut page = PageRequest { limit: 3, cursor: None };
    loop {
        let part = ann.environment_access_requests(&env("dev"), &RequestFilter::default(), &page).unwrap();
        assert!(part.items.len() <= 3);
        seen.extend(part.items.into_iter().map(|view| view.request.id));
        page.cursor = part.next_cursor;
        if page.cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, ids);
    let all = PageRequest::default();
    let count = |caller: &Caller, filter: RequestFilter| caller.access_requests(&filter, &all).unwrap().items.len();
    assert_eq!(count(&ann, RequestFilter::default()), 7);
    assert_eq!(count(&dan, RequestFilter::default()), 3);
    assert_eq!(count(&dora, RequestFilter::default()), 5);
    assert_eq!(count(&ann, RequestFilter { requested_by: Some(user("dora")), ..RequestFilter::default() }), 4);
    assert_eq!(count(&ann, RequestFilter { statuses: [Status::Active].into(), ..RequestFilter::default() }), 0);
    let bad = PageRequest { limit: 3, cursor: Some("../..".into()) };
    assert!(matches!(ann.access_requests(&RequestFilter::default(), &bad), Err(Error::Invalid(_))));
}

#[test]
fn the_trail_tells_what_people_did() {
    let fixture = Fixture::furnished();
    let (dora, _, _, id) = approved(&fixture, None);
    fixture.advance(MINUTE);
    let since = fixture.clock.now();
    dora.owner(&id).unwrap().reveal().unwrap();
    let eve = fixture.person("eve", &[(Role::Auditor, None)]);
    let auditor = eve.auditor(None).unwrap();
    let actions = |auditor: &Auditor<'_>, filter: &EventFilter| -> Vec<String> {
        let (mut found, mut page) = (Vec::new(), PageRequest { limit: 2, cursor: None });
        loop {
            let part = auditor.events(filter, &page).unwrap();
            found.extend(part.items.into_iter().map(|event| event.action));
            page.cursor = part.next_cursor;
            if page.cursor.is_none() {
                return found;
            }
        }
    };
    let all = actions(&auditor, &EventFilter::default());
    assert_eq!(all.first().unwrap(), "access_request.reveal");
    assert_eq!(all.last().unwrap(), "environment.create");
    let late = EventFilter { from: Some(since), ..EventFilter::default() };
    assert_eq!(actions(&auditor, &late), ["access_request.reveal"]);
    let early = EventFilter { to: Some(since), ..EventFilter::default() };
    assert_eq!(actions(&auditor, &early), all[1..]);
    let of_request = EventFilter { request: Some(id), ..EventFilter::default() };
    assert_eq!(actions(&auditor, &of_request).len(), 3);
    let of_ann = EventFilter { user: Some(user("ann")), ..EventFilter::default() };
    assert_eq!(actions(&auditor, &of_ann), ["access_request.approve"]);
    let local = fixture.person("lea", &[(Role::Auditor, Some("prod"))]);
    let local = local.auditor(Some(&env("prod"))).unwrap();
    assert_eq!(actions(&local, &EventFilter::default()), ["environment.create"]);
}

#[test]
fn a_failed_sign_in_leaves_a_trace_but_not_the_name_nobody_has() {
    let fixture = Fixture::new();
    fixture.workflow.set_up(&user("root"), &password("correct horse")).unwrap();
    sign_in(&fixture.workflow, "hunter2", &password("x")).unwrap_err();
    sign_in(&fixture.workflow, "root", &password("x")).unwrap_err();
    let eve = fixture.person("eve", &[(Role::Auditor, None)]);
    let events = eve.auditor(None).unwrap().events(&EventFilter::default(), &PageRequest::default()).unwrap();
    let refused: Vec<_> =
        events.items.iter().filter(|event| event.action == "session.refuse").map(|event| &event.subject).collect();
    assert_eq!(refused, ["root", "unknown user"]);
}
