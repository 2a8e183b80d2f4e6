//! The second factor, as its owner and as those who would get round it.

use std::time::Duration;

use super::{super::fixture::*, *};
use crate::{
    model::{Permission, Role, RoleAssignment},
    workflow::{ApiToken, Begun, NewApiToken, NewUser, Origin, UserChange, Workflow},
};

const STEP: Duration = Duration::from_secs(30);

fn secret(text: &str) -> Secret {
    Secret::new(text)
}

/// Dora with a second factor, root without.
struct Guarded {
    fixture: Fixture,
    root: Caller,
    key: Secret,
    recovery: Vec<Secret>,
    dora: Caller,
}

impl Guarded {
    fn new() -> Self {
        let fixture = Fixture::new();
        let workflow = &fixture.workflow;
        let root = workflow.set_up(&user("root"), &secret("correct horse")).unwrap();
        let root = workflow.caller(&root.token).unwrap();
        let roles = vec![RoleAssignment { role: Role::Auditor, environment: None }];
        let dora = NewUser { name: user("dora"), password: secret("battery staple"), roles, disabled: false };
        root.administrator().unwrap().create_user(&dora).unwrap();
        let token = sign_in(workflow, "battery staple", None).unwrap().token;
        let dora = workflow.caller(&token).unwrap();
        let key = dora.begin_second_factor(&secret("battery staple")).unwrap().key;
        let (recovery, signed_in) = dora.confirm_second_factor(&totp::code(&key, workflow.clock().now())).unwrap();
        let dora = workflow.caller(&signed_in.token).unwrap();
        fixture.advance(STEP);
        Self { fixture, root, key, recovery, dora }
    }

    fn code(&self) -> Secret {
        totp::code(&self.key, self.fixture.clock.now())
    }

    fn sign_in(&self, password: &str, code: Option<&Secret>) -> Result<SignedIn, Error> {
        sign_in(&self.fixture.workflow, password, code)
    }

    fn half(&self) -> Secret {
        match self.fixture.workflow.begin_sign_in("dora", &secret("battery staple"), &Origin::default()).unwrap() {
            Begun::Half(half) => half.secret,
            Begun::Whole(_) => panic!("no code was asked for"),
        }
    }

    fn finish(&self, half: &Secret, code: &Secret) -> Result<SignedIn, Error> {
        self.fixture.workflow.finish_sign_in(half, code, &Origin::default())
    }
}

fn sign_in(workflow: &Workflow, password: &str, code: Option<&Secret>) -> Result<SignedIn, Error> {
    workflow.sign_in("dora", &secret(password), code, &Origin::default())
}

#[test]
fn the_password_alone_no_longer_signs_in_and_a_code_works_once() {
    let guarded = Guarded::new();
    assert!(matches!(guarded.sign_in("battery staple", None), Err(Error::SecondFactorRequired)));
    let code = guarded.code();
    guarded.sign_in("battery staple", Some(&code)).unwrap();
    assert!(matches!(guarded.sign_in("battery staple", Some(&code)), Err(Error::Unauthenticated)), "replayed");
    guarded.fixture.advance(STEP);
    assert!(matches!(guarded.sign_in("battery staple", Some(&code)), Err(Error::Unauthenticated)), "replayed late");
    let half = guarded.half();
    let spaced = secret(&format!(" {} ", guarded.code().expose()));
    guarded.finish(&half, &spaced).unwrap();
    assert!(matches!(guarded.finish(&half, &guarded.recovery[0]), Err(Error::Unauthenticated)), "the half is used up");
}

/// Whoever has no password learns nothing from what a code is answered, and the right code is not spent.
#[test]
fn a_wrong_password_and_a_wrong_code_are_answered_alike() {
    let guarded = Guarded::new();
    let code = guarded.code();
    for (password, code) in [
        ("wrong", Some(&code)),
        ("wrong", None),
        ("battery staple", Some(&secret("000000"))),
        ("battery staple", Some(&secret(""))),
        ("battery staple", Some(&secret(&"9".repeat(1000)))),
    ] {
        assert!(matches!(guarded.sign_in(password, code), Err(Error::Unauthenticated)), "{password} {code:?}");
    }
    guarded.sign_in("battery staple", Some(&code)).unwrap();
}

#[test]
fn a_recovery_code_works_once() {
    let guarded = Guarded::new();
    assert_eq!(guarded.recovery.len(), 10);
    guarded.sign_in("battery staple", Some(&guarded.recovery[3])).unwrap();
    assert!(matches!(guarded.sign_in("battery staple", Some(&guarded.recovery[3])), Err(Error::Unauthenticated)));
    guarded.finish(&guarded.half(), &guarded.recovery[4]).unwrap();
    let view = guarded.dora.second_factor().unwrap().unwrap();
    assert_eq!(view.recovery_codes_left, 8);
}

