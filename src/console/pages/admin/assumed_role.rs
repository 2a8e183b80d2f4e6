//! Credentials that are roles: what forms ask of one, and the policies that let the gateway assume it.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use super::wrong::no_id;
use crate::{
    console::pages::{form::Fields, words},
    model::{AssumedRole, Credential, CredentialId, Keys, RoleArn},
    workflow::{Error, FieldError, USUAL_SESSION, parse_duration},
};

/// How long a session may last: what is picked from, in seconds.
const SPANS: [u32; 7] = [900, 1800, 3600, 7200, 14_400, 28_800, 43_200];

/// What a form has in its fields of a role.
pub(super) struct RoleFields {
    pub(super) role_arn: String,
    pub(super) sources: Vec<Choice>,
    pub(super) external_id: String,
    pub(super) spans: Vec<Choice>,
}

/// One of several, in a list to pick from.
pub(super) struct Choice {
    pub(super) value: String,
    pub(super) label: String,
    pub(super) picked: bool,
}

impl RoleFields {
    /// As they were typed; as they are at first, where nothing was.
    pub(super) fn typed(fields: &Fields, all: &[Credential]) -> Self {
        let span = fields.span("session_duration").ok().flatten();
        let seconds = span.and_then(|span| u32::try_from(span.as_secs()).ok()).unwrap_or(USUAL_SESSION);
        Self {
            role_arn: fields.text("role_arn").to_owned(),
            sources: sources(all, fields.text("source_credential")),
            external_id: fields.text("external_id").to_owned(),
            spans: spans(seconds),
        }
    }

    /// As they are kept.
    pub(super) fn kept(role: &AssumedRole, all: &[Credential]) -> Self {
        Self {
            role_arn: role.role_arn.to_string(),
            sources: sources(all, role.source_credential.as_str()),
            external_id: role.external_id.clone().unwrap_or_default(),
            spans: spans(role.session_seconds),
        }
    }
}

fn sources(all: &[Credential], picked: &str) -> Vec<Choice> {
    let choice = |credential: &Credential| Choice {
        value: credential.id.to_string(),
        label: format!("{} ({})", credential.name, credential.keys),
        // The only one there is need not be looked for.
        picked: credential.id.as_str() == picked || (picked.is_empty() && all.len() == 1),
    };
    all.iter().map(choice).collect()
}

/// Those that are usual, and the one that is picked.
fn spans(picked: u32) -> Vec<Choice> {
    let mut all = SPANS.to_vec();
    all.push(picked);
    all.sort_unstable();
    all.dedup();
    let choice = |seconds: u32| Choice {
        value: format!("{seconds}s"),
        label: words::span(Duration::from_secs(seconds.into())),
        picked: seconds == picked,
    };
    all.into_iter().map(choice).collect()
}

/// The role that a form tells.
pub(super) fn read(fields: &Fields) -> Result<AssumedRole, Error> {
    let role_arn = RoleArn::new(fields.text("role_arn")).map_err(|error| no_id("role_arn", &error));
    let source = CredentialId::new(fields.text("source_credential"))
        .map_err(|_| FieldError::new("source_credential", "must be picked"));
    let seconds = parse_duration(fields.text("session_duration")).ok();
    let seconds = seconds
        .and_then(|span| u32::try_from(span.as_secs()).ok())
        .ok_or_else(|| FieldError::new("session_duration", "must be picked"));
    match (role_arn, source, seconds) {
        (Ok(role_arn), Ok(source_credential), Ok(session_seconds)) => {
            let external_id = fields.optional("external_id").map(str::to_owned);
            Ok(AssumedRole { role_arn, source_credential, external_id, session_seconds })
        }
        (role_arn, source, seconds) => {
            Err(Error::Invalid([role_arn.err(), source.err(), seconds.err()].into_iter().flatten().collect()))
        }
    }
}

/// What AWS has to be told, ready to be copied.
pub(super) struct Policies {
    /// Of the role: whom it trusts. None if it is not known yet who its source is.
    pub(super) trust: Option<String>,
    /// Of the source: what it may assume.
    pub(super) permission: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Policy {
    version: &'static str,
    statement: [Statement; 1],
}

#[derive(Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    effect: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<Value>,
    action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<Value>,
}

impl Policies {
    pub(super) fn of(role: &AssumedRole, source: Option<&Credential>) -> Self {
        let trust = source.and_then(trusted).map(|arn| Statement {
            principal: Some(json!({ "AWS": arn })),
            condition: role.external_id.as_ref().map(|id| json!({ "StringEquals": { "sts:ExternalId": id } })),
            ..Statement::default()
        });
        let permission = Statement { resource: Some(literally(role.role_arn.as_str())), ..Statement::default() };
        Self { trust: trust.map(text), permission: text(permission) }
    }
}

/// Who assumes the role, as a trust policy names them: a role by itself, not one of its sessions.
fn trusted(source: &Credential) -> Option<String> {
    match &source.keys {
        Keys::Role(role) => Some(role.role_arn.to_string()),
        Keys::Static { .. } => source.checked.as_ref().map(|checked| checked.principal.arn.clone()),
    }
}

