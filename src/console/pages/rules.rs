//! The rules of policy groups in plain words: what each demands, and of which calls.

use super::words;
use crate::{
    cloud::{Creates, creates, creating_operations},
    model::{CloudId, Conditions, Policy, PolicyGroup, PolicyStatus, RuleType, ServiceId},
};

/// So many rules are told in one sentence.
const TOLD: usize = 3;

/// A rule as people read it: that the subject must have what is demanded.
pub(crate) struct RuleWords {
    /// `What CreateTable of DynamoDB creates`.
    pub(crate) subject: String,
    /// `a name that begins with`.
    pub(crate) demand: &'static str,
    pub(crate) value: String,
    pub(crate) enforced: bool,
    /// The operations that it concerns, where they are not told in the sentence already.
    pub(crate) operations: Vec<&'static str>,
    /// Those of them that are refused whatever they create: they don't tell its name.
    pub(crate) untold: Vec<String>,
}

impl RuleWords {
    pub(crate) fn new(policy: &Policy) -> Self {
        let Conditions { cloud, service, operation } = &policy.conditions;
        let (operations, untold) = match (service, operation) {
            (Some(service), Some(operation)) => {
                let untold = creates(cloud, service, operation) == Some(Creates::Untold);
                (Vec::new(), untold.then(|| operation.clone()).into_iter().collect())
            }
            (Some(service), None) => of_service(cloud, service),
            (None, _) => (Vec::new(), Vec::new()),
        };
        Self {
            subject: subject(&policy.conditions),
            demand: demand(policy.rule.kind()),
            value: policy.rule.value().to_owned(),
            enforced: policy.status == PolicyStatus::Enforced,
            operations,
            untold,
        }
    }

    /// The rules of a group that are in force.
    pub(crate) fn in_force(group: &PolicyGroup) -> Vec<Self> {
        enforced(group).map(Self::new).collect()
    }
}

/// What a type demands of a name, as it is picked in a list and read in a sentence.
pub(crate) const fn demand(kind: RuleType) -> &'static str {
    match kind {
        RuleType::ResourceNamePrefix => "a name that begins with",
        RuleType::ResourceNameValidationPattern => "a name that matches",
    }
}

/// What the group demands of access to `services`, in a sentence or a few.
pub(crate) fn sentence(group: &PolicyGroup, services: &[ServiceId]) -> String {
    let concerns = |policy: &&Policy| match &policy.conditions.service {
        Some(service) => services.contains(service),
        None => true,
    };
    let told: Vec<_> = enforced(group).filter(concerns).collect();
    if told.is_empty() { "None of its rules in force concerns what is asked for.".into() } else { sentences(&told) }
}

/// What the group demands of whatever access has it, in a sentence or a few.
pub(crate) fn summary(group: &PolicyGroup) -> String {
    let told: Vec<_> = enforced(group).collect();
    if told.is_empty() { "It has no rules in force.".into() } else { sentences(&told) }
}

fn sentences(rules: &[&Policy]) -> String {
    let mut sentences: Vec<_> = rules.iter().take(TOLD).map(|rule| one(rule)).collect();
    match rules.len().saturating_sub(TOLD) {
        0 => {}
        1 => sentences.push("And 1 more rule.".into()),
        more => sentences.push(format!("And {more} more rules.")),
    }
    sentences.join(" ")
}

fn one(policy: &Policy) -> String {
    let RuleWords { subject, demand, value, untold, .. } = RuleWords::new(policy);
    let refused = if policy.conditions.operation.is_some() && !untold.is_empty() {
        " Its calls are refused: they don't tell that name."
    } else {
        ""
    };
    format!("{subject} must have {demand} “{}”.{refused}", words::beginning(&value))
}

fn enforced(group: &PolicyGroup) -> impl Iterator<Item = &Policy> {
    group.policies.iter().filter(|policy| policy.status == PolicyStatus::Enforced)
}

fn subject(Conditions { service, operation, .. }: &Conditions) -> String {
    match (service.as_ref().map(words::service_name), operation) {
        (None, _) => "What any call creates".into(),
        (Some(service), None) => format!("What any call of {service} creates"),
        (Some(service), Some(operation)) => format!("What {operation} of {service} creates"),
    }
}

fn of_service(cloud: &CloudId, service: &ServiceId) -> (Vec<&'static str>, Vec<String>) {
    let all = creating_operations(cloud, service);
    let untold = all.iter().filter(|(_, what)| *what == Creates::Untold).map(|(name, _)| (*name).to_owned());
    (all.iter().map(|(name, _)| *name).collect(), untold.collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::clock::Timestamp;

    fn group(policies: &serde_json::Value) -> PolicyGroup {
        serde_json::from_value(
            json!({"id": "g", "name": "g", "policies": policies, "created_at": Timestamp::from_millis(0)}),
        )
        .unwrap()
    }

    fn rule(service: Option<&str>, operation: Option<&str>, status: &str) -> serde_json::Value {
        json!({
            "type": "csg.resource.name.prefix", "value": "team-", "status": status,
            "conditions": {"cloud": "aws", "service": service, "operation": operation},
        })
    }

    #[test]
    fn a_group_is_told_in_sentences_about_what_is_asked_for() {
        let services = ["dynamodb", "sqs"].map(|id| ServiceId::new(id).unwrap());
        let nothing = "None of its rules in force concerns what is asked for.";
        for (policies, says) in [
            (json!([]), nothing),
            (json!([rule(Some("sns"), None, "enforced")]), nothing),
            (json!([rule(None, None, "disabled")]), nothing),
            (json!([rule(None, None, "enforced")]), "What any call creates must have a name that begins with “team-”."),
            (
                json!([rule(Some("sns"), None, "enforced"), rule(Some("dynamodb"), Some("CreateTable"), "enforced")]),
                "What CreateTable of DynamoDB creates must have a name that begins with “team-”.",
            ),
        ] {
            assert_eq!(sentence(&group(&policies), &services), says, "{policies}");
        }
        let many = group(&json!(vec![rule(Some("dynamodb"), None, "enforced"); 5]));
        for told in [sentence(&many, &services), summary(&many)] {
            assert!(told.starts_with("What any call of DynamoDB creates must") && told.ends_with(" And 2 more rules."));
        }
        // Of a group that may be asked for, all in force is told, whatever services it is about.
        let sns = group(&json!([rule(Some("sns"), None, "enforced"), rule(None, None, "disabled")]));
        let says =
            "What any call of Simple Notification Service (SNS) creates must have a name that begins with “team-”.";
        assert_eq!(summary(&sns), says);
        assert_eq!(summary(&group(&json!([rule(None, None, "disabled")]))), "It has no rules in force.");
    }

    #[test]
    fn a_rule_on_a_service_names_its_operations() {
        let one = group(&json!([rule(Some("dynamodb"), None, "enforced"), rule(None, None, "enforced")]));
        let [service, any] = &RuleWords::in_force(&one)[..] else { panic!() };
        assert!(service.operations.contains(&"CreateTable") && !service.operations.contains(&"PutItem"));
        assert!(any.operations.is_empty());
    }
}
