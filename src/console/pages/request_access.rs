//! Asking for access: which cloud, which of its services, why, for how long.

use askama::Template;
use axum::{http::Uri, response::Response};

use super::{
    form::{Fields, Submitted},
    frame::{Frame, cloud_services},
    visitor::Visitor,
};
use crate::{
    cloud::aws::Catalogue,
    console::{
        error::{Problem, capital},
        extract::Id,
    },
    model::{CloudId, EnvironmentId, ServiceId, Status},
    workflow::{Caller, Error, FieldError, NewAccessRequest, PageRequest, RequestFilter},
};

/// How long access may be wanted: what people pick from.
const SPANS: [(&str, &str); 6] = [
    ("1d", "1 day"),
    ("7d", "7 days"),
    ("30d", "30 days"),
    ("90d", "90 days"),
    ("365d", "1 year"),
    ("", "Until revoked"),
];
const USUAL_SPAN: &str = "30d";

#[derive(Template)]
#[template(path = "request_access.html")]
struct RequestAccess {
    frame: Frame,
    id: EnvironmentId,
    name: String,
    services: Vec<Choice>,
    spans: Vec<Span>,
    justification: String,
    services_error: Option<String>,
    justification_error: Option<String>,
    duration_error: Option<String>,
    other_error: Option<String>,
}

struct Choice {
    id: &'static str,
    name: &'static str,
    about: &'static str,
    ticked: bool,
    /// What there is of it already.
    held: Option<&'static str>,
}

struct Span {
    value: &'static str,
    label: &'static str,
    picked: bool,
}

pub(crate) async fn show(visitor: Visitor, Id(id): Id<EnvironmentId>, uri: Uri) -> Result<Response, Problem> {
    let fields = Fields::of_query(&uri);
    Ok(visitor.page(&form(&visitor, id, &fields, &[], uri.query().is_none()).await?))
}

pub(crate) async fn submit(
    Id(id): Id<EnvironmentId>,
    Submitted { visitor, fields }: Submitted,
) -> Result<Response, Problem> {
    let (place, new) = (id.clone(), read(&fields));
    let made = visitor.attempt(move |caller| caller.requester(&place)?.submit(&new?)).await?;
    match made {
        Ok(made) => {
            let message = "Your request is made. This page changes when it is decided.";
            Ok(visitor.done(&format!("/access-requests/{}", made.request.id), message))
        }
        Err(errors) => Ok(visitor.again(&form(&visitor, id, &fields, &errors, false).await?)),
    }
}

fn read(fields: &Fields) -> Result<NewAccessRequest, Error> {
    let invalid = |field, message: String| Error::Invalid(vec![FieldError { field, message }]);
    let services = fields.all("services").map(ServiceId::new).collect::<Result<_, _>>();
    Ok(NewAccessRequest {
        cloud: CloudId::aws(),
        services: services.map_err(|error| invalid("services", error.to_string()))?,
        justification: fields.text("justification").to_owned(),
        duration: fields.span("duration").map_err(|error| invalid("duration", error.to_string()))?,
    })
}

async fn form(
    visitor: &Visitor,
    id: EnvironmentId,
    fields: &Fields,
    errors: &[FieldError],
    is_new: bool,
) -> Result<RequestAccess, Problem> {
    let place = id.clone();
    let (environment, held) = visitor
        .run(move |caller| {
            caller.requester(&place)?;
            Ok((caller.environment(&place)?.environment, held(caller, place)?))
        })
        .await?;
    let of = |field: &str| errors.iter().find(|error| error.field == field).map(sentence);
    let known = ["services", "justification", "duration"];
    let choice = |service: &'static crate::cloud::aws::Service| Choice {
        id: service.id.as_str(),
        name: service.name,
        about: service.about,
        ticked: fields.all("services").any(|ticked| ticked == service.id.as_str()),
        held: held.iter().find(|(id, _)| *id == service.id).map(|(_, status)| match status {
            Status::Pending => "you have asked for it",
            _ => "you have it",
        }),
    };
    let duration = if is_new { USUAL_SPAN } else { fields.text("duration") };
    Ok(RequestAccess {
        frame: visitor.frame(),
        name: environment.name,
        services: Catalogue::embedded().services().iter().map(choice).collect(),
        spans: SPANS.map(|(value, label)| Span { value, label, picked: value == duration }).into(),
        justification: fields.text("justification").to_owned(),
        services_error: of("services"),
        justification_error: of("justification"),
        duration_error: of("duration"),
        other_error: errors.iter().find(|error| !known.contains(&error.field)).map(sentence),
        id,
    })
}

fn sentence(error: &FieldError) -> String {
    match (error.field, error.message.as_str()) {
        ("services", "must not be empty") => "Tick at least one service.".into(),
        ("justification", "must not be empty") => "Say what you need it for: whoever decides reads this.".into(),
        (_, message) => capital(message),
    }
}

/// What the person has or waits for here, so that nobody asks twice without knowing.
fn held(caller: &Caller, id: EnvironmentId) -> Result<Vec<(ServiceId, Status)>, Error> {
    let filter = RequestFilter {
        statuses: [Status::Pending, Status::Approved, Status::Active].into(),
        environment: Some(id),
        requested_by: Some(caller.user().name.clone()),
        ..RequestFilter::default()
    };
    let page = caller.access_requests(&filter, &PageRequest { limit: 100, cursor: None })?;
    let pairs = |view: crate::workflow::AccessRequestView| {
        let status = view.request.status;
        view.request.services.into_iter().map(move |service| (service, status))
    };
    Ok(page.items.into_iter().flat_map(pairs).collect())
}

impl RequestAccess {
    fn back(&self) -> String {
        cloud_services(&self.id)
    }
}
