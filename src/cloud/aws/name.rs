//! What a request is called: service and operation, read from what its protocol says on the wire.
//!
//! A request whose signs point to two protocols, or twice to an operation, is not named at all: the cloud might read
//! the other one. What is not named, the gateway refuses.

use http::{Method, header, request::Parts};

use super::{
    account,
    catalogue::{Protocol, Service},
    form::{self, Decoded},
    hints::{Hints, Told},
    host::{Claim, Host},
    route::{Condition, Path, Wire},
};
use crate::model::{Accounts, Call, CloudId, Names, Operation, ServiceId, Twins};

/// The protocol that a client is to be answered in, and the service it believes to talk to.
#[derive(Clone, Copy, Debug)]
pub struct Dialect<'c> {
    /// The protocol.
    pub protocol: Protocol,
    /// The service, for its XML namespace.
    pub service: Option<&'c Service>,
    /// The request is HEAD: its answer has no body.
    pub bodiless: bool,
    /// A JSON protocol, but with its bodies in CBOR, as the Java SDK speaks to Kinesis.
    pub in_cbor: bool,
}

/// A request that was looked at: what it is, as far as it could be told, and how to answer it.
#[derive(Debug)]
pub struct Named<'c> {
    /// What it wants to do. Its operation is none if that could not be told beyond doubt.
    pub call: Call,
    /// How to answer it.
    pub dialect: Dialect<'c>,
}

/// What the headers say about the protocol.
enum Sign<'p> {
    Cbor,
    Conflict,
    Nothing,
    Target(&'p str),
}

struct Found<'c> {
    service: &'c Service,
    protocol: Protocol,
    operation: Operation,
    accounts: Accounts,
    /// How closely its route fits, where services share a host.
    rank: u128,
}

/// `Action` and `Version` of a query request.
struct Form<'p> {
    action: Decoded<'p>,
    version: Option<Decoded<'p>>,
}

