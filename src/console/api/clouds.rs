//! `/clouds`: what can be asked for.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    cloud::aws::Catalogue,
    console::session::Session,
    model::{CloudId, ServiceId},
};

/// A cloud.
#[derive(Serialize, ToSchema)]
pub(crate) struct Cloud {
    id: CloudId,
    #[schema(examples("Amazon Web Services"))]
    name: &'static str,
    services: Vec<Service>,
}

/// A service of a cloud.
#[derive(Serialize, ToSchema)]
pub(crate) struct Service {
    id: ServiceId,
    name: &'static str,
    /// What it is listed under.
    #[schema(examples("Databases"))]
    category: &'static str,
    /// What it is for, in a sentence.
    about: &'static str,
}

/// List clouds and their services
///
/// What can be asked for.
#[utoipa::path(
    get,
    path = "/api/v1/clouds",
    operation_id = "list_clouds",
    tag = "Clouds",
    responses((status = 200, description = "All of them.", body = Vec<Cloud>)),
)]
pub(crate) async fn list(_: Session) -> Json<Vec<Cloud>> {
    let service = |service: &crate::cloud::aws::Service| Service {
        id: service.id.clone(),
        name: service.name,
        category: service.category,
        about: service.about,
    };
    let services = Catalogue::embedded().services().iter().map(service).collect();
    Json(vec![Cloud { id: CloudId::aws(), name: "Amazon Web Services", services }])
}
