//! The ways to the gateway's port: CONNECT with TLS inside, the pages of the port itself, and nothing else.

use std::net::Ipv4Addr;

use csg::gateway::Address;
use tokio::net::TcpListener;

use super::LIST_TABLES;
use crate::harness::{Answer, DYNAMODB, Head, Log, Site, Wire, handshake, within};

/// What the gateway says to one request on its port.
async fn asked(site: &Site, request: &str) -> Answer {
    let mut client = site.connect().await;
    client.send(format!("{}\r\n\r\n", request.replace('\n', "\r\n"))).await;
    client.answer().await
}

#[tokio::test]
async fn the_ca_certificate_is_given_to_anyone_on_the_port_and_through_the_proxy() {
    let site = Site::start().await;
    let authority = &site.authority;
    for way in ["/", "http://csg/", "http://CSG:80/"] {
        for (file, kind, content) in [
            ("cert/pem", "application/x-pem-file", authority.pem().as_bytes()),
            ("cert/der", "application/pkix-cert", authority.certificate_der()),
            ("cert/p12", "application/x-pkcs12", authority.pkcs12().unwrap()),
        ] {
            let answer = asked(&site, &format!("GET {way}{file} HTTP/1.1\nHost: csg")).await;
            assert_eq!((answer.status(), answer.head.header("content-type")), (200, Some(kind)), "{way}{file}");
            assert_eq!(answer.body.bytes, content, "{way}{file}");
        }
    }
}

#[tokio::test]
async fn the_page_tells_how_to_set_a_client_up_with_the_address_that_was_asked() {
    let site = Site::start().await;
    let answer = asked(&site, "GET / HTTP/1.1\nHost: gateway.example.net:3128").await;
    assert_eq!(answer.status(), 200);
    assert!(answer.text().contains("export HTTPS_PROXY=http://gateway.example.net:3128\n"), "{}", answer.text());
    assert!(asked(&site, "GET http://csg/ HTTP/1.1\nHost: csg").await.text().contains("http://GATEWAY:3128"));
    assert_eq!(asked(&site, "GET / HTTP/1.0").await.status(), 200);
}

#[tokio::test]
async fn the_port_says_whether_it_is_well() {
    let site = Site::start().await;
    for way in ["GET /healthz", "GET http://csg/healthz"] {
        let answer = asked(&site, &format!("{way} HTTP/1.1\nHost: csg")).await;
        assert_eq!((answer.status(), answer.text()), (200, "ok\n"));
    }
    let mut client = site.connect().await;
    client.send("HEAD /healthz HTTP/1.1\r\nHost: csg\r\n\r\nGET /nothing HTTP/1.1\r\nHost: csg\r\n\r\n").await;
    let head = client.head().await;
    assert_eq!((head.status(), head.header("content-length")), (200, Some("3")));
    assert_eq!(client.answer().await.status(), 404);
}

#[tokio::test]
async fn only_reading_is_understood_on_the_port() {
    let site = Site::start().await;
    let answer = asked(&site, "POST /cert/pem HTTP/1.1\nHost: csg\nContent-Length: 0").await;
    assert_eq!((answer.status(), answer.head.header("allow")), (405, Some("GET, HEAD")));
    for request in
        ["GET http://dynamodb.us-east-1.amazonaws.com/", "GET http://www.example.com/", "POST http://169.254.169.254/"]
    {
        let answer = asked(&site, &format!("{request} HTTP/1.1\nHost: x\nContent-Length: 0")).await;
        assert_eq!(answer.status(), 403, "{request}");
        assert!(answer.text().contains("https only"), "{}", answer.text());
    }
    assert!(site.cloud.is_quiet().await);
}

