//! `/system`: is the gateway itself well? For monitoring that wants more than `/healthz`.

use axum::{Json, extract::State as FromState};

use crate::console::{
    State,
    error::Problem,
    health::{self, Health},
    session::Session,
};

/// Show how the gateway is
///
/// Needs `users.manage`. `warnings` is empty if all is well; each says what to do.
#[utoipa::path(
    get,
    path = "/api/v1/system",
    operation_id = "show_system",
    tag = "System",
    responses((status = 200, description = "As it is now.", body = Health)),
)]
pub(crate) async fn show(FromState(state): FromState<State>, session: Session) -> Result<Json<Health>, Problem> {
    session.try_run(move |caller| health::of(&state, caller)).await.map(Json)
}
