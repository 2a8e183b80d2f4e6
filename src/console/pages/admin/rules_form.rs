//! The form of a policy group: its name and its rules, of which some are added and taken away before it is saved.
//!
//! Without scripts, too: to add or to take away sends the form and gets it back, and nothing is kept of it.

use super::wrong::{Wrong, id};
use crate::{
    cloud::{aws::Catalogue, creating_operations},
    console::{
        error::Problem,
        pages::{form::Fields, rules::demand},
    },
    model::{CloudId, Conditions, PolicyGroup, PolicyStatus, RuleType, ServiceId, policy_group::MOST_POLICIES},
    workflow::{Error, FieldError, NewPolicy, NewPolicyGroup},
};

/// The form as it is shown.
#[derive(Default)]
pub(crate) struct RulesForm {
    pub(crate) name: String,
    pub(crate) rules: Vec<RuleFields>,
    pub(crate) name_error: Option<String>,
    /// What is wrong elsewhere.
    pub(crate) trouble: Option<String>,
    /// Was a rule taken away a moment ago? Then one goes on where another is added.
    pub(crate) is_shorter: bool,
}

/// A rule as it is typed.
#[derive(Clone, Default)]
pub(crate) struct RuleFields {
    kind: String,
    pub(crate) value: String,
    pub(crate) status: String,
    pub(crate) cloud: String,
    pub(crate) service: String,
    pub(crate) operation: String,
    /// The field where one goes on, if it is one of these.
    pub(crate) focus: &'static str,
    pub(crate) value_error: Option<String>,
    pub(crate) service_error: Option<String>,
    pub(crate) operation_error: Option<String>,
}

/// What was pressed.
pub(crate) enum Pressed {
    Add,
    Remove(usize),
    Save,
}

impl RulesForm {
    /// With one rule to be filled in.
    pub(crate) fn empty() -> Self {
        Self { rules: vec![RuleFields::empty()], ..Self::default() }
    }

    /// As it is kept.
    pub(crate) fn of(group: &PolicyGroup) -> Self {
        let rule = |policy: &crate::model::Policy| {
            let Conditions { cloud, service, operation } = &policy.conditions;
            RuleFields {
                kind: policy.rule.type_name().into(),
                value: policy.rule.value().into(),
                status: if policy.status == PolicyStatus::Enforced { ENFORCED } else { DISABLED }.into(),
                cloud: cloud.to_string(),
                service: service.as_ref().map(ToString::to_string).unwrap_or_default(),
                operation: operation.clone().unwrap_or_default(),
                ..RuleFields::default()
            }
        };
        Self { name: group.name.clone(), rules: group.policies.iter().map(rule).collect(), ..Self::default() }
    }

    /// As it was sent.
    pub(crate) fn sent(fields: &Fields) -> Result<Self, Problem> {
        let all = |name: &str| fields.all(name).map(|text| text.trim().to_owned()).collect::<Vec<_>>();
        let kinds = all("type");
        let columns = ["value", "status", "cloud", "service", "operation"].map(all);
        if kinds.len() > MOST_POLICIES || columns.iter().any(|column| column.len() != kinds.len()) {
            return Err(Problem::malformed("The form does not hold whole rules, or too many of them."));
        }
        let [values, statuses, clouds, services, operations] = columns;
        let texts = values.into_iter().zip(statuses).zip(clouds).zip(services).zip(operations);
        let rules = kinds.into_iter().zip(texts).map(|(kind, ((((value, status), cloud), service), operation))| {
            RuleFields { kind, value, status, cloud, service, operation, ..RuleFields::default() }
        });
        Ok(Self { name: fields.text("name").to_owned(), rules: rules.collect(), ..Self::default() })
    }

    /// The same after a button was pressed that keeps nothing.
    pub(crate) fn pressed(&mut self, pressed: &Pressed) {
        match *pressed {
            Pressed::Add if self.rules.len() < MOST_POLICIES => {
                self.rules.push(RuleFields { focus: "service", ..RuleFields::empty() });
            }
            Pressed::Remove(number) if number < self.rules.len() => {
                self.rules.remove(number);
                self.is_shorter = true;
            }
            Pressed::Add | Pressed::Remove(_) | Pressed::Save => {}
        }
    }

