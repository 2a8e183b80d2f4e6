//! The REST API as the commands use it: JSON in, JSON out, a refusal in the server's own words.

use std::{fmt, net::SocketAddr, time::Duration};

use anyhow::{Context, anyhow, bail};
use serde_json::{Value, json};
use ureq::{
    Agent, Body,
    http::Response,
    tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem},
};

use super::http;
use crate::secret::Secret;

/// How many items are asked for at once: as many as the API gives.
const PAGE: usize = 1_000;

/// Where the API is, and as whom.
#[derive(Clone, Debug)]
pub(super) struct Rest {
    agent: Agent,
    base: String,
    token: Option<Secret>,
}

/// Whose word is taken for the console's certificate.
#[derive(Clone, Debug)]
pub(super) enum Trust {
    /// Anybody's: only for what is no secret, of this very machine.
    Anybody,
    /// The public authorities'.
    Public,
    /// These authorities' and no others'.
    These(Vec<Certificate<'static>>),
}

/// What the server answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
}

impl Trust {
    /// In the authorities of a PEM file, or else the public ones.
    pub(super) fn of(pem: Option<&str>) -> anyhow::Result<Self> {
        let Some(pem) = pem else { return Ok(Self::Public) };
        let found: Vec<_> = parse_pem(pem.as_bytes())
            .filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(certificate),
                _ => None,
            })
            .collect();
        if found.is_empty() {
            bail!("the console's authority is to be given as PEM, and there is no certificate in it");
        }
        Ok(Self::These(found))
    }

    fn config(&self) -> TlsConfig {
        let config = TlsConfig::builder();
        match self {
            Self::Anybody => config.disable_verification(true),
            Self::Public => config,
            Self::These(roots) => config.root_certs(RootCerts::new_with_certs(roots)),
        }
        .build()
    }
}

impl Rest {
    /// For the console at `url`, with an API token or a session's.
    pub(super) fn new(url: &str, trust: &Trust, token: Option<Secret>) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            // HTTPS_PROXY may well be the gateway itself, which lets nobody through to the console.
            .proxy(None)
            .tls_config(trust.config())
            .user_agent(concat!("csg/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { agent: http::agent(config, None), base: url.trim_end_matches('/').to_owned(), token }
    }

    /// For the console at `address`, signed in with a password.
    pub(super) fn sign_in(address: SocketAddr, username: &str, password: &Secret) -> anyhow::Result<Self> {
        let mut rest = Self::new(&format!("http://{address}"), &Trust::Public, None);
        let session = rest.post("/sessions", &json!({ "username": username, "password": password.expose() }))?;
        rest.token = Some(Secret::new(text(&session, "token")?));
        Ok(rest)
    }

    pub(super) fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.call("GET", path, None)?.json()
    }

    pub(super) fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.call("POST", path, Some(body))?.json()
    }

    pub(super) fn patch(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.call("PATCH", path, Some(body))?.json()
    }

    pub(super) fn put(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.call("PUT", path, Some(body))?.json()
    }

    pub(super) fn delete(&self, path: &str) -> anyhow::Result<()> {
        self.call("DELETE", path, None)?.json().map(drop)
    }

    /// The items of a list, page by page: all, or at most `limit`.
    pub(super) fn list(&self, path: &str, query: &Query, limit: Option<usize>) -> anyhow::Result<Value> {
        let limit = limit.unwrap_or(usize::MAX);
        let (mut items, mut cursor) = (Vec::new(), None::<String>);
        while items.len() < limit {
            let size = (limit - items.len()).min(PAGE);
            let query = query.clone().with("cursor", cursor.as_ref());
            // What is not in pages takes no size.
            let query = if path == "/tokens" { query } else { query.with("limit", Some(&size)) };
            let page = self.get(&format!("{path}{query}"))?;
            let Some(found) = page.get("items").and_then(Value::as_array) else { bail!("the answer is not a list") };
            items.extend(found.iter().cloned());
            cursor = page.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
            if cursor.is_none() {
                break;
            }
        }
        Ok(Value::Array(items))
    }

    /// Does the caller hold a permission everywhere?
    pub(super) fn may(&self, permission: &str) -> anyhow::Result<bool> {
        let me = self.get("/me")?;
        let scopes = me.get("permissions").and_then(Value::as_array).into_iter().flatten();
        let everywhere = scopes.filter(|scope| scope.get("environment").is_none_or(Value::is_null));
        let mut held = everywhere.filter_map(|scope| scope.get("permissions")?.as_array()).flatten();
        Ok(held.any(|held| held == permission))
    }

    /// Any answer, a refusal too.
    pub(super) fn call(&self, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
        let url = format!("{}/api/v1{path}", self.base);
        let bearer = self.token.as_ref().map(|token| format!("Bearer {}", token.expose()));
        let mut request = ureq::http::Request::builder().method(method).uri(&url);
        if let Some(bearer) = bearer {
            request = request.header("authorization", bearer);
        }
        let sent = match body {
            Some(body) => {
                let request = request.header("content-type", "application/json").body(body.to_string());
                self.agent.run(request.context(url.clone())?)
            }
            None => self.agent.run(request.body(()).context(url.clone())?),
        };
        let response: Response<Body> = sent.map_err(|error| {
            let stranger = error.to_string().contains("UnknownIssuer");
            let hint = if stranger { "; name its authority with --console-ca FILE, or CSG_CA_FILE" } else { "" };
            anyhow!("can't reach {url}: {error}{hint}")
        })?;
        let status = response.status().as_u16();
        Ok(Answer { status, body: response.into_body().read_to_string().context("the answer broke off")? })
    }
}

impl Answer {
    pub(super) fn json(&self) -> anyhow::Result<Value> {
        if (200..300).contains(&self.status) {
            return serde_json::from_str(if self.body.is_empty() { "null" } else { &self.body })
                .context("the answer is not JSON: is this the console's address?");
        }
        let hint = if self.status == 401 { "; sign in with `csg login NAME`" } else { "" };
        Err(anyhow!("the gateway refused: {}{hint}", self.refusal()))
    }

    /// The type of an RFC 9457 problem.
    pub(super) fn kind(&self) -> Option<String> {
        let problem: Value = serde_json::from_str(&self.body).ok()?;
        text(&problem, "type").ok().map(str::to_owned)
    }

    /// The words of an RFC 9457 problem, or the bare status.
    pub(super) fn refusal(&self) -> String {
        let problem: Value = serde_json::from_str(&self.body).unwrap_or_default();
        match text(&problem, "detail").or_else(|_| text(&problem, "title")) {
            Ok(words) => format!("{words} ({})", self.status),
            Err(_) => format!("HTTP status {}", self.status),
        }
    }
}

/// The parameters of a query.
#[derive(Clone, Debug, Default)]
pub(super) struct Query(String);

impl Query {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// With one more, if there is a value.
    pub(super) fn with(mut self, name: &str, value: Option<&impl fmt::Display>) -> Self {
        if let Some(value) = value {
            self.0.push(if self.0.is_empty() { '?' } else { '&' });
            self.0.push_str(name);
            self.0.push('=');
            self.0.extend(form_urlencoded::byte_serialize(value.to_string().as_bytes()));
        }
        self
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A member that must be there, as a text.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> anyhow::Result<&'a str> {
    value.get(name).and_then(Value::as_str).with_context(|| format!("the answer has no \"{name}\""))
}
