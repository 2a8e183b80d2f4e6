//! Credentials that are roles: what AWS and common sense demand of them, and who stands on whom.

use super::{Error, Transaction, error::Checks, transaction::Touched};
use crate::{
    model::{AssumedRole, CloudId, Credential, CredentialId, Keys},
    store::{Order, Read, Span, tables::credentials::CREDENTIALS},
};

/// As AWS has it where nothing is said, in seconds.
pub const USUAL_SESSION: u32 = 60 * 60;

/// So many roles may stand one on another: each costs the first call a question to AWS.
pub(super) const LONGEST_CHAIN: usize = 4;

/// `DurationSeconds` of `sts:AssumeRole`: as long as the role itself allows, and an hour where a role assumes it.
const SHORTEST_SESSION: u32 = 15 * 60;
const LONGEST_SESSION: u32 = 12 * 60 * 60;
const LONGEST_CHAINED_SESSION: u32 = 60 * 60;

/// What can be said of a role by itself.
pub(super) fn check(checks: &mut Checks, role: &AssumedRole) {
    let span = (SHORTEST_SESSION..=LONGEST_SESSION).contains(&role.session_seconds);
    checks.require(span, "session_duration", "must be 15m to 12h");
    // The form that the STS API documents.
    let external = role.external_id.as_deref().is_none_or(|id| {
        (2..=1224).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&b))
    });
    checks.require(external, "external_id", "must be 2 to 1224 letters, digits, or any of _ + = , . @ : / -");
}

/// A role, for the trail.
pub(super) fn told(role: &AssumedRole) -> String {
    let AssumedRole { role_arn, source_credential, external_id, session_seconds } = role;
    let external = external_id.as_ref().map_or_else(String::new, |id| format!(", external id {id}"));
    format!("role {role_arn}, assumed with {source_credential} for {session_seconds} s{external}")
}

/// All that is demanded of a role.
pub(super) fn check_whole(
    read: &impl Read,
    cloud: &CloudId,
    own: Option<&CredentialId>,
    role: &AssumedRole,
) -> Result<(), Error> {
    let mut checks = Checks::default();
    check(&mut checks, role);
    checks.done()?;
    check_source(read, cloud, own, role)
}

/// What has to be so in the state, too: its source is there, of the same cloud, and leads to a key.
pub(super) fn check_source(
    read: &impl Read,
    cloud: &CloudId,
    own: Option<&CredentialId>,
    role: &AssumedRole,
) -> Result<(), Error> {
    let mut checks = Checks::default();
    let mut hop = Some(role.source_credential.clone());
    let mut roles = 1;
    while let Some(id) = hop.take() {
        if Some(&id) == own {
            checks.require(false, "source_credential", "must not lead back to this credential");
            break;
        }
        let found = read.find(&CREDENTIALS, &id)?.filter(|record| record.credential.cloud == *cloud);
        let Some(record) = found else {
            let message = format!("must not name {id}: there is no such credential for {cloud}");
            checks.require(false, "source_credential", message);
            break;
        };
        if let Keys::Role(next) = record.credential.keys {
            roles += 1;
            hop = Some(next.source_credential).filter(|_| roles <= LONGEST_CHAIN);
        }
    }
    // Those that stand on this one, too.
    let above = own.map(|id| floors(read, id)).transpose()?.map_or(0, |floors| floors.len());
    let message = format!("must not stand on so many roles: {LONGEST_CHAIN} in a row are the most");
    checks.require(roles + above <= LONGEST_CHAIN, "source_credential", message);
    let fits = roles == 1 || role.session_seconds <= LONGEST_CHAINED_SESSION;
    checks.require(
        fits,
        "session_duration",
        "must be 1h at most: AWS gives no more to a role that is assumed by a role",
    );
    checks.done()
}

/// The credentials whose role is assumed with `id`, the oldest first.
pub(super) fn standing_on(read: &impl Read, id: &CredentialId) -> Result<Vec<Credential>, Error> {
    let all = read.all(&CREDENTIALS, &Span::all(), Order::Ascending)?;
    let own = all.into_iter().map(|(_, record)| record.credential);
    Ok(own.filter(|other| other.keys.role().is_some_and(|role| role.source_credential == *id)).collect())
}

