//! Questions of the gateway's own to AWS STS: whose a credential is, and the keys of a role.
//!
//! Answers are read strictly: an account that something else made up would be taken for a proof.

pub mod assume_role;
pub mod caller_identity;

use bytes::Bytes;
use http::{Request, Response, header};
use roxmltree::{Document, Node};

use super::Catalogue;
use crate::{
    clock::Timestamp,
    cloud::CheckError,
    model::CloudIdentity,
    sigv4::{self, PathStyle, Payload, Scope, SignedHeaders, Signing, SigningKey},
};

/// No more of AWS's own words is handed on.
const LONGEST_MESSAGE: usize = 300;
/// AWS's own limits: "20 to 2048 characters" for ARNs, 128 for ids and the role session name behind them.
const LONGEST_NAME: usize = 2048;

/// The STS of a partition. At the regional host, since the global one may be switched off for an account, and its sessions
/// are of no use in regions that have to be opted in to.
#[derive(Debug)]
pub struct Sts {
    host: String,
    region: &'static str,
}

impl Sts {
    /// That of the partition `aws`: a key says nothing of its partition, and nearly all belong to this one.
    pub fn usual() -> Result<Self, CheckError> {
        Self::of("aws")
    }

    /// That of `partition`.
    pub fn of(partition: &str) -> Result<Self, CheckError> {
        let known = Catalogue::embedded().partition(partition);
        let (region, suffix) = known.ok_or_else(|| CheckError::Unreachable {
            host: "the cloud".to_owned(),
            reason: format!("no partition of AWS that is known here is called {partition}"),
        })?;
        Ok(Self { host: format!("sts.{region}.{suffix}"), region })
    }

    /// It gave no answer.
    pub fn unanswered(&self, reason: &impl ToString) -> CheckError {
        CheckError::Unreachable { host: self.host.clone(), reason: reason.to_string() }
    }

    fn garbled(&self, what: impl Into<String>) -> CheckError {
        CheckError::Garbled { host: self.host.clone(), what: what.into() }
    }

    /// `form`, signed.
    fn question(&self, identity: &CloudIdentity, form: String, now: Timestamp) -> Result<Request<Bytes>, CheckError> {
        let refused = |message: String| CheckError::Refused { code: "not sent".to_owned(), message };
        let form = Bytes::from(form);
        let request = Request::post(format!("https://{}/", self.host))
            .header(header::HOST, &self.host)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded; charset=utf-8")
            .body(form)
            .map_err(|error| refused(error.to_string()))?;
        let (mut parts, body) = request.into_parts();
        let signing = Signing {
            access_key_id: &identity.access_key_id,
            key: &SigningKey::derive(&identity.secret_access_key, Scope::at(now, self.region, "sts")),
            session_token: identity.session_token.as_ref(),
            style: PathStyle::EncodedTwice,
            also: &SignedHeaders::parse("content-type").unwrap_or_default(),
            payload: Payload::of(&body),
            now,
        };
        sigv4::sign(&mut parts, &signing).map_err(|error| refused(error.to_string()))?;
        Ok(Request::from_parts(parts, body))
    }

    /// What `take` finds in the result of `operation`; none if that does not fit together.
    fn read<T>(
        &self,
        answer: &Response<Bytes>,
        operation: &str,
        take: impl FnOnce(Node<'_, '_>) -> Option<T>,
    ) -> Result<T, CheckError> {
        let status = answer.status();
        let text = std::str::from_utf8(answer.body()).map_err(|_| self.garbled("it is not text"))?;
        // Neither DTDs nor entities of their own: roxmltree refuses them by default.
        let document = Document::parse(text).map_err(|_| self.garbled(format!("it is not XML, status {status}")))?;
        let root = document.root_element();
        match root.tag_name().name().strip_prefix(operation) {
            Some("Response") if status.is_success() => {
                let result = child(root, &format!("{operation}Result"));
                let result = result.ok_or_else(|| self.garbled("a result without one"))?;
                take(result).ok_or_else(|| self.garbled("what it should tell is missing or does not fit together"))
            }
            None if root.tag_name().name() == "ErrorResponse" && !status.is_success() => {
                let error = child(root, "Error").ok_or_else(|| self.garbled("an error without one"))?;
                let code = text_of(error, "Code").filter(|code| is_word(code));
                Err(CheckError::Refused {
                    code: code.ok_or_else(|| self.garbled("an error without a code"))?.to_owned(),
                    message: words(text_of(error, "Message").unwrap_or_default()),
                })
            }
            _ => Err(self.garbled(format!("another kind of answer, status {status}"))),
        }
    }
}

/// The one child of this name; none if there are several.
fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    let mut found = node.children().filter(|child| child.is_element() && child.tag_name().name() == name);
    found.next().filter(|_| found.next().is_none())
}

fn text_of<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    child(node, name)?.text().map(str::trim)
}

fn is_name(text: &str) -> bool {
    (1..=LONGEST_NAME).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_word(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.')
}

fn words(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LONGEST_MESSAGE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_partition_has_its_own() {
        for (partition, host) in [
            ("aws", "sts.us-east-1.amazonaws.com"),
            ("aws-cn", "sts.cn-northwest-1.amazonaws.com.cn"),
            ("aws-us-gov", "sts.us-gov-west-1.amazonaws.com"),
            ("aws-eusc", "sts.eusc-de-east-1.amazonaws.eu"),
        ] {
            assert_eq!(Sts::of(partition).unwrap().host, host);
            // The gateway knows it as one of the hosts that it may speak for.
            let known = Catalogue::embedded().host(host).unwrap();
            assert!(known.services().any(|service| service.id.as_str() == "sts"), "{host}");
        }
        assert!(Sts::of("aws-moon").is_err());
    }
}
