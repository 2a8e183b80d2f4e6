//! A stand-in for AWS on loopback: it takes only calls signed with the real key, and keeps DynamoDB tables in memory.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::Context;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    header::{CONTENT_TYPE, HeaderMap},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use ring::digest;
use rustls::ServerConfig;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::{
    ca::{Authority, NameConstraints},
    clock::Clock,
    secret::Secret,
    sigv4::{self, PathStyle, Payload, SigningKey},
};

/// More than any call of the demonstration needs.
const LARGEST_BODY: usize = 1 << 20;

/// The running stand-in.
pub(super) struct StandIn {
    pub(super) address: SocketAddr,
    /// The root that its certificate comes from.
    pub(super) root_pem: String,
    cloud: Arc<Cloud>,
}

struct Cloud {
    access_key_id: String,
    secret_access_key: Secret,
    tables: Mutex<BTreeMap<String, Table>>,
    calls: AtomicU64,
}

struct Table {
    key: String,
    items: BTreeMap<String, Value>,
}

/// An error as DynamoDB words it.
struct Fault(StatusCode, &'static str, String);

impl StandIn {
    /// Starts it, for `host`, on any free port; it runs as long as the runtime.
    pub(super) async fn start(host: &str, access_key_id: &str, secret_access_key: &Secret) -> anyhow::Result<Self> {
        let now = Clock::system().now();
        let root = Authority::generate(now, &NameConstraints::new([host], [])?)?;
        let leaf = root.leaf(host, now)?;
        let tls = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![leaf.certificate], leaf.key)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no free port on 127.0.0.1")?;
        let cloud = Arc::new(Cloud {
            access_key_id: access_key_id.to_owned(),
            secret_access_key: secret_access_key.clone(),
            tables: Mutex::default(),
            calls: AtomicU64::new(0),
        });
        let address = listener.local_addr()?;
        tokio::spawn(accept(listener, TlsAcceptor::from(Arc::new(tls)), Arc::clone(&cloud)));
        Ok(Self { address, root_pem: root.pem(), cloud })
    }

    /// How many calls came that were rightly signed with the real key.
    pub(super) fn calls(&self) -> u64 {
        self.cloud.calls.load(Ordering::Relaxed)
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, cloud: Arc<Cloud>) {
    while let Ok((tcp, _)) = listener.accept().await {
        let (acceptor, cloud) = (acceptor.clone(), Arc::clone(&cloud));
        tokio::spawn(async move {
            let Ok(tls) = acceptor.accept(tcp).await else { return };
            let serve = service_fn(|request| {
                let cloud = Arc::clone(&cloud);
                async move { Ok::<_, std::convert::Infallible>(cloud.answer(request).await) }
            });
            // A client that goes away is no concern of ours.
            drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(tls), serve).await);
        });
    }
}