/// All that stands on `id`: first what is assumed with it, then what is assumed with that, and so on. The credentials are
/// read once: hundreds of accounts may stand on one key.
fn floors(read: &impl Read, id: &CredentialId) -> Result<Vec<Vec<CredentialId>>, Error> {
    let all = read.all(&CREDENTIALS, &Span::all(), Order::Ascending)?.into_iter();
    let source = |keys: Keys| keys.role().map(|role| role.source_credential.clone());
    let mut left: Vec<_> = all.filter_map(|(id, record)| Some((id, source(record.credential.keys)?))).collect();
    let (mut floors, mut below) = (Vec::new(), vec![id.clone()]);
    loop {
        let (next, others): (Vec<_>, Vec<_>) = left.into_iter().partition(|(_, source)| below.contains(source));
        if next.is_empty() {
            return Ok(floors);
        }
        (left, below) = (others, next.into_iter().map(|(id, _)| id).collect());
        floors.push(below.clone());
    }
}

/// The grants of all that stands on `id` are to be made anew, and its own.
pub(super) fn touch(tx: &mut Transaction<'_>, id: &CredentialId) -> Result<(), Error> {
    let above = floors(tx.writer, id)?.into_iter().flatten();
    tx.touched.extend([id.clone()].into_iter().chain(above).map(Touched::Credential));
    Ok(())
}

