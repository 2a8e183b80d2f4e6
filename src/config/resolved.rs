//! From plain values to what the appliance uses: parsed, checked, defaults filled in, every mistake collected.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    raw::{Problem, Problems, Raw, Value},
    units, values,
};
use crate::{gateway::Address, model::HostPattern};

/// The file that is read when no other is named; it may be absent.
pub const DEFAULT_FILE: &str = "/etc/csg/csg.toml";

/// The whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the database, the audit files and, by default, the master key live.
    pub data_dir: PathBuf,
    /// `[gateway]`
    pub gateway: Gateway,
    /// `[console]`
    pub console: Console,
    /// `[upstream]`
    pub upstream: Upstream,
    /// `secrets.key_file`: the file that holds the master key, if one is named.
    pub key_file: Option<PathBuf>,
    /// `[log]`
    pub log: Log,
    /// `[audit]`
    pub audit: Audit,
}

/// The port that cloud clients use.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// Addresses to listen on.
    pub listen: Vec<SocketAddr>,
    /// Names by which clients reach this machine.
    pub hostnames: Vec<String>,
    /// Hosts that are tunnelled without interception.
    pub passthrough: Vec<HostPattern>,
    /// Refuse a TLS client that names no host.
    pub require_sni: bool,
    /// The largest body that is held in memory, in bytes.
    pub max_buffered_body: u64,
    /// The largest body that is held in a file, in bytes.
    pub max_spooled_body: u64,
    /// All bodies in files together, in bytes.
    pub max_spooled_total: u64,
    /// Where those files are; in the data directory if none.
    pub spool_dir: Option<PathBuf>,
    /// How long calls under way may take after another process has taken over.
    pub drain: Duration,
}

/// The port that people and scripts use.
#[derive(Clone, Debug)]
pub struct Console {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Whether and with whose certificate it speaks TLS.
    pub tls: ConsoleTls,
}

/// Whether the console speaks TLS, and with whose certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ConsoleTls {
    /// Off on loopback; elsewhere with a certificate of the appliance's own authority.
    #[default]
    Auto,
    /// With a certificate of somebody else's authority.
    Files {
        /// The certificate and those that lead to its authority (PEM).
        cert: PathBuf,
        /// Its private key (PEM).
        key: PathBuf,
    },
    /// Plain HTTP.
    Off,
}

/// The way to the clouds.
#[derive(Clone, Debug, Default)]
pub struct Upstream {
    /// Roots that are trusted for cloud hosts besides the public ones (PEM).
    pub ca_file: Option<PathBuf>,
    /// Where to dial instead of the host itself.
    pub overrides: Vec<(HostPattern, Address)>,
}

/// What is logged, and how.
#[derive(Clone, Debug)]
pub struct Log {
    /// The least level that is written.
    pub level: tracing::level_filters::LevelFilter,
    /// How a line looks.
    pub format: LogFormat,
    /// The file, besides the journal or standard error.
    pub file: LogDestination,
}

/// Which file the log is written to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LogDestination {
    /// As a service, the one in the directory that systemd has for its logs; else none.
    #[default]
    Auto,
    /// This one.
    File(PathBuf),
    /// None.
    Off,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object.
    Json,
    /// For people.
    Text,
}

/// The record of all calls.
#[derive(Clone, Debug)]
pub struct Audit {
    /// How long records are kept.
    pub retention: Duration,
    /// What happens to calls that can't be recorded.
    pub on_failure: OnFailure,
}

/// What happens to calls that can't be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// They go.
    Allow,
    /// They are refused.
    Deny,
}

impl Config {
    /// Reads `file` ([`DEFAULT_FILE`] if none, which may be absent), then the variables of the environment.
    pub fn load<'a>(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Problems> {
        let mut raw = Raw::default();
        let path = file.unwrap_or(Path::new(DEFAULT_FILE));
        match std::fs::read_to_string(path) {
            Ok(text) => raw.read_file(path, &text),
            Err(error) if error.kind() == io::ErrorKind::NotFound && file.is_none() => {}
            Err(error) => {
                raw.problems.push(Problem {
                    origin: path.display().to_string(),
                    key: None,
                    message: format!("can't read the configuration file: {error}"),
                });
            }
        }
        raw.read_environment(environment);
        Resolver(raw).resolve()
    }
}

