//! A request for each operation of the catalogue, as plainly as it can be made, from the file that is built in.

use std::fs;

use csg::gateway::Address;

/// Behind which nobody listens: a call that is let through ends in 502.
pub(super) fn nowhere() -> Address {
    Address::Socket("127.0.0.1:1".parse().unwrap())
}

/// A service as the catalogue's file has it.
pub(super) struct Service {
    pub(super) id: String,
    protocols: Vec<String>,
    target: String,
    version: String,
    /// Host in us-east-1 and signing name.
    pub(super) host: (String, String),
    pub(super) operations: Vec<Operation>,
}

/// An operation as the catalogue's file has it.
pub(super) struct Operation {
    pub(super) name: String,
    remarks: Vec<String>,
    method: String,
    path: String,
    condition: String,
}

/// The services that have operations which are `wanted`, and of each these operations alone.
pub(super) fn services(wanted: impl Fn(&Operation) -> bool) -> Vec<Service> {
    let path = format!("{}/assets/aws/catalogue.tsv", env!("CARGO_MANIFEST_DIR"));
    let mut all: Vec<Service> = Vec::new();
    for line in fs::read_to_string(path).unwrap().lines() {
        let fields: Vec<_> = line.split('\t').collect();
        match (fields[0], all.last_mut()) {
            ("service", _) => all.push(Service {
                id: fields[1].to_owned(),
                protocols: Vec::new(),
                target: String::new(),
                version: String::new(),
                host: Default::default(),
                operations: Vec::new(),
            }),
            ("protocol", Some(service)) => service.protocols = fields[1..].iter().map(|&p| p.to_owned()).collect(),
            ("target", Some(service)) => fields[1].clone_into(&mut service.target),
            ("xml", Some(service)) => fields[1].clone_into(&mut service.version),
            ("host", Some(service)) if service.host.0.is_empty() => {
                service.host = host(&fields[1..]).unwrap_or_default();
            }
            ("op", Some(service)) => service.operations.extend(Some(Operation::read(&fields)).filter(&wanted)),
            _ => {}
        }
    }
    all.retain(|service| !service.operations.is_empty());
    for service in &all {
        assert!(!service.host.0.is_empty(), "{} has no host in us-east-1 whose form is known here", service.id);
    }
    all
}

/// A host of this form in us-east-1, if it has one and is signed for by SigV4 there.
fn host(fields: &[&str]) -> Option<(String, String)> {
    let [template, signs, region, places] = fields else { panic!("{fields:?}") };
    let there = places.split(' ').any(|place| matches!(place, "*" | "aws" | "us-east-1"));
    let signs_there = matches!(*region, "=" | "*" | "?" | "us-east-1");
    let name = template.replace("{region}", "us-east-1").replace("{dns}", "amazonaws.com").replace("{dual}", "api.aws");
    (there && signs_there && !name.contains('{')).then(|| (name, (*signs).to_owned()))
}

impl Operation {
    fn read(fields: &[&str]) -> Self {
        let field = |at: usize| fields.get(at).copied().unwrap_or_default().to_owned();
        Self {
            name: field(1),
            remarks: fields[2].split(' ').map(ToOwned::to_owned).collect(),
            method: field(3),
            path: field(4),
            condition: field(5),
        }
    }

    /// Is this said of it?
    pub(super) fn is(&self, remark: &str) -> bool {
        self.remarks.iter().any(|known| known == remark)
    }
}

impl Service {
    /// Of its operations those that hand out credentials.
    pub(super) fn that_hand_out(mut self) -> Self {
        self.operations.retain(|operation| operation.is("credentials"));
        self
    }

    /// Is it spoken to in a protocol that names the operation in the body?
    pub(super) fn is_told_by_bodies(&self) -> bool {
        self.protocols.iter().any(|protocol| matches!(protocol.as_str(), "ec2" | "query"))
    }

    /// `sts:AssumeRole`
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        self.operations.iter().map(|operation| format!("{}:{}", self.id, operation.name))
    }

    /// The operation's request in each protocol that the service speaks, with `more` headers: head and body.
    pub(super) fn requests(&self, operation: &Operation, more: &str) -> Vec<(String, Vec<u8>)> {
        let Operation { name, method, path, condition, .. } = operation;
        assert_ne!(condition, "never", "{name} is not told by its path");
        let host = &self.host.0;
        let request = |protocol: &String| match protocol.as_str() {
            "cbor" => (
                format!(
                    "POST /service/{}/operation/{name} HTTP/1.1\nHost: {host}\nSmithy-Protocol: rpc-v2-cbor\n\
                     Content-Type: application/cbor{more}",
                    self.target
                ),
                vec![0xa0],
            ),
            "query" | "ec2" => (
                format!("POST / HTTP/1.1\nHost: {host}\nContent-Type: application/x-www-form-urlencoded{more}"),
                format!("Action={name}&Version={}", self.version).into_bytes(),
            ),
            json if json.starts_with("json") => {
                (format!("POST / HTTP/1.1\nHost: {host}\nX-Amz-Target: {}.{name}{more}", self.target), b"{}".to_vec())
            }
            _ => {
                let (path, query) = path.split_once('?').unwrap_or((path, ""));
                let filled: Vec<_> =
                    path.split('/').map(|part| if part.starts_with('{') { "x" } else { part }).collect();
                let target = format!("{}{}{query}", filled.join("/"), if query.is_empty() { "" } else { "?" });
                let header = condition.strip_prefix("header ").map(|name| format!("\n{name}: x")).unwrap_or_default();
                let body = if method == "GET" { Vec::new() } else { b"{}".to_vec() };
                (format!("{method} {target} HTTP/1.1\nHost: {host}{header}{more}"), body)
            }
        };
        self.protocols.iter().map(request).collect()
    }
}
