//! Policy groups: rules that an approver attaches to an access request, about the names of what its calls create.

use std::{fmt, sync::OnceLock};

use serde::{Deserialize, Serialize};

use super::{CloudId, PolicyGroupId, ServiceId};
use crate::clock::Timestamp;

/// The longest prefix or pattern, in bytes.
pub const LONGEST_VALUE: usize = 1000;

/// The most rules of a group.
pub const MOST_POLICIES: usize = 100;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PolicyStatus {
    /// Not now.
    Disabled,
    /// Yes.
    Enforced,
}

/// To which calls a rule applies: to those for which all that is given here is so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = PolicyConditions)]
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

/// The types of rules, by which people pick one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = PolicyType)]
pub enum RuleType {
    /// `value` is a prefix that the name of what the call creates must have.
    #[serde(rename = "csg.resource.name.prefix")]
    ResourceNamePrefix,
    /// `value` is `/expression/` or `/expression/i`, to be found in the name of what the call creates.
    #[serde(rename = "csg.resource.name.validation_pattern")]
    ResourceNameValidationPattern,
}

/// A regular expression as `/regex/flags`. Searching takes time in proportion to the text, whatever the expression.
///
/// Its classes are those of ASCII, as names in clouds are: `\w{3,63}` with all letters of Unicode takes 4 MiB.
#[derive(Clone)]
pub struct Pattern {
    text: String,
    /// Made when it is first asked, or when it was checked: lists of groups need none. None if it can't be made.
    regex: OnceLock<Option<regex::bytes::Regex>>,
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

impl Policy {
    /// Compiles what has to be compiled, so that no call waits for it.
    pub fn prepare(&self) {
        if let Rule::ResourceNameValidationPattern(pattern) = &self.rule {
            pattern.compiled();
        }
    }
}

impl RuleType {
    /// Every type there is.
    pub const ALL: [Self; 2] = [Self::ResourceNamePrefix, Self::ResourceNameValidationPattern];

    /// The name in API and messages: `csg.resource.name.prefix`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ResourceNamePrefix => "csg.resource.name.prefix",
            Self::ResourceNameValidationPattern => "csg.resource.name.validation_pattern",
        }
    }
}

impl Rule {
    /// The rule of a type with a value.
    pub fn new(kind: RuleType, value: &str) -> Result<Self, PatternError> {
        Ok(match kind {
            RuleType::ResourceNamePrefix => Self::ResourceNamePrefix(value.to_owned()),
            RuleType::ResourceNameValidationPattern => Self::ResourceNameValidationPattern(Pattern::new(value)?),
        })
    }

    /// Its type.
    pub const fn kind(&self) -> RuleType {
        match self {
            Self::ResourceNamePrefix(_) => RuleType::ResourceNamePrefix,
            Self::ResourceNameValidationPattern(_) => RuleType::ResourceNameValidationPattern,
        }
    }

    /// The type's name in API and messages: `csg.resource.name.prefix`.
    pub const fn type_name(&self) -> &'static str {
        self.kind().name()
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
        let regex = compile(text)?;
        Ok(Self { text: text.to_owned(), regex: OnceLock::from(Some(regex)) })
    }

    /// The text as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// A search: anywhere in `name`, unless the expression says otherwise.
    ///
    /// What can't be compiled is found nowhere. No such pattern gets into the store, but another version of the
    /// library may understand less.
    pub fn is_found_in(&self, name: &str) -> bool {
        self.compiled().is_some_and(|regex| regex.is_match(name.as_bytes()))
    }

    fn compiled(&self) -> Option<&regex::bytes::Regex> {
        self.regex.get_or_init(|| compile(&self.text).ok()).as_ref()
    }
}

fn compile(text: &str) -> Result<regex::bytes::Regex, PatternError> {
    if text.len() > LONGEST_VALUE {
        return Err(PatternError::TooLarge);
    }
    let (expression, flags) =
        text.strip_prefix('/').and_then(|rest| rest.rsplit_once('/')).ok_or(PatternError::Form)?;
    if let Some(flag) = flags.chars().find(|flag| *flag != 'i') {
        return Err(PatternError::Flag(flag));
    }
    let built = regex::bytes::RegexBuilder::new(expression)
        .unicode(false)
        .case_insensitive(!flags.is_empty())
        .size_limit(LARGEST_PATTERN)
        .dfa_size_limit(LARGEST_PATTERN)
        .build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => PatternError::TooLarge,
        // The library draws a picture over several lines; its last one says what is wrong.
        other => {
            let told = other.to_string();
            let last = told.lines().last().unwrap_or(&told);
            PatternError::Regex(last.strip_prefix("error: ").unwrap_or(last).to_owned())
        }
    })
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
        Ok(Self { text: String::deserialize(deserializer)?, regex: OnceLock::new() })
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
            (r"/^\w{3,63}$/", "team_7", "tëam"),
            (r"/^[\w.-]{3,255}$/i", "Team-7.log", "a"),
            (r"/^\d{12}$/", "123456789012", "\u{663}23456789012"),
            ("/^é.+$/", "été", "ete"),
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
            (r"/\pL/", "Unicode not allowed here"),
            ("/[é]/", "Unicode not allowed here"),
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
        for kind in RuleType::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
            assert_eq!(Rule::new(kind, "/a/").unwrap().kind(), kind);
        }
    }

    #[test]
    fn a_pattern_from_the_store_is_compiled_when_it_is_asked_and_fails_closed() {
        let read = |text: &str| serde_json::from_value::<Pattern>(text.into()).unwrap();
        assert!(read("/^team-/").is_found_in("team-7"));
        for unreadable in ["", "team", "/(/", "/a/g"] {
            assert!(!read(unreadable).is_found_in("team"), "{unreadable}");
        }
    }
}
