//! `sts:AssumeRole`: the keys of a role, for a while.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use roxmltree::Node;

use super::{Sts, child, is_name, text_of};
use crate::{
    clock::Timestamp,
    cloud::CheckError,
    model::{CloudIdentity, RoleSession},
    secret::Secret,
};

/// As long as any token that may be kept.
const LONGEST_TOKEN: usize = 16 * 1024;

/// No session that AWS gives is as short as this: one that seems so is told by another clock than this machine's, and would
/// have AWS asked again and again.
pub const SHORTEST: Duration = Duration::from_mins(1);

/// The keys of a role, and their end.
#[derive(Debug)]
pub struct Assumed {
    /// The keys.
    pub identity: CloudIdentity,
    /// When they work no more, as this machine's clock has it.
    pub expires_at: Timestamp,
}

/// The question, signed by who may assume the role.
pub fn request(
    sts: &Sts,
    session: &RoleSession,
    source: &CloudIdentity,
    now: Timestamp,
) -> Result<Request<Bytes>, CheckError> {
    let RoleSession { role, name, .. } = session;
    let seconds = role.session_seconds.to_string();
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("Action", "AssumeRole").append_pair("Version", "2011-06-15");
    form.append_pair("RoleArn", role.role_arn.as_str()).append_pair("RoleSessionName", name);
    form.append_pair("DurationSeconds", &seconds);
    if let Some(id) = &role.external_id {
        form.append_pair("ExternalId", id);
    }
    sts.question(source, form.finish(), now)
}

/// The keys that the answer, which came at `now`, gives for `session`.
pub fn read(sts: &Sts, session: &RoleSession, answer: &Response<Bytes>, now: Timestamp) -> Result<Assumed, CheckError> {
    let assumed = sts.read(answer, "AssumeRole", |result| assumed(result, session, now))?;
    if assumed.expires_at <= now.plus(SHORTEST) {
        return Err(sts.garbled("its keys end at once: look at this machine's clock"));
    }
    Ok(assumed)
}

