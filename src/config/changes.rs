//! What differs between two configurations, key by key, for whoever has changed one: which keys count at once, and which
//! at the next start.

use std::fmt::{Debug, Display};

use super::{Audit, Config, Console, ConsoleTls, Gateway, Log, LogDestination, Upstream};
use crate::gateway::Address;

/// A key whose value is another now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key: `gateway.passthrough`.
    pub key: &'static str,
    /// What it was.
    pub before: String,
    /// What it is.
    pub after: String,
    /// Does it count without a restart?
    pub is_live: bool,
}

impl Config {
    /// What is another in `next`.
    pub fn changes(&self, next: &Self) -> Vec<Change> {
        let pairs = self.shown().into_iter().zip(next.shown());
        pairs
            .filter(|((_, _, before), (_, _, after))| before != after)
            .map(|((key, is_live, before), (_, _, after))| Change { key, before, after, is_live })
            .collect()
    }

    /// `next` as far as it counts without a restart; what needs one stays as it is here.
    #[must_use]
    pub fn with_live_of(&self, next: Self) -> Self {
        Self {
            data_dir: self.data_dir.clone(),
            gateway: Gateway {
                listen: self.gateway.listen.clone(),
                hostnames: self.gateway.hostnames.clone(),
                ..next.gateway
            },
            console: self.console.clone(),
            upstream: next.upstream,
            key_file: self.key_file.clone(),
            log: Log { level: next.log.level, ..self.log.clone() },
            audit: next.audit,
        }
    }

    /// Every key, whether it counts without a restart, and its value in words. No value that may hold a secret is among
    /// them: whoever adds such a key shows it without.
    fn shown(&self) -> Vec<(&'static str, bool, String)> {
        // Taken apart, so that a new key can't be forgotten here.
        let Self { data_dir, gateway, console, upstream, key_file, log, audit } = self;
        let Gateway {
            listen,
            hostnames,
            passthrough,
            require_sni,
            max_buffered_body,
            max_spooled_body,
            max_spooled_total,
            spool_dir,
            drain,
        } = gateway;
        let Console { listen: console_listen, tls } = console;
        let Upstream { ca_file, overrides } = upstream;
        let Log { level, format, file } = log;
        let Audit { retention, on_failure } = audit;
        let path = |path: &Option<std::path::PathBuf>| {
            path.as_ref().map_or_else(|| "none".to_owned(), |path| path.display().to_string())
        };
        let tls = match tls {
            ConsoleTls::Auto => "auto".to_owned(),
            ConsoleTls::Files { cert, key } => format!("{} and {}", cert.display(), key.display()),
            ConsoleTls::Off => "off".to_owned(),
        };
        let file = match file {
            LogDestination::Auto => "auto".to_owned(),
            LogDestination::File(path) => path.display().to_string(),
            LogDestination::Off => "off".to_owned(),
        };
        vec![
            ("audit.on_failure", true, word(on_failure)),
            ("audit.retention", true, seconds(*retention)),
            ("console.listen", false, console_listen.to_string()),
            ("console.tls", false, tls),
            ("data_dir", false, data_dir.display().to_string()),
            ("gateway.drain", true, seconds(*drain)),
            ("gateway.hostnames", false, list(hostnames)),
            ("gateway.listen", false, list(listen)),
            ("gateway.max_buffered_body", true, format!("{max_buffered_body} bytes")),
            ("gateway.max_spooled_body", true, format!("{max_spooled_body} bytes")),
            ("gateway.max_spooled_total", true, format!("{max_spooled_total} bytes")),
            ("gateway.passthrough", true, list(passthrough)),
            ("gateway.require_sni", true, require_sni.to_string()),
            ("gateway.spool_dir", true, path(spool_dir)),
            ("log.file", false, file),
            ("log.format", false, word(format)),
            ("log.level", true, level.to_string()),
            ("secrets.key_file", false, path(key_file)),
            ("upstream.ca_file", true, path(ca_file)),
            ("upstream.override", true, list(overrides.iter().map(|(host, to)| format!("{host} = {}", address(to))))),
        ]
    }
}

