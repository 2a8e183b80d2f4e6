//! What goes with a yes: what there is to pick from, and what was picked.

use std::time::Duration;

use super::{form::Fields, rules, visitor::Visitor, words};
use crate::{
    clock::Timestamp,
    cloud::credential_operations,
    console::error::capital,
    model::{AccessRequest, AccountId, Credential, CredentialId, PolicyGroup, PolicyGroupId, ServiceId},
    workflow::{Approval, Attach, Error, FieldError, NamedGroup, parse_duration},
};

/// How long access may last: what is picked from besides what was asked for.
const SPANS: [(&str, &str); 5] =
    [("1d", "1 day"), ("7d", "7 days"), ("30d", "30 days"), ("90d", "90 days"), ("365d", "1 year")];
pub(super) const AS_ASKED: &str = "asked";
const ON_A_DATE: &str = "date";

/// Something that can be picked.
pub(super) struct Pick {
    pub(super) value: String,
    pub(super) label: String,
    pub(super) about: String,
    /// How the sentence says it.
    pub(super) words: String,
    pub(super) picked: bool,
}

impl Pick {
    /// Is it a policy group, of those that can be picked in a policy group's place?
    pub(super) fn is_group(&self) -> bool {
        !self.value.is_empty() && self.value != AS_ASKED
    }
}

/// A yes as the form says it.
pub(super) fn read(fields: &Fields, comment: Option<&str>, now: Timestamp) -> Result<Approval, Error> {
    let mut errors = Vec::new();
    let credential = CredentialId::new(fields.text("credential"));
    if credential.is_err() {
        errors.push(FieldError::new("credential", "must be picked"));
    }
    let expires_at = until(fields, now).unwrap_or_else(|error| {
        errors.push(error);
        None
    });
    let policy_group = attach(fields).unwrap_or_else(|error| {
        errors.push(error);
        Attach::AsAsked
    });
    match credential {
        Ok(credential) if errors.is_empty() => Ok(Approval {
            credential,
            policy_group,
            expires_at,
            allow_credential_operations: fields.all("allow").map(str::to_owned).collect(),
            comment: comment.map(str::to_owned),
        }),
        _ => Err(Error::Invalid(errors)),
    }
}

/// Nothing where the page had none to pick from, as there were none: then what was asked for decides.
fn attach(fields: &Fields) -> Result<Attach, FieldError> {
    match fields.all("policy_group").next().map(str::trim) {
        None | Some(AS_ASKED) => Ok(Attach::AsAsked),
        Some("") => Ok(Attach::Nothing),
        Some(id) => {
            let wrong = |_| FieldError::new("policy_group", "must be picked");
            PolicyGroupId::new(id).map(Attach::Group).map_err(wrong)
        }
    }
}

/// When access is to end; none if as was asked for.
fn until(fields: &Fields, now: Timestamp) -> Result<Option<Timestamp>, FieldError> {
    let wrong = |message: &str| FieldError::new("expires_at", message);
    let (picked, date) = (fields.text("until"), fields.text("date"));
    match picked {
        // Without scripts nothing picks the date for whoever has filled it in.
        _ if picked != ON_A_DATE && !date.is_empty() => {
            Err(wrong("must be told once: pick “On a date”, or leave the date empty"))
        }
        AS_ASKED => Ok(None),
        ON_A_DATE => {
            let end = Timestamp::parse_rfc3339(&format!("{date}T23:59:59Z"));
            end.map(Some).map_err(|_| wrong("must be a date, such as 2026-12-31"))
        }
        span => {
            let known = SPANS.iter().any(|(value, _)| *value == span);
            let span = parse_duration(span).ok().filter(|_| known);
            span.map(|span| Some(now.plus(span))).ok_or_else(|| wrong("must be picked"))
        }
    }
}

/// Those that may be picked in an environment of these `accounts`, or of any if there are none.
pub(super) fn credentials(all: &[Credential], accounts: &[AccountId], picked: &str) -> Vec<Pick> {
    let pick = |credential: &Credential| Pick {
        value: credential.id.to_string(),
        label: credential.name.clone(),
        about: match &credential.checked {
            Some(checked) => format!("{}, account {}", credential.keys, checked.principal.account),
            None => format!("{}, not tested", credential.keys),
        },
        words: stands_for(credential, accounts),
        // The only one there is need not be looked for.
        picked: credential.id.as_str() == picked || (picked.is_empty() && all.len() == 1),
    };
    all.iter().map(pick).collect()
}

/// Whom calls that are signed with it come from.
fn stands_for(credential: &Credential, accounts: &[AccountId]) -> String {
    let Credential { name, keys, checked, .. } = credential;
    let account = |id: AccountId| {
        let is_ours = accounts.is_empty() || accounts.contains(&id);
        format!("account {id}{}", if is_ours { "" } else { " (which is none of this environment's)" })
    };
    let checked = checked.as_ref().map(|checked| &checked.principal);
    match keys.role().and_then(|role| Some((&role.role_arn, role.role_arn.account()?))) {
        // Not as whom the test was made: each person's calls have a session of their own.
        Some((role, id)) if checked.is_some() => format!("with the role {role} in {}", account(id)),
        Some((role, id)) => {
            format!("with the role {role} in {}, which was never tried (test the credential {name}),", account(id))
        }
        None => match checked {
            Some(principal) => format!("as {} in {}", principal.arn, account(principal.account)),
            None => format!(
                "with the credential {name} ({keys}), and the account behind it is not known (test the credential),"
            ),
        },
    }
}

