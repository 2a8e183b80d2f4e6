//! `sts:GetCallerIdentity`: whose a real credential is, as AWS itself says. Every valid key may ask, whatever its policies.

use bytes::Bytes;
use http::{Request, Response};
use roxmltree::Node;

use super::{Sts, is_name, text_of};
use crate::{
    clock::Timestamp,
    cloud::CheckError,
    model::{AccountId, CloudIdentity, Principal},
};

/// The question, signed.
pub fn request(sts: &Sts, identity: &CloudIdentity, now: Timestamp) -> Result<Request<Bytes>, CheckError> {
    sts.question(identity, "Action=GetCallerIdentity&Version=2011-06-15".to_owned(), now)
}

/// What the answer says.
pub fn read(sts: &Sts, answer: &Response<Bytes>) -> Result<Principal, CheckError> {
    sts.read(answer, "GetCallerIdentity", principal)
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

    fn read(answer: &Response<Bytes>) -> Result<Principal, CheckError> {
        super::read(&Sts::usual().unwrap(), answer)
    }

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
