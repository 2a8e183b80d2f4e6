//! Where a browser goes next: never to another site.

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};

use super::form::Fields;

/// To another page, which is then fetched with GET: reloading it repeats nothing (RFC 9110, section 15.4.4).
pub(crate) fn see(path: &str) -> Response {
    let location = HeaderValue::try_from(path).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
}

/// The address if it is a page of this console, or else the start page.
pub(crate) fn own(path: &str) -> &str {
    let plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let own = path.starts_with('/') && !path.starts_with("//") && plain && path.parse::<Uri>().is_ok();
    if own { path } else { "/" }
}

/// The page whose form was sent, filled with what was typed.
pub(super) fn form_again(uri: &Uri, headers: &HeaderMap, fields: &Fields) -> String {
    let from = headers.get(header::REFERER).and_then(|value| value.to_str().ok()?.parse::<Uri>().ok());
    match from {
        Some(from) if from.path() != uri.path() => from.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
        _ => format!("{}?{}", uri.path(), fields.to_query()),
    }
}

/// To the sign-in page, and from there to `back`.
pub(super) fn to_sign_in(back: &str) -> Response {
    if back == "/" {
        return see("/sign-in");
    }
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("next", own(back)).finish();
    see(&format!("/sign-in?{query}"))
}

#[cfg(test)]
mod tests {
    use super::own;

    #[test]
    fn no_way_leads_to_another_site() {
        for path in ["/", "/environments/dev/cloud-services?status=pending", "/a//b"] {
            assert_eq!(own(path), path);
        }
        for path in
            ["", "//evil.example", "/\\evil.example", "https://evil.example", "javascript:alert(1)", "/\t/e", "a"]
        {
            assert_eq!(own(path), "/", "{path}");
        }
    }
}