/// The answer to CONNECT, which has no body if it is yes.
async fn connect(site: &Site, target: &str) -> Head {
    let mut client = site.connect().await;
    client.send(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n")).await;
    client.head().await
}

#[tokio::test]
async fn connect_is_for_the_clouds_hosts_on_port_443() {
    let site = Site::start().await;
    for target in
        ["dynamodb.us-east-1.amazonaws.com:443", "DynamoDB.US-EAST-1.AmazonAWS.com:443", "route53.amazonaws.com:443"]
    {
        let head = connect(&site, target).await;
        assert_eq!(head.status(), 200, "{target}");
        // RFC 9110, section 9.3.6: neither belongs into the answer that begins a tunnel.
        assert_eq!((head.header("content-length"), head.header("transfer-encoding")), (None, None));
    }
    for (target, status) in [
        ("www.example.com:443", 403),
        ("amazonaws.com.evil.example:443", 403),
        ("dynamodb.us-east-1.amazonaws.com.evil.example:443", 403),
        ("bucket.s3.amazonaws.com:443", 200),
        ("bucket.s3-website-us-east-1.amazonaws.com:443", 403),
        ("ec2-203-0-113-25.compute-1.amazonaws.com:443", 403),
        ("dynamodb.us-east-1.amazonaws.com.:443", 403),
        ("dynamodb.us-east-1.amazonaws.com:80", 403),
        ("dynamodb.us-east-1.amazonaws.com:8443", 403),
        ("dynamodb.us-east-1.amazonaws.com:0443", 200),
        ("127.0.0.1:443", 403),
        ("169.254.169.254:443", 403),
        ("169.254.169.254:80", 403),
        ("[::1]:443", 403),
        ("localhost:443", 403),
        ("csg:443", 403),
        ("dynamodb.us-east-1.amazonaws.com", 403),
        ("dynamodb.us-east-1.amazonaws.com:", 403),
        ("dynamodb.us-east-1.amazonaws.com:99999", 403),
        ("user@dynamodb.us-east-1.amazonaws.com:443", 400),
        ("www.example.com:443@dynamodb.us-east-1.amazonaws.com:443", 400),
        ("/", 400),
        ("http://dynamodb.us-east-1.amazonaws.com:443/", 400),
    ] {
        assert_eq!(connect(&site, target).await.status(), status, "{target}");
    }
}

#[tokio::test]
async fn a_refused_connect_says_what_can_be_done() {
    let site = Site::start().await;
    let answer = asked(&site, "CONNECT www.example.com:443 HTTP/1.1").await;
    assert!(answer.text().contains("www.example.com is not a cloud service that this gateway knows"));
    assert!(answer.text().contains("gateway.passthrough"));
    let answer = asked(&site, "CONNECT dynamodb.us-east-1.amazonaws.com:80 HTTP/1.1").await;
    assert_eq!(
        answer.text(),
        "dynamodb.us-east-1.amazonaws.com:80: only port 443 can be reached through this gateway.\n"
    );
    for (authority, instead) in [
        ("transcribestreaming.us-west-2.amazonaws.com:8443", true),
        ("runtime.sagemaker.us-east-1.amazonaws.com:8443", true),
        ("www.example.com:8443", false),
    ] {
        let answer = asked(&site, &format!("CONNECT {authority} HTTP/1.1")).await;
        assert_eq!(answer.status(), 403);
        let text = answer.text();
        assert!(text.starts_with(&format!("{authority}: only port 443")), "{text}");
        assert_eq!(text.contains("Use Transcribe's event streams over HTTP/2"), instead, "{text}");
    }
}

#[tokio::test]
async fn after_a_refused_connect_the_connection_goes_on() {
    let site = Site::start().await;
    let mut client = site.connect().await;
    client
        .send("CONNECT www.example.com:443 HTTP/1.1\r\nHost: x\r\n\r\nGET /healthz HTTP/1.1\r\nHost: csg\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.status(), 403);
    assert_eq!(client.answer().await.text(), "ok\n");
}

/// Some clients do not wait for the answer to CONNECT.
#[tokio::test]
async fn a_hello_that_comes_with_connect_is_not_lost() {
    let site = Site::start().await;
    let mut hello = Vec::new();
    let name = DYNAMODB.try_into().unwrap();
    let mut tls = rustls::ClientConnection::new(std::sync::Arc::new(site.client()), name).unwrap();
    tls.write_tls(&mut hello).unwrap();
    let mut client = site.connect().await;
    client.send([format!("CONNECT {DYNAMODB}:443 HTTP/1.1\r\n\r\n").as_bytes(), &hello].concat()).await;
    assert_eq!(client.head().await.status(), 200);
    assert_eq!(client.bytes(1).await, [22], "a server's hello");
}

#[tokio::test]
async fn host_names_count_in_any_case() {
    let site = Site::start().await;
    let shouted = "DynamoDB.US-EAST-1.AmazonAWS.com";
    let mut client = handshake(site.proxied(shouted).await, site.client(), DYNAMODB).await.unwrap();
    client.send(site.key.sign(&LIST_TABLES.replace(DYNAMODB, shouted)).bytes()).await;
    let call = site.cloud.call().await;
    assert_eq!((call.sni.as_str(), call.head.header("host")), (DYNAMODB, Some(shouted)));
    site.real.verify(&call, b"{}");
}

#[tokio::test]
async fn a_client_without_sni_is_shown_a_certificate_that_says_so_and_the_log_has_its_line() {
    let (site, log) = (Site::start().await, Log::capture());
    let mut config = site.client();
    config.enable_sni = false;
    let error = handshake(site.proxied(DYNAMODB).await, config, DYNAMODB).await.err().unwrap();
    assert!(error.to_string().contains("invalid peer certificate"), "{error}");
    let line = "<< Cannot establish TLS with dynamodb.us-east-1.amazonaws.com:443 (sni: None): \
                TlsException('Cannot validate certificate hostname without SNI',)";
    assert_eq!(log.text().lines().filter(|found| found.ends_with(line)).count(), 1, "{}", log.text());

    // A client that accepts any certificate gets no further.
    let mut careless = site.careless();
    careless.enable_sni = false;
    let mut client = handshake(site.proxied(DYNAMODB).await, careless, DYNAMODB).await.unwrap();
    let _ = client.try_send(site.key.sign(LIST_TABLES).bytes()).await;
    client.ends().await;
    assert!(site.cloud.is_quiet().await);
}

#[tokio::test]
async fn a_client_without_sni_is_served_where_that_was_chosen() {
    let site = Site::with(|plan| plan.config.require_sni = false).await;
    let mut config = site.client();
    config.enable_sni = false;
    let mut client = handshake(site.proxied(DYNAMODB).await, config, DYNAMODB).await.unwrap();
    client.send(site.key.sign(LIST_TABLES).bytes()).await;
    site.cloud.call().await.ok().await;
    assert_eq!(client.answer().await.status(), 200);
}

#[tokio::test]
async fn sni_must_agree_with_connect() {
    let (site, log) = (Site::start().await, Log::capture());
    for sni in ["sns.us-east-1.amazonaws.com", "www.example.com", "csg"] {
        let error = handshake(site.proxied(DYNAMODB).await, site.careless(), sni).await.err().unwrap();
        assert!(error.to_string().contains("fatal alert"), "{sni}: {error}");
        assert!(log.text().contains(&format!("sni=\"{sni}\"")), "{}", log.text());
    }
    handshake(site.proxied(DYNAMODB).await, site.client(), "DYNAMODB.us-east-1.amazonaws.com").await.unwrap();
}

#[tokio::test]
async fn a_client_that_does_not_trust_the_ca_is_told_apart_in_the_log() {
    let (site, log) = (Site::start().await, Log::capture());
    let mut config = site.client();
    config = {
        let mut other = Site::start().await.client();
        other.alpn_protocols = config.alpn_protocols;
        other
    };
    handshake(site.proxied(DYNAMODB).await, config, DYNAMODB).await.err().unwrap();
    within("the log line", async {
        while !log.text().contains("the TLS handshake failed") {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(log.text().contains("UnknownCA") || log.text().contains("BadCertificate"), "{}", log.text());
}

/// A host of one's own on port 443 is not to be had in a test, so the override has to lead there.
#[tokio::test]
async fn a_passthrough_host_is_tunnelled_untouched() {
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = server.local_addr().unwrap();
    let site = Site::with(|plan| {
        plan.config.passthrough = vec!["*.example.net".parse().unwrap()];
        plan.overrides.push(("*.example.net".parse().unwrap(), Address::Socket(address)));
    })
    .await;
    let mut client = site.proxied("any.example.net").await;
    let (tcp, _) = within("the tunnel's other end", server.accept()).await.unwrap();
    let mut server = Wire::new(tcp);
    client.send(b"\x16\x03\x01 anything \r\n\r\n \0\xff").await;
    assert_eq!(server.bytes(20).await, b"\x16\x03\x01 anything \r\n\r\n \0\xff"[..20]);
    server.send("and back").await;
    assert_eq!(client.bytes(8).await, b"and back");
    drop(client);
    server.ends().await;

    assert_eq!(connect(&site, "example.net:443").await.status(), 403);
    assert_eq!(connect(&site, "any.example.net:22").await.status(), 403);
}

#[tokio::test]
async fn a_passthrough_host_that_cannot_be_reached_is_said_to_be_so() {
    let site = Site::with(|plan| {
        plan.config.passthrough = vec!["*.example.net".parse().unwrap()];
        plan.overrides.push(("*.example.net".parse().unwrap(), Address::Socket("127.0.0.1:1".parse().unwrap())));
    })
    .await;
    let answer = asked(&site, "CONNECT any.example.net:443 HTTP/1.1").await;
    assert_eq!(answer.status(), 502);
    assert!(answer.text().contains("any.example.net"), "{}", answer.text());
}