impl<'c> Claim<'c, '_> {
    /// Is the operation written in the body, so that the body has to be held to name it?
    pub fn needs_body_to_name(&self, parts: &Parts) -> bool {
        parts.method == Method::POST
            && self.may_be_query(parts)
            && matches!(Sign::of(&Hints::of(&parts.headers)), Sign::Nothing)
    }

    /// May the body go unsigned (`UNSIGNED-PAYLOAD`)? To S3 any may, elsewhere that of an operation whose model says so.
    pub fn takes_unsigned_body(&self, parts: &Parts) -> bool {
        let operation = || self.name(parts, &[], |_| true).call.operation;
        self.path_is_encoded_once() || operation().is_some_and(|operation| operation.unsigned_body)
    }

    /// May the body be an event stream whose messages are signed one by one?
    pub fn takes_events(&self, parts: &Parts) -> bool {
        self.name(parts, &[], |_| true).call.operation.is_some_and(|operation| operation.sends_events)
    }

    /// Names the call. `body` matters only if [`Claim::needs_body_to_name`]; else it may be empty.
    ///
    /// Where several services have the very same call (RDS, Neptune, `DocumentDB`), it counts as the one that is
    /// `granted`, so that a grant for one of them covers its own operations and no others.
    pub fn name(&self, parts: &Parts, body: &[u8], granted: impl Fn(&ServiceId) -> bool) -> Named<'c> {
        let (hints, path) = (Hints::of(&parts.headers), Path::of(parts.uri.path()));
        let form = if self.may_be_query(parts) { Form::read(parts, &hints, body) } else { None };
        let several = form.is_some() && self.services().filter(|service| service.speaks_query()).nth(1).is_some();
        let mut best: Option<Found<'c>> = None;
        let mut is_certain = !hints.overrides_method;
        let mut twins = Twins::new();
        for service in self.services() {
            let form = form.as_ref().filter(|form| !several || form.is_for(service));
            let Some(found) = recognise(service, self.host, self.signing_name(), parts, (&hints, path), form) else {
                continue;
            };
            let Some(kept) = &mut best else {
                best = Some(found);
                continue;
            };
            is_certain &= kept.protocol.is_query() == found.protocol.is_query();
            if found.rank > kept.rank {
                *kept = found;
                twins.clear();
            } else if found.rank == kept.rank {
                let hands_out = kept.operation.hands_out_credentials || found.operation.hands_out_credentials;
                let mut other = found;
                if granted(&other.service.id) && !granted(&kept.service.id) {
                    std::mem::swap(kept, &mut other);
                }
                kept.operation.hands_out_credentials = hands_out;
                twins.push((other.service.id.clone(), other.operation));
            }
        }
        let is_clear = |found: &Found<'_>| is_certain && (found.protocol.is_query() || !self.looks_like_query(parts));
        let Some(found) = best.filter(is_clear) else {
            let dialect = dialect(self.services(), self.host, parts, (&hints, path));
            let service = dialect.service.unwrap_or(self.service);
            let accounts = self.host.account().copied().into_iter().collect();
            return Named { call: Self::call(service, None, accounts, Twins::new()), dialect };
        };
        let mut accounts = account::Found::default();
        accounts.add(self.host.account().copied());
        accounts.add(found.accounts);
        if !found.protocol.is_rest() {
            accounts.add_of_path(parts.uri.path());
        } else if let Some(query) = parts.uri.query()
            && !found.service.path_is_encoded_once()
        {
            // In S3's, what people make up stands, too: prefixes, tags.
            accounts.add_of_query(query);
        }
        let operation = accounts.add_of(parts, &hints).map(|()| found.operation);
        Named {
            call: Self::call(found.service, operation, accounts.into_accounts(), twins),
            dialect: Dialect::new(found.protocol, Some(found.service), parts, &hints),
        }
    }

    /// Of the names of what it creates nothing is known yet.
    fn call(service: &Service, operation: Option<Operation>, accounts: Accounts, twins: Twins) -> Call {
        Call { cloud: CloudId::aws(), service: service.id.clone(), operation, accounts, twins, names: Names::Untold }
    }

    /// Might a server that understands the query protocol take it for that, whatever else it says?
    fn looks_like_query(&self, parts: &Parts) -> bool {
        self.services().any(Service::speaks_query) && looks_like_query(parts)
    }

    /// A query service's calls go to `/`; where a REST service shares the host, all other paths are its.
    fn may_be_query(&self, parts: &Parts) -> bool {
        let speaks_rest = |service: &Service| service.protocols.iter().any(|protocol| protocol.is_rest());
        self.services().any(Service::speaks_query) && (parts.uri.path() == "/" || !self.services().any(speaks_rest))
    }
}

impl<'c> Host<'c> {
    /// How to answer a request that is refused before it could be named.
    pub fn dialect(&self, parts: &Parts) -> Dialect<'c> {
        dialect(self.services(), self, parts, (&Hints::of(&parts.headers), Path::of(parts.uri.path())))
    }
}

/// Does what a request is called depend on its header `name` (lower-case)? Then the cloud must get it as it was read,
/// signed or not: a proxy that lets `Connection` take it away sends on another call than the one it named.
pub fn is_read_to_name(name: &str) -> bool {
    matches!(name, "content-encoding" | "content-type" | "smithy-protocol" | "x-amz-copy-source" | "x-amz-target")
}

/// Of the protocols that the services of `host` speak, the one that the request looks most like.
fn dialect<'c>(
    mut services: impl Iterator<Item = &'c Service> + Clone,
    host: &Host<'_>,
    parts: &Parts,
    (hints, path): (&Hints<'_>, Path<'_>),
) -> Dialect<'c> {
    let looks = looks_like(parts, hints);
    let like = |protocol: &&Protocol| {
        looks.is_some_and(|looks| {
            looks == **protocol
                || (looks.is_query() && protocol.is_query())
                || (looks.is_json_rpc() && protocol.is_json_rpc())
        })
    };
    let match_in = |service: &'c Service| service.protocols.iter().find(like).map(|&protocol| (service, protocol));
    let alike = services.clone().find_map(match_in);
    // REST says nothing of itself: where services share a host, the path tells whose call it is.
    let is_shared = looks.is_none() && services.clone().nth(1).is_some();
    let candidates = services.clone().filter(|_| is_shared);
    let found = candidates.filter_map(|service| recognise(service, host, "", parts, (hints, path), None));
    let by_path = found.max_by_key(|found| found.rank).map(|found| (found.service, found.protocol));
    match alike.or(by_path).or_else(|| services.find_map(|service| Some((service, *service.protocols.first()?)))) {
        Some((service, protocol)) => Dialect::new(protocol, Some(service), parts, hints),
        // Of no known service: whatever it looks like, or what most services speak.
        None => Dialect::new(looks.unwrap_or(Protocol::RestJson), None, parts, hints),
    }
}

