//! SIGTERM while a call is under way: nothing new is accepted, the call finishes, its record is kept, the status is 0.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, mpsc},
    thread,
};

use csg::{
    ca::{Authority, NameConstraints},
    clock::Clock,
    secret::Secret,
    sigv4::{PathStyle, Payload, Scope, SignedHeaders, Signing, SigningKey, sign},
};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use ureq::{
    Agent, Proxy,
    tls::{Certificate, RootCerts, TlsConfig},
};

use super::{
    site::{LIMIT, Site, get},
    succeeds,
};

const HOST: &str = "dynamodb.us-east-1.amazonaws.com";
const BODY: &str = "{}";

#[test]
fn a_call_under_way_finishes_and_is_recorded() {
    let site = Site::new();
    let cloud = Cloud::start(&site);
    succeeds(&site.init());
    let serving = site.serve();
    let approved = serving.approve_access();
    let secret = serving.api(&approved.dora, &format!("/access-requests/{}/secret", approved.id), &json!({}));
    let ca = get(&format!("http://{}/cert/pem", serving.gateway), None);

    let proxy = format!("http://{}", serving.gateway);
    let client = thread::spawn(move || call(&proxy, &ca, &secret));
    cloud.asked.recv_timeout(LIMIT).unwrap();
    serving.signal();
    while TcpStream::connect(&serving.gateway).is_ok() {
        thread::yield_now();
    }
    assert!(!client.is_finished());
    cloud.answer.send(()).unwrap();
    assert_eq!(client.join().unwrap(), (200, BODY.to_owned()));
    assert_eq!(serving.wait(), (Some(0), String::new()));

    let serving = site.serve();
    let path = format!("http://{}/api/v1/access-requests/{}/usage", serving.console, approved.id);
    let usage: Value = serde_json::from_str(&get(&path, Some(&approved.anna))).unwrap();
    assert_eq!((&usage["calls"], &usage["errors"]), (&json!(1), &json!(0)), "{usage}");
}

/// A cloud that answers when it is told to.
struct Cloud {
    asked: mpsc::Receiver<()>,
    answer: mpsc::Sender<()>,
}

impl Cloud {
    fn start(site: &Site) -> Self {
        let now = Clock::system().now();
        let root = Authority::generate(now, &NameConstraints::new([HOST], []).unwrap()).unwrap();
        let leaf = root.leaf(HOST, now).unwrap();
        let tls = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.certificate], leaf.key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (roots, address) = (site.path("roots.pem"), listener.local_addr().unwrap());
        fs::write(&roots, root.pem()).unwrap();
        site.configure(&format!(
            "[upstream]\nca_file = \"{}\"\noverride = {{ \"*.amazonaws.com\" = \"{address}\" }}\n",
            roots.display()
        ));
        let ((tell_asked, asked), (answer, told_to_answer)) = (mpsc::channel(), mpsc::channel());
        thread::spawn(move || {
            let tcp = listener.accept().unwrap().0;
            let mut stream = StreamOwned::new(ServerConnection::new(Arc::new(tls)).unwrap(), tcp);
            let mut request = Vec::new();
            while !request.ends_with(format!("\r\n\r\n{BODY}").as_bytes()) {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.extend_from_slice(&byte);
            }
            tell_asked.send(()).unwrap();
            told_to_answer.recv().unwrap();
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{BODY}", BODY.len()).unwrap();
            stream.flush().unwrap();
        });
        Self { asked, answer }
    }
}

fn call(proxy: &str, ca: &str, secret: &Value) -> (u16, String) {
    let now = Clock::system().now();
    let text = |name: &str| secret[name].as_str().unwrap();
    let key = SigningKey::derive(&Secret::new(text("secret_access_key")), Scope::at(now, "us-east-1", "dynamodb"));
    let request = ureq::http::Request::post(format!("https://{HOST}/"))
        .header("host", HOST)
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amz-target", "DynamoDB_20120810.ListTables");
    let (mut parts, body) = request.body(BODY).unwrap().into_parts();
    let signing = Signing {
        access_key_id: text("access_key_id"),
        key: &key,
        session_token: None,
        style: PathStyle::EncodedTwice,
        also: &SignedHeaders::default(),
        payload: Payload::of(BODY.as_bytes()),
        now,
    };
    sign(&mut parts, &signing).unwrap();

    let roots = RootCerts::new_with_certs(&[Certificate::from_pem(ca.as_bytes()).unwrap()]);
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(LIMIT))
        .proxy(Some(Proxy::new(proxy).unwrap()))
        .tls_config(TlsConfig::builder().root_certs(roots).build());
    let mut answer = Agent::from(config.build()).run(ureq::http::Request::from_parts(parts, body)).unwrap();
    (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
}