impl Default for Config {
    fn default() -> Self {
        let any = |port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        Self {
            data_dir: PathBuf::from("/var/lib/csg"),
            gateway: Gateway {
                listen: vec![any(3128)],
                hostnames: Vec::new(),
                passthrough: Vec::new(),
                require_sni: true,
                max_buffered_body: 16 << 20,
                max_spooled_body: 1 << 30,
                max_spooled_total: 4 << 30,
                spool_dir: None,
                drain: Duration::from_mins(20),
            },
            console: Console { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 3129)), tls: ConsoleTls::default() },
            upstream: Upstream::default(),
            key_file: None,
            log: Log {
                level: tracing::level_filters::LevelFilter::INFO,
                format: LogFormat::Text,
                file: LogDestination::default(),
            },
            audit: Audit { retention: Duration::from_hours(400 * 24), on_failure: OnFailure::Deny },
        }
    }
}

struct Resolver(Raw);

impl Resolver {
    fn resolve(mut self) -> Result<Config, Problems> {
        let default = Config::default();
        let config = Config {
            data_dir: self.text("data_dir", values::path).unwrap_or(default.data_dir),
            gateway: Gateway {
                listen: self.texts("gateway.listen", values::address, 1).unwrap_or(default.gateway.listen),
                hostnames: self.texts("gateway.hostnames", values::name_or_address, 0).unwrap_or_default(),
                passthrough: self.texts("gateway.passthrough", values::host_pattern, 0).unwrap_or_default(),
                require_sni: self.bool("gateway.require_sni").unwrap_or(default.gateway.require_sni),
                max_buffered_body: self
                    .text("gateway.max_buffered_body", units::size)
                    .unwrap_or(default.gateway.max_buffered_body),
                max_spooled_body: self
                    .text("gateway.max_spooled_body", units::size)
                    .unwrap_or(default.gateway.max_spooled_body),
                max_spooled_total: self
                    .text("gateway.max_spooled_total", units::size)
                    .unwrap_or(default.gateway.max_spooled_total),
                spool_dir: self.text("gateway.spool_dir", values::optional_path).flatten(),
                drain: self.text("gateway.drain", units::duration).unwrap_or(default.gateway.drain),
            },
            console: Console {
                listen: self.text("console.listen", values::address).unwrap_or(default.console.listen),
                tls: self.console_tls().unwrap_or_default(),
            },
            upstream: Upstream {
                ca_file: self.text("upstream.ca_file", values::optional_path).flatten(),
                overrides: self.pairs("upstream.override", values::override_of).unwrap_or_default(),
            },
            key_file: self.text("secrets.key_file", values::optional_path).flatten(),
            log: Log {
                level: self.text("log.level", values::level).unwrap_or(default.log.level),
                format: self.text("log.format", values::log_format).unwrap_or(default.log.format),
                file: self.text("log.file", values::log_file).unwrap_or_default(),
            },
            audit: Audit {
                retention: self.text("audit.retention", values::retention).unwrap_or(default.audit.retention),
                on_failure: self.text("audit.on_failure", values::on_failure).unwrap_or(default.audit.on_failure),
            },
        };
        if self.0.problems.is_empty() { Ok(config) } else { Err(Problems(self.0.problems)) }
    }

    /// A key's value with its origin; [`Raw`] has seen to its type.
    fn take(&mut self, key: &str) -> Option<(String, Value)> {
        self.0.values.remove(key)
    }

    fn bool(&mut self, key: &str) -> Option<bool> {
        match self.take(key)? {
            (_, Value::Bool(value)) => Some(value),
            _ => None,
        }
    }

    fn text<T>(&mut self, key: &str, parse: fn(&str) -> Result<T, String>) -> Option<T> {
        let (origin, Value::Text(text)) = self.take(key)? else { return None };
        parse(&text).map_err(|message| self.problem(&origin, key, message)).ok()
    }

