//! Requests that another site makes a browser send: refused.
//!
//! Twice: by where the browser says that the request comes from, and by a token in each form that only the pages of
//! this very session hold.

use axum::http::{HeaderMap, header};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::hmac;

use super::error::Problem;
use crate::secret::Secret;

/// Scripts send the token in this header.
pub(crate) const HEADER: &str = "x-csrf-token";

/// The token of the forms of a session: it tells nothing of the session's own token.
pub(crate) fn token(session: &Secret) -> String {
    URL_SAFE_NO_PAD.encode(tag(session))
}

/// Is `shown` the token of the session?
pub(crate) fn check(session: &Secret, shown: &str) -> Result<(), Problem> {
    let shown = URL_SAFE_NO_PAD.decode(shown).unwrap_or_default();
    let key = hmac::Key::new(hmac::HMAC_SHA256, session.expose().as_bytes());
    hmac::verify(&key, MESSAGE, &shown).map_err(|_| {
        Problem::forbidden(
            "The form does not belong to your present session, so nothing was done. \
             Go back, load the page again, and send it once more.",
        )
    })
}

const MESSAGE: &[u8] = b"csg csrf 1";

fn tag(session: &Secret) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, session.expose().as_bytes()), MESSAGE)
}

/// Refuses what comes from another site. A client that is no browser says nothing of where it comes from, and carries
/// nobody's cookies by accident.
pub(crate) fn check_origin(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name| headers.get(name).map(|value: &header::HeaderValue| value.to_str().unwrap_or("?"));
    let ours = match (text("sec-fetch-site"), text(header::ORIGIN.as_str())) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            let host = origin.split_once("://").map(|(_, host)| host);
            host.is_some_and(|host| text(header::HOST.as_str()).is_some_and(|own| own.eq_ignore_ascii_case(host)))
        }
        (None, None) => true,
    };
    if ours { Ok(()) } else { Err(Problem::forbidden("The request was sent from another site, so nothing was done.")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_session_only() {
        let (one, other) = (Secret::new("one"), Secret::new("other"));
        assert!(check(&one, &token(&one)).is_ok());
        for shown in ["", "x", &token(&other), &format!("{}A", token(&one))] {
            assert!(check(&one, shown).is_err(), "{shown}");
        }
    }

    #[test]
    fn another_site_is_refused() {
        let from = |pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for &(name, value) in pairs {
                headers.insert(name, value.parse().unwrap());
            }
            check_origin(&headers).is_ok()
        };
        assert!(from(&[("host", "gate:3129")]));
        assert!(from(&[("host", "gate:3129"), ("origin", "http://gate:3129")]));
        assert!(from(&[("host", "gate:3129"), ("origin", "null"), ("sec-fetch-site", "same-origin")]));
        assert!(!from(&[("host", "gate:3129"), ("origin", "null")]));
        assert!(!from(&[("host", "gate:3129"), ("origin", "http://gate:8080")]));
        assert!(!from(&[("host", "gate:3129"), ("origin", "http://gate:3129"), ("sec-fetch-site", "same-site")]));
        assert!(!from(&[("host", "gate:3129"), ("sec-fetch-site", "cross-site")]));
    }
}
