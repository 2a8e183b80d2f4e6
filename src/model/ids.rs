//! Names of things, one type each, so that one can't be passed for another.

use std::{
    borrow::{Borrow, Cow},
    fmt,
    ops::Deref,
    sync::{Arc, LazyLock},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use utoipa::openapi::{
    RefOr,
    schema::{ObjectBuilder, Schema, Type},
};

/// The text does not have the form of the id it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be {rule}")]
pub struct IdError {
    what: &'static str,
    rule: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($text:ty), $what:literal, $rule:literal, $pattern:literal, $example:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name($text);

        impl $name {
            /// Takes `text` if it has this id's form.
            pub fn new(text: impl AsRef<str>) -> Result<Self, IdError> {
                let text = text.as_ref();
                let valid: fn(&str) -> bool = $valid;
                if valid(text) { Ok(Self(text.into())) } else { Err(IdError { what: $what, rule: $rule }) }
            }

            /// The text of the id.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), f)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                schema($what, $rule, $pattern, $example)
            }
        }

        impl utoipa::ToSchema for $name {
            fn name() -> Cow<'static, str> {
                stringify!($name).into()
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(String::deserialize(deserializer)?).map_err(D::Error::custom)
            }
        }
    };
}

/// Twelve characters of ASCII, in place: calls name accounts, and it shall cost them no allocation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Twelve([u8; 12]);

impl From<&str> for Twelve {
    /// Of a text that was found to have that form.
    fn from(text: &str) -> Self {
        let mut characters = [b'0'; 12];
        characters.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from);
        Self(characters)
    }
}

impl Deref for Twelve {
    type Target = str;

    fn deref(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl Serialize for Twelve {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

/// The form of an id as the OpenAPI document tells it.
fn schema(what: &str, rule: &str, pattern: &str, example: &str) -> RefOr<Schema> {
    let schema = ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern)).examples([example]);
    schema.description(Some(format!("{}: {rule}.", what.trim_start_matches("an ").trim_start_matches("a ")))).into()
}

fn of(text: &str, lengths: std::ops::RangeInclusive<usize>, allowed: fn(char) -> bool) -> bool {
    lengths.contains(&text.len()) && text.chars().all(allowed)
}

fn slug(text: &str) -> bool {
    of(text, 1..=63, |c| matches!(c, 'a'..='z' | '0'..='9' | '-')) && !text.starts_with('-') && !text.ends_with('-')
}

id!(
    /// The id of an access key that this gateway gave out; looks like AWS's: 20 upper-case letters and digits.
    AccessKeyId(Arc<str>),
    "an access key id",
    "16 to 128 letters, digits or underscores",
    r"^[A-Za-z0-9_]{16,128}$",
    "CSGA3EXAMPLE7KEY2QXY",
    |text| of(text, 16..=128, |c| c.is_ascii_alphanumeric() || c == '_')
);
id!(
    /// The id of an access request; sorts by the time it was made.
    AccessRequestId(Arc<str>),
    "an access request id",
    "1 to 40 lower-case letters, digits or hyphens",
    r"^[a-z0-9-]{1,40}$",
    "019ab3c4d5e6f708",
    |text| of(text, 1..=40, |c| matches!(c, 'a'..='z' | '0'..='9' | '-'))
);
id!(
    /// A cloud account: for AWS, twelve digits.
    #[derive(Copy)]
    AccountId(Twelve),
    "an account id",
    "12 digits",
    r"^[0-9]{12}$",
    "123456789012",
    |text| of(text, 12..=12, |c| c.is_ascii_digit())
);
id!(
    /// A cloud: `aws`.
    CloudId(Arc<str>),
    "a cloud",
    "1 to 63 lower-case letters, digits or inner hyphens",
    r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
    "aws",
    slug
);
id!(
    /// The id of a real cloud credential.
    CredentialId(Arc<str>),
    "a credential id",
    "1 to 40 lower-case letters, digits or hyphens",
    r"^[a-z0-9-]{1,40}$",
    "019ab3c4d5e6f709",
    |text| of(text, 1..=40, |c| matches!(c, 'a'..='z' | '0'..='9' | '-'))
);
id!(
    /// An environment's slug.
    EnvironmentId(Arc<str>),
    "an environment id",
    "1 to 63 lower-case letters, digits or inner hyphens",
    r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
    "payments-dev",
    slug
);
id!(
    /// The id of a policy group.
    PolicyGroupId(Arc<str>),
    "a policy group id",
    "1 to 40 lower-case letters, digits or hyphens",
    r"^[a-z0-9-]{1,40}$",
    "019ab3c4d5e6f70a",
    |text| of(text, 1..=40, |c| matches!(c, 'a'..='z' | '0'..='9' | '-'))
);
id!(
    /// An IAM role by its full name.
    RoleArn(Arc<str>),
    "a role's ARN",
    "of the form arn:aws:iam::123456789012:role/NAME",
    r"^arn:aws(-[a-z0-9]+)*:iam::[0-9]{12}:role/([!-~]+/)?[A-Za-z0-9_+=,.@-]{1,64}$",
    "arn:aws:iam::123456789012:role/gateway",
    |text| role_of(text).is_some()
);
id!(
    /// A cloud's service by the name its own tools use: for AWS, botocore's (`dynamodb`, `route53`).
    ServiceId(Arc<str>),
    "a service",
    "1 to 63 lower-case letters, digits or inner hyphens",
    r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
    "dynamodb",
    slug
);
id!(
    /// A person's sign-in name.
    UserName(Arc<str>),
    "a user name",
    "1 to 64 letters, digits, or any of . _ - @, beginning with a letter or digit",
    r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$",
    "dora",
    |text| of(text, 1..=64, |c| c.is_ascii_alphanumeric() || "._-@".contains(c))
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
);

/// Partition, account, and the role's path and name.
fn role_of(arn: &str) -> Option<(&str, AccountId, &str)> {
    let mut parts = arn.splitn(6, ':');
    let is = |part: Option<&str>, text: &str| part.filter(|part| *part == text).map(drop);
    is(parts.next(), "arn")?;
    let partition = parts.next().filter(|name| *name == "aws" || name.starts_with("aws-") && slug(name))?;
    is(parts.next(), "iam")?;
    is(parts.next(), "")?;
    let account = AccountId::new(parts.next()?).ok()?;
    let role = parts.next()?.strip_prefix("role/")?;
    let (path, name) = role.rsplit_once('/').map_or((None, role), |(path, name)| (Some(path), name));
    let fits = of(name, 1..=64, |c| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c))
        && path.is_none_or(|path| of(path, 1..=510, |c| c.is_ascii_graphic()));
    fits.then_some((partition, account, role))
}

