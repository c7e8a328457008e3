//! The dashboard's files, embedded at compile time. Any other address that is not the API's is answered with
//! `index.html`, because the pages' own router knows it.

use std::borrow::Cow;

use axum::{
    http::{
        HeaderMap, HeaderValue, Method, StatusCode, Uri,
        header::{
            ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG,
            IF_NONE_MATCH, VARY,
        },
    },
    response::{IntoResponse, Response},
};
use rust_embed::RustEmbed;

use crate::{guard::is_api, problem::Problem};

#[derive(RustEmbed)]
#[folder = "ui/dist"]
#[allow_missing = true]
struct Dist;

/// Shown while `ui/dist` has no page.
const NOTICE: &str = include_str!("notice.html");

/// One file as it is sent.
#[derive(Debug)]
struct File {
    bytes: Cow<'static, [u8]>,
    /// Changes with the content.
    tag: String,
    gzip: bool,
}

/// Answers everything that is no route.
pub(crate) async fn fallback(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path();
    if is_api(path) {
        let detail = format!("there is no `{path}`: see /api/v1/openapi.json");
        return Problem::new(StatusCode::NOT_FOUND, "not_found", detail).into_response();
    }
    if !matches!(method, Method::GET | Method::HEAD) {
        return (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "GET, HEAD")]).into_response();
    }
    let gzip = accepts_gzip(&headers);
    let name = path.trim_start_matches('/');
    match find(name, gzip, embedded) {
        Some((name, file)) => answer(name, file, &headers),
        // A page from before an update asks for a script that is gone: HTML would only confuse it.
        None => (StatusCode::NOT_FOUND, "no such file: reload the page\n").into_response(),
    }
}

fn embedded(name: &str) -> Option<File> {
    let file = Dist::get(name)?;
    let tag = file.metadata.sha256_hash()[..12].iter().map(|byte| format!("{byte:02x}")).collect();
    Some(File { bytes: file.data, tag, gzip: false })
}

/// The file of this name, or the start page if the name is an address within the pages. A sibling `<name>.gz`, if the
/// pages' build made one, is preferred where the browser accepts it.
fn find(name: &str, gzip: bool, source: impl Fn(&str) -> Option<File>) -> Option<(&str, File)> {
    let one = |name: &str| {
        let packed = if gzip { source(&format!("{name}.gz")) } else { None };
        packed.map(|file| File { gzip: true, ..file }).or_else(|| source(name))
    };
    if let Some(file) = one(name).filter(|_| !name.is_empty()) {
        return Some((name, file));
    }
    if media_type(name).is_some() {
        return None;
    }
    let start = one("index.html").unwrap_or_else(|| File {
        bytes: Cow::Borrowed(NOTICE.as_bytes()),
        tag: concat!("notice-", env!("CARGO_PKG_VERSION")).to_owned(),
        gzip: false,
    });
    Some(("index.html", start))
}

fn answer(name: &str, file: File, headers: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", file.tag);
    let known = headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|value| value.trim().trim_start_matches("W/") == tag);
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let media_type = media_type(name).unwrap_or("application/octet-stream");
        let mut full = ([(CONTENT_TYPE, media_type)], file.bytes.into_owned()).into_response();
        if file.gzip {
            full.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        full
    };
    let cache = if is_hashed(name) { "public, max-age=31536000, immutable" } else { "no-cache" };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if let Ok(tag) = HeaderValue::try_from(tag) {
        headers.insert(ETAG, tag);
    }
    response
}

/// Whether the bundler has put a hash of the content into the name (`assets/index-B3xYz12q.js`).
fn is_hashed(name: &str) -> bool {
    let Some((stem, _)) = name.strip_prefix("assets/").and_then(|name| name.rsplit_once('.'))
    else {
        return false;
    };
    // The hash itself may contain a hyphen.
    stem.len() > 8 && stem.is_char_boundary(stem.len() - 8) && stem[..stem.len() - 8].ends_with('-')
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    headers
        .get(ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.split(',').any(|one| one.trim() == "gzip"))
}

/// By the ending of the name; `None` means that it is an address within the pages, not a file.
fn media_type(name: &str) -> Option<&'static str> {
    Some(match name.rsplit_once('.')?.1 {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "webp" => "image/webp",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A built dashboard: start page, hashed script, and its packed form.
    fn built(name: &str) -> Option<File> {
        let bytes: &[u8] = match name {
            "index.html" => b"<!doctype html>start",
            "assets/index-Ab3_d-9x.js" => b"plain",
            "assets/index-Ab3_d-9x.js.gz" => b"packed",
            _ => return None,
        };
        Some(File { bytes: Cow::Borrowed(bytes), tag: name.len().to_string(), gzip: false })
    }

    #[test]
    fn an_address_within_the_pages_gets_the_start_page_and_a_missing_file_does_not() {
        #[track_caller]
        fn check(name: &str, expected: Option<&str>) {
            assert_eq!(find(name, false, built).map(|(name, _)| name), expected, "{name}");
        }
        check("", Some("index.html"));
        check("index.html", Some("index.html"));
        check("assets/acme.lyon.utilities.water.pump-1", Some("index.html"));
        check("alarms", Some("index.html"));
        check("assets/index-Ab3_d-9x.js", Some("assets/index-Ab3_d-9x.js"));
        check("assets/index-Older123.js", None);
        check("favicon.ico", None);
        check("../Cargo.toml", Some("index.html"));
    }

    #[test]
    fn without_built_pages_a_notice_is_shown() {
        let (_, file) = find("", true, |_| None).unwrap();
        assert!(String::from_utf8_lossy(&file.bytes).contains("no dashboard"));
    }

    #[test]
    fn the_packed_form_goes_only_to_browsers_that_accept_it() {
        let (_, file) = find("assets/index-Ab3_d-9x.js", true, built).unwrap();
        assert_eq!((file.bytes.as_ref(), file.gzip), (&b"packed"[..], true));
        let (_, file) = find("assets/index-Ab3_d-9x.js", false, built).unwrap();
        assert_eq!((file.bytes.as_ref(), file.gzip), (&b"plain"[..], false));
        let response = answer(
            "assets/index-Ab3_d-9x.js",
            File { bytes: Cow::Borrowed(b"packed"), tag: "t".to_owned(), gzip: true },
            &HeaderMap::new(),
        );
        assert_eq!(response.headers()[CONTENT_ENCODING], "gzip");
    }

    #[test]
    fn only_names_with_a_hash_are_kept_for_ever() {
        #[track_caller]
        fn check(name: &str, expected: bool) {
            assert_eq!(is_hashed(name), expected, "{name}");
        }
        check("assets/index-Ab3_d-9x.js", true);
        check("assets/index-B3xYz12q.css", true);
        check("index.html", false);
        check("favicon-12345678.svg", false);
        check("assets/logo.svg", false);
        check("assets/überlänge.svg", false);
    }

    #[test]
    fn an_unchanged_file_is_not_sent_again() {
        let file = || built("index.html").unwrap();
        let first = answer("index.html", file(), &HeaderMap::new());
        assert_eq!(first.headers()[CACHE_CONTROL], "no-cache");
        let mut headers = HeaderMap::new();
        headers.insert(IF_NONE_MATCH, first.headers()[ETAG].clone());
        assert_eq!(answer("index.html", file(), &headers).status(), StatusCode::NOT_MODIFIED);
        headers.insert(IF_NONE_MATCH, HeaderValue::from_static("\"other\""));
        assert_eq!(answer("index.html", file(), &headers).status(), StatusCode::OK);
    }
}
