//! Rules about the names of what calls create.
//!
//! Every rule that concerns a call must allow every name that the call gives. Where names can't be told there is nothing to
//! hold a rule against, so the call does not go.

use crate::model::{Call, Creates, Grant, Names, Operation, Policy, PolicyStatus, ServiceId};

/// Does a rule of `grant` look at the names that `call` gives, so that they have to be read?
pub fn looks_at_names(grant: &Grant, call: &Call) -> bool {
    let names_something = |(service, operation): (&ServiceId, Operation)| {
        operation.creates == Creates::Named
            && grant.policies.iter().any(|policy| concerns(policy, call, service, operation))
    };
    !grant.policies.is_empty() && all_that_it_is(call).any(names_something)
}

/// The first rule that `call` breaks.
pub(super) fn broken<'p>(policies: &'p [Policy], call: &Call) -> Option<&'p Policy> {
    policies.iter().find(|policy| {
        all_that_it_is(call)
            .filter(|(service, operation)| concerns(policy, call, service, *operation))
            .any(|(_, operation)| !allows(policy, operation.creates, &call.names))
    })
}

fn allows(policy: &Policy, creates: Creates, names: &Names) -> bool {
    match (creates, names) {
        // A rule for exactly this operation depends on a name that is not there.
        (Creates::Nothing, _) => policy.conditions.operation.is_none(),
        (Creates::Untold, _) | (Creates::Named, Names::Untold) => false,
        (Creates::Named, Names::Told(names)) => names.iter().all(|name| policy.rule.allows_name(name)),
    }
}

/// Is a rule in force, and about such calls?
fn concerns(policy: &Policy, call: &Call, service: &ServiceId, operation: Operation) -> bool {
    let conditions = &policy.conditions;
    policy.status == PolicyStatus::Enforced
        && conditions.cloud == call.cloud
        && conditions.service.as_ref().is_none_or(|named| named == service)
        && conditions.operation.as_ref().is_none_or(|named| named == operation.name)
}

/// The call as its service has it, and as others would that share it: whichever the cloud takes it for, the rules hold.
fn all_that_it_is(call: &Call) -> impl Iterator<Item = (&ServiceId, Operation)> {
    let itself = call.operation.map(|operation| (&call.service, operation));
    itself.into_iter().chain(call.twins.iter().map(|(service, operation)| (service, *operation)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Accounts, CloudId, Conditions, Pattern, Rule, Twins};

    fn policy(rule: Rule, service: Option<&str>, operation: Option<&str>) -> Policy {
        Policy {
            rule,
            status: PolicyStatus::Enforced,
            conditions: Conditions {
                cloud: CloudId::aws(),
                service: service.map(|id| ServiceId::new(id).unwrap()),
                operation: operation.map(ToOwned::to_owned),
            },
        }
    }

    fn prefix(service: Option<&str>, operation: Option<&str>) -> Policy {
        policy(Rule::ResourceNamePrefix("team-".to_owned()), service, operation)
    }

    fn call(operation: &'static str, creates: Creates, names: Option<&[&str]>) -> Call {
        Call {
            cloud: CloudId::aws(),
            service: ServiceId::new("dynamodb").unwrap(),
            operation: Some(Operation { creates, ..Operation::plain(operation) }),
            accounts: Accounts::new(),
            twins: Twins::new(),
            names: names
                .map_or(Names::Untold, |names| Names::Told(names.iter().map(|&name| name.to_owned()).collect())),
        }
    }

    #[test]
    fn a_rule_is_kept_by_every_name_or_broken() {
        let create = |names: Option<&[&str]>| call("CreateTable", Creates::Named, names);
        let wide = || prefix(None, None);
        let of = |service, operation| prefix(Some(service), operation);
        let disabled = Policy { status: PolicyStatus::Disabled, ..wide() };
        let mut elsewhere = wide();
        elsewhere.conditions.cloud = CloudId::new("azure").unwrap();
        for (policies, call, is_broken) in [
            (vec![], create(None), false),
            (vec![wide()], create(Some(&["team-1"])), false),
            (vec![wide()], create(Some(&["other"])), true),
            (vec![wide()], create(Some(&["Team-1"])), true),
            (vec![wide()], create(Some(&["team-1", "other"])), true),
            (vec![wide()], create(Some(&[""])), true),
            (vec![wide()], create(None), true),
            // It renames nothing this time.
            (vec![wide()], create(Some(&[])), false),
            (vec![wide()], call("CreateKey", Creates::Untold, Some(&[])), true),
            (vec![wide()], call("PutItem", Creates::Nothing, None), false),
            (vec![of("dynamodb", None)], call("PutItem", Creates::Nothing, None), false),
            (vec![of("dynamodb", Some("PutItem"))], call("PutItem", Creates::Nothing, None), true),
            (vec![of("dynamodb", None)], create(Some(&["other"])), true),
            (vec![of("sns", None)], create(Some(&["other"])), false),
            (vec![of("dynamodb", Some("CreateTable"))], create(Some(&["other"])), true),
            (vec![of("dynamodb", Some("CreateBackup"))], create(Some(&["other"])), false),
            (vec![disabled], create(Some(&["other"])), false),
            (vec![elsewhere], create(Some(&["other"])), false),
            (vec![of("sns", None), wide()], create(Some(&["other"])), true),
            (
                vec![
                    wide(),
                    policy(Rule::ResourceNameValidationPattern(Pattern::new("/-[0-9]$/").unwrap()), None, None),
                ],
                create(Some(&["team-x"])),
                true,
            ),
        ] {
            assert_eq!(broken(&policies, &call).is_some(), is_broken, "{policies:?} {call:?}");
        }
    }

    #[test]
    fn a_rule_holds_whichever_of_its_services_a_call_is_counted_as() {
        let mut shared = call("CreateDBInstance", Creates::Named, Some(&["other"]));
        shared.twins.push((
            ServiceId::new("rds").unwrap(),
            Operation { creates: Creates::Named, ..Operation::plain("CreateDBInstance") },
        ));
        assert!(broken(&[prefix(Some("rds"), None)], &shared).is_some());
        assert!(broken(&[prefix(Some("neptune"), None)], &shared).is_none());
        shared.names = Names::Told(vec!["team-1".to_owned()]);
        assert!(broken(&[prefix(Some("rds"), None)], &shared).is_none());
    }
}
