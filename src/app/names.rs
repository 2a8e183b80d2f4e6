//! The names by which this machine is reached.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
};

use crate::model::HostPattern;

/// The names and addresses that the configuration gives, then the machine's own full name, as `hostname --fqdn` finds it.
pub(super) fn own(configured: &[String]) -> Vec<String> {
    let node = rustix::system::uname().nodename().to_string_lossy().to_ascii_lowercase();
    let hosts = fs::read_to_string("/etc/hosts").unwrap_or_default();
    let mut names = configured.to_vec();
    let full = full_name(&node, &hosts);
    // A machine may be called anything; what is no host name is of no use to a client.
    if full.parse::<HostPattern>().is_ok() && !names.contains(&full) {
        names.push(full);
    }
    names
}

/// How clients find what listens on `bound`: by a name, unless it listens on one address only.
pub(super) fn host(bound: SocketAddr, own: &[String]) -> String {
    match own.first() {
        Some(name) if bound.ip().is_unspecified() => name.clone(),
        _ => bound.ip().to_string(),
    }
}

/// The address of `host`, a name or an IP address, on the port that is `bound`.
pub(super) fn url(scheme: &str, host: &str, bound: SocketAddr) -> String {
    match host.parse::<IpAddr>() {
        Ok(address) => format!("{scheme}://{}", SocketAddr::new(address, bound.port())),
        Err(_) => format!("{scheme}://{host}:{}", bound.port()),
    }
}

/// The first name on the line of the hosts file that knows `node`, if it is a longer one.
fn full_name(node: &str, hosts: &str) -> String {
    if node.contains('.') {
        return node.to_owned();
    }
    hosts
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().to_ascii_lowercase())
        .filter_map(|line| {
            let names: Vec<String> = line.split_whitespace().skip(1).map(str::to_owned).collect();
            names.iter().any(|name| name == node).then(|| names.into_iter().next()).flatten()
        })
        .find(|name| name.contains('.'))
        .unwrap_or_else(|| node.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_full_name() {
        let hosts = "127.0.0.1 localhost\n# 10.0.0.1 x.y gw\n127.0.1.1\tGW.example.com gw\n::1 localhost gw\n";
        for (node, hosts, expected) in [
            ("gw", hosts, "gw.example.com"),
            ("gw.lan", hosts, "gw.lan"),
            ("other", hosts, "other"),
            ("localhost", "127.0.0.1 localhost.localdomain localhost", "localhost.localdomain"),
        ] {
            assert_eq!(full_name(node, hosts), expected, "{node}");
        }
    }

    #[test]
    fn tells_clients_where_to_go() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        for (bound, own, expected) in [
            ("127.0.0.1:3128", names(&["gw.example.com"]), "http://127.0.0.1:3128"),
            ("0.0.0.0:3128", names(&["gw.example.com", "gw"]), "http://gw.example.com:3128"),
            ("[::]:1", names(&["192.0.2.7"]), "http://192.0.2.7:1"),
            ("[::]:1", names(&["2001:db8::7"]), "http://[2001:db8::7]:1"),
            ("[::1]:1", names(&[]), "http://[::1]:1"),
        ] {
            let bound = bound.parse().unwrap();
            assert_eq!(url("http", &host(bound, &own), bound), expected, "{bound}");
        }
    }
}