    /// With what is wrong in it.
    pub(crate) fn wrong(mut self, wrong: &Wrong) -> Self {
        let mut known = vec!["name".to_owned()];
        let mut of = |field: String| {
            let told = wrong.of(&field);
            known.push(field);
            told
        };
        self.name_error = wrong.of("name");
        let mut is_found = self.name_error.is_some();
        for (number, rule) in self.rules.iter_mut().enumerate() {
            rule.value_error = of(format!("policies[{number}].value"));
            rule.service_error = of(format!("policies[{number}].conditions.service"));
            rule.operation_error = of(format!("policies[{number}].conditions.operation"));
            let errors =
                [("service", &rule.service_error), ("operation", &rule.operation_error), ("value", &rule.value_error)];
            let first = errors.into_iter().find(|(_, error)| error.is_some());
            if let Some((field, _)) = first.filter(|_| !is_found) {
                (rule.focus, is_found) = (field, true);
            }
        }
        self.trouble = wrong.elsewhere(&known.iter().map(String::as_str).collect::<Vec<_>>());
        self
    }

    /// What is meant by it.
    pub(crate) fn read(&self) -> Result<NewPolicyGroup, Error> {
        let (mut policies, mut errors) = (Vec::new(), Vec::new());
        for (number, rule) in self.rules.iter().enumerate() {
            match rule.read(number) {
                Ok(policy) => policies.push(policy),
                Err(Error::Invalid(wrong)) => errors.extend(wrong),
                Err(other) => return Err(other),
            }
        }
        if errors.is_empty() {
            Ok(NewPolicyGroup { name: self.name.clone(), policies })
        } else {
            Err(Error::Invalid(errors))
        }
    }
}

const ENFORCED: &str = "enforced";
const DISABLED: &str = "disabled";

impl RuleFields {
    fn empty() -> Self {
        let kind = RuleType::ResourceNamePrefix.name().into();
        Self { kind, status: ENFORCED.into(), cloud: CloudId::aws().to_string(), ..Self::default() }
    }

    /// The types: value, words, picked.
    pub(crate) fn types(&self) -> Vec<(&'static str, &'static str, bool)> {
        RuleType::ALL.iter().map(|kind| (kind.name(), demand(*kind), kind.name() == self.kind)).collect()
    }

    pub(crate) fn is_disabled(&self) -> bool {
        self.status == DISABLED
    }

    /// The operations of its service to choose from.
    pub(crate) fn operations(&self) -> Vec<&'static str> {
        let (cloud, service) = (CloudId::new(&self.cloud), ServiceId::new(&self.service));
        let known = cloud.ok().zip(service.ok()).map(|(cloud, service)| creating_operations(&cloud, &service));
        known.into_iter().flatten().map(|(name, _)| name).collect()
    }

    fn read(&self, number: usize) -> Result<NewPolicy, Error> {
        let of = |field: &str| format!("policies[{number}].{field}");
        let unknown = |field: &str| Error::Invalid(vec![FieldError::new(of(field), "must be one of the list")]);
        let kind = RuleType::ALL.into_iter().find(|kind| kind.name() == self.kind);
        let service = Some(&self.service).filter(|text| !text.is_empty());
        Ok(NewPolicy {
            kind: kind.ok_or_else(|| unknown("type"))?,
            value: self.value.clone(),
            status: match self.status.as_str() {
                ENFORCED => PolicyStatus::Enforced,
                DISABLED => PolicyStatus::Disabled,
                _ => return Err(unknown("status")),
            },
            conditions: Conditions {
                cloud: id(of("conditions.cloud"), CloudId::new(&self.cloud))?,
                service: service.map(|text| id(of("conditions.service"), ServiceId::new(text))).transpose()?,
                operation: Some(self.operation.clone()).filter(|text| !text.is_empty()),
            },
        })
    }
}

impl Pressed {
    pub(crate) fn of(fields: &Fields) -> Self {
        match (fields.optional("add"), fields.optional("remove").and_then(|number| number.parse().ok())) {
            (_, Some(number)) => Self::Remove(number),
            (Some(_), None) => Self::Add,
            (None, None) => Self::Save,
        }
    }
}

/// All services that create something with a name, to choose from: id and name.
pub(crate) fn services() -> Vec<(&'static str, &'static str)> {
    Catalogue::embedded().services().iter().map(|service| (service.id.as_str(), service.name)).collect()
}
