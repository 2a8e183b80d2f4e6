//! Style sheets, scripts and icons: embedded, from this gateway only.

use std::{borrow::Cow, collections::HashMap, sync::LazyLock};

use axum::{
    Router,
    extract::{Path, RawQuery},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use rust_embed::{Embed, EmbeddedFile};

use super::{
    State,
    compressed::{Compressed, takes_gzip},
    error::Problem,
};

#[derive(Embed)]
#[folder = "assets/css/"]
struct Css;

#[derive(Embed)]
#[folder = "assets/icons/"]
struct Icons;

#[derive(Embed)]
#[folder = "assets/js/"]
struct Js;

/// So many hexadecimal digits of a file's hash tell one version from another.
const MARK: usize = 12;

pub(crate) fn routes() -> Router<State> {
    Router::new().route("/assets/{kind}/{*path}", get(asset))
}

/// The address of an asset, with a mark of its content: it can be kept for ever, and a new version is fetched at once.
pub(crate) fn href(kind: &str, path: &str) -> String {
    let mark = find(kind, path).map(|file| hex::encode(&file.metadata.sha256_hash()[..MARK / 2]));
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
    let name = format!("{kind}/{path}");
    let Some(asset) = ASSETS.get(&name) else {
        return Problem::not_found("Nothing has this address.").into_response();
    };
    let marked = query.and_then(|query| query.strip_prefix("v=").map(str::to_owned));
    let keep = if marked.is_some_and(|shown| shown.len() == MARK && asset.hash.starts_with(&shown)) {
        "public, max-age=31536000, immutable".to_owned()
    } else {
        "no-cache".to_owned()
    };
    // A strong tag stands for the very bytes, so the two forms have one each (RFC 9110, section 8.8.3.3).
    let tag = format!("\"{}{}\"", asset.hash, if takes_gzip(&headers) { "-gzip" } else { "" });
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let about = [(header::ETAG, tag), (header::CACHE_CONTROL, keep)];
    if known {
        return (StatusCode::NOT_MODIFIED, about, [(header::VARY, "accept-encoding")]).into_response();
    }
    (about, asset.text.answer(&headers, media_type(&path))).into_response()
}

/// A file, written once in each form.
struct Asset {
    hash: String,
    text: Compressed,
}

/// All of them, by kind and path. There are a few, all of them text.
static ASSETS: LazyLock<HashMap<String, Asset>> = LazyLock::new(|| {
    let named = |kind: &'static str| move |path: Cow<'static, str>| (kind, path);
    let all = Css::iter().map(named("css")).chain(Icons::iter().map(named("icons"))).chain(Js::iter().map(named("js")));
    all.filter_map(|(kind, path)| {
        let file = find(kind, &path)?;
        let asset = Asset {
            hash: hex::encode(file.metadata.sha256_hash()),
            text: Compressed::new(file.data.into_owned()).ok()?,
        };
        Some((format!("{kind}/{path}"), asset))
    })
    .collect()
});

fn media_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}