#[test]
fn two_at_once_with_one_code_are_one_sign_in() {
    let guarded = Guarded::new();
    for code in [guarded.code(), guarded.recovery[0].clone()] {
        let (one, other) = (guarded.half(), guarded.half());
        let signed_in = std::thread::scope(|scope| {
            let tries = [one, other].map(|half| {
                scope.spawn({
                    let (guarded, code) = (&guarded, &code);
                    move || guarded.finish(&half, code).is_ok()
                })
            });
            tries.map(|thread| thread.join().unwrap()).into_iter().filter(|&done| done).count()
        });
        assert_eq!(signed_in, 1);
    }
}

#[test]
fn a_half_session_is_good_for_nothing_else_and_not_for_long() {
    let guarded = Guarded::new();
    let workflow = &guarded.fixture.workflow;
    let half = guarded.half();
    assert!(matches!(workflow.caller(&half), Err(Error::Unauthenticated)));
    assert!(workflow.waits_for_code(&half));
    assert!(!workflow.waits_for_code(&secret("csg_half_other")));
    guarded.fixture.advance(Duration::from_mins(5));
    assert!(!workflow.waits_for_code(&half));
    assert!(matches!(guarded.finish(&half, &guarded.code()), Err(Error::Unauthenticated)));

    let half = guarded.half();
    for _ in 0..4 {
        assert!(matches!(guarded.finish(&half, &secret("000000")), Err(Error::Invalid(_))));
    }
    assert!(matches!(guarded.finish(&half, &secret("000000")), Err(Error::Unauthenticated)));
    assert!(matches!(guarded.finish(&half, &guarded.code()), Err(Error::Unauthenticated)), "five were tried");
    // A new half session gives no new tries: the code is slowed down whatever the password.
    assert!(matches!(guarded.finish(&guarded.half(), &guarded.code()), Err(Error::Throttled { .. })));
    assert!(matches!(guarded.sign_in("battery staple", Some(&guarded.code())), Err(Error::Throttled { .. })));
    guarded.fixture.advance(STEP);
    guarded.sign_in("battery staple", Some(&guarded.code())).unwrap();
}

#[test]
fn a_half_session_ends_with_what_it_rests_on() {
    let guarded = Guarded::new();
    let half = guarded.half();
    let administrator = guarded.root.administrator().unwrap();
    let change = UserChange { password: Some(secret("other battery")), ..UserChange::default() };
    administrator.change_user(&user("dora"), &change).unwrap();
    assert!(guarded.finish(&half, &guarded.code()).is_err());
    let change = UserChange { disabled: Some(true), ..UserChange::default() };
    administrator.change_user(&user("dora"), &change).unwrap();
    assert!(matches!(guarded.sign_in("other battery", Some(&guarded.code())), Err(Error::Unauthenticated)));
}

#[test]
fn it_takes_a_password_to_begin_and_a_code_to_count() {
    let fixture = Fixture::new();
    let workflow = &fixture.workflow;
    let before = workflow.set_up(&user("root"), &secret("correct horse")).unwrap();
    let elsewhere = workflow.sign_in("root", &secret("correct horse"), None, &Origin::default()).unwrap().token;
    let root = workflow.caller(&before.token).unwrap();
    let code = |key: &Secret| totp::code(key, fixture.clock.now());
    assert!(matches!(root.confirm_second_factor(&secret("000000")), Err(Error::Conflict { .. })), "nothing was begun");
    assert!(matches!(root.begin_second_factor(&secret("wrong")), Err(Error::Invalid(_))));
    let first = root.begin_second_factor(&secret("correct horse")).unwrap().key;
    workflow.sign_in("root", &secret("correct horse"), None, &Origin::default()).unwrap();
    assert!(root.second_factor().unwrap().is_none(), "it does not count yet");
    let second = root.begin_second_factor(&secret("correct horse")).unwrap();
    assert!(second.address.expose().contains(second.key.expose()) && second.key != first);
    assert!(matches!(root.confirm_second_factor(&code(&first)), Err(Error::Invalid(_))), "another key has come");
    fixture.advance(Duration::from_mins(15));
    assert!(matches!(root.confirm_second_factor(&code(&second.key)), Err(Error::Conflict { .. })), "too late");
    let key = root.begin_second_factor(&secret("correct horse")).unwrap().key;
    let (_, after) = root.confirm_second_factor(&code(&key)).unwrap();

    assert!(after.user.second_factor);
    for ended in [&before.token, &elsewhere] {
        assert!(matches!(workflow.caller(ended), Err(Error::Unauthenticated)), "began without a code");
    }
    let root = workflow.caller(&after.token).unwrap();
    assert!(matches!(root.begin_second_factor(&secret("correct horse")), Err(Error::Conflict { .. })));
    let file = std::fs::read(fixture.directory.path().join("csg.redb")).unwrap();
    for secret in [key.expose(), after.token.expose()] {
        assert!(!file.windows(secret.len()).any(|window| window == secret.as_bytes()), "in the file");
    }
}

