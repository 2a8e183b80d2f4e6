//! Names to addresses, without the C library: a static executable can't load its resolver's plug-ins.

use std::net::IpAddr;

use hickory_resolver::{
    TokioResolver,
    config::{ResolverConfig, ResolverOpts},
    net::{NetError, runtime::TokioRuntimeProvider},
    system_conf::read_system_conf,
};

/// Looks names up as `/etc/resolv.conf` and `/etc/hosts` say, and caches as DNS says. Cheap to clone.
#[derive(Clone)]
pub(super) struct Resolver(TokioResolver);

impl Resolver {
    /// With the system's settings; without usable ones, only `/etc/hosts` is known, and the log says so.
    pub(super) fn system() -> Result<Self, NetError> {
        let (config, options) = read_system_conf().unwrap_or_else(|error| {
            tracing::warn!(%error, "no usable DNS settings in /etc/resolv.conf: only names in /etc/hosts will be found");
            (ResolverConfig::from_parts(None, Vec::new(), Vec::new()), ResolverOpts::default())
        });
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        *builder.options_mut() = options;
        builder.build().map(Self)
    }

    /// All addresses of `host`, which is taken as a full name: search domains don't count.
    pub(super) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, NetError> {
        let full = format!("{}.", host.trim_end_matches('.'));
        Ok(self.0.lookup_ip(full).await?.iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn knows_the_hosts_file() {
        let resolver = Resolver::system().unwrap();
        assert!(resolver.addresses("localhost").await.unwrap().iter().all(IpAddr::is_loopback));
    }
}