impl<'c> Dialect<'c> {
    fn new(protocol: Protocol, service: Option<&'c Service>, parts: &Parts, hints: &Hints<'_>) -> Self {
        let in_cbor = protocol.is_json_rpc() && content_type(hints).is_some_and(is_amz_cbor);
        Self { protocol, service, bodiless: parts.method == Method::HEAD, in_cbor }
    }
}

fn looks_like(parts: &Parts, hints: &Hints<'_>) -> Option<Protocol> {
    if hints.smithy_protocol.is_there() {
        Some(Protocol::Cbor)
    } else if content_type(hints).is_some_and(|kind| kind.eq_ignore_ascii_case("application/x-amz-json-1.1")) {
        Some(Protocol::Json11)
    } else if hints.target.is_there() {
        Some(Protocol::Json10)
    } else if looks_like_query(parts) {
        Some(Protocol::Query)
    } else {
        None
    }
}

fn looks_like_query(parts: &Parts) -> bool {
    let types = parts.headers.get_all(header::CONTENT_TYPE).iter().filter_map(|kind| kind.to_str().ok());
    types.filter_map(|kind| kind.split(';').next()).any(|kind| is_form(kind.trim()))
        || parts.uri.query().is_some_and(|query| form::count_in_any_case(query.as_bytes(), "Action") > 0)
}

fn recognise<'c>(
    service: &'c Service,
    host: &Host<'_>,
    signing_name: &str,
    parts: &Parts,
    (hints, path): (&Hints<'_>, Path<'_>),
    form: Option<&Form<'_>>,
) -> Option<Found<'c>> {
    let table = service.table();
    let speaks = |is: fn(Protocol) -> bool| service.protocols.iter().copied().find(|&protocol| is(protocol));
    let plain = |protocol, operation| Some(Found { service, protocol, operation, accounts: Accounts::new(), rank: 0 });
    if let Some(any) = table.any {
        return plain(*service.protocols.first()?, any);
    }
    match Sign::of(hints) {
        Sign::Conflict => None,
        Sign::Cbor => {
            let protocol = speaks(|protocol| protocol == Protocol::Cbor)?;
            // Smithy RPC v2 CBOR, "Requests": POST /service/{service}/operation/{operation}
            let path = parts.uri.path().strip_prefix("/service/")?.strip_prefix(service.target?)?;
            let operation = service.operation(path.strip_prefix("/operation/")?)?;
            (parts.method == Method::POST).then_some(())?;
            plain(protocol, operation)
        }
        Sign::Target(target) => {
            let protocol = speaks(Protocol::is_json_rpc)?;
            let operation = service.operation(target.strip_prefix(service.target?)?.strip_prefix('.')?)?;
            (parts.method == Method::POST && parts.uri.path() == "/").then_some(())?;
            plain(protocol, operation)
        }
        Sign::Nothing => {
            if let (Some(protocol), Some(form)) = (speaks(Protocol::is_query), form) {
                let operation = service.operation(std::str::from_utf8(&form.action).ok()?)?;
                return plain(protocol, operation);
            }
            let protocol = speaks(Protocol::is_rest)?;
            let holds = |condition| match condition {
                Condition::Header(name) => parts.headers.contains_key(name),
                Condition::Signed(name) => name == signing_name,
            };
            let found = table.routes.find(&Wire {
                method: parts.method.as_str(),
                path,
                query: parts.uri.query().unwrap_or_default(),
                label_in_host: host.names_bucket(),
                normalised: !service.path_is_encoded_once(),
                holds: &holds,
            })?;
            Some(Found { service, protocol, operation: found.operation, accounts: found.accounts, rank: found.rank })
        }
    }
}

