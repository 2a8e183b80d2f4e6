//! `…/usage`: how access was used, of one access request and of a whole environment.

use std::time::Duration;

use axum::{Json, extract::State as FromState};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{ObjectBuilder, Schema, Type},
    },
};

use super::audit::FLUSH;
use crate::{
    audit::{DayUse, EnvironmentUse, PersonUse, RequestUse, ServiceUse, Tally, Usage},
    clock::Timestamp,
    console::{
        State,
        error::Problem,
        extract::{Id, Query},
        session::Session,
    },
    model::{AccessRequestId, EnvironmentId, UserName},
};

/// Show how access was used
///
/// Calls, errors, bytes and last use; by service and operation, by hour and by day (UTC).
#[utoipa::path(
    get,
    path = "/api/v1/access-requests/{id}/usage",
    operation_id = "show_usage",
    tag = "Access requests",
    params(("id" = AccessRequestId, Path, description = "The access request's id.")),
    responses((status = 200, description = "What was counted.", body = Usage)),
)]
pub(crate) async fn of_access_request(
    FromState(state): FromState<State>,
    session: Session,
    Id(id): Id<AccessRequestId>,
) -> Result<Json<Usage>, Problem> {
    let usage = session.try_run(move |caller| {
        let view = caller.access_request(&id)?;
        state.audit.flush(FLUSH);
        Ok(state.audit.usage(&id, view.request.created_at)?)
    });
    usage.await.map(Json)
}

/// How an environment was used.
#[derive(Serialize, ToSchema)]
#[schema(as = EnvironmentUsage)]
pub(crate) struct OfEnvironment {
    environment: EnvironmentId,
    /// Whose use it is; null: everybody's.
    #[schema(required)]
    user: Option<UserName>,
    /// What was called before is not in it.
    from: Timestamp,
    #[serde(flatten)]
    total: Tally,
    /// The most called first.
    by_service: Vec<ServiceUse>,
    /// The 100 with the most calls.
    by_person: Vec<PersonUse>,
    /// The 100 with the most calls.
    by_access_request: Vec<RequestUse>,
    /// By UTC day, the oldest first. Days without a call are left out.
    by_day: Vec<DayUse>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Since {
    /// How many UTC days to look back, today among them.
    #[serde(default)]
    #[param(inline, required = false)]
    days: Days,
}

/// 1 to 400, or 30 if nobody says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Days(u32);

impl Days {
    /// When the first of them begins.
    pub(crate) fn begin(self, now: Timestamp) -> Timestamp {
        let today = now.minus(Duration::from_millis(now.millis().rem_euclid(86_400_000).unsigned_abs()));
        today.minus(Duration::from_hours(24) * self.0.saturating_sub(1))
    }
}

impl Default for Days {
    fn default() -> Self {
        Self(30)
    }
}

impl PartialSchema for Days {
    fn schema() -> RefOr<Schema> {
        let schema = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(400));
        schema.default(Some(30.into())).into()
    }
}

impl ToSchema for Days {}

impl<'de> Deserialize<'de> for Days {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u32::deserialize(deserializer)? {
            days @ 1..=400 => Ok(Self(days)),
            _ => Err(D::Error::custom("must be 1 to 400")),
        }
    }
}

/// Show how an environment was used
///
/// Calls, errors, bytes and last use; by service, person, access request and day (UTC). Everybody's, for who has `access_requests.manage` or `audit.read` there; the caller's own, for all others.
#[utoipa::path(
    get,
    path = "/api/v1/environments/{id}/usage",
    operation_id = "show_environment_usage",
    tag = "Environments",
    params(("id" = EnvironmentId, Path, description = "The environment's slug."), Since),
    responses((status = 200, description = "What was counted.", body = OfEnvironment)),
)]
pub(crate) async fn of_environment(
    FromState(state): FromState<State>,
    session: Session,
    Id(environment): Id<EnvironmentId>,
    Query(Since { days }): Query<Since>,
) -> Result<Json<OfEnvironment>, Problem> {
    let from = days.begin(state.workflow.clock().now());
    let usage = session.try_run(move |caller| {
        let whose = caller.whose_use(&environment)?;
        state.audit.flush(FLUSH);
        let used = state.audit.environment_use(&environment, whose.as_ref(), from)?;
        let EnvironmentUse { total, by_service, by_person, by_access_request, by_day } = used;
        Ok(OfEnvironment { environment, user: whose, from, total, by_service, by_person, by_access_request, by_day })
    });
    usage.await.map(Json)
}