fn assumed(result: Node<'_, '_>, session: &RoleSession, now: Timestamp) -> Option<Assumed> {
    let role = &session.role.role_arn;
    let account = role.account()?;
    let arn = text_of(child(result, "AssumedRoleUser")?, "Arn")?;
    let (partition, name) = (role.partition(), role.role_name());
    if arn != format!("arn:{partition}:sts::{account}:assumed-role/{name}/{}", session.name) {
        return None;
    }
    let keys = child(result, "Credentials")?;
    let key = text_of(keys, "AccessKeyId").filter(|key| {
        (16..=128).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })?;
    let secret = text_of(keys, "SecretAccessKey").filter(|secret| is_name(secret))?;
    let token = text_of(keys, "SessionToken").filter(|token| {
        (1..=LONGEST_TOKEN).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic())
    })?;
    let end = Timestamp::parse_rfc3339(text_of(keys, "Expiration")?).ok()?;
    // If this machine's clock is behind AWS's, they are not believed to last longer than was asked for.
    let asked = now.plus(Duration::from_secs(session.role.session_seconds.into()));
    Some(Assumed {
        identity: CloudIdentity {
            access_key_id: key.to_owned(),
            secret_access_key: Secret::new(secret),
            session_token: Some(Secret::new(token)),
        },
        expires_at: end.min(asked),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{AssumedRole, CredentialId, IdentitySource, RoleArn, UserName};

    /// The example of the STS API's documentation, with this test's names.
    const GOOD: &str = r#"<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
        <AssumeRoleResult>
          <AssumedRoleUser>
            <AssumedRoleId>ARO123EXAMPLE123:dora</AssumedRoleId>
            <Arn>arn:aws:sts::123456789012:assumed-role/gateway/dora</Arn>
          </AssumedRoleUser>
          <Credentials>
            <AccessKeyId>ASIAIOSFODNN7EXAMPLE</AccessKeyId>
            <SecretAccessKey>wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKEY</SecretAccessKey>
            <SessionToken>AQoDYXdzEPT//////////wEXAMPLE==</SessionToken>
            <Expiration>2026-11-23T13:00:00Z</Expiration>
          </Credentials>
          <PackedPolicySize>6</PackedPolicySize>
        </AssumeRoleResult>
        <ResponseMetadata><RequestId>c6104cbe-af31-11e0-8154-cbc7ccf896c7</RequestId></ResponseMetadata>
      </AssumeRoleResponse>"#;

    fn session(external_id: Option<&str>) -> RoleSession {
        let role = AssumedRole {
            role_arn: RoleArn::new("arn:aws:iam::123456789012:role/teams/gateway").unwrap(),
            source_credential: CredentialId::new("source").unwrap(),
            external_id: external_id.map(str::to_owned),
            session_seconds: 3600,
        };
        RoleSession::of(role, IdentitySource::Keys(Arc::new(keys())), &UserName::new("dora").unwrap())
    }

    fn keys() -> CloudIdentity {
        let secret_access_key = Secret::new("secret");
        CloudIdentity { access_key_id: "AKIDEXAMPLE000000000".into(), secret_access_key, session_token: None }
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    fn read_at(now: &str, body: &str) -> Result<Assumed, CheckError> {
        let answer = Response::new(Bytes::copy_from_slice(body.as_bytes()));
        read(&Sts::usual().unwrap(), &session(None), &answer, at(now))
    }

    #[test]
    fn the_question_names_role_session_and_external_id() {
        let ask = |external_id| {
            let question = request(&Sts::usual().unwrap(), &session(external_id), &keys(), at("2026-11-23T12:00:00Z"));
            String::from_utf8(question.unwrap().into_body().to_vec()).unwrap()
        };
        let usual = "Action=AssumeRole&Version=2011-06-15\
             &RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fteams%2Fgateway&RoleSessionName=dora&DurationSeconds=3600";
        assert_eq!(ask(None), usual);
        assert_eq!(ask(Some("a+b:/=")), format!("{usual}&ExternalId=a%2Bb%3A%2F%3D"));
    }

    #[test]
    fn a_right_answer_gives_keys_and_their_end() {
        let assumed = read_at("2026-11-23T12:00:30Z", GOOD).unwrap();
        assert_eq!(assumed.identity.access_key_id, "ASIAIOSFODNN7EXAMPLE");
        assert_eq!(assumed.identity.secret_access_key, Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKEY"));
        assert_eq!(assumed.identity.session_token, Some(Secret::new("AQoDYXdzEPT//////////wEXAMPLE==")));
        assert_eq!(assumed.expires_at, at("2026-11-23T13:00:00Z"));
        // A clock ten minutes behind: an hour from now, not seventy minutes.
        assert_eq!(read_at("2026-11-23T11:50:00Z", GOOD).unwrap().expires_at, at("2026-11-23T12:50:00Z"));
        assert!(read_at("2026-11-23T12:58:59Z", GOOD).is_ok());
        for late in ["2026-11-23T12:59:00Z", "2026-11-23T13:00:00Z", "2026-11-24T12:00:00Z"] {
            assert!(read_at(late, GOOD).unwrap_err().to_string().contains("clock"), "{late}");
        }
    }

    #[test]
    fn anything_else_gives_none() {
        for (from, to) in [
            ("assumed-role/gateway/dora</Arn>", "assumed-role/admin/dora</Arn>"),
            ("assumed-role/gateway/dora</Arn>", "assumed-role/gateway/root</Arn>"),
            ("sts::123456789012", "sts::210987654321"),
            ("ASIAIOSFODNN7EXAMPLE", "short"),
            ("bPxRfi", "bPx Rfi"),
            ("AQoDYX", "AQo\nDYX"),
            ("<Expiration>2026-11-23T13:00:00Z</Expiration>", ""),
            ("2026-11-23T13:00:00Z", "soon"),
            ("<SessionToken>", "<SessionToken>x</SessionToken><SessionToken>"),
            ("<AssumedRoleUser>", "<Other>"),
            ("AssumeRoleResult>", "GetCallerIdentityResult>"),
        ] {
            assert!(GOOD.contains(from), "{from}");
            let error = read_at("2026-11-23T12:00:00Z", &GOOD.replace(from, to)).unwrap_err();
            assert!(matches!(error, CheckError::Garbled { .. }), "{from} {to}: {error}");
        }
    }

    #[test]
    fn sessions_differ_by_all_that_they_are_made_of() {
        let print = |external_id, change: fn(&mut AssumedRole), key: &str, user: &str| {
            let mut role = session(external_id).role;
            change(&mut role);
            // The secret, and behind a slash the session token.
            let (secret, token) = key.split_once('/').map_or((key, None), |(key, token)| (key, Some(token)));
            let session_token = token.map(Secret::new);
            let keys = CloudIdentity { secret_access_key: Secret::new(secret), session_token, ..keys() };
            let source = IdentitySource::Keys(Arc::new(keys));
            RoleSession::of(role, source, &UserName::new(user).unwrap()).fingerprint()
        };
        let same: fn(&mut AssumedRole) = |_| ();
        let all = [
            print(None, same, "secret", "dora"),
            print(Some("id"), same, "secret", "dora"),
            print(None, |role| role.session_seconds = 900, "secret", "dora"),
            print(
                None,
                |role| role.role_arn = RoleArn::new("arn:aws:iam::123456789012:role/x").unwrap(),
                "secret",
                "dora",
            ),
            print(None, same, "other", "dora"),
            print(None, same, "secret/token", "dora"),
            print(None, same, "secrettoken", "dora"),
            print(None, same, "secret", "dan"),
            // What one has at its end and the other at its beginning.
            print(None, |role| role.role_arn = RoleArn::new(format!("{}id", role.role_arn)).unwrap(), "secret", "dora"),
        ];
        assert_eq!(all[0], print(None, same, "secret", "dora"));
        assert_eq!(all.iter().collect::<std::collections::HashSet<_>>().len(), all.len());
        let named =
            |user| RoleSession::of(session(None).role, session(None).source, &UserName::new(user).unwrap()).name;
        assert_eq!([named("d"), named("dora@example.com")], ["d=", "dora@example.com"]);
    }
}
