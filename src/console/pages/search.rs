//! Search: environments and access requests, by what people remember of them.

use askama::Template;
use axum::{http::Uri, response::Response};

use super::{
    form::Fields,
    frame::{Frame, Place, cloud_services},
    visitor::Visitor,
    words::{Chip, When, services},
};
use crate::{
    console::error::Problem,
    model::{AccessRequest, Environment, Status},
    workflow::{PageRequest, RequestFilter},
};

/// So many of each are shown: who sees more should say more.
const SHOWN: usize = 20;
/// So many are looked through, the newest first.
const LOOKED_AT: usize = 1000;

#[derive(Template)]
#[template(path = "search.html")]
struct Search {
    frame: Frame,
    query: String,
    environments: Vec<Place>,
    requests: Vec<Found>,
}

struct Found {
    href: String,
    services: String,
    environment: String,
    who: String,
    asked: When,
    chip: Chip,
}

pub(crate) async fn show(visitor: Visitor, uri: Uri) -> Result<Response, Problem> {
    let query = Fields::of_query(&uri).text("q").to_owned();
    let words: Vec<String> = query.split_whitespace().map(str::to_lowercase).collect();
    let (environments, requests) = if words.is_empty() {
        (Vec::new(), Vec::new())
    } else {
        let found = visitor.run(move |caller| {
            let page = PageRequest { limit: LOOKED_AT, cursor: None };
            let environments = caller.places(&page)?.items.into_iter();
            let requests = caller.plain_access_requests(&RequestFilter::default(), &page)?.items.into_iter();
            Ok((
                environments.filter(|found| fits(&words, &of_environment(found))).take(SHOWN).collect(),
                requests.filter(|found| fits(&words, &of_request(found))).take(SHOWN).collect(),
            ))
        });
        found.await?
    };
    let environments = environments.iter().map(|found: &Environment| Place {
        id: found.id.to_string(),
        name: found.name.clone(),
        href: cloud_services(&found.id),
        current: false,
    });
    let requests = requests.iter().map(|found: &AccessRequest| Found {
        href: format!("/access-requests/{}", found.id),
        services: services(found),
        environment: found.environment.to_string(),
        who: found.requested_by.to_string(),
        asked: visitor.when(found.created_at),
        chip: Chip(found.status),
    });
    let (environments, requests) = (environments.collect(), requests.collect());
    Ok(visitor.page(&Search { frame: visitor.frame(), query, environments, requests }))
}

fn fits(words: &[String], text: &str) -> bool {
    let text = text.to_lowercase();
    words.iter().all(|word| text.contains(word.as_str()))
}

fn of_environment(found: &Environment) -> String {
    format!("{} {}", found.id, found.name)
}

fn of_request(found: &AccessRequest) -> String {
    let ids = found.services.iter().map(crate::model::ServiceId::as_str).collect::<Vec<_>>().join(" ");
    let status = if found.status == Status::Pending { "pending waiting" } else { found.status.name() };
    format!(
        "{} {} {ids} {} {} {status} {}",
        found.id,
        services(found),
        found.environment,
        found.requested_by,
        found.justification
    )
}