/// A resource's name in which nothing is a wildcard or a variable: a role's path may have such characters.
fn literally(arn: &str) -> String {
    let mut text = String::with_capacity(arn.len());
    for character in arn.chars() {
        match character {
            '*' | '?' | '$' => text.extend(["${", &character.to_string(), "}"]),
            other => text.push(other),
        }
    }
    text
}

fn text(statement: Statement) -> String {
    let statement = Statement { effect: "Allow", action: "sts:AssumeRole", ..statement };
    let policy = Policy { version: "2012-10-17", statement: [statement] };
    serde_json::to_string_pretty(&policy).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Timestamp,
        model::{AccountId, Checked, CloudId, Principal},
    };

    fn role(arn: &str, external_id: Option<&str>) -> AssumedRole {
        AssumedRole {
            role_arn: RoleArn::new(arn).unwrap(),
            source_credential: CredentialId::new("source").unwrap(),
            external_id: external_id.map(str::to_owned),
            session_seconds: 5400,
        }
    }

    fn source(keys: Keys, arn: Option<&str>) -> Credential {
        let at = Timestamp::from_millis(1_790_000_000_000);
        let principal = |arn: &str| Principal {
            account: AccountId::new("123456789012").unwrap(),
            arn: arn.into(),
            user_id: "AIDAX".into(),
        };
        Credential {
            id: CredentialId::new("source").unwrap(),
            name: "source".into(),
            cloud: CloudId::aws(),
            keys,
            environments: Vec::new(),
            created_at: at,
            checked: arn.map(|arn| Checked { principal: principal(arn), at }),
        }
    }

    #[test]
    fn policies_name_the_source_and_nothing_more() {
        let key = || Keys::Static { access_key_id: "AKIAIOSFODNN7EXAMPLE".into() };
        let plain = "arn:aws:iam::210987654321:role/gateway";
        let user = source(key(), Some("arn:aws:iam::123456789012:user/csg"));
        let both = Policies::of(&role(plain, Some("ours+1")), Some(&user));
        let trust = r#"{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Principal": {
        "AWS": "arn:aws:iam::123456789012:user/csg"
      },
      "Action": "sts:AssumeRole",
      "Condition": {
        "StringEquals": {
          "sts:ExternalId": "ours+1"
        }
      }
    }
  ]
}"#;
        assert_eq!(both.trust.as_deref(), Some(trust));
        let permission = r#"{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": "sts:AssumeRole",
      "Resource": "arn:aws:iam::210987654321:role/gateway"
    }
  ]
}"#;
        assert_eq!(both.permission, permission);
        let without = Policies::of(&role(plain, None), Some(&user)).trust.unwrap();
        assert!(!without.contains("Condition"), "{without}");
        // Whose a key is that was never tested is not known; a role's sessions have other names each time.
        assert!(Policies::of(&role(plain, None), Some(&source(key(), None))).trust.is_none());
        assert!(Policies::of(&role(plain, None), None).trust.is_none());
        let below = role("arn:aws:iam::123456789012:role/teams/hub", None);
        let hub = source(Keys::Role(below), Some("arn:aws:sts::123456789012:assumed-role/hub/root"));
        let trust = Policies::of(&role(plain, None), Some(&hub)).trust.unwrap();
        assert!(trust.contains("\"AWS\": \"arn:aws:iam::123456789012:role/teams/hub\""), "{trust}");
    }

    #[test]
    fn odd_paths_stay_what_they_are() {
        let odd = r#"arn:aws:iam::123456789012:role/a"b*?$\/gateway"#;
        let policies = Policies::of(&role(odd, None), None);
        let policy: Value = serde_json::from_str(&policies.permission).unwrap();
        assert_eq!(policy["Statement"][0]["Resource"], r#"arn:aws:iam::123456789012:role/a"b${*}${?}${$}\/gateway"#);
    }

    #[test]
    fn a_span_that_is_not_among_the_usual_is_kept() {
        let fields = RoleFields::kept(&role("arn:aws:iam::123456789012:role/x", None), &[]);
        let labels: Vec<_> = fields.spans.iter().map(|span| span.label.as_str()).collect();
        assert_eq!(labels[2..5], ["1 hour", "90 minutes", "2 hours"]);
        let picked: Vec<_> = fields.spans.iter().filter(|span| span.picked).map(|span| span.value.as_str()).collect();
        assert_eq!(picked, ["5400s"]);
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let Err(Error::Invalid(errors)) = read(&Fields::parse(b"role_arn=gateway&session_duration=long")) else {
            panic!("taken")
        };
        let fields: Vec<_> = errors.iter().map(|error| error.field.as_ref()).collect();
        assert_eq!(fields, ["role_arn", "source_credential", "session_duration"]);
        let good = b"role_arn=arn:aws:iam::123456789012:role/x&source_credential=a&session_duration=900s&external_id=";
        let role = read(&Fields::parse(good)).unwrap();
        assert_eq!((role.external_id, role.session_seconds), (None, 900));
    }
}