impl Cloud {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let outcome = match Limited::new(body, LARGEST_BODY).collect().await {
            Ok(body) => {
                let body = body.to_bytes();
                self.authenticate(&parts, &body).and_then(|()| {
                    self.calls.fetch_add(1, Ordering::Relaxed);
                    self.operate(&parts.headers, &body)
                })
            }
            Err(error) => Err(Fault::bad("SerializationException", error.to_string())),
        };
        let (status, body) = match outcome {
            Ok(body) => (StatusCode::OK, body),
            Err(Fault(status, code, message)) => {
                (status, json!({ "__type": format!("com.amazon.coral.service#{code}"), "message": message }))
            }
        };
        let mut response = Response::new(Full::from(body.to_string()));
        *response.status_mut() = status;
        let json = http::HeaderValue::from_static("application/x-amz-json-1.0");
        response.headers_mut().insert(CONTENT_TYPE, json);
        let id = http::HeaderValue::from_static("STANDIN0000000000000000000000000");
        response.headers_mut().insert("x-amzn-requestid", id);
        response
    }

    /// Only the real key counts here, as in the real cloud.
    fn authenticate(&self, parts: &http::request::Parts, body: &[u8]) -> Result<(), Fault> {
        let unsigned = |error: sigv4::ParseError| Fault::bad("IncompleteSignatureException", error.to_string());
        let wrong = |error: sigv4::SignatureError| Fault::bad("InvalidSignatureException", error.to_string());
        let claim = sigv4::parse(parts).map_err(unsigned)?;
        if claim.access_key_id != self.access_key_id {
            let message = "The security token included in the request is invalid.";
            return Err(Fault::bad("UnrecognizedClientException", message));
        }
        let key = SigningKey::derive(&self.secret_access_key, claim.scope.clone());
        let payload = claim.payload.unwrap_or_else(|| Payload::of(body));
        let verified =
            claim.verify(parts, PathStyle::EncodedTwice, &key, payload, Clock::system().now()).map_err(wrong)?;
        verified.check_body(digest::digest(&digest::SHA256, body).as_ref()).map_err(wrong)
    }

    fn operate(&self, headers: &HeaderMap, body: &[u8]) -> Result<Value, Fault> {
        let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
        let input: Value =
            serde_json::from_slice(body).map_err(|error| Fault::bad("SerializationException", error.to_string()))?;
        let name = input.get("TableName").and_then(Value::as_str).unwrap_or_default();
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = || Fault::bad("ResourceNotFoundException", format!("Table: {name} not found"));
        match target.strip_prefix("DynamoDB_20120810.").unwrap_or_default() {
            "CreateTable" => {
                if tables.contains_key(name) {
                    return Err(Fault::bad("ResourceInUseException", format!("Table already exists: {name}")));
                }
                let key = input.pointer("/KeySchema/0/AttributeName").and_then(Value::as_str).unwrap_or("id");
                tables.insert(name.to_owned(), Table { key: key.to_owned(), items: BTreeMap::new() });
                Ok(json!({ "TableDescription": { "TableName": name, "TableStatus": "ACTIVE" } }))
            }
            "GetItem" => {
                let table = tables.get(name).ok_or_else(missing)?;
                let found = table.items.get(&key_of(table, input.get("Key")));
                Ok(found.map_or_else(|| json!({}), |item| json!({ "Item": item })))
            }
            "ListTables" => Ok(json!({ "TableNames": tables.keys().collect::<Vec<_>>() })),
            "PutItem" => {
                let table = tables.get_mut(name).ok_or_else(missing)?;
                let item = input.get("Item").cloned().unwrap_or_default();
                table.items.insert(key_of(table, Some(&item)), item);
                Ok(json!({}))
            }
            _ => Err(Fault::bad("UnknownOperationException", format!("This stand-in does not know {target}"))),
        }
    }
}

impl Fault {
    fn bad(code: &'static str, message: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, code, message.into())
    }
}

fn key_of(table: &Table, of: Option<&Value>) -> String {
    of.and_then(|value| value.get(&table.key)).map(Value::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::demo::client::{Client, Way};

    #[tokio::test(flavor = "multi_thread")]
    async fn the_stand_in_takes_only_the_real_key() {
        let real = Secret::new("real");
        let stand_in = StandIn::start("dynamodb.us-east-1.amazonaws.com", "AKIAREALREALREALREAL", &real).await.unwrap();
        let (way, root) = (Way::Direct(stand_in.address), stand_in.root_pem.clone());
        let call = move |key: &str, secret: &str, operation: &str, body: serde_json::Value| {
            Client::new(way, &root, key, &Secret::new(secret)).unwrap().dynamodb(operation, &body).unwrap()
        };
        let outcome = tokio::task::spawn_blocking(move || {
            let key = "AKIAREALREALREALREAL";
            let table = json!({ "TableName": "t", "KeySchema": [{ "AttributeName": "k", "KeyType": "HASH" }] });
            let item = json!({ "TableName": "t", "Item": { "k": { "S": "1" }, "v": { "N": "2" } } });
            let get = json!({ "TableName": "t", "Key": { "k": { "S": "1" } } });
            [
                call(key, "real", "CreateTable", table.clone()),
                call(key, "real", "CreateTable", table),
                call(key, "real", "PutItem", item),
                call(key, "real", "GetItem", get),
                call(key, "real", "Query", json!({})),
                call(key, "wrong", "ListTables", json!({})),
                call("AKIAOTHEROTHEROTHER0", "real", "ListTables", json!({})),
            ]
            .map(|answer| format!("{} {}\n", answer.status, answer.body))
        })
        .await
        .unwrap();
        insta::assert_snapshot!(outcome.concat());
        assert_eq!(stand_in.calls(), 5);
    }
}