    fn texts<T>(&mut self, key: &str, parse: fn(&str) -> Result<T, String>, at_least: usize) -> Option<Vec<T>> {
        let (origin, Value::Texts(texts)) = self.take(key)? else { return None };
        if texts.len() < at_least {
            self.problem(&origin, key, format!("must have at least {at_least} entry"));
        }
        let parsed = texts.iter().map(|text| parse(text).map_err(|message| self.problem(&origin, key, message)));
        Some(parsed.filter_map(Result::ok).collect())
    }

    fn console_tls(&mut self) -> Option<ConsoleTls> {
        let key = "console.tls";
        let (origin, value) = self.take(key)?;
        let parsed = match &value {
            Value::Pairs(pairs) => values::certificate(pairs),
            Value::Text(text) => values::console_tls(text).map_err(|message| vec![message]),
            Value::Bool(_) | Value::Texts(_) => return None,
        };
        parsed.map_err(|messages| messages.into_iter().for_each(|message| self.problem(&origin, key, message))).ok()
    }

    fn pairs<T>(&mut self, key: &str, parse: fn(&str, &str) -> Result<T, String>) -> Option<Vec<T>> {
        let (origin, Value::Pairs(pairs)) = self.take(key)? else { return None };
        let parsed = pairs.iter().map(|(name, value)| {
            parse(name, value).map_err(|message| self.problem(&origin, &format!("{key}.\"{name}\""), message))
        });
        Some(parsed.filter_map(Result::ok).collect())
    }

    fn problem(&mut self, origin: &str, key: &str, message: String) {
        self.0.problems.push(Problem { origin: origin.to_owned(), key: Some(key.to_owned()), message });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str, environment: &[(&str, &str)]) -> Result<Config, Problems> {
        let mut raw = Raw::default();
        raw.read_file(Path::new("csg.toml"), text);
        raw.read_environment(environment.iter().copied());
        Resolver(raw).resolve()
    }

    #[test]
    fn nothing_given_is_the_contract() {
        insta::assert_debug_snapshot!(load("", &[]).unwrap());
    }

    #[test]
    fn the_packaged_file_is_the_defaults() {
        let shipped = include_str!("../../packaging/csg.toml");
        // A setting that is commented out has nothing between "#" and its name.
        let uncommented: String = shipped
            .lines()
            .map(|line| line.strip_prefix('#').filter(|rest| rest.starts_with(char::is_alphabetic)).unwrap_or(line))
            .flat_map(|line| [line, "\n"])
            .collect();
        for text in [shipped, &uncommented] {
            assert_eq!(format!("{:?}", load(text, &[]).unwrap()), format!("{:?}", Config::default()));
        }
        let mut raw = Raw::default();
        raw.read_file(Path::new("csg.toml"), &uncommented);
        let listed: Vec<_> = raw.values.keys().copied().collect();
        assert_eq!(listed, super::super::raw::KEYS.iter().map(|(key, _)| *key).collect::<Vec<_>>());
    }

    #[test]
    fn everything_given() {
        let text = r#"
            data_dir = "/srv/csg"
            gateway.listen = ["127.0.0.1:0", "[::1]:3128"]
            gateway.hostnames = ["Gateway.example.com", "192.0.2.7", "2001:DB8::7"]
            gateway.passthrough = ["*.example.org", "pypi.org"]
            gateway.require_sni = false
            gateway.max_buffered_body = "1MiB"
            gateway.max_spooled_body = "10MiB"
            gateway.max_spooled_total = "100MiB"
            gateway.spool_dir = "/srv/spool"
            gateway.drain = "1h"
            console.listen = "[::]:3129"
            console.tls = { cert = "/etc/csg/console.pem", key = "/etc/csg/console.key" }
            secrets.key_file = "/run/key"
            log = { level = "debug", format = "json", file = "/var/log/gateway.log" }
            audit = { retention = "2w", on_failure = "allow" }
            [upstream]
            ca_file = "/etc/roots.pem"
            override = { "*.amazonaws.com" = "127.0.0.1:5001", "sqs.us-east-1.amazonaws.com" = "elasticmq.lan:9324" }
        "#;
        insta::assert_debug_snapshot!(load(text, &[("CSG_LOG__LEVEL", "warn")]).unwrap());
    }