impl<'p> Sign<'p> {
    fn of(hints: &Hints<'p>) -> Self {
        match (hints.target, hints.smithy_protocol) {
            (Told::Nothing, Told::Nothing) => Self::Nothing,
            (Told::Nothing, smithy) if smithy.once() == Some("rpc-v2-cbor") => Self::Cbor,
            (target @ Told::Once(_), Told::Nothing) => target.once().map_or(Self::Conflict, Self::Target),
            _ => Self::Conflict,
        }
    }
}

impl<'p> Form<'p> {
    /// Reads the query string and the body together, as the query protocol does; none if either is in doubt.
    fn read(parts: &'p Parts, hints: &Hints<'p>, body: &'p [u8]) -> Option<Self> {
        let query = parts.uri.query().unwrap_or_default().as_bytes();
        let headers = &parts.headers;
        let bodiless = headers.get(header::TRANSFER_ENCODING).is_none()
            && headers.get_all(header::CONTENT_LENGTH).iter().all(|length| length == "0");
        let readable = match parts.method {
            Method::GET => bodiless && body.is_empty(),
            Method::POST => (bodiless && body.is_empty()) || is_form(content_type(hints)?),
            _ => false,
        };
        if !readable || headers.contains_key(header::CONTENT_ENCODING) {
            return None;
        }
        let (mut action, mut version) = (None, None);
        for (key, value) in form::pairs(query).chain(form::pairs(body)) {
            for (name, found) in [("Action", &mut action), ("Version", &mut version)] {
                // Each at most once in whatever case, and in no other than this one.
                let told = || form::decodes_to(key, name).then_some(value);
                if form::is_in_any_case(key, name) && found.replace(told()).is_some() {
                    return None;
                }
            }
        }
        let version = version.flatten().map(|version| form::decode(version).ok_or(())).transpose().ok()?;
        Some(Self { action: form::decode(action??)?, version })
    }

    /// Where several services share a host, the version tells them apart.
    fn is_for(&self, service: &Service) -> bool {
        self.version.as_deref() == service.api_version.map(str::as_bytes)
    }
}

fn content_type<'p>(hints: &Hints<'p>) -> Option<&'p str> {
    hints.content_type.once().map(|value| value.split(';').next().unwrap_or_default().trim())
}

fn is_amz_cbor(content_type: &str) -> bool {
    content_type.eq_ignore_ascii_case("application/x-amz-cbor-1.1")
}