#[test]
fn turning_it_off_takes_password_and_code() {
    let guarded = Guarded::new();
    let dora = &guarded.dora;
    assert!(matches!(dora.disable_second_factor(&secret("wrong"), &guarded.code()), Err(Error::Invalid(_))));
    let wrong = dora.disable_second_factor(&secret("battery staple"), &secret("000000"));
    assert!(matches!(wrong, Err(Error::Invalid(_))));
    dora.disable_second_factor(&secret("battery staple"), &guarded.code()).unwrap();
    assert!(dora.sign_out().is_ok() && dora.sessions().unwrap().len() == 1, "the token that was known is void");
    guarded.sign_in("battery staple", None).unwrap();
}

#[test]
fn an_administrator_helps_who_has_lost_it_but_not_themselves() {
    let guarded = Guarded::new();
    let (_, program) = guarded.dora.create_api_token(&NewApiToken { name: "ci".into(), duration: None }).unwrap();
    let administrator = guarded.root.administrator().unwrap();
    assert!(matches!(administrator.reset_second_factor(&user("root")), Err(Error::NotAllowed(_))));
    assert!(matches!(administrator.reset_second_factor(&user("nobody")), Err(Error::NotFound(_))));
    assert!(guarded.dora.administrator().is_err());
    administrator.reset_second_factor(&user("dora")).unwrap();
    assert!(matches!(administrator.reset_second_factor(&user("dora")), Err(Error::Conflict { .. })));
    assert!(guarded.dora.sessions().unwrap().is_empty());
    let workflow = &guarded.fixture.workflow;
    workflow.caller(&program).unwrap();
    guarded.sign_in("battery staple", None).unwrap();
    assert!(workflow.caller(&program).unwrap().user().may(Permission::AuditRead, None));
}

#[test]
fn an_api_token_needs_no_code_and_can_change_nothing_of_it() {
    let guarded = Guarded::new();
    let (ApiToken { .. }, token) =
        guarded.dora.create_api_token(&NewApiToken { name: "ci".into(), duration: None }).unwrap();
    let program = guarded.fixture.workflow.caller(&token).unwrap();
    let password = secret("battery staple");
    assert!(matches!(program.disable_second_factor(&password, &guarded.code()), Err(Error::NotAllowed(_))));
    assert!(matches!(program.begin_second_factor(&password), Err(Error::NotAllowed(_))));
    assert!(matches!(program.confirm_second_factor(&guarded.code()), Err(Error::NotAllowed(_))));
    assert!(matches!(program.change_password(&password, &secret("other battery")), Err(Error::NotAllowed(_))));
}

#[test]
fn it_survives_a_restart_and_works_in_its_own_place_only() {
    let guarded = Guarded::new();
    let code = guarded.code();
    guarded.sign_in("battery staple", Some(&code)).unwrap();
    let Guarded { fixture, root, recovery, key, dora } = guarded;
    drop((root, dora));
    let fixture = fixture.restarted();
    let workflow = &fixture.workflow;
    assert!(matches!(sign_in(workflow, "battery staple", Some(&code)), Err(Error::Unauthenticated)), "used before");
    sign_in(workflow, "battery staple", Some(&recovery[0])).unwrap();
    fixture.advance(STEP);
    sign_in(workflow, "battery staple", Some(&totp::code(&key, fixture.clock.now()))).unwrap();
    fixture.advance(STEP);
    // Whoever can write to the file but has not the master key puts another person's record in her place.
    let moved = workflow.commit(None, |tx| {
        let record = tx.writer.find(&SECOND_FACTORS, &user("dora"))?.unwrap();
        let mut root = tx.writer.find(&USERS, &user("root"))?.unwrap();
        root.user.second_factor = true;
        tx.writer.put(&USERS, &user("root"), &root)?;
        Ok(tx.writer.put(&SECOND_FACTORS, &user("root"), &record)?)
    });
    moved.unwrap();
    let code = totp::code(&key, fixture.clock.now());
    let stolen = workflow.sign_in("root", &secret("correct horse"), Some(&code), &Origin::default());
    assert!(matches!(stolen, Err(Error::Storage(_))), "{stolen:?}");
}