impl RoleArn {
    /// The partition it is of: `aws`.
    pub fn partition(&self) -> &str {
        role_of(&self.0).map_or("", |(partition, ..)| partition)
    }

    /// The account it is of.
    pub fn account(&self) -> Option<AccountId> {
        role_of(&self.0).map(|(_, account, _)| account)
    }

    /// Its name, without the path.
    pub fn role_name(&self) -> &str {
        role_of(&self.0).map_or("", |(.., role)| role.rsplit('/').next().unwrap_or(role))
    }
}

impl CloudId {
    /// Amazon Web Services.
    pub fn aws() -> Self {
        // Of each call: not made anew.
        static AWS: LazyLock<CloudId> = LazyLock::new(|| CloudId("aws".into()));
        AWS.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_not_of_the_form() {
        assert!(EnvironmentId::new("payments-dev").is_ok());
        for text in ["", "-a", "a-", "A", "a/b", "ä", &"a".repeat(64)] {
            assert!(EnvironmentId::new(text).is_err(), "{text}");
        }
        assert!(AccountId::new("123456789012").is_ok());
        assert!(AccountId::new("12345678901").is_err());
        assert!(UserName::new("dora@example.com").is_ok());
        for text in ["", ".", "@x", "a b", "a\n"] {
            assert!(UserName::new(text).is_err(), "{text}");
        }
        assert!(serde_json::from_str::<EnvironmentId>("\"A\"").is_err());
        let role = RoleArn::new("arn:aws-us-gov:iam::123456789012:role/teams/a/gateway").unwrap();
        let account = role.account().unwrap();
        assert_eq!((role.partition(), account.as_str(), role.role_name()), ("aws-us-gov", "123456789012", "gateway"));
        assert!(RoleArn::new("arn:aws:iam::123456789012:role/gateway").is_ok());
        for text in [
            "arn:aws:iam::123456789012:user/gateway",
            "arn:aws:iam::12345:role/gateway",
            "arn:aws:iam:eu-west-1:123456789012:role/gateway",
            "arn:aws:sts::123456789012:assumed-role/gateway/x",
            "arn:evil:iam::123456789012:role/gateway",
            "arn:awsome:iam::123456789012:role/gateway",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:iam::123456789012:role//gateway",
            "arn:aws:iam::123456789012:role/a b/gateway",
            "arn:aws:iam::123456789012:role/gate way",
            "arn:aws:iam::123456789012:role/gateway\n",
            " arn:aws:iam::123456789012:role/gateway",
        ] {
            assert!(RoleArn::new(text).is_err(), "{text}");
        }
    }
}