fn is_form(content_type: &str) -> bool {
    content_type.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::{cloud::aws::Catalogue, model::AccountId};

    /// Names a request written as `METHOD path-and-query` with `name: value` headers.
    fn name(host: &str, request: &str, headers: &[(&str, &str)], body: &str) -> Named<'static> {
        name_in(Catalogue::embedded(), host, request, headers, body)
    }

    fn name_in<'c>(
        catalogue: &'c Catalogue,
        host: &str,
        request: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Named<'c> {
        let host = catalogue.host(host).unwrap();
        let claim = host.any_claim();
        let (method, target) = request.split_once(' ').unwrap();
        let mut builder = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        claim.name(&builder.body(()).unwrap().into_parts().0, body.as_bytes(), |_| false)
    }

    const DYNAMODB: &str = "dynamodb.us-east-1.amazonaws.com";
    const GLACIER: &str = "glacier.us-east-1.amazonaws.com";
    const LAMBDA: &str = "lambda.us-east-1.amazonaws.com";
    const SNS: &str = "sns.us-east-1.amazonaws.com";
    const APIGATEWAY: &str = "apigateway.us-east-1.amazonaws.com";
    const CLOUDSEARCH: &str = "search-x.us-east-1.cloudsearch.amazonaws.com";
    const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded; charset=utf-8");

    #[test]
    fn calls_are_named_by_what_their_protocol_says() {
        let target = ("x-amz-target", "DynamoDB_20120810.PutItem");
        for (host, request, headers, body, operation) in [
            (DYNAMODB, "POST /", vec![target], "{}", Some("PutItem")),
            (DYNAMODB, "GET /", vec![target], "{}", None),
            (DYNAMODB, "POST /", vec![target, target], "{}", None),
            (DYNAMODB, "POST /", vec![target, ("smithy-protocol", "rpc-v2-cbor")], "{}", None),
            (
                DYNAMODB,
                "POST /service/DynamoDB_20120810/operation/PutItem",
                vec![("smithy-protocol", "rpc-v2-cbor")],
                "",
                None,
            ),
            (DYNAMODB, "POST /", vec![("x-amz-target", "DynamoDB_20120810.Nonsense")], "{}", None),
            (DYNAMODB, "POST /", vec![("x-amz-target", "dynamodb_20120810.PutItem")], "{}", None),
            (DYNAMODB, "POST /", vec![], "{}", None),
            (SNS, "POST /", vec![FORM], "Action=Publish&Version=2010-03-31&Message=a", Some("Publish")),
            (SNS, "POST /", vec![FORM], "Message=a%26Action%3DX&Action=Publish", Some("Publish")),
            (SNS, "GET /?Action=Publish&Message=a", vec![], "", Some("Publish")),
            (SNS, "POST /?Action=Publish", vec![], "", Some("Publish")),
            (SNS, "POST /?Action=Publish", vec![FORM], "Action=Subscribe", None),
            (SNS, "POST /", vec![FORM], "Action=Publish&Action=Publish", None),
            (SNS, "POST /", vec![FORM], "Action=Publish&%41ction=Subscribe", None),
            (SNS, "POST /", vec![FORM], "Action=Publish;Action=Subscribe", None),
            (SNS, "POST /", vec![FORM], "Action=Publish&action=Subscribe", None),
            (SNS, "POST /", vec![FORM], "action=Publish", None),
            (SNS, "POST /", vec![FORM], "Action=publish", None),
            (SNS, "POST /", vec![FORM, ("content-encoding", "gzip")], "Action=Publish", None),
            (SNS, "POST /", vec![("content-type", "application/json")], "Action=Publish", None),
            (SNS, "POST /", vec![FORM, ("x-amz-target", "Sns.Publish")], "Action=Publish", None),
            (SNS, "PUT /", vec![FORM], "Action=Publish", None),
            (SNS, "GET /?Action=Publish", vec![("content-length", "5")], "x=y&z", None),
            (LAMBDA, "GET /2015-03-31/functions", vec![], "", Some("ListFunctions")),
            (LAMBDA, "GET /2015-03-31/functions/", vec![], "", Some("ListFunctions")),
            (LAMBDA, "GET /2015-03-31/functions/f", vec![], "", Some("GetFunction")),
            (LAMBDA, "POST /2015-03-31/functions/f/invocations", vec![], "{}", Some("Invoke")),
            (LAMBDA, "POST /2015-03-31/functions/f%2Fg/invocations", vec![], "{}", Some("Invoke")),
            (LAMBDA, "POST /2015-03-31/functions/f/invocations", vec![("x-amz-target", "a.b")], "{}", None),
            (LAMBDA, "POST /2015-03-31/functions/f/%69nvocations", vec![], "{}", None),
            (LAMBDA, "POST /2015-03-31/functions//invocations", vec![], "{}", None),
            (LAMBDA, "POST /2015-03-31/functions/f/../g", vec![], "{}", None),
            (LAMBDA, "POST /2015-03-31/functions/%2e%2e/invocations", vec![], "{}", None),
            (LAMBDA, "POST /2015-03-31/functions/a%2f..%2fb/invocations", vec![], "{}", None),
            (LAMBDA, "POST /2015-03-31/functions/%zz/invocations", vec![], "{}", None),
            (LAMBDA, "DELETE /2015-03-31/functions", vec![], "", None),
            (
                LAMBDA,
                "GET /2019-09-30/functions/f/provisioned-concurrency?List=ALL",
                vec![],
                "",
                Some("ListProvisionedConcurrencyConfigs"),
            ),
            (
                LAMBDA,
                "GET /2019-09-30/functions/f/provisioned-concurrency?Qualifier=1",
                vec![],
                "",
                Some("GetProvisionedConcurrencyConfig"),
            ),
            (LAMBDA, "GET /2019-09-30/functions/f/provisioned-concurrency?List=ALL&List=X", vec![], "", None),
            (GLACIER, "POST /-/vaults/v/tags?operation=add", vec![], "{}", Some("AddTagsToVault")),
            (GLACIER, "POST /-/vaults/v/tags?operation=%72emove", vec![], "{}", Some("RemoveTagsFromVault")),
            (GLACIER, "POST /-/vaults/v/tags?operation=add&operation=remove", vec![], "{}", None),
            (GLACIER, "POST /-/vaults/v/tags", vec![], "{}", None),
            (APIGATEWAY, "POST /restapis", vec![], "{}", Some("CreateRestApi")),
            (APIGATEWAY, "POST /restapis?mode=import", vec![], "{}", Some("ImportRestApi")),
            (APIGATEWAY, "GET /", vec![], "", None),
            (CLOUDSEARCH, "GET /2013-01-01/search?format=sdk&pretty=true&q=a", vec![], "", Some("Search")),
            (CLOUDSEARCH, "POST /2013-01-01/search", vec![FORM], "format=sdk&pretty=true&q=a", Some("Search")),
            (CLOUDSEARCH, "POST /2013-01-01/suggest", vec![FORM], "format=sdk&pretty=true&q=a", None),
        ] {
            let named = name(host, request, &headers, body);
            assert_eq!(named.call.operation.map(|operation| operation.name), operation, "{request} {headers:?} {body}");
        }
    }

    fn accounts<'n>(named: &'n Named<'_>) -> Vec<&'n str> {
        named.call.accounts.iter().map(AccountId::as_str).collect()
    }

    #[test]
    fn the_account_that_a_call_names_is_told() {
        let (own, other) = ("123456789012", "210987654321");
        for (host, request, account) in [
            (GLACIER, "GET /-/vaults", None),
            (GLACIER, "GET /210987654321/vaults", Some(other)),
            (GLACIER, "GET /%3210987654321/vaults", Some(other)),
            ("quicksight.us-east-1.amazonaws.com", "GET /accounts/210987654321/namespaces", Some(other)),
            (LAMBDA, "GET /2015-03-31/functions/f", None),
            (LAMBDA, "GET /2015-03-31/functions/arn:aws:lambda:us-east-1:210987654321:function:f", Some(other)),
            (
                LAMBDA,
                "GET /2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A210987654321%3Afunction%3Af",
                Some(other),
            ),
            (LAMBDA, "GET /2015-03-31/functions/210987654321:function:f", Some(other)),
            (APIGATEWAY, "GET /tags/arn%3Aaws%3Aapigateway%3Aus-east-1%3A%3A%2Frestapis%2Fabc", None),
        ] {
            let named = name(host, request, &[], "");
            assert!(named.call.operation.is_some(), "{request}");
            assert_eq!(accounts(&named), account.into_iter().collect::<Vec<_>>(), "{request}");
        }
        let named = name(
            "123456789012.ddb.us-east-1.amazonaws.com",
            "POST /",
            &[("x-amz-target", "DynamoDB_20120810.GetItem")],
            "{}",
        );
        assert_eq!(accounts(&named), [own]);
    }

    /// One host may be several services': mail and its second version, or a service that was given a new protocol.
    #[test]
    fn services_that_share_a_host_are_told_apart() {
        let catalogue = Catalogue::parse(
            "partition\taws\tamazonaws.com\tapi.aws\tus-east-1\tus-east-1\n\
             service\tses\tc\tSES\tMail.\nprotocol\tquery\nxml\t2010-12-01\thttp://ses/\n\
             host\temail.{region}.{dns}\tses\t=\taws\nop\tSendEmail\t-\nop\tGetSendQuota\t-\n\
             service\tsesv2\tc\tSES\tMail.\nprotocol\trest-json\n\
             host\temail.{region}.{dns}\tses\t=\taws\nop\tSendEmail\t-\tPOST\t/v2/email/outbound-emails\n\
             service\telb\tc\tELB\tOld.\nprotocol\tquery\nxml\t2012-06-01\thttp://elb/\n\
             host\telasticloadbalancing.{region}.{dns}\telb\t=\taws\nop\tDescribeLoadBalancers\t-\n\
             service\telbv2\tc\tELB\tNew.\nprotocol\tquery\nxml\t2015-12-01\thttp://elb/\n\
             host\telasticloadbalancing.{region}.{dns}\telb\t=\taws\nop\tDescribeLoadBalancers\t-\n\
             service\tsqs\tc\tSQS\tQueues.\nprotocol\tjson-1.0\tquery\ntarget\tAmazonSQS\nxml\t2012-11-05\thttp://q/\n\
             host\tsqs.{region}.{dns}\tsqs\t=\taws\nop\tSendMessage\t-\n",
        )
        .unwrap();
        let (email, elb, sqs) = (
            "email.us-east-1.amazonaws.com",
            "elasticloadbalancing.us-east-1.amazonaws.com",
            "sqs.us-east-1.amazonaws.com",
        );
        let target = ("x-amz-target", "AmazonSQS.SendMessage");
        for (host, request, headers, body, expected) in [
            (email, "POST /", vec![FORM], "Action=SendEmail&Version=2010-12-01", Some(("ses", "SendEmail"))),
            (email, "POST /v2/email/outbound-emails", vec![], "{}", Some(("sesv2", "SendEmail"))),
            (email, "POST /v2/email/outbound-emails", vec![FORM], "Action=GetSendQuota&Version=2010-12-01", None),
            (email, "POST /v2/email/outbound-emails?Action=GetSendQuota", vec![], "{}", None),
            (
                elb,
                "POST /",
                vec![FORM],
                "Action=DescribeLoadBalancers&Version=2012-06-01",
                Some(("elb", "DescribeLoadBalancers")),
            ),
            (
                elb,
                "POST /",
                vec![FORM],
                "Action=DescribeLoadBalancers&Version=2015-12-01",
                Some(("elbv2", "DescribeLoadBalancers")),
            ),
            (elb, "POST /", vec![FORM], "Action=DescribeLoadBalancers", None),
            (elb, "POST /", vec![FORM], "Action=DescribeLoadBalancers&Version=2012-06-01&Version=2015-12-01", None),
            (sqs, "POST /", vec![target], "{}", Some(("sqs", "SendMessage"))),
            (sqs, "POST /123456789012/queue", vec![FORM], "Action=SendMessage", Some(("sqs", "SendMessage"))),
            (sqs, "POST /", vec![target, FORM], "Action=SendMessage", None),
        ] {
            let named = name_in(&catalogue, host, request, &headers, body);
            let found = named.call.operation.map(|operation| (named.call.service.as_str(), operation.name));
            assert_eq!(found, expected, "{request} {headers:?} {body}");
        }
        let both: Vec<_> = catalogue.host(email).unwrap().services().map(|service| service.id.to_string()).collect();
        assert_eq!(both, ["ses", "sesv2"]);
    }

    proptest::proptest! {
        #[test]
        fn no_request_makes_it_stumble(
            host in proptest::sample::select(vec![DYNAMODB, GLACIER, LAMBDA, SNS, APIGATEWAY]),
            method in "GET|POST|PUT|DELETE|X",
            target in "/([a-z0-9%+.{}:;&=?/-]|%2[eEfF]|vaults/|tags|restapis|2015-03-31/functions/|Action=){0,30}",
            headers in proptest::collection::vec(
                ("x-amz-target|smithy-protocol|content-type|content-length", "[ -~]{0,40}|application/x-www-form-urlencoded"),
                0..3,
            ),
            body in "(Action=|[a-zA-Z&;=%+0-9]){0,40}",
        ) {
            let target = format!("{method} {target}");
            let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            if target.split(' ').nth(1).is_some_and(|target| target.parse::<http::Uri>().is_ok()) {
                let _ = name(host, &target, &headers, &body);
            }
        }
    }
}
