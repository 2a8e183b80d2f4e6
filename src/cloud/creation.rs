//! What operations create, as far as rules about names care: what people are told when they write such rules.

use super::aws;
use crate::model::{CloudId, Creates, ServiceId};

/// What `operation` creates; none if the service has no such operation, or the cloud no such service.
pub fn creates(cloud: &CloudId, service: &ServiceId, operation: &str) -> Option<Creates> {
    Some(known(cloud, service)?.operation(operation)?.creates)
}

/// The operations of a service that rules about names concern, sorted by name.
pub fn creating_operations(cloud: &CloudId, service: &ServiceId) -> Vec<(&'static str, Creates)> {
    let operations = known(cloud, service).into_iter().flat_map(aws::Service::operations);
    let all = operations.map(|operation| (operation.name, operation.creates));
    all.filter(|(_, creates)| *creates != Creates::Nothing).collect()
}

fn known(cloud: &CloudId, service: &ServiceId) -> Option<&'static aws::Service> {
    aws::Catalogue::embedded().service(service.as_str()).filter(|_| *cloud == CloudId::aws())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_writes_a_rule_is_told_what_it_concerns() {
        let service = |id: &str| ServiceId::new(id).unwrap();
        let aws = CloudId::aws();
        for (id, operation, expected) in [
            ("dynamodb", "CreateTable", Some(Creates::Named)),
            ("dynamodb", "PutItem", Some(Creates::Nothing)),
            ("dynamodb", "createTable", None),
            ("kms", "CreateKey", Some(Creates::Untold)),
            ("nonsense", "CreateTable", None),
        ] {
            assert_eq!(creates(&aws, &service(id), operation), expected, "{id} {operation}");
        }
        assert_eq!(creating_operations(&aws, &service("sqs")), [("CreateQueue", Creates::Named)]);
        assert!(creating_operations(&aws, &service("nonsense")).is_empty());
    }
}