    #[test]
    fn tells_every_mistake_at_once() {
        let text = r#"
            data_dir = ""
            retention = "3d"
            [gateway]
            lisen = ["0.0.0.0:3128"]
            listen = "0.0.0.0:3128"
            hostnames = ["*.example.com", 5]
            passthrough = ["*", "a..b"]
            require_sni = "yes"
            max_buffered_body = "16M"
            [console]
            listen = "3129"
            tls = { certificate = "a.pem", key = "" }
            [upstream.override]
            "*.amazonaws.com" = "127.0.0.1"
            sqs.us-east-1.amazonaws.com = "127.0.0.1:5001"
            [log.forward]
            proto = "tcp"
            [log]
            level = "loud"
            format = "xml"
            [audit]
            retention = "12h"
            on_failure = "panic"
            [secrets]
            key_file = 5
        "#;
        let environment = [
            ("CSG_GATEWAY__LISTEN", "3128, localhost:3128"),
            ("CSG_GATEWAY__REQUIRE_SNI", "1"),
            ("CSG_GATEWAY__HOSTNAME", "a"),
            ("CSG_CONSOLE__TSL", "off"),
            ("CSG_UPSTREAM__OVERRIDE", "127.0.0.1:5001,*.amazonaws.com=:1"),
            ("CSG_TOKEN", "not a setting"),
        ];
        insta::assert_snapshot!(load(text, &environment).unwrap_err());
    }

    #[test]
    fn tls_of_the_console_is_said_in_a_word_or_by_two_files() {
        let files = |cert: &str, key: &str| ConsoleTls::Files { cert: cert.into(), key: key.into() };
        for (text, environment, expected) in [
            ("", "", ConsoleTls::Auto),
            ("console.tls = \"auto\"", "", ConsoleTls::Auto),
            ("console.tls = \"off\"", "", ConsoleTls::Off),
            ("console.tls = \"off\"", "auto", ConsoleTls::Auto),
            ("[console.tls]\ncert = \"/c\"\nkey = \"/k\"", "", files("/c", "/k")),
            ("", "key=/b,cert=/a", files("/a", "/b")),
        ] {
            let variables = [("CSG_CONSOLE__TLS", environment)];
            let given = if environment.is_empty() { &[][..] } else { &variables };
            assert_eq!(load(text, given).unwrap().console.tls, expected, "{text} {environment}");
        }
        for (text, messages) in [
            ("console.tls = \"on\"", &["must be \"auto\", \"off\" or { cert = \"…\", key = \"…\" }, not \"on\""][..]),
            ("console.tls = true", &["must be a text in quotes or a section, not true or false"]),
            ("console.tls = {}", &["has no cert", "has no key"]),
            ("console.tls = { key = \"\", ca = \"/c\" }", &["there is no \"ca\" in it", "has no cert", "has no key"]),
            ("console.tls = { cert = 5, key = \"/k\" }", &["\"cert\" must have a text"]),
        ] {
            let Problems(problems) = load(text, &[]).unwrap_err();
            assert_eq!(problems.len(), messages.len(), "{problems:?}");
            for (problem, message) in problems.iter().zip(messages) {
                assert_eq!(problem.key.as_deref(), Some("console.tls"));
                assert!(problem.message.contains(message), "{problem}");
            }
        }
    }

    #[test]
    fn tells_what_is_no_toml_or_no_section() {
        for (name, text) in
            [("syntax", "a = \n"), ("section", "gateway = 5\nconsole = []\nlogs = {}\nupstream.override = 1")]
        {
            insta::assert_snapshot!(name, load(text, &[]).unwrap_err());
        }
        insta::assert_snapshot!("absent", Config::load(Some(Path::new("/nonexistent/csg.toml")), []).unwrap_err());
    }
}