fn word(value: &impl Debug) -> String {
    format!("{value:?}").to_lowercase()
}

fn seconds(span: std::time::Duration) -> String {
    format!("{} s", span.as_secs())
}

fn list(items: impl IntoIterator<Item: Display>) -> String {
    let items: Vec<_> = items.into_iter().map(|item| item.to_string()).collect();
    if items.is_empty() { "none".to_owned() } else { items.join(", ") }
}

fn address(to: &Address) -> String {
    match to {
        Address::Name(name, port) => format!("{name}:{port}"),
        Address::Socket(socket) => socket.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_shown_and_its_page_says_which_count_at_once() {
        let shown = Config::default().shown();
        let keys: Vec<_> = shown.iter().map(|(key, _, _)| *key).collect();
        assert_eq!(keys, super::super::raw::KEYS.iter().map(|(key, _)| *key).collect::<Vec<_>>());
        let page = include_str!("../../docs/configuration.md");
        for (key, is_live, _) in shown {
            let line = page.lines().find(|line| line.starts_with(&format!("| `{key}` |"))).unwrap();
            assert_eq!(line.ends_with("| at once |"), is_live, "{line}");
            assert_eq!(line.ends_with("| restart |"), !is_live, "{line}");
        }
    }

    #[test]
    fn what_differs_is_told_and_what_needs_a_restart_stays() {
        let before = Config::default();
        let mut after = before.clone();
        assert_eq!(before.changes(&after), []);
        after.data_dir = "/elsewhere".into();
        after.gateway.passthrough = vec!["pypi.org".parse().unwrap(), "*.example.com".parse().unwrap()];
        after.upstream.overrides =
            vec![("*.amazonaws.com".parse().unwrap(), Address::Name("mirror.example.com".into(), 443))];
        let told = before.changes(&after);
        let change = |key, before: &str, after: &str, is_live| Change {
            key,
            before: before.to_owned(),
            after: after.to_owned(),
            is_live,
        };
        assert_eq!(
            told,
            [
                change("data_dir", "/var/lib/csg", "/elsewhere", false),
                change("gateway.passthrough", "none", "pypi.org, *.example.com", true),
                change("upstream.override", "none", "*.amazonaws.com = mirror.example.com:443", true),
            ]
        );
        let counts = before.with_live_of(after.clone());
        assert!(before.changes(&counts).iter().all(|change| change.is_live));
        assert_eq!(counts.changes(&after), told[..1]);
    }

    /// One key at a time: what is not taken over is what is said to need a restart.
    #[test]
    fn what_counts_at_once_is_what_is_taken_over() {
        let text = r#"
            data_dir = "/srv/csg"
            gateway.listen = ["127.0.0.1:1"]
            gateway.hostnames = ["gateway.example.com"]
            gateway.passthrough = ["pypi.org"]
            gateway.require_sni = false
            gateway.max_buffered_body = "1MiB"
            gateway.max_spooled_body = "10MiB"
            gateway.max_spooled_total = "100MiB"
            gateway.spool_dir = "/srv/spool"
            gateway.drain = "1h"
            console.listen = "[::]:3129"
            console.tls = "off"
            secrets.key_file = "/run/key"
            log = { level = "debug", format = "json", file = "off" }
            audit = { retention = "2w", on_failure = "allow" }
            [upstream]
            ca_file = "/etc/roots.pem"
            override = { "*.amazonaws.com" = "127.0.0.1:5001" }
        "#;
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let (before, after) = (Config::default(), Config::load(Some(file.path()), []).unwrap());
        let changes = before.changes(&after);
        assert_eq!(changes.len(), before.shown().len(), "each key is another");
        let taken = before.changes(&before.with_live_of(after));
        assert_eq!(taken, changes.into_iter().filter(|change| change.is_live).collect::<Vec<_>>());
    }
}
