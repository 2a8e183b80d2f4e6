//! An ordinary cloud client: an HTTP library, the cloud's public signing library, and nothing of the gateway's code.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, anyhow};
use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use ureq::{
    Agent, Proxy,
    http::Request,
    tls::{Certificate, RootCerts, TlsConfig},
};

use crate::{
    cli::{http, rest::Answer},
    clock::Clock,
    secret::Secret,
};

/// The region that the demonstration plays in.
pub(super) const REGION: &str = "us-east-1";

/// A client with one key pair, one root that it trusts, and one way to the cloud.
pub(super) struct Client {
    agent: Agent,
    access_key_id: String,
    secret_access_key: Secret,
}

/// How the client reaches the cloud.
#[derive(Clone, Copy)]
pub(super) enum Way<'a> {
    /// Straight, at this address.
    Direct(SocketAddr),
    /// Through an HTTP proxy, as `HTTPS_PROXY` makes SDKs do.
    Proxy(&'a str),
}

impl Client {
    pub(super) fn new(
        way: Way<'_>,
        root_pem: &str,
        access_key_id: &str,
        secret_access_key: &Secret,
    ) -> anyhow::Result<Self> {
        let root = Certificate::from_pem(root_pem.as_bytes()).context("the CA certificate")?;
        let (proxy, address) = match way {
            Way::Direct(address) => (None, Some(address)),
            Way::Proxy(url) => (Some(Proxy::new(url).context("the gateway's address")?), None),
        };
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .proxy(proxy)
            .tls_config(TlsConfig::builder().root_certs(RootCerts::new_with_certs(&[root])).build())
            .build();
        Ok(Self {
            agent: http::agent(config, address),
            access_key_id: access_key_id.to_owned(),
            secret_access_key: secret_access_key.clone(),
        })
    }

    /// A DynamoDB operation (AWS JSON 1.0).
    pub(super) fn dynamodb(&self, operation: &str, body: &serde_json::Value) -> anyhow::Result<Answer> {
        let target = format!("DynamoDB_20120810.{operation}");
        let headers = [("content-type", "application/x-amz-json-1.0"), ("x-amz-target", target.as_str())];
        self.send("dynamodb", &headers, &body.to_string())
    }

    /// An operation of a service that speaks the query protocol.
    pub(super) fn query(&self, service: &str, action: &str, version: &str) -> anyhow::Result<Answer> {
        let body = format!("Action={action}&Version={version}");
        self.send(service, &[("content-type", "application/x-www-form-urlencoded")], &body)
    }

    fn send(&self, service: &str, headers: &[(&str, &str)], body: &str) -> anyhow::Result<Answer> {
        let host = format!("{service}.{REGION}.amazonaws.com");
        let url = format!("https://{host}/");
        let mut request = Request::builder().method("POST").uri(&url).header("host", &host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(body.to_owned())?;

        let identity =
            Credentials::from_keys(self.access_key_id.as_str(), self.secret_access_key.expose(), None).into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(REGION)
            .name(service)
            .time(Clock::system().now().into())
            .settings(SigningSettings::default())
            .build()?
            .into();
        let signed_headers = headers.iter().copied().chain([("host", host.as_str())]);
        let signable =
            SignableRequest::new("POST", url.as_str(), signed_headers, SignableBody::Bytes(body.as_bytes()))?;
        let (instructions, _) = sign(signable, &params)?.into_parts();
        instructions.apply_to_request_http1x(&mut request);

        let response = self.agent.run(request).map_err(|error| anyhow!("{host} can't be reached: {error}"))?;
        let status = response.status().as_u16();
        Ok(Answer { status, body: response.into_body().read_to_string()? })
    }
}
