//! What botocore sends for each operation of each service is recognised as that operation.
//!
//! tests/fixtures/aws/generate.py wrote the requests. Where one is the call of several services, the snapshot lists it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
    time::Instant,
};

use csg::cloud::aws::{Catalogue, Service};
use flate2::read::GzDecoder;
use http::{
    Request,
    request::{Builder, Parts},
};

struct Sent<'t> {
    service: &'t str,
    operation: &'t str,
    signs: (&'t str, &'t str),
    host: &'t str,
    parts: Parts,
    body: &'t str,
}

fn text() -> String {
    let mut text = String::new();
    let packed: &[u8] = include_bytes!("../fixtures/aws/requests.tsv.gz");
    GzDecoder::new(packed).read_to_string(&mut text).unwrap();
    text
}

fn sent(line: &str) -> Sent<'_> {
    let fields: Vec<_> = line.split('\t').collect();
    let &[service, operation, name, region, method, host, target, amz_target, smithy, content_type, copy, body] =
        &fields[..]
    else {
        panic!("{line}");
    };
    let headers = [
        ("x-amz-target", amz_target),
        ("smithy-protocol", smithy),
        ("content-type", content_type),
        ("x-amz-copy-source", copy),
    ];
    let told = headers.into_iter().filter(|(_, value)| !value.is_empty());
    let request = told.fold(Request::builder().method(method).uri(target), |request: Builder, (name, value)| {
        request.header(name, value)
    });
    let (parts, ()) = request.body(()).unwrap().into_parts();
    Sent { service, operation, signs: (name, region), host, parts, body }
}

/// What a request is called if `granted` is.
fn called(sent: &Sent<'_>, granted: &str) -> Result<(String, Option<&'static str>), String> {
    let host = Catalogue::embedded().host(sent.host).ok_or("unknown host")?;
    let claim = if sent.signs.1 == "*" {
        host.claim_set(sent.signs.0, |_| false)
    } else {
        host.claim(sent.signs.0, sent.signs.1)
    };
    let claim = claim.map_err(|error| error.to_string())?;
    let call = claim.name(&sent.parts, sent.body.as_bytes(), |service| service.as_str() == granted).call;
    Ok((call.service.to_string(), call.operation.map(|operation| operation.name)))
}

#[test]
fn all_that_botocore_sends_is_recognised() {
    let (text, began) = (text(), Instant::now());
    let requests: Vec<_> = text.lines().map(sent).collect();
    let catalogue = Catalogue::embedded();
    let (mut others, mut unlike) = (BTreeMap::<String, BTreeSet<String>>::new(), Vec::new());
    for sent in &requests {
        let name = format!("{}:{}", sent.service, sent.operation);
        match called(sent, sent.service) {
            Ok((service, operation)) if service == sent.service && operation == Some(sent.operation) => {}
            Ok((service, Some(operation))) if service == sent.service => {
                others.entry(name.clone()).or_default().insert(format!("{service}:{operation}"));
            }
            else_called => unlike.push(format!("{name} at {} {}: {else_called:?}", sent.host, sent.parts.uri)),
        }
        let neighbours = catalogue.host(sent.host).into_iter().flat_map(|host| host.services().collect::<Vec<_>>());
        for neighbour in neighbours.filter(|other| other.id.as_str() != sent.service) {
            if let Ok((service, Some(operation))) = called(sent, neighbour.id.as_str())
                && service == neighbour.id.as_str()
            {
                others.entry(name.clone()).or_default().insert(format!("{service}:{operation}"));
            }
        }
    }
    println!("{} requests named in {:?}", requests.len(), began.elapsed());
    assert!(unlike.is_empty(), "{} of {}:\n{}", unlike.len(), requests.len(), unlike.join("\n"));
    let lines =
        others.iter().map(|(name, also)| format!("{name} = {}\n", also.iter().cloned().collect::<Vec<_>>().join(" ")));
    insta::assert_snapshot!("calls_that_are_not_one_operations_alone", lines.collect::<String>());

    let seen: BTreeSet<_> = requests.iter().map(|sent| (sent.service, sent.operation)).collect();
    let by_hand = ["appsync-api", "execute-api", "lambda-url", "opensearch-collection", "opensearch-domain"];
    let own = |service: &&Service| !by_hand.contains(&service.id.as_str());
    for service in catalogue.services().iter().filter(own) {
        for operation in service.operations() {
            assert!(seen.contains(&(service.id.as_str(), operation.name)), "{}:{}", service.id, operation.name);
        }
    }
}
