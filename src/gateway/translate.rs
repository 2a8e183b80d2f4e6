//! The head of an HTTP/2 request as HTTP/1.1 would have it, so that all that follows knows one form.
//!
//! What may not be in a head (headers of one hop, upper case, a length that the body has not), the `h2` crate has refused
//! by then (RFC 9113, section 8).

use http::{HeaderValue, header, request::Parts, uri::Scheme};

use crate::cloud::Refusal;

/// As many as hyper takes over HTTP/1.1.
const HEADERS: usize = 100;

/// Gives `parts` its one `Host` header and its one `Cookie` header.
pub(super) fn translate(parts: &mut Parts) -> Result<(), Refusal> {
    let malformed = |what: &str| Refusal::Malformed { what: what.to_owned() };
    if parts.headers.len() > HEADERS {
        return Err(malformed("The request has more than 100 headers"));
    }
    let authority = parts.uri.authority().map(|authority| HeaderValue::from_str(authority.as_str()));
    let Some(Ok(authority)) = authority else { return Err(malformed("':authority' must name the host")) };
    if parts.uri.scheme() != Some(&Scheme::HTTPS) {
        return Err(malformed("':scheme' must be 'https'"));
    }
    // Whoever reads one of them must not be told another host than whoever reads the other (section 8.3.1).
    if parts.headers.get_all(header::HOST).iter().any(|host| host != authority) {
        return Err(malformed("':authority' and 'host' must be the same"));
    }
    if !parts.headers.contains_key(header::HOST) {
        parts.headers.insert(header::HOST, authority);
    }
    join_cookies(parts);
    Ok(())
}

/// They may have been parted, to be compressed the better (section 8.2.3).
fn join_cookies(parts: &mut Parts) {
    let crumbs: Vec<_> = parts.headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if crumbs.len() > 1
        && let Ok(joined) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..]))
    {
        parts.headers.insert(header::COOKIE, joined);
    }
}

#[cfg(test)]
mod tests {
    use http::{Request, Uri};

    use super::*;

    fn parts(uri: &'static str, headers: &[(&'static str, &'static str)]) -> Parts {
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.uri = Uri::from_static(uri);
        for &(name, value) in headers {
            parts.headers.append(name, HeaderValue::from_static(value));
        }
        parts
    }

    fn all(parts: &Parts, name: &str) -> Vec<String> {
        parts.headers.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_host_is_that_of_the_authority() {
        for (uri, headers) in
            [("https://a.example/b?c", vec![]), ("https://a.example:443/", vec![("host", "a.example:443")])]
        {
            let mut parts = parts(uri, &headers);
            translate(&mut parts).unwrap();
            assert_eq!(all(&parts, "host"), [parts.uri.authority().unwrap().as_str()]);
        }
        for (uri, headers) in [
            ("https://a.example/", vec![("host", "b.example")]),
            ("https://a.example/", vec![("host", "a.example:443")]),
            ("https://a.example/", vec![("host", "a.example"), ("host", "b.example")]),
            ("http://a.example/", vec![]),
            ("/", vec![("host", "a.example")]),
            ("a.example:443", vec![]),
        ] {
            assert!(translate(&mut parts(uri, &headers)).is_err(), "{uri} {headers:?}");
        }
    }

    #[test]
    fn cookies_are_one_header_again() {
        let mut one = parts("https://a.example/", &[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2; c=3")]);
        translate(&mut one).unwrap();
        assert_eq!(all(&one, "cookie"), ["a=1; b=2; c=3"]);
    }

    #[test]
    fn there_is_an_end_to_headers() {
        for (count, is_taken) in [(HEADERS, true), (HEADERS + 1, false)] {
            let mut parts = parts("https://a.example/", &vec![("x", "y"); count]);
            assert_eq!(translate(&mut parts).is_ok(), is_taken);
        }
    }
}