/// The policy groups, behind none at all: what was asked for is picked until the person has picked themselves. Where that
/// is no longer there, they have to. Empty if there is nothing to pick.
pub(super) fn policy_groups(
    all: &[PolicyGroup],
    request: &AccessRequest,
    asked: Option<&NamedGroup>,
    picked: Option<&str>,
) -> Vec<Pick> {
    if all.is_empty() && asked.is_none() {
        return Vec::new();
    }
    let is_gone = asked.is_some_and(|asked| asked.group.is_none());
    let picked = picked.unwrap_or(match asked {
        None => "",
        Some(_) if is_gone => AS_ASKED,
        Some(asked) => asked.id.as_str(),
    });
    let gone = Pick {
        value: AS_ASKED.into(),
        label: "Pick one, or none".into(),
        about: String::new(),
        words: String::new(),
        picked: picked == AS_ASKED,
    };
    let none = Pick {
        value: String::new(),
        label: "None".into(),
        about: String::new(),
        words: match asked {
            None => "What they create may have any name.".into(),
            Some(asked) => format!("What they create may have any name, though “{}” was asked for.", asked.name),
        },
        picked: picked.is_empty(),
    };
    let pick = |group: &PolicyGroup| Pick {
        value: group.id.to_string(),
        label: group.name.clone(),
        about: if asked.is_some_and(|asked| asked.id == group.id) { ", as asked".into() } else { String::new() },
        words: rules::sentence(group, &request.services),
        picked: group.id.as_str() == picked,
    };
    let first = [is_gone.then_some(gone), Some(none)];
    first.into_iter().flatten().chain(all.iter().map(pick)).collect()
}

pub(super) fn spans(visitor: &Visitor, request: &AccessRequest, picked: &str) -> Vec<Pick> {
    let on = |span: Duration| visitor.when(visitor.now.plus(span)).date();
    let asked = match request.duration_seconds.map(Duration::from_secs) {
        Some(span) => Pick {
            value: AS_ASKED.into(),
            label: capital(&words::span(span)).trim_end_matches('.').to_owned(),
            about: format!(", as asked, until {}", on(span)),
            words: format!("until {}", on(span)),
            picked: picked == AS_ASKED,
        },
        None => Pick {
            value: AS_ASKED.into(),
            label: "Until revoked".into(),
            about: ", as asked".into(),
            words: "until it is revoked".into(),
            picked: picked == AS_ASKED,
        },
    };
    let others = SPANS.iter().filter_map(|(value, label)| {
        let span = parse_duration(value).ok().filter(|span| Some(span.as_secs()) != request.duration_seconds)?;
        Some(Pick {
            value: (*value).into(),
            label: (*label).into(),
            about: format!(", until {}", on(span)),
            words: format!("until {}", on(span)),
            picked: picked == *value,
        })
    });
    // The sentence says the date itself.
    let date = Pick {
        value: ON_A_DATE.into(),
        label: "On a date:".into(),
        about: String::new(),
        words: String::new(),
        picked: picked == ON_A_DATE,
    };
    [asked].into_iter().chain(others).chain([date]).collect()
}

/// What the requested services have that hands out cloud credentials: refused unless it is allowed by name.
pub(super) fn operations(request: &AccessRequest, fields: &Fields) -> Vec<Pick> {
    let of = |service: &ServiceId| {
        let pick = |name: &str| {
            let value = format!("{service}:{name}");
            Pick {
                picked: fields.all("allow").any(|ticked| ticked == value),
                words: value.clone(),
                value,
                label: name.into(),
                about: words::service_name(service).into(),
            }
        };
        credential_operations(&request.cloud, service).into_iter().map(pick).collect::<Vec<_>>()
    };
    request.services.iter().flat_map(of).collect()
}

/// What is wrong with one of them, as people say it.
pub(super) fn sentence(error: &FieldError) -> String {
    match (error.field.as_ref(), error.message.as_str()) {
        ("credential", "must be picked") => "Pick the credential that stands behind the access.".into(),
        ("credential", _) => "This credential is no longer linked to the environment: pick another.".into(),
        (
            "policy_group",
            "must be given, as the one that was asked for is no longer there: another, or null for none",
        ) => "The policy group that was asked for is no longer there: pick another, or none.".into(),
        ("policy_group", _) => "This policy group is no longer there: pick another, or none.".into(),
        ("expires_at", "must be picked") => "Pick when the access ends.".into(),
        ("comment", message) => format!("The comment {message}."),
        (_, message) => capital(message),
    }
}
