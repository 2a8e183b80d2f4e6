//! What a cloud is to the gateway: recognise a host, name a call, put the real identity in, word an error.

pub mod aws;
mod check;
mod creation;
mod refusal;

pub use check::CheckError;
pub use creation::{creates, creating_operations};
pub use refusal::{Blame, Refusal};

pub use crate::model::Creates;
use crate::model::{CloudId, ServiceId};

/// The operations of a service whose answer holds cloud credentials: refused unless an approval allows them by name.
pub fn credential_operations(cloud: &CloudId, service: &ServiceId) -> Vec<&'static str> {
    let service = aws::Catalogue::embedded().service(service.as_str()).filter(|_| *cloud == CloudId::aws());
    let operations = service.into_iter().flat_map(aws::Service::operations);
    let mut names: Vec<_> =
        operations.filter(|operation| operation.hands_out_credentials).map(|operation| operation.name).collect();
    names.sort_unstable();
    names
}
