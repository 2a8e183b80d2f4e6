//! Headers that are meant for one hop only (RFC 9110, section 7.6.1).

use http::{HeaderMap, HeaderName, header};

/// Takes away what is for this hop only. A header that `Connection` names stays if `protects` says so: otherwise
/// `Connection: X-Amz-Target` would be an order to drop what was verified.
pub(super) fn strip(headers: &mut HeaderMap, protects: impl Fn(&str) -> bool) {
    let mut gone: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|name| !is_always(name))
        .filter_map(|name| name.parse().ok())
        .filter(|name: &HeaderName| !protects(name.as_str()))
        .collect();
    gone.extend(headers.keys().filter(|name| is_always(name.as_str())).cloned());
    for name in gone {
        headers.remove(name);
    }
}

/// Is it always for one hop, whether `Connection` names it or not? `Expect` was answered here; `Trailer` is not among them
/// (RFC 9110, section 6.6.2): without it, trailers get lost on the way.
fn is_always(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "expect"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "transfer-encoding"
            | "upgrade"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines.iter().map(|&(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn strips_what_is_for_one_hop_and_what_connection_names() {
        let mut headers = map(&[
            ("connection", "close, X-Custom"),
            ("connection", "x-amz-target,host"),
            ("keep-alive", "timeout=5"),
            ("x-custom", "1"),
            ("x-amz-target", "DynamoDB_20120810.PutItem"),
            ("host", "dynamodb.us-east-1.amazonaws.com"),
            ("te", "trailers"),
            ("accept", "*/*"),
        ]);
        strip(&mut headers, |name| name.starts_with("x-amz-") || name == "host");
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["accept", "host", "x-amz-target"]);
    }
}
