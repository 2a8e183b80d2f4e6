//! Search: environments, people and access requests, by what people remember of them.

use askama::Template;
use axum::{http::Uri, response::Response};

use super::{
    admin::people::PersonRow,
    form::Fields,
    frame::{Frame, Place, cloud_services},
    line::Line,
    visitor::Visitor,
    words::services,
};
use crate::{
    console::error::Problem,
    model::{AccessRequest, Environment, Status, User},
    workflow::{self, Caller, Page, PageRequest, RequestFilter},
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
    /// For who may see them.
    people: Vec<PersonRow>,
    /// Where all people of that name are, if more were found than are shown.
    more_people: Option<String>,
    requests: Vec<Line>,
}

pub(crate) async fn show(visitor: Visitor, uri: Uri) -> Result<Response, Problem> {
    let query = Fields::of_query(&uri).text("q").to_owned();
    let words: Vec<String> = query.split_whitespace().map(str::to_lowercase).collect();
    let (environments, people, requests) = if words.is_empty() {
        (Vec::new(), Page { items: Vec::new(), next_cursor: None }, Vec::new())
    } else {
        let found = visitor.run(move |caller| {
            let page = PageRequest { limit: LOOKED_AT, cursor: None };
            let environments = caller.places(&page)?.items.into_iter();
            let people = people(caller, &words)?;
            let requests = caller.plain_access_requests(&RequestFilter::default(), &page)?.items.into_iter();
            Ok((
                environments.filter(|found| fits(&words, &of_environment(found))).take(SHOWN).collect(),
                people,
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
    let requests = requests.iter().map(|found: &AccessRequest| Line::new(&visitor, found));
    let more_people = people.next_cursor.map(|_| {
        let query: String = form_urlencoded::byte_serialize(query.trim().as_bytes()).collect();
        format!("/people?q={query}")
    });
    Ok(visitor.page(&Search {
        frame: visitor.frame(),
        environments: environments.collect(),
        people: people.items.iter().map(|user| PersonRow::new(&visitor, user)).collect(),
        more_people,
        requests: requests.collect(),
        query,
    }))
}

/// A name is one word: who is looked for by more is nobody. Who may not see people finds none.
fn people(caller: &Caller, words: &[String]) -> Result<Page<User>, workflow::Error> {
    let page = PageRequest { limit: SHOWN, cursor: None };
    match (caller.administrator(), words) {
        (Ok(administrator), [word]) => administrator.find_users(word, &page),
        _ => Ok(Page { items: Vec::new(), next_cursor: None }),
    }
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
