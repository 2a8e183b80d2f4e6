//! A blocking HTTP client for the commands: ureq, with names looked up outside the C library.
//!
//! The executable is linked statically, and the C library's resolver would load plug-ins that may not fit it.

use std::net::{IpAddr, SocketAddr};

use hickory_resolver::TokioResolver;
use ureq::{
    Agent, Error,
    config::Config,
    http::Uri,
    unversioned::{
        resolver::{ResolvedSocketAddrs, Resolver},
        transport::{DefaultConnector, NextTimeout},
    },
};

/// An agent with `config`, that connects to `address` whatever the URL's host, if one is given.
pub(super) fn agent(config: Config, address: Option<SocketAddr>) -> Agent {
    Agent::with_parts(config, DefaultConnector::default(), Names(address))
}

#[derive(Debug)]
struct Names(Option<SocketAddr>);

impl Resolver for Names {
    fn resolve(&self, uri: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let mut found = self.empty();
        if let Some(address) = self.0 {
            found.push(address);
            return Ok(found);
        }
        let host = uri.host().ok_or_else(|| Error::BadUri(format!("{uri} names no host")))?;
        let default = if uri.scheme_str() == Some("https") { 443 } else { 80 };
        let port = uri.port_u16().unwrap_or(default);
        for address in look_up(host.trim_start_matches('[').trim_end_matches(']'))?.into_iter().take(8) {
            found.push(SocketAddr::new(address, port));
        }
        if found.is_empty() { Err(Error::HostNotFound) } else { Ok(found) }
    }
}

fn look_up(host: &str) -> Result<Vec<IpAddr>, Error> {
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let found = async { TokioResolver::builder_tokio()?.build()?.lookup_ip(host).await }.await;
        found.map(|found| found.iter().collect()).map_err(|_| Error::HostNotFound)
    })
}
