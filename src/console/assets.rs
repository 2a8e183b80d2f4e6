//! Style sheets, scripts and icons: embedded, from this gateway only.

use axum::{
    Router,
    extract::{Path, RawQuery},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use rust_embed::{Embed, EmbeddedFile};

use super::{State, error::Problem};

#[derive(Embed)]
#[folder = "assets/css/"]
struct Css;

#[derive(Embed)]
#[folder = "assets/icons/"]
struct Icons;

#[derive(Embed)]
#[folder = "assets/js/"]
struct Js;

pub(crate) fn routes() -> Router<State> {
    Router::new().route("/assets/{kind}/{*path}", get(asset))
}

/// The address of an asset, with a mark of its content: it can be kept for ever, and a new version is fetched at once.
pub(crate) fn href(kind: &str, path: &str) -> String {
    let mark = find(kind, path).map(|file| hex::encode(&file.metadata.sha256_hash()[..6]));
    format!("/assets/{kind}/{path}?v={}", mark.unwrap_or_default())
}

fn find(kind: &str, path: &str) -> Option<EmbeddedFile> {
    match kind {
        "css" => Css::get(path),
        "icons" => Icons::get(path),
        "js" => Js::get(path),
        _ => None,
    }
}

async fn asset(Path((kind, path)): Path<(String, String)>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let Some(file) = find(&kind, &path) else {
        return Problem::not_found("Nothing has this address.").into_response();
    };
    let mark = hex::encode(file.metadata.sha256_hash());
    let marked = query.and_then(|query| query.strip_prefix("v=").map(str::to_owned));
    let keep = if marked.is_some_and(|shown| shown.len() == 12 && mark.starts_with(&shown)) {
        "public, max-age=31536000, immutable".to_owned()
    } else {
        "no-cache".to_owned()
    };
    let tag = format!("\"{mark}\"");
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let about = [(header::ETAG, tag), (header::CACHE_CONTROL, keep)];
    if known {
        return (StatusCode::NOT_MODIFIED, about).into_response();
    }
    (about, [(header::CONTENT_TYPE, media_type(&path))], file.data).into_response()
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}
