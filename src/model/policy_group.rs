//! Policy groups: rules that an approver attaches to an access request, about the names of what its calls create.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{CloudId, PolicyGroupId, ServiceId};
use crate::clock::Timestamp;

/// The longest prefix or pattern, in bytes.
pub const LONGEST_VALUE: usize = 1000;

/// A pattern that needs more than so many bytes once compiled is refused: every grant that has it keeps it in memory.
const LARGEST_PATTERN: usize = 256 * 1024;

/// A named set of rules; a call must keep all that apply to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PolicyGroup {
    /// The id, never changed.
    pub id: PolicyGroupId,
    /// The name that people read.
    pub name: String,
    /// The rules.
    pub policies: Vec<Policy>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// What it demands.
    #[serde(flatten)]
    pub rule: Rule,
    /// Is it in force?
    pub status: PolicyStatus,
    /// To which calls it applies.
    pub conditions: Conditions,
}

/// Is a rule in force?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyStatus {
    /// Not now.
    Disabled,
    /// Yes.
    Enforced,
}

/// To which calls a rule applies: to those for which all that is given here is so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conditions {
    /// The cloud.
    pub cloud: CloudId,
    /// The service; any if none.
    #[serde(default)]
    pub service: Option<ServiceId>,
    /// The operation, in the cloud's own words (`CreateTable`); any if none. Without a service there is none.
    #[serde(default)]
    pub operation: Option<String>,
}

/// What a rule demands of a call that it applies to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "value")]
pub enum Rule {
    /// The name of what the call creates begins so.
    #[serde(rename = "csg.resource.name.prefix")]
    ResourceNamePrefix(String),
    /// A search finds the pattern in the name of what the call creates.
    #[serde(rename = "csg.resource.name.validation_pattern")]
    ResourceNameValidationPattern(Pattern),
}

/// A regular expression as `/regex/flags`. Searching takes time in proportion to the text, whatever the expression.
#[derive(Clone)]
pub struct Pattern {
    text: String,
    regex: regex::Regex,
}

/// A text is not a pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// The flags hold something else than `i`.
    #[error("has the flag '{0}': only i (letters of either case) is understood")]
    Flag(char),
    /// No slashes around it.
    #[error("must be written /expression/ or /expression/i")]
    Form,
    /// The expression itself.
    #[error("is not a regular expression that is understood here: {0}")]
    Regex(String),
    /// Too long, or too large once compiled.
    #[error("is too large a regular expression")]
    TooLarge,
}

impl Rule {
    /// The type's name in API and messages: `csg.resource.name.prefix`.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::ResourceNamePrefix(_) => "csg.resource.name.prefix",
            Self::ResourceNameValidationPattern(_) => "csg.resource.name.validation_pattern",
        }
    }

    /// The value as it was given.
    pub fn value(&self) -> &str {
        match self {
            Self::ResourceNamePrefix(prefix) => prefix,
            Self::ResourceNameValidationPattern(pattern) => pattern.as_str(),
        }
    }

    /// May something be called `name`?
    pub fn allows_name(&self, name: &str) -> bool {
        match self {
            Self::ResourceNamePrefix(prefix) => name.starts_with(prefix.as_str()),
            Self::ResourceNameValidationPattern(pattern) => pattern.is_found_in(name),
        }
    }
}

impl Pattern {
    /// Reads `/regex/flags`.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        if text.len() > LONGEST_VALUE {
            return Err(PatternError::TooLarge);
        }
        let (expression, flags) =
            text.strip_prefix('/').and_then(|rest| rest.rsplit_once('/')).ok_or(PatternError::Form)?;
        if let Some(flag) = flags.chars().find(|flag| *flag != 'i') {
            return Err(PatternError::Flag(flag));
        }
        let regex = regex::RegexBuilder::new(expression)
            .case_insensitive(!flags.is_empty())
            .size_limit(LARGEST_PATTERN)
            .dfa_size_limit(LARGEST_PATTERN)
            .build()
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => PatternError::TooLarge,
                // The library draws a picture over several lines; its last one says what is wrong.
                other => {
                    let told = other.to_string();
                    let last = told.lines().last().unwrap_or(&told);
                    PatternError::Regex(last.strip_prefix("error: ").unwrap_or(last).to_owned())
                }
            })?;
        Ok(Self { text: text.to_owned(), regex })
    }

    /// The text as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// A search: anywhere in `name`, unless the expression says otherwise.
    pub fn is_found_in(&self, name: &str) -> bool {
        self.regex.is_match(name)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl Serialize for Pattern {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_searched_for() {
        for (pattern, found, not_found) in [
            ("/^team-[0-9]+$/", "team-7", "Team-7"),
            ("/^team-/i", "TEAM-7", "my-team-7"),
            ("/team/", "my-team-7", "tea"),
            ("/a/b/", "xa/bx", "ab"),
            ("//", "anything", ""),
        ] {
            let compiled = Pattern::new(pattern).unwrap();
            assert!(compiled.is_found_in(found), "{pattern} in {found}");
            assert!(not_found.is_empty() || !compiled.is_found_in(not_found), "{pattern} in {not_found}");
            assert_eq!(compiled.as_str(), pattern);
        }
    }

    #[test]
    fn what_is_no_pattern_is_told_why() {
        for (text, told) in [
            ("team", "must be written /expression/ or /expression/i"),
            ("/team", "must be written /expression/ or /expression/i"),
            ("/team/g", "has the flag 'g': only i (letters of either case) is understood"),
            ("/(team/", "is not a regular expression that is understood here: unclosed group"),
            ("/(?=a)b/", "look-around, including look-ahead and look-behind, is not supported"),
            ("/(a{1000}){1000}/", "is too large a regular expression"),
        ] {
            let error = Pattern::new(text).unwrap_err().to_string();
            assert!(error.ends_with(told), "{text}: {error}");
        }
        assert_eq!(Pattern::new(&format!("/{}/", "a".repeat(LONGEST_VALUE))), Err(PatternError::TooLarge));
    }

    #[test]
    fn a_policy_is_written_as_the_contract_says() {
        let written = r#"{"type":"csg.resource.name.prefix","value":"team-","status":"enforced","conditions":{"cloud":"aws","service":"dynamodb","operation":"CreateTable"}}"#;
        let policy: Policy = serde_json::from_str(written).unwrap();
        assert!(policy.rule.allows_name("team-orders") && !policy.rule.allows_name("orders"));
        assert_eq!(serde_json::to_string(&policy).unwrap(), written);
    }
}
