//! Asking for access: which cloud, which of its services, why, for how long, under which rules.

use std::collections::{BTreeMap, HashSet};

use askama::Template;
use axum::{http::Uri, response::Response};

use super::{
    form::{Fields, Submitted},
    frame::{Frame, cloud_services},
    rules,
    visitor::Visitor,
};
use crate::{
    cloud::aws::Catalogue,
    console::{
        error::{Problem, capital},
        extract::Id,
    },
    model::{CloudId, EnvironmentId, PolicyGroup, PolicyGroupId, ServiceId, Status},
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

/// What stands open before anything is looked for: what most applications need.
const MOST_USED: [&str; 26] = [
    "apigateway",
    "bedrock-runtime",
    "cloudformation",
    "cloudwatch",
    "cognito-idp",
    "dynamodb",
    "ec2",
    "ecr",
    "ecs",
    "eks",
    "elasticache",
    "events",
    "iam",
    "kinesis",
    "kms",
    "lambda",
    "logs",
    "rds",
    "route53",
    "s3",
    "secretsmanager",
    "ses",
    "sns",
    "sqs",
    "ssm",
    "stepfunctions",
];
/// The rules of so many policy groups are told on the page; those of the others on pages of their own.
const RULES_TOLD: usize = 50;
/// As much as is read of what is looked for.
const SEARCH_LENGTH: usize = 100;

#[derive(Template)]
#[template(path = "request_access.html")]
struct RequestAccess {
    frame: Frame,
    id: EnvironmentId,
    name: String,
    groups: Vec<Group>,
    search: String,
    /// What came of the search.
    said: Option<String>,
    spans: Vec<Span>,
    /// Those that can be asked for; empty if there are none.
    policy_groups: Vec<Rules>,
    /// Are there more than those whose rules are told here?
    more_rules: bool,
    justification: String,
    services_error: Option<String>,
    justification_error: Option<String>,
    duration_error: Option<String>,
    policy_group_error: Option<String>,
    other_error: Option<String>,
}

/// Services under one heading, each in one group only. What is ticked comes first, then what was looked for.
struct Group {
    heading: &'static str,
    open: bool,
    services: Vec<Choice>,
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

/// A policy group, and what it demands.
struct Rules {
    id: String,
    name: String,
    words: String,
    picked: bool,
}

pub(crate) async fn show(visitor: Visitor, Id(id): Id<EnvironmentId>, uri: Uri) -> Result<Response, Problem> {
    let fields = Fields::of_query(&uri);
    Ok(visitor.page(&form(&visitor, id, &fields, &[]).await?))
}

pub(crate) async fn submit(
    Id(id): Id<EnvironmentId>,
    Submitted { visitor, fields }: Submitted,
) -> Result<Response, Problem> {
    // Looking for a service without scripts: it comes as a form so that whatever was ticked and typed is kept.
    if fields.ticked("find") {
        return Ok(visitor.page(&form(&visitor, id, &fields, &[]).await?));
    }
    let (place, new) = (id.clone(), read(&fields));
    let made = visitor.attempt(move |caller| caller.requester(&place)?.submit(&new?)).await?;
    match made {
        Ok(made) => {
            let message = "Your request is made. This page changes when it is decided.";
            Ok(visitor.done(&format!("/access-requests/{}", made.request.id), message))
        }
        Err(errors) => Ok(visitor.again(&form(&visitor, id, &fields, &errors).await?)),
    }
}

fn read(fields: &Fields) -> Result<NewAccessRequest, Error> {
    let invalid = |field, message: String| Error::Invalid(vec![FieldError::new(field, message)]);
    let services = fields.all("services").map(ServiceId::new).collect::<Result<_, _>>();
    Ok(NewAccessRequest {
        cloud: CloudId::aws(),
        services: services.map_err(|error| invalid("services", error.to_string()))?,
        justification: fields.text("justification").to_owned(),
        duration: fields.span("duration").map_err(|error| invalid("duration", error.to_string()))?,
        policy_group: fields
            .optional("policy_group")
            .map(PolicyGroupId::new)
            .transpose()
            .map_err(|error| invalid("policy_group", error.to_string()))?,
    })
}

async fn form(
    visitor: &Visitor,
    id: EnvironmentId,
    fields: &Fields,
    errors: &[FieldError],
) -> Result<RequestAccess, Problem> {
    let place = id.clone();
    let (environment, held, policy_groups) = visitor
        .run(move |caller| {
            caller.requester(&place)?;
            let groups = caller.policy_groups(&PageRequest { limit: 1000, cursor: None })?.items;
            let groups: Vec<_> = groups.into_iter().map(|view| view.group).collect();
            Ok((caller.environment(&place)?.environment, held(caller, place)?, groups))
        })
        .await?;
    let of = |field: &str| errors.iter().find(|error| error.field == field).map(sentence);
    let known = ["services", "justification", "duration", "policy_group"];
    let duration = fields.all("duration").next().map_or(USUAL_SPAN, str::trim);
    let search: String = fields.text("q").chars().take(SEARCH_LENGTH).collect();
    let (groups, found) = groups(&search, fields, &held);
    Ok(RequestAccess {
        frame: visitor.frame(),
        name: environment.name,
        groups,
        said: (!search.is_empty()).then(|| match found {
            0 => format!("Nothing is found for “{search}”."),
            1 => "1 service is found.".into(),
            _ => format!("{found} services are found."),
        }),
        search,
        spans: SPANS.map(|(value, label)| Span { value, label, picked: value == duration }).into(),
        more_rules: policy_groups.len() > RULES_TOLD,
        policy_groups: policy_groups.iter().map(|group| offer(group, fields.text("policy_group"))).collect(),
        justification: fields.text("justification").to_owned(),
        services_error: of("services"),
        justification_error: of("justification"),
        duration_error: of("duration"),
        policy_group_error: of("policy_group"),
        other_error: errors.iter().find(|error| !known.contains(&error.field.as_ref())).map(sentence),
        id,
    })
}

fn offer(group: &PolicyGroup, picked: &str) -> Rules {
    Rules {
        id: group.id.to_string(),
        name: group.name.clone(),
        words: rules::summary(group),
        picked: group.id.as_str() == picked,
    }
}

/// All services in groups, and how many of them fit what is looked for.
fn groups(search: &str, fields: &Fields, held: &[(ServiceId, Status)]) -> (Vec<Group>, usize) {
    let search = search.to_lowercase();
    let words: Vec<_> = search.split_whitespace().collect();
    let ticked: HashSet<_> = fields.all("services").collect();
    let mut groups = BTreeMap::<_, Vec<Choice>>::new();
    let mut found = 0;
    for service in Catalogue::embedded().services() {
        let (id, name, about) = (service.id.as_str(), service.name, service.about);
        let text = format!("{name} {about} {id}").to_lowercase();
        let fits = !words.is_empty() && words.iter().all(|word| text.contains(word));
        let ticked = ticked.contains(id);
        found += usize::from(fits);
        let group = match () {
            () if ticked => (0, "Ticked"),
            () if fits => (1, "Found"),
            () if MOST_USED.contains(&id) => (2, "Most used"),
            () => (3, service.category),
        };
        let held = held.iter().find(|(id, _)| *id == service.id).map(|(_, status)| match status {
            Status::Pending => "you have asked for it",
            _ => "you have it",
        });
        groups.entry(group).or_default().push(Choice { id, name, about, ticked, held });
    }
    let groups = groups.into_iter().map(|((place, heading), mut services)| {
        services.sort_by_cached_key(|service| service.name.to_lowercase());
        Group { heading, open: place < 2 || place == 2 && words.is_empty(), services }
    });
    (groups.collect(), found)
}

fn sentence(error: &FieldError) -> String {
    match (error.field.as_ref(), error.message.as_str()) {
        ("services", "must not be empty") => "Tick at least one service.".into(),
        ("justification", "must not be empty") => "Say what you need it for: whoever decides reads this.".into(),
        ("policy_group", _) => "This policy group is no longer there: pick another, or none in particular.".into(),
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
    /// Those whose rules are told on the page.
    fn told(&self) -> impl Iterator<Item = &Rules> {
        self.policy_groups.iter().take(RULES_TOLD)
    }

    fn back(&self) -> String {
        cloud_services(&self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_service_stands_in_one_group_however_it_is_looked_for() {
        let count = Catalogue::embedded().services().len();
        let of = |query: &str| {
            let fields = Fields::parse(query.as_bytes());
            let (groups, found) = groups(fields.text("q"), &fields, &[]);
            let ids: HashSet<_> = groups.iter().flat_map(|group| &group.services).map(|service| service.id).collect();
            assert_eq!(
                (ids.len(), groups.iter().map(|group| group.services.len()).sum::<usize>()),
                (count, count),
                "{query}"
            );
            let open = groups.into_iter().filter(|group| group.open);
            (open.map(|group| (group.heading, group.services.len())).collect::<Vec<_>>(), found)
        };
        assert_eq!(of(""), (vec![("Most used", MOST_USED.len())], 0));
        assert_eq!(of("services=sns&services=macie2"), (vec![("Ticked", 2), ("Most used", MOST_USED.len() - 1)], 0));
        assert_eq!(of("q=DynamoDB+streams&services=sns"), (vec![("Ticked", 1), ("Found", 1)], 1));
        assert_eq!(of("q=nothing+of+the+kind"), (vec![], 0));
        assert_eq!(of("q=dynamodbstreams&services=dynamodbstreams").1, 1, "what is ticked is found too");
    }
}
