//! Which hosts a setting is about: one host, or all below a domain. Compared label by label, from the right.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A host (`sqs.us-east-1.amazonaws.com`), or, with a leading `*.`, every host that has one label or more in its place.
///
/// Case does not count, nor does a host's closing dot. `*.amazonaws.com` matches neither `amazonaws.com` nor
/// `x.amazonaws.com.evil.example` nor `xamazonaws.com`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct HostPattern {
    below: bool,
    name: Arc<str>,
}

/// The text is no host pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a host name such as sqs.us-east-1.amazonaws.com, or *.amazonaws.com for every host below a domain")]
pub struct HostPatternError;

impl HostPattern {
    /// Is this pattern about `host` (without a port)?
    pub fn matches(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        if !self.below {
            return host.eq_ignore_ascii_case(&self.name);
        }
        let Some(split) = host.len().checked_sub(self.name.len()) else { return false };
        host.is_char_boundary(split) && {
            let (front, tail) = host.split_at(split);
            tail.eq_ignore_ascii_case(&self.name) && front.len() > 1 && front.ends_with('.')
        }
    }

    /// Of the entries whose pattern is about `host`, the most specific one's value: a host before a domain, a longer
    /// domain before a shorter one.
    pub fn most_specific<'a, T>(entries: &'a [(Self, T)], host: &str) -> Option<&'a T> {
        entries
            .iter()
            .filter(|(pattern, _)| pattern.matches(host))
            .max_by_key(|(pattern, _)| (!pattern.below, pattern.name.len()))
            .map(|(_, value)| value)
    }
}

impl FromStr for HostPattern {
    type Err = HostPatternError;

    fn from_str(text: &str) -> Result<Self, HostPatternError> {
        let (below, name) = text.strip_prefix("*.").map_or((false, text), |name| (true, name));
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if name.len() > 253 || !name.split('.').all(label) {
            return Err(HostPatternError);
        }
        Ok(Self { below, name: name.to_ascii_lowercase().into() })
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.below { "*." } else { "" }, self.name)
    }
}

impl fmt::Debug for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

impl Serialize for HostPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HostPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> HostPattern {
        text.parse().unwrap()
    }

    #[test]
    fn matches_whole_labels_in_any_case() {
        for (of, host, expected) in [
            ("*.amazonaws.com", "sqs.us-east-1.amazonaws.com", true),
            ("*.amazonaws.com", "iam.amazonaws.com", true),
            ("*.AmazonAWS.com", "IAM.amazonaws.COM.", true),
            ("*.amazonaws.com", "amazonaws.com", false),
            ("*.amazonaws.com", ".amazonaws.com", false),
            ("*.amazonaws.com", "evilamazonaws.com", false),
            ("*.amazonaws.com", "sqs.amazonaws.com.evil.example", false),
            ("*.amazonaws.com", "ämazonaws.com", false),
            ("sqs.us-east-1.amazonaws.com", "SQS.us-east-1.amazonaws.com", true),
            ("sqs.us-east-1.amazonaws.com", "x.sqs.us-east-1.amazonaws.com", false),
            ("localhost", "localhost", true),
            ("127.0.0.1", "127.0.0.1", true),
            ("localhost", "", false),
        ] {
            assert_eq!(pattern(of).matches(host), expected, "{of} {host}");
        }
    }

    #[test]
    fn the_most_specific_wins() {
        let entries = [
            (pattern("*.amazonaws.com"), "domain"),
            (pattern("*.us-east-1.amazonaws.com"), "region"),
            (pattern("sqs.us-east-1.amazonaws.com"), "host"),
        ];
        for (host, expected) in [
            ("sqs.us-east-1.amazonaws.com", Some("host")),
            ("sns.us-east-1.amazonaws.com", Some("region")),
            ("iam.amazonaws.com", Some("domain")),
            ("example.org", None),
        ] {
            assert_eq!(HostPattern::most_specific(&entries, host).copied(), expected, "{host}");
        }
    }

    #[test]
    fn refuses_what_is_no_host() {
        for text in ["", "*", "*.", "a..b", "*.*.a", "a.*.b", "a b", "-a.b", "https://a", "a:443", ".a", "ä.b"] {
            assert!(text.parse::<HostPattern>().is_err(), "{text}");
        }
        assert_eq!(pattern("*.API.aws").to_string(), "*.api.aws");
    }
}
