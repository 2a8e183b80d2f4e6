//! `sts:GetCallerIdentity`: whose a real credential is, as AWS itself says. Every valid key may ask, whatever its policies.

use bytes::Bytes;
use http::{Request, Response, header};
use roxmltree::{Document, Node};

use crate::{
    clock::Timestamp,
    cloud::CheckError,
    model::{AccountId, CloudIdentity, Principal},
    sigv4::{self, PathStyle, Payload, Scope, SignedHeaders, Signing, SigningKey},
};

/// A key says nothing of its partition: it is looked for in the one that nearly all belong to. The regional host, since
/// the global one may be switched off for an account, and sends everybody to Virginia all the same.
const HOST: &str = "sts.us-east-1.amazonaws.com";
const REGION: &str = "us-east-1";
const BODY: &[u8] = b"Action=GetCallerIdentity&Version=2011-06-15";

/// No more of AWS's own words is handed on.
const LONGEST_MESSAGE: usize = 300;
/// AWS's own limits: "20 to 2048 characters" for ARNs, 128 for ids and the role session name behind them.
const LONGEST_NAME: usize = 2048;

/// The question, signed.
pub fn request(identity: &CloudIdentity, now: Timestamp) -> Result<Request<Bytes>, CheckError> {
    let refused = |message: String| CheckError::Refused { code: "not sent".to_owned(), message };
    let request = Request::post(format!("https://{HOST}/"))
        .header(header::HOST, HOST)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded; charset=utf-8")
        .body(Bytes::from_static(BODY))
        .map_err(|error| refused(error.to_string()))?;
    let (mut parts, body) = request.into_parts();
    let signing = Signing {
        access_key_id: &identity.access_key_id,
        key: &SigningKey::derive(&identity.secret_access_key, Scope::at(now, REGION, "sts")),
        session_token: identity.session_token.as_ref(),
        style: PathStyle::EncodedTwice,
        also: &SignedHeaders::parse("content-type").unwrap_or_default(),
        payload: Payload::of(BODY),
        now,
    };
    sigv4::sign(&mut parts, &signing).map_err(|error| refused(error.to_string()))?;
    Ok(Request::from_parts(parts, body))
}

/// The question got no answer.
pub fn unanswered(reason: &impl ToString) -> CheckError {
    CheckError::Unreachable { host: HOST.to_owned(), reason: reason.to_string() }
}

/// What the answer says. Read strictly: an account id that something else made up would be taken for a proof.
pub fn read(answer: &Response<Bytes>) -> Result<Principal, CheckError> {
    let garbled = |what: &str| CheckError::Garbled { host: HOST.to_owned(), what: what.to_owned() };
    let status = answer.status();
    let text = std::str::from_utf8(answer.body()).map_err(|_| garbled("it is not text"))?;
    // Neither DTDs nor entities of their own: roxmltree refuses them by default.
    let document = Document::parse(text).map_err(|_| garbled(&format!("it is not XML, status {status}")))?;
    let root = document.root_element();
    match root.tag_name().name() {
        "ErrorResponse" if !status.is_success() => {
            let error = child(root, "Error").ok_or_else(|| garbled("an error without one"))?;
            let code = text_of(error, "Code")
                .filter(|code| is_word(code))
                .ok_or_else(|| garbled("an error without a code"))?;
            Err(CheckError::Refused {
                code: code.to_owned(),
                message: words(text_of(error, "Message").unwrap_or_default()),
            })
        }
        "GetCallerIdentityResponse" if status.is_success() => {
            let result = child(root, "GetCallerIdentityResult").ok_or_else(|| garbled("a result without one"))?;
            principal(result).ok_or_else(|| garbled("account, ARN and user id are missing or do not fit together"))
        }
        _ => Err(garbled(&format!("another kind of answer, status {status}"))),
    }
}

