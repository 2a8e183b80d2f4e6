//! What has just happened to access requests: for pages that change by themselves.

use std::{collections::BTreeMap, ops::ControlFlow};

use super::{Caller, Error, requests};
use crate::{
    model::{AccessRequest, AccessRequestId, UserName},
    store::{
        Order, Read as _, Span,
        tables::{access_requests::ACCESS_REQUESTS, events::EVENTS},
    },
};

/// Looked at in one go; whoever was away for longer than so many events loads the page again.
const AT_ONCE: usize = 1000;

/// Something that happened to an access request.
#[derive(Clone, Debug)]
pub struct News {
    /// The access request as it is now.
    pub request: AccessRequest,
    /// Who did it last; none if the appliance did.
    pub by: Option<UserName>,
}

impl Caller {
    /// Where the news begin for whoever looks now.
    pub fn newest_event(&self) -> Result<String, Error> {
        let newest = self.workflow.read()?.first(&EVENTS, &Span::all(), Order::Descending)?;
        Ok(newest.map_or_else(String::new, |(id, _)| id))
    }

    /// What happened since the event `since` to access requests that the caller may see, each told once; and where the
    /// news go on.
    pub fn news(&self, since: &str) -> Result<(Vec<News>, String), Error> {
        let span =
            if since.is_empty() || since.contains('\0') { Span::all() } else { Span::all().after(&since.to_owned()) };
        let reader = self.workflow.read()?;
        let (mut last, mut count, mut seen) = (None, 0, BTreeMap::<AccessRequestId, Option<UserName>>::new());
        reader.visit(&EVENTS, &span, Order::Descending, |id, event| {
            last.get_or_insert(id);
            if let Some(request) = event.request {
                seen.entry(request).or_insert(event.actor);
            }
            count += 1;
            Ok::<_, Error>(if count < AT_ONCE { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        let mut news = Vec::new();
        for (id, by) in seen {
            let found = reader.find(&ACCESS_REQUESTS, &id)?.filter(|request| requests::sees(&self.user, request));
            news.extend(found.map(|request| News { request, by }));
        }
        Ok((news, last.unwrap_or_else(|| since.to_owned())))
    }
}
