//! The names of what calls create are read from where botocore puts them, and of what is left it is known that they can't
//! be told.
//!
//! tests/fixtures/aws/generate.py put a name into each place that the catalogue knows, and botocore wrote the requests.

use std::{collections::BTreeSet, io::Read};

use base64::{Engine, engine::general_purpose::STANDARD};
use csg::{
    cloud::aws::Catalogue,
    model::{Creates, Names},
};
use flate2::read::GzDecoder;
use http::Request;

fn text() -> String {
    let mut text = String::new();
    let packed: &[u8] = include_bytes!("../fixtures/aws/names.tsv.gz");
    GzDecoder::new(packed).read_to_string(&mut text).unwrap();
    text
}

/// The names that are read from a line of the fixture, and whether its body was needed for them.
fn read(line: &str) -> Result<(Vec<String>, bool), String> {
    let fields: Vec<_> = line.split('\t').collect();
    let &[service, operation, name, region, method, host, target, headers, body, _] = &fields[..] else {
        panic!("{line}");
    };
    let headers: serde_json::Map<String, serde_json::Value> = serde_json::from_str(headers).unwrap();
    let mut request = Request::builder().method(method).uri(target).header("host", host);
    for (name, value) in headers.iter().filter(|(name, _)| *name != "host") {
        request = request.header(name, value.as_str().unwrap());
    }
    let (parts, ()) = request.body(()).unwrap().into_parts();
    let body = STANDARD.decode(body).unwrap();
    let host = Catalogue::embedded().host(host).ok_or("unknown host")?;
    let claim = if region == "*" { host.claim_set(name, |_| false) } else { host.claim(name, region) };
    let claim = claim.map_err(|error| error.to_string())?;
    let named = claim.name(&parts, &body, |granted| granted.as_str() == service);
    let found = named.call.operation.map(|operation| operation.name);
    if named.call.service.as_str() != service || found != Some(operation) {
        return Err(format!("called {}:{found:?}", named.call.service));
    }
    match claim.names(&named.call, named.dialect, &parts, Some(&body)) {
        Names::Told(told) => Ok((told, claim.names_in_body(&named.call))),
        Names::Untold => Err("untold".to_owned()),
    }
}

#[test]
fn the_names_that_botocore_sends_are_read() {
    let (mut wrong, mut seen) = (Vec::new(), BTreeSet::new());
    let text = text();
    for line in text.lines() {
        let fields: Vec<_> = line.split('\t').collect();
        let (name, given) = (format!("{}:{}", fields[0], fields[1]), fields[9]);
        let mut expected: Vec<_> = given.split(' ').collect();
        match read(line) {
            Ok((mut names, _)) => {
                // A call of several services gives its names to each of them.
                names.sort_unstable();
                names.dedup();
                expected.sort_unstable();
                if names != expected {
                    wrong.push(format!("{name} at {}: {names:?}, not {expected:?}", fields[6]));
                }
            }
            Err(why) => wrong.push(format!("{name} at {}: {why}", fields[6])),
        }
        seen.insert((fields[0], fields[1]));
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), text.lines().count(), wrong.join("\n"));
    for service in Catalogue::embedded().services() {
        for operation in service.operations().filter(|operation| operation.creates == Creates::Named) {
            assert!(seen.contains(&(service.id.as_str(), operation.name)), "{}:{}", service.id, operation.name);
        }
    }
    assert!(seen.len() > 2000);
}

/// Where nothing is at hand of a body that tells a name, no name is made up.
#[test]
fn without_its_body_no_name_is_told() {
    let text = text();
    let mut in_head = 0;
    for line in text.lines() {
        let fields: Vec<_> = line.split('\t').collect();
        let Ok((_, in_body)) = read(line) else { continue };
        in_head += usize::from(!in_body);
        if !in_body {
            assert!(read(&[&fields[..8], &["", fields[9]]].concat().join("\t")).is_ok(), "{line}");
        }
    }
    assert!(in_head > 50);
}

#[test]
fn what_creates_something_without_a_name_is_listed() {
    let mut lines = Vec::new();
    for service in Catalogue::embedded().services() {
        let untold: Vec<_> =
            service.operations().filter(|one| one.creates == Creates::Untold).map(|one| one.name).collect();
        if !untold.is_empty() {
            lines.push(format!("{}: {}\n", service.id, untold.join(" ")));
        }
    }
    insta::assert_snapshot!("operations_whose_names_are_untold", lines.concat());
}