/// A key that roles are assumed with must not go.
pub(super) fn refuse_if_source(tx: &Transaction<'_>, id: &CredentialId) -> Result<(), Error> {
    match standing_on(tx.writer, id)?.as_slice() {
        [] => Ok(()),
        [first, ..] => Err(Error::conflict(format!(
            "the role of the credential {} ({}) is assumed with it: delete that first, or give it another source",
            first.name, first.id
        ))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use crate::{
        model::{
            AccessKeyId, AccountId, AssumedRole, Credential, CredentialId, IdentitySource, Principal, Role, RoleArn,
            RoleSession,
        },
        secret::Secret,
        store::{Order, Read as _, Span, tables::events::EVENTS},
        workflow::{
            Caller, CredentialChange, Error, NewCredential, NewKeys,
            fixture::{Fixture, approve, env, submit},
        },
    };

    fn role(source: &CredentialId) -> AssumedRole {
        AssumedRole {
            role_arn: RoleArn::new("arn:aws:iam::123456789012:role/gateway").unwrap(),
            source_credential: source.clone(),
            external_id: Some("ours".into()),
            session_seconds: 3600,
        }
    }

    fn add(root: &Caller, role: AssumedRole) -> Result<Credential, Error> {
        let cloud = crate::model::CloudId::aws();
        let new =
            NewCredential { name: "a role".into(), cloud, keys: NewKeys::Role(role), environments: vec![env("dev")] };
        root.credential_administrator().unwrap().create(&new)
    }

    fn change(root: &Caller, id: &CredentialId, change: &CredentialChange) -> Result<Credential, Error> {
        root.credential_administrator().unwrap().change(id, change)
    }

    fn to(source: &CredentialId) -> CredentialChange {
        CredentialChange { source_credential: Some(source.clone()), ..CredentialChange::default() }
    }

    /// What the error says of its first field.
    fn wrong<T: std::fmt::Debug>(outcome: Result<T, Error>) -> String {
        let Error::Invalid(fields) = outcome.unwrap_err() else { panic!("another error") };
        format!("{} {}", fields[0].field, fields[0].message)
    }

    fn session(fixture: &Fixture, key: &AccessKeyId) -> Arc<RoleSession> {
        match fixture.grant(key).unwrap().identity.clone().unwrap() {
            IdentitySource::Role(session) => session,
            IdentitySource::Keys(keys) => panic!("{keys:?}"),
        }
    }

    fn secret_at_the_bottom(session: &RoleSession) -> String {
        match &session.source {
            IdentitySource::Keys(keys) => keys.secret_access_key.expose().to_owned(),
            IdentitySource::Role(source) => secret_at_the_bottom(source),
        }
    }

    #[test]
    fn calls_are_made_in_a_session_of_their_own_that_follows_every_change_below_it() {
        let fixture = Fixture::furnished();
        let root = fixture.person("root", &[(Role::Admin, None)]);
        let source = fixture.credential("1", &[]);
        let first = add(&root, role(&source.id)).unwrap();
        let second = add(&root, role(&first.id)).unwrap();
        let ann = fixture.person("ann", &[(Role::Approver, None)]);
        let [dora, dan] = ["dora", "dan"].map(|name| {
            let person = fixture.person(name, &[(Role::Developer, Some("dev"))]);
            let id = submit(&person, "dev", None);
            approve(&ann, &id, &second).unwrap();
            person.owner(&id).unwrap().reveal().unwrap().access_key_id
        });
        let before = [&dora, &dan].map(|key| session(&fixture, key));
        assert_eq!([&before[0].name, &before[1].name], ["dora", "dan"]);
        assert_ne!(before[0].fingerprint(), before[1].fingerprint());
        assert_eq!(secret_at_the_bottom(&before[0]), "secret-of-1");
        let live = fixture.grant(&dora).unwrap();

        let secret =
            CredentialChange { secret_access_key: Some(Secret::new("another")), ..CredentialChange::default() };
        change(&root, &source.id, &secret).unwrap();
        let after = session(&fixture, &dora);
        assert_eq!(secret_at_the_bottom(&after), "another");
        assert_eq!([&after.name, &session(&fixture, &dan).name], ["dora", "dan"]);
        assert_ne!(after.fingerprint(), before[0].fingerprint(), "a session of the key before is not used any more");
        let narrower = CredentialChange { session_seconds: Some(900), ..CredentialChange::default() };
        change(&root, &first.id, &narrower).unwrap();
        let IdentitySource::Role(below) = &session(&fixture, &dora).source else { panic!() };
        assert_eq!((below.role.session_seconds, below.name.as_str()), (900, "dora"));
        assert!(!live.ended.is_set());
        // Who audits sees what became of it.
        let newest = fixture.workflow.read().unwrap().first(&EVENTS, &Span::all(), Order::Descending).unwrap();
        let expected = format!(
            "a role: role arn:aws:iam::123456789012:role/gateway, assumed with {} for 900 s, external id ours",
            source.id
        );
        assert_eq!(newest.unwrap().1.detail, Some(expected));

        let conflict = root.credential_administrator().unwrap().delete(&source.id).unwrap_err().to_string();
        let expected = format!(
            "the role of the credential a role ({}) is assumed with it: delete that first, or give it another source",
            first.id
        );
        assert_eq!(conflict, expected);
        drop((root, ann));
        let fixture = fixture.restarted();
        assert_eq!(session(&fixture, &dan).role, role(&first.id));
    }

    #[test]
    fn nothing_stands_on_itself_or_on_nothing() {
        let fixture = Fixture::furnished();
        let root = fixture.person("root", &[(Role::Admin, None)]);
        let (source, other) = (fixture.credential("1", &[]), fixture.credential("2", &[]));
        let nobody = CredentialId::new("nobody").unwrap();
        let said = wrong(add(&root, role(&nobody)));
        assert_eq!(said, "source_credential must not name nobody: there is no such credential for aws");

        let mut chain = vec![add(&root, role(&source.id)).unwrap().id];
        while chain.len() < super::LONGEST_CHAIN {
            chain.push(add(&root, role(chain.last().unwrap())).unwrap().id);
        }
        let said = wrong(add(&root, role(chain.last().unwrap())));
        assert_eq!(said, "source_credential must not stand on so many roles: 4 in a row are the most");
        for id in &chain {
            let said = wrong(change(&root, &chain[0], &to(id)));
            assert_eq!(said, "source_credential must not lead back to this credential");
        }
        // Three stand on it already.
        let apart = add(&root, role(&other.id)).unwrap().id;
        let said = wrong(change(&root, &chain[0], &to(&apart)));
        assert_eq!(said, "source_credential must not stand on so many roles: 4 in a row are the most");
        change(&root, &chain[0], &to(&other.id)).unwrap();

        let long = |seconds, source| wrong(add(&root, AssumedRole { session_seconds: seconds, ..role(source) }));
        assert_eq!(long(899, &other.id), "session_duration must be 15m to 12h");
        assert_eq!(long(43_201, &other.id), "session_duration must be 15m to 12h");
        let hour = "session_duration must be 1h at most: AWS gives no more to a role that is assumed by a role";
        assert_eq!(long(3601, &apart), hour);
        assert!(add(&root, AssumedRole { session_seconds: 43_200, ..role(&other.id) }).is_ok());
        let external = wrong(add(&root, AssumedRole { external_id: Some("a b".into()), ..role(&other.id) }));
        assert!(external.starts_with("external_id must be 2 to 1224"), "{external}");
    }

    /// Each change alone is a good one.
    #[test]
    fn two_at_a_time_make_no_ring() {
        let fixture = Fixture::furnished();
        let root = fixture.person("root", &[(Role::Admin, None)]);
        let source = fixture.credential("1", &[]).id;
        let [one, other] = [(); 2].map(|()| add(&root, role(&source)).unwrap().id);
        for _ in 0..5 {
            let outcomes = std::thread::scope(|scope| {
                let turned = [(&one, &other), (&other, &one)];
                let turning = turned.map(|(id, next)| scope.spawn(|| change(&root, id, &to(next))));
                turning.map(|turn| turn.join().unwrap())
            });
            assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
            for id in [&one, &other] {
                change(&root, id, &to(&source)).unwrap();
            }
        }
    }

    /// Hundreds of accounts may stand on one key.
    #[test]
    fn what_stands_on_a_credential_is_found_floor_by_floor() {
        let fixture = Fixture::furnished();
        let root = fixture.person("root", &[(Role::Admin, None)]);
        let (source, apart) = (fixture.credential("1", &[]).id, fixture.credential("2", &[]).id);
        let (first, aside) = (add(&root, role(&source)).unwrap().id, add(&root, role(&source)).unwrap().id);
        let second = add(&root, role(&first)).unwrap().id;
        add(&root, role(&apart)).unwrap();
        let floors = |id| super::floors(&fixture.workflow.read().unwrap(), id).unwrap();
        // Of one moment, in whatever order.
        let mut assumed = vec![first.clone(), aside];
        assumed.sort();
        assert_eq!(floors(&source), [assumed, vec![second.clone()]]);
        assert_eq!(floors(&first), [vec![second.clone()]]);
        assert!(floors(&second).is_empty());
    }

    #[test]
    fn a_key_has_no_role_and_a_role_no_key() {
        let fixture = Fixture::furnished();
        let root = fixture.person("root", &[(Role::Admin, None)]);
        let key = fixture.credential("1", &[]).id;
        let assumed = add(&root, role(&key)).unwrap().id;
        let secret = CredentialChange { secret_access_key: Some(Secret::new("x")), ..CredentialChange::default() };
        let said = wrong(change(&root, &assumed, &secret));
        assert_eq!(said, "secret_access_key must not be given: the gateway assumes a role for this credential");
        let said = wrong(change(&root, &key, &to(&assumed)));
        assert_eq!(said, "source_credential must not be given: this credential is a key");
        let nothing = CredentialChange { external_id: Some(None), ..CredentialChange::default() };
        let changed = change(&root, &assumed, &nothing).unwrap();
        assert_eq!(changed.keys.role().unwrap().external_id, None);
    }

    #[test]
    fn a_role_is_tried_with_the_very_session_that_calls_would_have() {
        let fixture = Fixture::furnished();
        let root = fixture.person("root", &[(Role::Admin, None)]);
        let source = fixture.credential("1", &[]).id;
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        fixture.workflow.check_with(Arc::new(move |identity| {
            let IdentitySource::Role(session) = identity else { panic!("{identity:?}") };
            let account = session.role.role_arn.account().unwrap();
            let arn =
                format!("arn:aws:sts::{account}:assumed-role/{}/{}", session.role.role_arn.role_name(), session.name);
            seen.lock().unwrap().push(format!("{arn} with {}", secret_at_the_bottom(session)));
            Ok(Principal { account, arn, user_id: "AROAX:root".into() })
        }));
        let administrator = root.credential_administrator().unwrap();
        let new = NewCredential {
            name: "a role".into(),
            cloud: crate::model::CloudId::aws(),
            keys: NewKeys::Role(role(&source)),
            environments: vec![],
        };
        let made = administrator.create_checked(&new).unwrap();
        assert_eq!(made.checked.as_ref().unwrap().principal.account, AccountId::new("123456789012").unwrap());
        assert!(administrator.test(&made.id).unwrap().checked.is_some());
        let elsewhere = RoleArn::new("arn:aws:iam::210987654321:role/gateway").unwrap();
        let moved = CredentialChange { role_arn: Some(elsewhere), ..CredentialChange::default() };
        assert!(matches!(administrator.change_checked(&made.id, &moved), Err(Error::OtherAccount { .. })));
        // Without asking, it is not known whose it is.
        assert_eq!(change(&root, &made.id, &moved).unwrap().checked, None);
        let ours = "arn:aws:sts::123456789012:assumed-role/gateway/root with secret-of-1";
        let theirs = "arn:aws:sts::210987654321:assumed-role/gateway/root with secret-of-1";
        assert_eq!(*asked.lock().unwrap(), [ours, ours, theirs]);
        let wrong = NewCredential { keys: NewKeys::Role(role(&CredentialId::new("nobody").unwrap())), ..new };
        assert!(matches!(administrator.create_checked(&wrong), Err(Error::Invalid(_))));
        let on_nobody = to(&CredentialId::new("nobody").unwrap());
        assert!(matches!(administrator.change_checked(&made.id, &on_nobody), Err(Error::Invalid(_))));
        assert_eq!(asked.lock().unwrap().len(), 3, "nobody is asked about what can't be");
    }
}
