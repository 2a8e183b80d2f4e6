//! Headers that are meant for one hop only (RFC 9110, section 7.6.1).

use http::{HeaderMap, HeaderName, header};

/// Always for one hop, whether `Connection` names them or not. `Expect` was answered here; `Trailer` is not among them
/// (RFC 9110, section 6.6.2): without it, trailers get lost on the way.
static ALWAYS: [HeaderName; 9] = [
    header::CONNECTION,
    header::EXPECT,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Takes away what is for this hop only. A header that `Connection` names stays if `protects` says so: otherwise
/// `Connection: X-Amz-Target` would be an order to drop what was verified.
pub(super) fn strip(headers: &mut HeaderMap, protects: impl Fn(&str) -> bool) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .filter(|name: &HeaderName| !protects(name.as_str()))
        .collect();
    let always: Vec<_> = headers.keys().filter_map(|name| ALWAYS.iter().find(|known| *known == name)).collect();
    for name in always.into_iter().chain(&named) {
        headers.remove(name);
    }
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