fn principal(result: Node<'_, '_>) -> Option<Principal> {
    let account = AccountId::new(text_of(result, "Account")?).ok()?;
    let arn = text_of(result, "Arn").filter(|arn| is_name(arn))?;
    let user_id = text_of(result, "UserId").filter(|id| is_name(id))?;
    // arn:partition:service:region:account:resource
    let mut parts = arn.splitn(6, ':');
    let fits = parts.next() == Some("arn")
        && parts.next().is_some_and(|partition| partition.starts_with("aws"))
        && matches!(parts.next(), Some("iam" | "sts"))
        && parts.next() == Some("")
        && parts.next() == Some(account.as_str())
        && parts.next().is_some_and(|resource| !resource.is_empty());
    fits.then(|| Principal { account, arn: arn.to_owned(), user_id: user_id.to_owned() })
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

    const GOOD: &str = r#"<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
        <GetCallerIdentityResult>
          <Arn>arn:aws:iam::123456789012:user/Alice</Arn>
          <UserId>AIDACKCEVSQ6C2EXAMPLE</UserId>
          <Account>123456789012</Account>
        </GetCallerIdentityResult>
        <ResponseMetadata><RequestId>01234567-89ab-cdef-0123-456789abcdef</RequestId></ResponseMetadata>
      </GetCallerIdentityResponse>"#;

    fn answer(status: u16, body: &str) -> Response<Bytes> {
        Response::builder().status(status).body(Bytes::copy_from_slice(body.as_bytes())).unwrap()
    }

    #[test]
    fn a_right_answer_names_the_account() {
        let principal = read(&answer(200, GOOD)).unwrap();
        assert_eq!(principal.account.as_str(), "123456789012");
        assert_eq!(principal.arn, "arn:aws:iam::123456789012:user/Alice");
        assert_eq!(principal.user_id, "AIDACKCEVSQ6C2EXAMPLE");
        let role = GOOD.replace("iam::123456789012:user/Alice", "sts::123456789012:assumed-role/gateway/x");
        assert!(read(&answer(200, &role)).is_ok());
    }

    #[test]
    fn a_refusal_is_in_the_words_of_aws() {
        let body = "<ErrorResponse><Error><Type>Sender</Type><Code>InvalidClientTokenId</Code>\
                    <Message>The security token included in the request is invalid.</Message></Error></ErrorResponse>";
        let error = read(&answer(403, body)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "AWS does not take it: The security token included in the request is invalid. (InvalidClientTokenId)"
        );
    }

    #[test]
    fn anything_else_is_no_answer_of_aws() {
        let other = |from: &str, to: &str| {
            assert!(GOOD.contains(from), "{from}");
            GOOD.replacen(from, to, 1)
        };
        let bomb = format!("<!DOCTYPE x [<!ENTITY a \"{}\">]>{GOOD}", "a".repeat(100));
        for (status, body) in [
            (200, String::new()),
            (200, "<html><body>Welcome to the hotel's network</body></html>".into()),
            (200, "<GetCallerIdentityResponse/>".into()),
            (200, "{\"Account\": \"123456789012\"}".into()),
            (500, GOOD.into()),
            (200, bomb),
            (200, other("<Account>123456789012", "<Account>12345")),
            (200, other("<Account>123456789012", "<Account>210987654321")),
            (200, other("arn:aws:iam", "arn:evil:iam")),
            (200, other("arn:aws:iam", "arn:aws:s3")),
            (200, other("user/Alice", "")),
            (200, other("user/Alice", "user/A lice")),
            (200, other("<UserId>AIDACKCEVSQ6C2EXAMPLE</UserId>", "")),
            (200, other("<Account>", "<Account>123456789012</Account><Account>")),
            (403, "<ErrorResponse><Error><Code>no code</Code></Error></ErrorResponse>".into()),
            (200, "<ErrorResponse><Error><Code>Odd</Code></Error></ErrorResponse>".into()),
        ] {
            let error = read(&answer(status, &body)).unwrap_err();
            assert!(matches!(error, CheckError::Garbled { .. }), "{status} {body}: {error}");
        }
    }
}
