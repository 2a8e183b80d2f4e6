//! `/clouds`: what can be asked for.

use axum::Json;
use serde::Serialize;

use crate::{
    cloud::aws::Catalogue,
    console::session::Session,
    model::{CloudId, ServiceId},
};

#[derive(Serialize)]
pub(crate) struct Cloud {
    id: CloudId,
    name: &'static str,
    services: Vec<Service>,
}

#[derive(Serialize)]
pub(crate) struct Service {
    id: ServiceId,
    name: &'static str,
    about: &'static str,
}

pub(crate) async fn list(_: Session) -> Json<Vec<Cloud>> {
    let service = |service: &crate::cloud::aws::Service| Service {
        id: service.id.clone(),
        name: service.name,
        about: service.about,
    };
    let services = Catalogue::embedded().services().iter().map(service).collect();
    Json(vec![Cloud { id: CloudId::aws(), name: "Amazon Web Services", services }])
}
