//! What operations create, as far as rules about names care: what people are told when they write such rules.

use super::aws;
use crate::model::{CloudId, Operation, ServiceId};

/// What a call of an operation creates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Creates {
    /// Nothing that has a name of its own: no rule about names concerns it, and a rule that names exactly this operation
    /// lets no call of it go.
    Nothing,
    /// Something that the request names or renames: rules look at that name.
    Named,
    /// Something whose name the request does not tell: it does not go where a rule concerns it.
    Untold,
}

/// What `operation` creates; none if the service has no such operation, or the cloud no such service.
pub fn creates(cloud: &CloudId, service: &ServiceId, operation: &str) -> Option<Creates> {
    let service = aws::Catalogue::embedded().service(service.as_str()).filter(|_| *cloud == CloudId::aws())?;
    service.operation(operation).map(of)
}

/// The operations of a service that rules about names concern, sorted by name.
pub fn creating_operations(cloud: &CloudId, service: &ServiceId) -> Vec<(&'static str, Creates)> {
    let service = aws::Catalogue::embedded().service(service.as_str()).filter(|_| *cloud == CloudId::aws());
    let operations = service.into_iter().flat_map(aws::Service::operations);
    operations.map(|operation| (operation.name, of(operation))).filter(|(_, what)| *what != Creates::Nothing).collect()
}

fn of(operation: Operation) -> Creates {
    if operation.name.starts_with("Create") { Creates::Named } else { Creates::Nothing }
}
