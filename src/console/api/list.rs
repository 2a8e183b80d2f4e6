//! Lists, a page at a time.

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{ObjectBuilder, Schema, Type},
    },
};

use crate::workflow;

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    /// What to ask for next; none at the end.
    #[schema(required)]
    pub(crate) next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// A page of the workflow's, in the form that the API gives its items.
    pub(crate) fn of<S>(page: workflow::Page<S>, form: impl FnMut(S) -> T) -> Self {
        Self { items: page.items.into_iter().map(form).collect(), next_cursor: page.next_cursor }
    }
}

/// How many items a page may have: 1 to 1,000, or 50 if nobody says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit(pub(crate) usize);

impl Default for Limit {
    fn default() -> Self {
        Self(50)
    }
}

impl PartialSchema for Limit {
    fn schema() -> RefOr<Schema> {
        let schema = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(1000));
        schema.default(Some(50.into())).into()
    }
}

impl ToSchema for Limit {}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u16::deserialize(deserializer)? {
            limit @ 1..=1_000 => Ok(Self(limit.into())),
            _ => Err(D::Error::custom("must be 1 to 1000")),
        }
    }
}

/// Which page is wanted, of lists that have no filter.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Paging {
    /// How many items the page may have.
    #[serde(default)]
    #[param(inline, required = false)]
    limit: Limit,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl From<Paging> for workflow::PageRequest {
    fn from(paging: Paging) -> Self {
        Self { limit: paging.limit.0, cursor: paging.cursor }
    }
}
