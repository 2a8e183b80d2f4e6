//! An access request as a line of a list. Each list adds what its own readers look for.

use super::{
    access_request,
    visitor::Visitor,
    words::{Chip, When, services},
};
use crate::model::AccessRequest;

pub(crate) struct Line {
    pub(crate) id: String,
    pub(crate) href: String,
    pub(crate) services: String,
    pub(crate) chip: Chip,
    pub(crate) who: String,
    pub(crate) mine: bool,
    pub(crate) environment: String,
    pub(crate) asked: When,
    pub(crate) last_used: Option<When>,
}

impl Line {
    pub(crate) fn new(visitor: &Visitor, request: &AccessRequest) -> Self {
        Self {
            id: request.id.to_string(),
            href: access_request::path(&request.id),
            services: services(request),
            chip: Chip(request.status),
            who: request.requested_by.to_string(),
            mine: request.requested_by == *visitor.name(),
            environment: request.environment.to_string(),
            asked: visitor.when(request.created_at),
            last_used: visitor.state.audit.last_used(&request.id).map(|at| visitor.when(at)),
        }
    }
}
